"""Trees grown under a price in LUT: each split pays for its comparator, unless another split has
the same one, and for its share of the tables of leaves.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trigger.fixedpoint.types import Flags, Integers, Reals

LEAF = -1
# LUT of a split without its comparator.
A_SPLIT = 1.0
# Added to the curvature of a leaf, so that leaves of few or pure events stay small.
_SHRINKAGE = 10.0
# The least curvature of the events on either side of a split.
_LEAST = 1.0


class Binned(NamedTuple):
    """The training events: ``bins`` (features, events), the number of edges of its feature that an
    event reaches; ``prices`` (features, edges), the LUT of each comparator, infinite where there is
    no edge.
    """

    bins: NDArray[np.uint8]
    prices: Reals


class Growth(NamedTuple):
    """How trees grow: their levels, the share of a Newton step that a leaf takes, the loss that a
    LUT is worth, and the LUT that add a tree to the others.
    """

    depth: int
    rate: float
    price: float
    a_tree: float


class Node(NamedTuple):
    """A split: an event goes left if it does not reach the edge of this place; or a leaf, of
    feature ``LEAF``, with its value and events.
    """

    feature: int
    place: int
    left: int
    right: int
    value: float
    rows: Integers


Grown = list[Node]
_NOBODY = np.empty(0, dtype=np.int64)


def grow(events: Binned, derivatives: tuple[Reals, Reals], growth: Growth, used: Flags) -> Grown:
    """The nodes of a tree, the root first, that lowers a loss with these two derivatives for each
    event.

    Comparators (features, edges) that are ``used`` elsewhere are free; those that the tree needs
    are marked.
    """
    nodes: Grown = []
    every = np.arange(events.bins.shape[1])

    def branch(rows: Integers, depth: int) -> float:
        """Add a branch for some events; what it lowers the loss by, less its price."""
        slope, curve = (each[rows].sum() for each in derivatives)
        leaf = Node(LEAF, -1, -1, -1, -growth.rate * slope / (curve + _SHRINKAGE), rows)
        here = len(nodes)
        nodes.append(leaf)
        gains = _gains(events, derivatives, rows, growth.price, used) if depth else None
        if gains is None or gains.max() == -np.inf:
            return 0.0
        feature, place = divmod(int(gains.argmax()), gains.shape[1])
        before = used.copy()
        used[feature, place] = True
        left = events.bins[feature, rows] <= place
        gain = gains[feature, place] + branch(rows[left], depth - 1)
        right = len(nodes)
        gain += branch(rows[~left], depth - 1)
        paid = 0.0 if here else growth.price * growth.a_tree
        if gain > paid:
            nodes[here] = Node(feature, place, here + 1, right, 0.0, _NOBODY)
            return float(gain)
        used[:] = before
        nodes[here:] = [leaf]
        return 0.0

    branch(every, growth.depth)
    return nodes


def _gains(
    events: Binned, derivatives: tuple[Reals, Reals], rows: Integers, price: float, used: Flags
) -> Reals:
    """What each split of some events lowers the loss by, less its price, (features, edges)."""
    slope, curve = (_left_of(events, rows, each) for each in derivatives)
    whole, all_curve = (each[rows].sum() for each in derivatives)
    gain = (
        _lowered(slope, curve)
        + _lowered(whole - slope, all_curve - curve)
        - _lowered(whole, all_curve)
    )
    edges = np.isfinite(events.prices)
    paid = price * (A_SPLIT + np.where(edges & ~used, events.prices, 0.0))
    possible = edges & (curve >= _LEAST) & (all_curve - curve >= _LEAST)
    return np.where(possible, gain - paid, -np.inf)


def _left_of(events: Binned, rows: Integers, each: Reals) -> Reals:
    """The sum over the events on the left of each edge, (features, edges)."""
    edges = events.prices.shape[1]
    own = each[rows]
    sums = [np.bincount(bins[rows], own, edges + 1)[:edges] for bins in events.bins]
    return np.cumsum(sums, axis=1)


def _lowered(slope: Reals, curve: Reals) -> Reals:
    """What a leaf lowers the loss by."""
    return slope**2 / (curve + _SHRINKAGE) / 2

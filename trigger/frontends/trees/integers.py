"""Trees on hardware integers: every threshold becomes the smallest integer that goes right."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from trigger.fixedpoint.types import Fixed, Integers
from trigger.frontends.trees.forest import LEAF, Forest, Tree


@dataclass(frozen=True, eq=False)
class Split:
    """An event goes right where the integer of ``feature`` is at least ``bound``."""

    feature: int
    bound: int
    left: "Branch"
    right: "Branch"


@dataclass(frozen=True, eq=False)
class Leaf:
    """A leaf, by its number among the nodes of its tree."""

    node: int


Branch = Split | Leaf


def branches(forest: Forest, types: tuple[Fixed, ...]) -> list[Branch]:
    """Each tree without the splits on which all integers that reach them go the same way."""
    reach = [(fixed.minimum, fixed.maximum) for fixed in types]
    return [
        _branch(tree, bounds(tree, forest, types), 0, reach)
        for tree in forest.trees
    ]  # fmt: skip


def leaves(branch: Branch) -> Iterator[int]:
    """The leaves that some integers reach, from the left to the right."""
    if isinstance(branch, Leaf):
        yield branch.node
    else:
        yield from leaves(branch.left)
        yield from leaves(branch.right)


def splits(branch: Branch) -> Iterator[Split]:
    """The splits, each before those below it."""
    if isinstance(branch, Split):
        yield branch
        yield from splits(branch.left)
        yield from splits(branch.right)


def bounds(tree: Tree, forest: Forest, types: tuple[Fixed, ...]) -> Integers:
    """For each node the smallest integer that goes right, or the largest + 1 where none does.

    Found by bisection with the library's own comparison, which never falls with the integer.
    """
    of_node = [types[max(feature, 0)] for feature in tree.feature]
    low = np.array([fixed.minimum for fixed in of_node], dtype=np.int64)
    high = np.array([fixed.maximum + 1 for fixed in of_node], dtype=np.int64)
    fractions = np.array([fixed.fraction for fixed in of_node], dtype=np.int64)
    while (low < high).any():
        middle = (low + high) >> 1
        x = np.ldexp(middle.astype(np.float64), -fractions)
        left = forest.comparison.goes_left(x, tree.threshold)
        low, high = np.where(left & (low < high), middle + 1, low), np.where(left, high, middle)
    return low


def _branch(tree: Tree, bounds: Integers, node: int, reach: list[tuple[int, int]]) -> Branch:
    if tree.feature[node] == LEAF:
        return Leaf(node)
    feature = int(tree.feature[node])
    bound = int(bounds[node])
    low, high = reach[feature]
    left, right = int(tree.left[node]), int(tree.right[node])
    if bound > high:
        return _branch(tree, bounds, left, reach)
    if bound <= low:
        return _branch(tree, bounds, right, reach)
    below, above = list(reach), list(reach)
    below[feature] = low, bound - 1
    above[feature] = bound, high
    return Split(
        feature,
        bound,
        _branch(tree, bounds, left, below),
        _branch(tree, bounds, right, above),
    )

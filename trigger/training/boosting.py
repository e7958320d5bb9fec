"""Boosted trees trained here, as a network of a build, under a price in LUT.

Features are rounded down to few integers with few set bits, so that comparators are few and cost
little; the trees then compare the features themselves. Leaves are rounded while the forest grows:
each tree corrects the rounding of those before. Later passes grow each tree again among all others,
and a target in LUT sets the price.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from trigger.events.dataset import Events
from trigger.fixedpoint.types import Fixed, Flags, Reals
from trigger.frontends.trees import rounding
from trigger.frontends.trees.forest import OWN, Comparison, Forest, Tree
from trigger.spec import families
from trigger.spec.head_tables import Scoring
from trigger.spec.spec import Spec
from trigger.support.progress import Advance
from trigger.support.quantiles import thresholds
from trigger.training import tree_losses
from trigger.training.growing_trees import A_SPLIT, LEAF, Binned, Grown, Growth, grow
from trigger.training.tree_losses import Loss
from trigger.training.weightless import comparator

# The integers that a feature is compared with, at most.
_EDGES = 63
# LUT that add a bit of a tree to the sum.
_A_BIT = 0.8
# Sweeps over all leaves, in which each may move by a step.
_SWEEPS = 3
# Prices tried for a target in LUT: the first one for a target of 1, and the least one; and how near
# to the target is enough.
_TRIALS, _FIRST, _LEAST_PRICE = 8, 0.05, 1e-7
_NEAR = 0.03
# The exponent with which the LUT of a forest fall with the price, about.
_FALL = 0.8
# The least spread of leaves, and the least loss that a step of a leaf must gain.
_LEAST_SPREAD, _LEAST_GAIN = 1e-30, 1e-9
_LOSSES = {"mean_squared_error": tree_losses.SQUARED, "mean_absolute_error": tree_losses.ABSOLUTE}


class _Head(NamedTuple):
    """What the trees of a head learn: the truth of some events in units of ``scale``, their
    weights, of mean 1, and the loss.
    """

    events: Binned
    truth: Reals
    weight: Reals
    loss: Loss
    scale: float

    def total(self, scores: Reals, rows: Any = slice(None)) -> float:
        """The loss of scores (events, scores) for some of the events."""
        return float(self.weight[rows] @ self.loss.values(scores, self.truth[rows]))


class _Tree(NamedTuple):
    """A tree with leaves in whole steps, and the score that they add to."""

    output: int
    nodes: Grown

    @property
    def splits(self) -> list[tuple[int, int]]:
        return [node[:2] for node in self.nodes if node.feature != LEAF]


def most_forests(spec: Spec) -> int:
    """How many forests ``trained`` grows at most."""
    return 1 if spec.training.target_lut is None else _TRIALS


def _nobody(count: int, note: str = "") -> None:
    """Progress that nobody sees."""


def trained(spec: Spec, events: Mapping[str, Events], grown: Advance = _nobody) -> Forest:
    """The forest of family "trees", trained on the events in physical units, with rounded leaves.

    With ``training.target_lut``, the price of a LUT is the one whose forest takes about so many;
    otherwise LUTs are free. ``grown`` is called after each forest. Raises Inexact if its scores
    have too many steps.
    """
    edges = _edges(spec, events["train"])

    def made(price: float) -> tuple[list[Forest], float]:
        parts, lut = _of_heads(spec, events["train"], edges, price)
        grown(1, f"{lut:,.0f} LUT, estimated")
        return parts, lut

    target = spec.training.target_lut
    parts = made(0.0)[0] if target is None else _of_target(target, made)
    bits = families.arguments(spec).bits
    # Each head has a scale, and so a step, of its own.
    return _together([rounding.rounded(part, spec.input_types, bits) for part in parts], spec)


def _edges(spec: Spec, train: Events) -> list[Reals]:
    """The edges of each feature, ascending."""
    step = np.array([2.0**-t.fraction for t in spec.input_types])
    return [np.unique(own) for own in thresholds(train.x, _EDGES, step)]


def _of_target(target: int, made: Callable[[float], tuple[list[Forest], float]]) -> list[Forest]:
    """The forests that take at most about ``target`` LUT, as many as possible, of those ``made``
    with some prices; the smallest ones if all take more.
    """
    price = _FIRST / target
    found: list[tuple[float, list[Forest]]] = []
    # The highest price whose forests are too large, and the least one whose are small enough.
    low, high = 0.0, np.inf
    for _ in range(_TRIALS):
        parts, lut = made(price)
        found.append((lut, parts))
        if abs(lut / target - 1) < _NEAR or (lut < target and price < _LEAST_PRICE):
            break
        low, high = (max(low, price), high) if lut > target else (low, min(high, price))
        price *= (max(lut, 1.0) / target) ** (1 / _FALL)
        if not low < price < high:
            price = float(np.sqrt(low * high))
    small = [one for one in found if one[0] < (1 + _NEAR) * target]
    if small:
        return max(small, key=lambda one: one[0])[1]
    return min(found, key=lambda one: one[0])[1]


def _of_heads(
    spec: Spec, train: Events, edges: list[Reals], price: float
) -> tuple[list[Forest], float]:
    """The forest of each head, and the LUT of all. ``price`` is the share of the loss of the best
    constant scores that a LUT is worth.
    """
    given = families.arguments(spec)
    prices = _prices(edges, spec.input_types)
    used = np.zeros(prices.shape, dtype=bool)
    parts, lut = [], 0.0
    for head in spec.scoring:
        learned = _learned(head, train, edges, prices)
        # The scores of two classes are two sums.
        sums = 2 if len(head.outputs) == 2 else 1
        growth = Growth(given.depth, given.learning_rate, price, _A_BIT * given.bits * sums)
        boosting = _Boosting(learned, growth, given.bits, used)
        for _ in range(given.trees):
            boosting.add_trees()
        boosting.move_leaves()
        for _ in range(spec.training.refinement):
            boosting.grow_again()
        used = boosting.used()
        lut += boosting.lut()
        forest = boosting.forest(edges)
        parts.append(_of_two(forest) if len(head.outputs) == 2 else forest)
    return parts, lut


def _prices(edges: list[Reals], types: Sequence[Fixed]) -> Reals:
    """The LUT of the comparator with each edge (features, edges); infinite where there is none."""
    prices = np.full((len(edges), max(map(len, edges))), np.inf)
    for row, own, kind in zip(prices, edges, types, strict=True):
        # Signed integers are compared with the highest bit inverted, as unsigned ones.
        integers = np.rint(np.ldexp(own, kind.fraction)).astype(np.int64) - int(kind.minimum)
        zeros = sum((integers % 2**power == 0).astype(int) for power in range(1, kind.width))
        row[: len(own)] = comparator(kind.width - zeros)
    return prices


def _learned(head: Scoring, train: Events, edges: list[Reals], prices: Reals) -> _Head:
    """What the trees of a head learn."""
    seen, _ = train.of(head)
    if head.is_regression:
        assert head.head is not None
        truth, loss = seen.y, _LOSSES[head.head.loss or "mean_squared_error"]
        scale = _scale(truth)
    else:
        scale = 1.0
        seen = seen.take(np.flatnonzero(np.isin(seen.y, head.taught)))
        one = head.background is not None or len(head.outputs) == 2
        truth = seen.y if head.background is None else ~np.isin(seen.y, head.background)
        loss = tree_losses.BINARY if one else tree_losses.cross_entropy(len(head.outputs))
    bins = [np.searchsorted(own, x, side="right") for own, x in zip(edges, seen.x.T, strict=True)]
    weight = seen.weight / seen.weight.mean()
    events = Binned(np.stack(bins).astype(np.uint8), prices)
    return _Head(events, truth.astype(np.float64) / scale, weight, loss, scale)


def _scale(truth: Reals) -> float:
    """A power of two near the spread of the truth, so that its unit has no effect."""
    spread = float(np.median(np.abs(truth - np.median(truth)))) or float(np.std(truth))
    return float(2.0 ** np.rint(np.log2(spread))) if spread else 1.0


class _Boosting:
    """The trees of a head while they grow. Comparators that are ``used`` elsewhere are free."""

    def __init__(self, head: _Head, growth: Growth, bits: int, used: Flags) -> None:
        self._head, self._free, self._most = head, used, 2**bits - 1
        self.trees: list[_Tree] = []
        start = head.loss.start(head.truth, head.weight)
        self._scores = np.tile(start, (len(head.truth), 1))
        self._growth = growth._replace(price=growth.price * head.total(self._scores))
        self._step = self._first_step()
        self._base = np.rint(start / self._step) * self._step
        self._scores[:] = self._base

    def _first_step(self) -> float:
        """A power of two, of which the leaves of a first tree of each score span at most so many
        steps.
        """
        spreads = []
        for output in range(self._scores.shape[1]):
            values = [node.value for node in self._grown(output, self._growth, self.used())]
            spreads.append(max(values) - min(values))
        return float(2.0 ** np.floor(np.log2(max(*spreads, _LEAST_SPREAD) / self._most)))

    def used(self, trees: Sequence[_Tree] | None = None) -> Flags:
        """The comparators (features, edges) of some trees, by default of all, and elsewhere."""
        used = self._free.copy()
        for tree in self.trees if trees is None else trees:
            for split in tree.splits:
                used[split] = True
        return used

    def add_trees(self) -> None:
        """Add a tree for each score."""
        for output in range(self._scores.shape[1]):
            tree = self._rounded(output, self._grown(output, self._growth, self.used()))
            self.trees.append(tree)
            self._scores[:, output] += self._of(tree)

    def move_leaves(self, trees: Sequence[_Tree] | None = None) -> None:
        """Move single leaves of some trees, by default of all, by a step while this lowers the
        loss.
        """
        for _ in range(_SWEEPS):
            moved = [
                self._moved(tree, k)
                for tree in (self.trees if trees is None else trees)
                for k in range(len(tree.nodes))
            ]
            if not any(moved):
                return

    def grow_again(self) -> None:
        """Grow each tree again among all others; keep it if loss and price are lower."""
        least = self._objective(self.trees)
        full = self._growth._replace(rate=1.0)
        for k, old in enumerate(self.trees):
            others = self.trees[:k] + self.trees[k + 1 :]
            before = self._scores.copy()
            self._scores[:, old.output] -= self._of(old)
            new = self._rounded(old.output, self._grown(old.output, full, self.used(others)))
            self._scores[:, old.output] += self._of(new)
            self.move_leaves([new])
            found = self._objective([*others, new])
            if found < least:
                least, self.trees[k] = found, new
            else:
                self._scores = before
        self.move_leaves()

    def _grown(self, output: int, growth: Growth, used: Flags) -> Grown:
        slopes, curves = self._head.loss.slopes(self._scores, self._head.truth)
        weight = self._head.weight
        derivatives = slopes[:, output] * weight, curves[:, output] * weight
        return grow(self._head.events, derivatives, growth, used)

    def _rounded(self, output: int, nodes: Grown) -> _Tree:
        """A tree with its leaves in whole steps, which span at most as many as fit."""
        leaves = [node.feature == LEAF for node in nodes]
        steps = np.rint([node.value / self._step for node in nodes])
        least = np.floor((steps[leaves].max() + steps[leaves].min() - self._most) / 2)
        steps = np.clip(steps, least, least + self._most)
        rows = zip(nodes, leaves, steps.tolist(), strict=True)
        return _Tree(output, [n._replace(value=step if leaf else 0.0) for n, leaf, step in rows])

    def _of(self, tree: _Tree) -> Reals:
        """What a tree adds to the score of each event."""
        found = np.zeros(len(self._head.truth))
        for node in tree.nodes:
            found[node.rows] = node.value * self._step
        return found

    def _moved(self, tree: _Tree, k: int) -> bool:
        """Move a leaf up or down by a step if this lowers the loss and its tree spans few enough
        steps.
        """
        leaf, output = tree.nodes[k], tree.output
        if leaf.feature != LEAF:
            return False
        values = [node.value for node in tree.nodes if node.feature == LEAF]
        scores = self._scores[leaf.rows]
        least, best = self._head.total(scores, leaf.rows) - _LEAST_GAIN, 0.0
        for step in (-1.0, 1.0):
            ends = [*values, leaf.value + step]
            if max(ends) - min(ends) > self._most:
                continue
            tried = scores.copy()
            tried[:, output] += step * self._step
            if (found := self._head.total(tried, leaf.rows)) < least:
                least, best = found, step
        self._scores[leaf.rows, output] += best * self._step
        tree.nodes[k] = leaf._replace(value=leaf.value + best)
        return best != 0

    def _objective(self, trees: Sequence[_Tree]) -> float:
        """The loss of the scores, and the price of the trees."""
        return self._head.total(self._scores) + self._growth.price * self.lut(trees)

    def lut(self, trees: Sequence[_Tree] | None = None) -> float:
        """The LUT of some trees, by default of all, without those of comparators that are free."""
        trees = self.trees if trees is None else trees
        splits = [len(tree.splits) for tree in trees]
        comparators = self._head.events.prices[self.used(trees) & ~self._free].sum()
        # A tree of one leaf is part of the base score.
        sums = self._growth.a_tree * np.count_nonzero(splits)
        return float(A_SPLIT * sum(splits) + comparators + sums)

    def forest(self, edges: Sequence[Reals]) -> Forest:
        """The forest as it is, with as many trees for each score; some may be of one leaf."""
        scale = self._head.scale
        trees = [_as_tree(tree, edges, self._step * scale) for tree in self.trees]
        comparison = Comparison(strict=True, single=False)
        return Forest(OWN, len(edges), self._base * scale, _numbered(trees), comparison)


def _as_tree(tree: _Tree, edges: Sequence[Reals], step: float) -> Tree:
    nodes = tree.nodes
    features, _, left, right = np.array([node[:4] for node in nodes], dtype=np.int64).T
    threshold = [edges[n.feature][n.place] if n.feature != LEAF else 0.0 for n in nodes]
    value = np.array([node.value * step for node in nodes])
    return Tree(0, tree.output, features, np.array(threshold), left, right, value)


def _of_two(forest: Forest) -> Forest:
    """The scores of two classes, with the difference that is the score of one."""
    trees = [
        dataclasses.replace(tree, output=output, value=sign * tree.value / 2)
        for tree in forest.trees
        for output, sign in enumerate((-1, 1))
    ]
    base = np.array([-forest.base[0], forest.base[0]]) / 2
    return dataclasses.replace(forest, base=base, trees=_numbered(trees))


def _together(parts: Sequence[Forest], spec: Spec) -> Forest:
    """The forests of all heads as one, whose features have their names."""
    trees = [
        dataclasses.replace(tree, output=head.first + tree.output)
        for head, forest in zip(spec.scoring, parts, strict=True)
        for tree in forest.trees
    ]
    return dataclasses.replace(
        parts[0],
        base=np.concatenate([forest.base for forest in parts]),
        trees=_numbered(trees),
        names=tuple(spec.data.features),
        notes=tuple(dict.fromkeys(note for forest in parts for note in forest.notes)),
    )


def _numbered(trees: Sequence[Tree]) -> tuple[Tree, ...]:
    return tuple(dataclasses.replace(tree, number=k) for k, tree in enumerate(trees))

"""A forest: trees of splits on single features, whose leaves add up to scores.

It is what all tree libraries have in common. ``Comparison`` says how a library compares, which
decides on which side of a split a value on the threshold falls.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from trigger.fixedpoint.types import Flags, Integers, Reals

LEAF = -1
# The library of the forests that a build grows itself.
OWN = "trigger"
# Far more than any FPGA holds.
MOST_NODES = 1 << 20
DEEPEST = 256
_MOST_SCORES = 4096
_MOST_FEATURES = 1 << 16
# What follows the scores in a library: nothing, a function, or that they are probabilities.
HEADS = ("linear", "sigmoid", "softmax", "probability")


class Comparison(NamedTuple):
    """An event goes left where x < threshold (``strict``), or x <= threshold.

    With ``single`` the library first rounds x to float32.
    """

    strict: bool
    single: bool

    def goes_left(self, x: Reals, threshold: Reals) -> Flags:
        """Which events a library sends to the left, for features in float64."""
        seen = x
        if self.single:
            with np.errstate(over="ignore", under="ignore"):
                seen = x.astype(np.float32).astype(np.float64)
        left: Flags = seen < threshold if self.strict else seen <= threshold
        return left


@dataclass(frozen=True, eq=False)
class Tree:
    """One tree; node 0 is its root. All arrays are (nodes,), and ``feature`` is -1 at a leaf.

    ``number`` is that of the tree in its file, and ``output`` the score that its leaves add to.
    Nodes have their numbers in the file; some may be out of reach.
    """

    number: int
    output: int
    feature: Integers
    threshold: Reals
    left: Integers
    right: Integers
    value: Reals

    @property
    def leaf_values(self) -> Reals:
        """The value of each node; 0 for splits, where a library may note anything."""
        return np.where(self.feature == LEAF, self.value, 0.0)

    def leaves(self, x: Reals, comparison: Comparison) -> Integers:
        """The leaf of each event, for features in float64 of shape (events, features)."""
        node = np.zeros(len(x), dtype=np.int64)
        inside = np.flatnonzero(self.feature[node] != LEAF)
        while len(inside):
            at = node[inside]
            left = comparison.goes_left(x[inside, self.feature[at]], self.threshold[at])
            node[inside] = np.where(left, self.left[at], self.right[at])
            inside = inside[self.feature[node[inside]] != LEAF]
        return node

    @property
    def splits(self) -> int:
        """The number of splits within reach of the root."""
        return sum(int((self.feature[level] != LEAF).sum()) for level in self.levels())

    def levels(self) -> list[Integers]:
        """The nodes at each depth, the root first."""
        found = [np.zeros(1, dtype=np.int64)]
        while len(inside := found[-1][self.feature[found[-1]] != LEAF]):
            found.append(np.concatenate([self.left[inside], self.right[inside]]))
        return found


@dataclass(frozen=True, eq=False)
class Forest:
    """Scores (outputs,): ``base`` plus, for each tree, the value of the leaf that an event reaches.

    ``head`` is one of ``HEADS``. ``names`` are those of the features in the file; none if it has
    none.
    """

    library: str
    features: int
    base: Reals
    trees: tuple[Tree, ...]
    comparison: Comparison
    head: str = "linear"
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def outputs(self) -> int:
        return len(self.base)

    def leaves(self, x: Reals) -> Integers:
        """The leaf that each event reaches in each tree, shape (events, trees)."""
        reached = [tree.leaves(x, self.comparison) for tree in self.trees]
        return np.stack(reached, axis=1) if reached else np.zeros((len(x), 0), dtype=np.int64)

    def scores(self, leaves: Integers) -> Reals:
        """The scores (events, outputs) of events, from the leaf that each reaches in each tree."""
        sums = np.tile(self.base, (len(leaves), 1))
        for tree, leaf in zip(self.trees, leaves.T, strict=True):
            sums[:, tree.output] += tree.value[leaf]
        return sums


def check_size(features: int, outputs: int) -> None:
    """Raise ValueError for sizes of which no array must be made."""
    if not 0 < features <= _MOST_FEATURES:
        raise ValueError(f"it has {features:,} features; at most {_MOST_FEATURES:,} are read")
    if not 0 < outputs <= _MOST_SCORES:
        raise ValueError(f"it has {outputs:,} scores; at most {_MOST_SCORES:,} are read")


def check(forest: Forest) -> Forest:
    """The forest itself. Raises ValueError, which names tree and node, if it is malformed."""
    if not np.isfinite(forest.base).all():
        raise ValueError("its base scores are not finite")
    if not forest.trees:
        raise ValueError("it has no trees")
    for tree in forest.trees:
        _check_tree(tree, forest)
    return forest


def _check_tree(tree: Tree, forest: Forest) -> None:
    where = f"tree {tree.number}"
    nodes = len(tree.feature)
    lengths = {len(part) for part in (tree.threshold, tree.left, tree.right, tree.value)}
    if lengths != {nodes} or not nodes:
        raise ValueError(f"{where}: its arrays have different lengths")
    if not 0 <= tree.output < forest.outputs:
        raise ValueError(f"{where}: adds to score {tree.output} of {forest.outputs}")
    seen = {0}
    reached = [0]
    for node in reached:
        if tree.feature[node] == LEAF:
            if not np.isfinite(tree.value[node]):
                raise ValueError(f"{where}: the value of leaf {node} is not finite")
            continue
        if not 0 <= tree.feature[node] < forest.features:
            raise ValueError(
                f"{where}: node {node} reads feature {tree.feature[node]} of {forest.features}"
            )
        if np.isnan(tree.threshold[node]):
            raise ValueError(f"{where}: the threshold of node {node} is not a number")
        for child in (int(tree.left[node]), int(tree.right[node])):
            if not 0 < child < nodes or child in seen:
                raise ValueError(f"{where}: node {node} has no child {child} of its own")
            seen.add(child)
            reached.append(child)
    if len(tree.levels()) > DEEPEST + 1:
        raise ValueError(f"{where}: is deeper than {DEEPEST} splits")

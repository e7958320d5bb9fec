"""Boosted trees trained here, as a network of a build: gradient boosting of scikit-learn.

Features are rounded down to few integers with few set bits before training, so that comparisons are
few and cost little; the trees then compare the features themselves.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from trigger.events.dataset import Events
from trigger.fixedpoint.types import Reals
from trigger.frontends.trees import rounding, scikit_learn
from trigger.frontends.trees.forest import LEAF, Comparison, Forest, Tree
from trigger.spec import families
from trigger.spec.head_tables import Scoring
from trigger.spec.spec import Spec
from trigger.support.quantiles import thresholds

# The integers that a feature is compared with, at most.
_EDGES = 63
# Leaves of few or pure events stay small, so that the others keep their bits.
_SHRINKAGE = 20.0
_LOSSES = {"mean_squared_error": "squared_error", "mean_absolute_error": "absolute_error"}


def trained(spec: Spec, events: Mapping[str, Events]) -> Forest:
    """The forest of family "trees", trained on the events in physical units, with rounded leaves.

    Raises Inexact if its scores have too many steps.
    """
    given = families.arguments(spec)
    train = events["train"]
    step = np.array([2.0**-t.fraction for t in spec.input_types])
    edges = thresholds(train.x, _EDGES, step)
    # With several threads the order of sums, and so their last bit, changes from run to run.
    with threadpool_limits(1, "openmp"):
        parts = [_of_head(train, edges, head, given, spec) for head in spec.scoring]
    # Each head has a scale, and so a step, of its own.
    parts = [rounding.rounded(part, spec.input_types, given.bits) for part in parts]
    return _together(parts, spec)


def fitted(x: Reals, y: np.ndarray, weight: Reals, edges: Reals, model: Any) -> Forest:
    """The forest of a model of scikit-learn fitted to features rounded down to ``edges``, which
    compares the features themselves.
    """
    model.fit(rounded_down(x, edges), y, weight / weight.mean())
    forest = scikit_learn.forest(model)
    trees = tuple(_on_edges(tree, edges) for tree in forest.trees)
    comparison = Comparison(strict=True, single=False)
    return dataclasses.replace(forest, trees=trees, comparison=comparison, head="linear")


def rounded_down(x: Reals, edges: Reals) -> Reals:
    """Each feature (events, features) as the largest of its edges (features, edges) that is not
    above it, or minus infinity.
    """
    columns = []
    for values, own in zip(x.T, edges, strict=True):
        ends = np.concatenate([[_below(own)], np.unique(own)])
        columns.append(ends[np.searchsorted(ends[1:], values, side="right")])
    return np.stack(columns, axis=1)


def _below(edges: Reals) -> float:
    """A number below all edges."""
    return float(edges.min() - 1.0)


def _on_edges(tree: Tree, edges: Reals) -> Tree:
    """A tree whose thresholds lie between two edges, which compares with the upper one instead."""
    moved = tree.threshold.copy()
    for node in np.flatnonzero(tree.feature != LEAF):
        own = np.unique(edges[tree.feature[node]])
        moved[node] = own[np.searchsorted(own, tree.threshold[node], side="right")]
    return dataclasses.replace(tree, threshold=moved)


def _of_head(
    train: Events, edges: Reals, head: Scoring, given: families.Trees, spec: Spec
) -> Forest:
    """The forest of the scores of a head."""
    options: dict[str, Any] = {
        "max_iter": given.trees,
        "max_depth": given.depth,
        "max_leaf_nodes": None,
        "learning_rate": given.learning_rate,
        "early_stopping": False,
        "l2_regularization": _SHRINKAGE,
        "random_state": spec.training.seed,
    }
    seen, _ = train.of(head)
    if head.is_regression:
        assert head.head is not None
        loss = _LOSSES[head.head.loss or "mean_squared_error"]
        regressor = HistGradientBoostingRegressor(loss=loss, **options)
        return fitted(seen.x, seen.y, seen.weight, edges, regressor)
    seen = seen.take(np.flatnonzero(np.isin(seen.y, head.taught)))
    y = seen.y if head.background is None else (~np.isin(seen.y, head.background)).astype(int)
    forest = fitted(seen.x, y, seen.weight, edges, HistGradientBoostingClassifier(**options))
    return _of_two(forest) if len(head.outputs) == 2 else forest


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

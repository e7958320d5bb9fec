"""Forests of fitted models of scikit-learn.

Its trees in Cython compare float32(x) <= threshold; the histogram-based ones x <= threshold in
float64.
"""

from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.exceptions import NotFittedError
from sklearn.tree import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreeClassifier,
    ExtraTreeRegressor,
)
from sklearn.utils.validation import check_is_fitted

from trigger.errors import TriggerError
from trigger.fixedpoint.types import Reals
from trigger.frontends.trees import sklearn_private
from trigger.frontends.trees.forest import LEAF, Comparison, Forest, Tree

_HISTOGRAMS = (HistGradientBoostingClassifier, HistGradientBoostingRegressor)
_BOOSTED = (GradientBoostingClassifier, GradientBoostingRegressor)
_FORESTS = (
    RandomForestClassifier,
    RandomForestRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
)
_TREES = (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreeClassifier,
    ExtraTreeRegressor,
)

# What follows the scores, where it is neither the usual sigmoid nor a softmax.
_LEFT_OUT = {
    "exponential": "the sigmoid of twice the score",
    "gamma": "the exponential",
    "poisson": "the exponential",
}


def forest(model: Any) -> Forest:
    """The forest of a fitted model. Raises TriggerError for any other object."""
    name = type(model).__name__
    known = (*_HISTOGRAMS, *_BOOSTED, *_FORESTS, *_TREES)
    if type(model) not in known:
        names = ", ".join(one.__name__ for one in known)
        raise TriggerError(f"trees.save: {name} is not one of {names}")
    try:
        check_is_fitted(model)
    except NotFittedError as error:
        raise TriggerError(f"trees.save: this {name} is not fitted; call fit() first") from error
    histograms = isinstance(model, _HISTOGRAMS)
    make = _histograms if histograms else _boosted if isinstance(model, _BOOSTED) else _averaged
    base, trees = make(model)
    return Forest(
        "scikit-learn",
        int(model.n_features_in_),
        base,
        tuple(trees),
        Comparison(strict=False, single=not histograms),
        _head(model, len(base)),
        tuple(str(column) for column in getattr(model, "feature_names_in_", ())),
        _notes(model),
    )


def _head(model: Any, outputs: int) -> str:
    """A forest of classifiers gives probabilities, a boosted one their logits."""
    if not hasattr(model, "classes_"):
        return "linear"
    if isinstance(model, (*_FORESTS, *_TREES)):
        return "probability"
    if model.loss == "exponential":
        return "linear"
    return "sigmoid" if outputs == 1 else "softmax"


def _notes(model: Any) -> tuple[str, ...]:
    """What a user must know of the scores."""
    loss = getattr(model, "loss", None)
    if loss not in _LEFT_OUT:
        return ()
    return (f"{_LEFT_OUT[loss]} that the loss {loss!r} takes of the scores is left out",)


def _histograms(model: Any) -> tuple[Reals, list[Tree]]:
    if getattr(model, "is_categorical_", None) is not None:
        raise TriggerError(
            "trees.save: the model splits by categories, not by thresholds; give the features as "
            "numbers, with categorical_features=None, and fit again"
        )
    base = sklearn_private.baseline(model)
    made = [nodes for row in sklearn_private.predictors(model) for nodes in row]
    return base, [_of_nodes(nodes, k, k % len(base)) for k, nodes in enumerate(made)]


def _of_nodes(nodes: np.ndarray, number: int, output: int) -> Tree:
    is_leaf = nodes["is_leaf"].astype(bool)
    feature, left, right = (
        np.where(is_leaf, LEAF, nodes[name].astype(np.int64))
        for name in ("feature_idx", "left", "right")
    )
    return Tree(number, output, feature, nodes["num_threshold"], left, right, nodes["value"])


def _boosted(model: Any) -> tuple[Reals, list[Tree]]:
    """The prior of gradient boosting is what remains of a prediction without its trees."""
    constant = isinstance(model.init_, DummyClassifier | DummyRegressor) or model.init_ == "zero"
    if not constant:
        raise TriggerError(
            f"trees.save: the model adds to the predictions of {type(model.init_).__name__}; fit "
            f"it again without init"
        )
    rate = model.learning_rate
    event = np.zeros((1, model.n_features_in_))
    scores = getattr(model, "decision_function", model.predict)(event)
    sums = [[tree.predict(event)[0] for tree in row] for row in model.estimators_]
    base = np.asarray(scores, dtype=np.float64).ravel() - rate * np.sum(sums, axis=0)
    made = [tree.tree_ for row in model.estimators_ for tree in row]
    return base, [_of_tree(tree, k, k % len(base), 0, rate) for k, tree in enumerate(made)]


def _averaged(model: Any) -> tuple[Reals, list[Tree]]:
    """The scores of a forest are the mean of its trees: of two classes, the second one's share."""
    made = [model] if isinstance(model, _TREES) else model.estimators_
    if model.n_outputs_ > 1 and hasattr(model, "classes_"):
        raise TriggerError(
            f"trees.save: the model separates {model.n_outputs_} sets of classes; fit a model for "
            f"each"
        )
    columns = made[0].tree_.value[0].size
    used = [1] if columns == 2 and hasattr(model, "classes_") else range(columns)
    share = 1 / len(made)
    trees = [
        _of_tree(tree.tree_, number, output, column, share)
        for number, tree in enumerate(made)
        for output, column in enumerate(used)
    ]
    return np.zeros(len(used)), trees


def _of_tree(tree: Any, number: int, output: int, column: int, rate: float) -> Tree:
    feature = np.where(tree.children_left == LEAF, LEAF, tree.feature)
    values = tree.value.reshape(len(feature), -1)[:, column] * rate
    return Tree(
        number, output, feature, tree.threshold, tree.children_left, tree.children_right, values
    )

"""Models of scikit-learn in the JSON of conifer: numbers only, which can be read safely.

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
_LEAF = -2
Document = dict[str, Any]


def document(model: Any) -> Document:
    """A fitted model in the JSON of conifer. Raises TriggerError for any other object."""
    name = type(model).__name__
    known = (*_HISTOGRAMS, *_BOOSTED, *_FORESTS, *_TREES)
    if type(model) not in known:
        names = ", ".join(one.__name__ for one in known)
        raise TriggerError(f"trees.save: {name} is not one of {names}")
    try:
        check_is_fitted(model)
    except NotFittedError as error:
        raise TriggerError(f"trees.save: this {name} is not fitted; call fit() first") from error
    if isinstance(model, _HISTOGRAMS):
        rows, base, norm = _histograms(model)
    elif isinstance(model, _BOOSTED):
        rows, base, norm = _boosted(model)
    else:
        rows, base, norm = _averaged(model)
    features = int(model.n_features_in_)
    columns = getattr(model, "feature_names_in_", [f"feat_{k}" for k in range(features)])
    boosts = isinstance(model, (*_HISTOGRAMS, *_BOOSTED))
    return {
        "library": "scikit-learn",
        "max_depth": max(_depth(tree) for row in rows for tree in row),
        "n_trees": len(rows),
        "n_features": features,
        "n_classes": len(getattr(model, "classes_", base)),
        "outputs": len(base),
        "feature_map": {str(column): k for k, column in enumerate(columns)},
        "init_predict": base.tolist(),
        "norm": norm,
        "splitting_convention": "<=",
        "precision": "float64" if isinstance(model, _HISTOGRAMS) else "float32",
        "head": _head(model, len(base)) if boosts else "linear",
        "trees": rows,
    }


def _head(model: Any, outputs: int) -> str:
    if not hasattr(model, "classes_"):
        return "linear"
    return "sigmoid" if outputs == 1 else "softmax"


def _histograms(model: Any) -> tuple[list[list[Document]], Reals, float]:
    if getattr(model, "is_categorical_", None) is not None:
        raise TriggerError(
            "trees.save: the model splits by categories, not by thresholds; give the features as "
            "numbers, with categorical_features=None, and fit again"
        )
    rows = [[_nodes(nodes) for nodes in row] for row in sklearn_private.predictors(model)]
    return rows, sklearn_private.baseline(model), 1.0


def _nodes(nodes: np.ndarray) -> Document:
    is_leaf = nodes["is_leaf"].astype(bool)
    return {
        "feature": np.where(is_leaf, _LEAF, nodes["feature_idx"]).tolist(),
        "threshold": nodes["num_threshold"].tolist(),
        "children_left": np.where(is_leaf, -1, nodes["left"].astype(np.int64)).tolist(),
        "children_right": np.where(is_leaf, -1, nodes["right"].astype(np.int64)).tolist(),
        "value": nodes["value"].tolist(),
    }


def _boosted(model: Any) -> tuple[list[list[Document]], Reals, float]:
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
    rows = [[_tree(tree.tree_, 0, rate) for tree in row] for row in model.estimators_]
    return rows, base, 1.0


def _averaged(model: Any) -> tuple[list[list[Document]], Reals, float]:
    """The scores of a forest are the mean of its trees: of two classes, the second one's share."""
    trees = [model] if isinstance(model, _TREES) else model.estimators_
    if model.n_outputs_ > 1 and hasattr(model, "classes_"):
        raise TriggerError(
            f"trees.save: the model separates {model.n_outputs_} sets of classes; fit a model for "
            f"each"
        )
    columns = trees[0].tree_.value[0].size
    scores = [1] if columns == 2 and hasattr(model, "classes_") else range(columns)
    rows = [[_tree(tree.tree_, score) for score in scores] for tree in trees]
    return rows, np.zeros(len(scores)), 1 / len(trees)


def _tree(tree: Any, score: int, rate: float = 1.0) -> Document:
    values = tree.value.reshape(len(tree.feature), -1)
    return {
        "feature": tree.feature.tolist(),
        "threshold": tree.threshold.tolist(),
        "children_left": tree.children_left.tolist(),
        "children_right": tree.children_right.tolist(),
        "value": (values[:, score] * rate).tolist(),
    }


def _depth(tree: Document) -> int:
    depths = [0] * len(tree["feature"])
    for node, children in enumerate(
        zip(tree["children_left"], tree["children_right"], strict=True)
    ):
        for child in children:
            if child > 0:
                depths[child] = depths[node] + 1
    return max(depths)

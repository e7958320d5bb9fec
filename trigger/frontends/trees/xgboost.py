"""Models of XGBoost, from what ``save_model`` writes: .json and .ubj, which have one structure.

The structure is that of doc/model.schema in XGBoost and of its tutorial "Introduction to Model IO".
XGBoost compares in float32: an event goes left where x < threshold. ``base_score`` is a prediction,
to which the link function of the objective is applied first.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trigger.errors import quoted
from trigger.fixedpoint.types import Reals
from trigger.frontends.inexact import Inexact, Problem
from trigger.frontends.trees.forest import LEAF, Comparison, Forest, Tree, check_size

LIBRARY = "XGBoost"
COMPARISON = Comparison(strict=True, single=True)
# What XGBoost calculates with.
Single = np.float32
Singles = NDArray[np.float32]
_CATEGORICAL = 1
# Newer versions take no base_score of a logistic objective nearer to 0 or 1.
_LEAST = Single(1e-6)
_SIGMOID = ("binary:logistic", "reg:logistic")
_SOFTMAX = ("multi:softprob", "multi:softmax")


def _logit(p: Singles) -> Singles:
    return -np.log(1 / p - 1)


def _same(p: Singles) -> Singles:
    return p


# What makes the sum of the trees start from base_score.
_LINKS: dict[str, Callable[[Singles], Singles]] = {
    **dict.fromkeys(_SIGMOID, _logit),
    **dict.fromkeys(
        ("count:poisson", "reg:gamma", "reg:tweedie", "survival:cox", "survival:aft"), np.log
    ),
    **dict.fromkeys(
        (
            *_SOFTMAX, "binary:hinge", "binary:logitraw", "rank:map", "rank:ndcg", "rank:pairwise",
            "reg:absoluteerror", "reg:linear", "reg:pseudohubererror", "reg:quantileerror",
            "reg:squarederror", "reg:squaredlogerror",
        ),
        _same,
    ),
}  # fmt: skip


def forest(model: Mapping[str, Any]) -> Forest:
    """The forest of a decoded file. Raises Inexact for trees that cannot be exact, and KeyError,
    TypeError or ValueError for a damaged file.
    """
    learner = model["learner"]
    booster, weights = _booster(learner["gradient_booster"])
    params = learner["learner_model_param"]
    features = int(params["num_feature"])
    outputs = max(1, int(params["num_class"]), int(params.get("num_target", 1)))
    check_size(features, outputs)
    objective = learner["objective"]["name"]
    _check_version(objective, model["version"])
    kept, notes = _kept(learner.get("attributes", {}), booster)
    if _LINKS.get(objective) is np.log:
        notes = (*notes, f"the exponential that {objective} takes of the scores is left out")
    problems: list[Problem] = []
    trees = []
    for number in range(kept):
        made = booster["trees"][number]
        problems += _problems(made, number)
        trees += _trees(made, number, int(booster["tree_info"][number]), outputs, weights[number])
    if problems:
        raise Inexact(problems)
    names = tuple(str(name) for name in learner.get("feature_names", []))
    return Forest(
        LIBRARY,
        features,
        _base(params["base_score"], objective, outputs),
        tuple(trees),
        COMPARISON,
        _head(objective),
        names,
        notes,
    )


def _booster(booster: Mapping[str, Any]) -> tuple[Mapping[str, Any], Singles]:
    """The trees of a booster, and the factor of each: DART drops trees, and weighs the others."""
    if booster["name"] == "gblinear":
        reason = "the booster gblinear is linear and has no trees"
        raise Inexact([Problem("gblinear", reason, 'train with booster="gbtree"')])
    model = booster["gbtree"]["model"] if booster["name"] == "dart" else booster["model"]
    default = np.ones(len(model["trees"]), dtype=Single)
    weights = np.asarray(booster.get("weight_drop", default), dtype=Single)
    if len(weights) != len(model["trees"]) or len(model["tree_info"]) != len(model["trees"]):
        raise ValueError("tree_info or weight_drop has not one entry for each tree")
    return model, weights


def _kept(attributes: Mapping[str, Any], booster: Mapping[str, Any]) -> tuple[int, tuple[str, ...]]:
    """The number of trees that XGBoost uses: early stopping of its scikit-learn classes keeps
    those up to the best iteration, a plain Booster all.
    """
    trees = len(booster["trees"])
    if "best_iteration" not in attributes:
        return trees, ()
    best = int(attributes["best_iteration"])
    if "scikit_learn" not in attributes:
        note = f"all {trees} trees are used, as Booster.predict does; the best iteration is {best}"
        return trees, (note,)
    ends = booster.get("iteration_indptr")
    if ends is None:
        parallel = int(booster["gbtree_model_param"].get("num_parallel_tree", 1))
        groups = 1 + max(int(group) for group in booster["tree_info"])
        ends = np.arange(0, trees + 1, parallel * groups)
    if not 0 <= best < len(ends) - 1:
        raise ValueError(f"its best iteration {best} is not among its {len(ends) - 1} iterations")
    kept = int(ends[best + 1])
    if kept == trees:
        return trees, ()
    return kept, (f"{kept} of {trees} trees are used, up to the best iteration {best}",)


def _problems(made: Mapping[str, Any], number: int) -> list[Problem]:
    categorical = np.flatnonzero(np.asarray(made.get("split_type", [])) == _CATEGORICAL)
    if not len(categorical):
        return []
    reason = f"node {categorical[0]} splits by categories, not by a threshold"
    remedy = "give the feature as numbers, without enable_categorical, and train again"
    return [Problem(f"tree {number}", reason, remedy)]


def _trees(
    made: Mapping[str, Any], number: int, group: int, outputs: int, weight: Single
) -> list[Tree]:
    """A tree of the file: one, or one for each output where its leaves are vectors."""
    left = np.asarray(made["left_children"], dtype=np.int64)
    right = np.asarray(made["right_children"], dtype=np.int64)
    with np.errstate(over="ignore"):  # XGBoost reads it as infinity, too
        threshold = np.asarray(made["split_conditions"], dtype=Single)
    is_leaf = left == LEAF
    feature = np.where(is_leaf, LEAF, np.asarray(made["split_indices"], dtype=np.int64))
    size = int(made["tree_param"].get("size_leaf_vector", 1))
    if size > 1:
        values = _vectors(made, is_leaf, right, size)
        groups = range(outputs)
    else:
        values = threshold[:, None]
        groups = range(group, group + 1)
    if values.shape[1] != len(groups):
        raise ValueError(f"tree {number}: leaves of {values.shape[1]} values for {outputs} scores")
    with np.errstate(over="ignore", invalid="ignore"):  # checked with the whole forest
        weighed = (values * weight).astype(np.float64)
    return [
        Tree(number, output, feature, threshold.astype(np.float64), left, right, column)
        for output, column in zip(groups, weighed.T, strict=True)
    ]


def _vectors(made: Mapping[str, Any], is_leaf: Any, right: Any, size: int) -> Any:
    """The vectors (nodes, outputs) of a tree: from version 3.1 a leaf has a number among them."""
    if "leaf_weights" not in made:
        return np.asarray(made["base_weights"], dtype=Single).reshape(-1, size)
    weights = np.asarray(made["leaf_weights"], dtype=Single).reshape(-1, size)
    return weights[np.where(is_leaf, right, 0)]


def _base(text: Any, objective: str, outputs: int) -> Reals:
    """The scores of an event without trees; version 3.1 writes a list in a string."""
    if objective not in _LINKS:
        reason = f"what XGBoost makes of base_score with {quoted(objective)} is not known"
        known = ", ".join(sorted(_LINKS))
        raise Inexact([Problem("objective", reason, f"train with one of {known}")])
    given = np.atleast_1d(np.asarray(json.loads(str(text)), dtype=Single))
    if len(given) not in (1, outputs):
        raise ValueError(f"base_score has {len(given)} values for {outputs} scores")
    if _LINKS[objective] is _logit and ((given < _LEAST) | (given > 1 - _LEAST)).any():
        reason = f"versions of XGBoost limit base_score = {given.min():.9g} in different ways"
        remedy = "train with base_score between 1e-6 and 1 - 1e-6, as base_score=0.5"
        raise Inexact([Problem("base_score", reason, remedy)])
    with np.errstate(divide="ignore", invalid="ignore"):  # checked with the whole forest
        scores = _LINKS[objective](given)
    return np.broadcast_to(scores, (outputs,)).astype(np.float64)


def _check_version(objective: str, version: Sequence[int]) -> None:
    """Raise Inexact where the link function of an objective has changed."""
    if objective == "binary:logitraw" and version[0] < 2:
        reason = "what base_score means with 'binary:logitraw' has changed in XGBoost 2"
        remedy = "load the model in XGBoost 2 or later, compare its predictions, and save it again"
        raise Inexact([Problem("objective", reason, remedy)])


def _head(objective: str) -> str:
    if objective in _SOFTMAX:
        return "softmax"
    return "sigmoid" if objective in _SIGMOID else "linear"

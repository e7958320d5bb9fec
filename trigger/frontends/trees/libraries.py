"""The library that made a forest as a witness of its own, where it is installed."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from trigger.errors import TriggerError
from trigger.fixedpoint.types import Integers, Reals
from trigger.frontends.trees import lightgbm, xgboost
from trigger.frontends.trees.forest import LEAF, Forest
from trigger.verification.oracle import LINEAR, Head, Recording

# One rounding of float32, in which XGBoost adds up.
_ROUNDOFF = 2.0**-24


def record(path: Path, forest: Forest, rounded: Forest, x: Reals) -> Recording:
    """The scores of a forest's rounded leaves, those that its library reaches for ``x``.

    Where the library is not installed, the trees as read from the file say which leaves. Raises
    TriggerError if the library predicts something else than the trees.
    """
    module = _installed(forest.library)
    if module is None:
        return recorded(rounded, x, f"trees of {path.name}")
    leaves, scores = _PREDICT[forest.library](module, path, forest, x)
    name = f"{forest.library} {module.__version__}"
    _check(name, path, forest, leaves, scores)
    return _recording(rounded, x, leaves, name)


def missing(forest: Forest) -> str | None:
    """What to tell the user where the library of a forest could be a witness but is not there."""
    if forest.library not in _PREDICT or _installed(forest.library) is not None:
        return None
    return (
        f"{forest.library} is not installed, so only this program says which leaves events reach; "
        f"to ask the library too: pip install {forest.library.lower()}"
    )


def recorded(rounded: Forest, x: Reals, name: str) -> Recording:
    """The scores of a forest for ``x``, as it says itself."""
    return _recording(rounded, x, rounded.leaves(x), name)


def _recording(rounded: Forest, x: Reals, leaves: Integers, name: str) -> Recording:
    heads = (Head(LINEAR, "trees", rounded.outputs),)
    return Recording(x, rounded.scores(leaves), heads, name)


def _installed(library: str) -> Any:
    """The module of a library that can say which leaves it reaches, if it is there."""
    try:
        return importlib.import_module(library.lower()) if library in _PREDICT else None
    except ImportError:
        return None


def _of_xgboost(module: Any, path: Path, forest: Forest, x: Reals) -> tuple[Integers, Reals]:
    booster = module.Booster(model_file=str(path))
    names, kinds = booster.feature_names, booster.feature_types
    data = module.DMatrix(x, feature_names=names, feature_types=kinds)
    attributes = booster.attributes()
    stops = {"best_iteration", "scikit_learn"} <= attributes.keys()
    used = (0, int(attributes["best_iteration"]) + 1 if stops else 0)
    leaves = booster.predict(data, pred_leaf=True, iteration_range=used)
    scores = booster.predict(data, output_margin=True, iteration_range=used)
    return _by_tree(leaves, forest, len(x)), scores.reshape(len(x), -1).astype(np.float64)


def _of_lightgbm(module: Any, path: Path, forest: Forest, x: Reals) -> tuple[Integers, Reals]:
    booster = module.Booster(model_file=str(path))
    leaves = _by_tree(booster.predict(x, pred_leaf=True), forest, len(x))
    splits = np.array([(tree.feature != LEAF).sum() for tree in forest.trees])
    scores: Reals = booster.predict(x, raw_score=True).reshape(len(x), -1)
    mean = "average_output" in path.read_text(encoding="utf-8").partition("Tree=")[0]
    iterations = len(forest.trees) // forest.outputs if mean else 1
    return leaves + splits, scores / iterations


def _by_tree(leaves: np.ndarray, forest: Forest, events: int) -> Integers:
    """The leaves (events, trees) of the trees of a forest, out of those of the file."""
    numbers = [tree.number for tree in forest.trees]
    return leaves.reshape(events, -1).astype(np.int64)[:, numbers]


def _check(name: str, path: Path, forest: Forest, leaves: Integers, scores: Reals) -> None:
    """Compare scores before the leaves are rounded, within the rounding of float32."""
    largest = (
        sum(np.abs(tree.leaf_values).max() for tree in forest.trees) + np.abs(forest.base).max()
    )
    error = largest * (len(forest.trees) + 8) * _ROUNDOFF
    apart = np.abs(forest.scores(leaves) - scores)
    if apart.max() > error:
        event, output = (int(k) for k in np.unravel_index(apart.argmax(), apart.shape))
        raise TriggerError(
            f"{path}: {name} gives {scores[event, output]:.9g} in score {output} of event {event}, "
            f"but its trees add up to {forest.scores(leaves)[event, output]:.9g}: this version "
            f"writes files that are not read correctly; write the model with another"
        )


_PREDICT = {xgboost.LIBRARY: _of_xgboost, lightgbm.LIBRARY: _of_lightgbm}

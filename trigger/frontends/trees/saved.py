"""What is saved of a model of scikit-learn must predict what the model does."""

import warnings
from typing import Any

import numpy as np

from trigger.errors import TriggerError
from trigger.fixedpoint.types import Reals
from trigger.frontends.trees.forest import Forest

_EVENTS = 1000
# Sums of the same numbers in another order, relative to the greatest.
_ROUNDING = 1e-9
_FLOAT32 = np.finfo(np.float32)


def check(model: Any, forest: Forest) -> None:
    """Raise TriggerError if a forest that was read gives other scores than a fitted model, on and
    beside the thresholds of its splits.
    """
    x = _events(forest)
    with warnings.catch_warnings():
        # That the features have no names.
        warnings.simplefilter("ignore", UserWarning)
        expected = _scores(model, x).reshape(len(x), -1)
    found = forest.scores(forest.leaves(x))
    wrong = np.abs(found - expected) > _ROUNDING * max(np.abs(expected).max(), 1.0)
    if wrong.any():
        event, score = (int(i) for i in np.argwhere(wrong)[0])
        raise TriggerError(
            f"trees.save: {type(model).__name__} is saved as another model: for the features "
            f"{x[event].tolist()} it gives {expected[event, score]!r} as score {score}, the file "
            f"{found[event, score]!r}; this is a fault of trigger, please report it with the model"
        )


def _scores(model: Any, x: Reals) -> np.ndarray:
    """The scores of the model itself, before any sigmoid, softmax or exponential."""
    if hasattr(model, "decision_function"):
        return np.asarray(model.decision_function(x))
    if hasattr(model, "predict_proba"):
        shares = model.predict_proba(x)
        return np.asarray(shares[:, 1:] if shares.shape[1] == 2 else shares)
    scores = np.asarray(model.predict(x))
    return np.log(scores) if getattr(model, "loss", None) in ("poisson", "gamma") else scores


def _events(forest: Forest) -> Reals:
    """Events with each feature at a threshold of its own, or at a neighbour of it in float32."""
    random = np.random.default_rng(1)
    x = np.zeros((_EVENTS, forest.features))
    for feature in range(forest.features):
        own = [tree.threshold[tree.feature == feature] for tree in forest.trees]
        thresholds = np.concatenate([*own, np.zeros(1)])
        # An infinite one separates missing values, which no event here has.
        thresholds = thresholds[abs(thresholds) < _FLOAT32.max].astype(np.float32)
        away = random.choice(np.array([-np.inf, 0, np.inf], dtype=np.float32), _EVENTS)
        at = random.choice(thresholds, _EVENTS)
        beside = np.where(away == 0, at, np.nextafter(at, away))
        x[:, feature] = np.clip(beside, _FLOAT32.min, _FLOAT32.max)
    return x

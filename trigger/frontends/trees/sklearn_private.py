"""What scikit-learn keeps to itself: the trees of its histogram-based gradient boosting."""

from typing import Any

import numpy as np


def predictors(model: Any) -> list[list[np.ndarray]]:
    """The nodes of the trees, a list for each iteration with an array for each score."""
    return [[predictor.nodes for predictor in row] for row in model._predictors]


def baseline(model: Any) -> np.ndarray:
    """The scores (outputs,) of an event without trees."""
    return np.asarray(model._baseline_prediction, dtype=np.float64).ravel()

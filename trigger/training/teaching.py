"""A teacher without labels: a float autoencoder of the usual events, whose errors the network
learns.

The autoencoder reconstructs the inputs in their own units. Its score of an event is the logarithm
of 1 plus the mean squared error. The network learns this score, and only the network becomes
firmware (arXiv:2310.06047).
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from trigger.events.dataset import Events
from trigger.frontends.networks import outputs


def reconstruction(events: dict[str, Events]) -> dict[str, Events]:
    """Events whose labels are their own inputs, for the training of the teacher."""
    return {name: split._replace(y=split.x.astype(np.float32)) for name, split in events.items()}


def lessons(events: dict[str, Events], teacher: keras.Model) -> dict[str, Events]:
    """Events whose labels are the teacher's scores, for the training of the network.

    All events count alike: the teacher's score does not depend on how often an event occurs, and
    the rare events are those near the thresholds.
    """
    return {
        name: Events(split.x, scores(teacher, split.x).astype(np.float32), np.ones(len(split.x)))
        for name, split in events.items()
    }


def scores(teacher: keras.Model, x: np.ndarray) -> np.ndarray:
    """The teacher's scores of events, float64 of shape (events, 1)."""
    error = outputs(teacher, x).astype(np.float64).reshape(x.shape) - x
    found: np.ndarray = np.log1p(np.mean(error**2, axis=1, keepdims=True))
    return found


def squared_error(y_true: Any, y_pred: Any) -> Any:
    """The teacher's loss."""
    return ops.mean(ops.square(y_true - ops.reshape(y_pred, ops.shape(y_true))), axis=-1)


def absolute_error(y_true: Any, y_pred: Any) -> Any:
    """The loss of the network that learns from the teacher."""
    return ops.mean(ops.abs(y_true - y_pred), axis=-1)

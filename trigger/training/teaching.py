"""A teacher without labels: a float autoencoder of the usual events, whose errors the network
learns.

The autoencoder reconstructs the inputs in their own units. Its score of an event is the root mean
squared error. The network learns this score, and only the network becomes firmware
(arXiv:2310.06047).
"""

import keras
import numpy as np

from trigger.events.dataset import Events
from trigger.frontends.networks import outputs


def reconstruction(events: dict[str, Events], teacher: keras.Model) -> dict[str, Events]:
    """Events whose labels are their own inputs, shaped as the teacher's outputs."""
    shape = teacher.outputs[0].shape[1:]
    return {
        name: split._replace(y=split.x.astype(np.float32).reshape(-1, *shape))
        for name, split in events.items()
    }


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
    errors: np.ndarray = np.sqrt(np.mean(error**2, axis=1, keepdims=True))
    return errors

"""What refinement judges a network by: losses of training events, from the values of one layer."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from trigger.events.dataset import Events
from trigger.fixedpoint.types import Fixed
from trigger.frontends.networks import outputs, shaped

# An entry of a table changes where that lowers the loss by more than this many standard errors:
# what fewer events seem to gain is mostly chance. Jet taggers gain 0.2 to 0.4 points on other
# events by it.
_DOUBT = 1.0

# The losses of events (events,), from their truth and the outputs for them.
Losses = Callable[[Any, Any], Any]


class Task(NamedTuple):
    """What a network shall do: the types of its inputs, training events, and their losses."""

    inputs: tuple[Fixed, ...]
    events: Events
    losses: Losses

    @property
    def weight(self) -> np.ndarray:
        """The share of each event in the loss, (events,)."""
        weight: np.ndarray = self.events.weight / self.events.weight.sum()
        return weight


def mean_loss(model: keras.Model, task: Task) -> float:
    found = task.losses(
        ops.convert_to_tensor(task.events.y),
        model(shaped(model, task.events.x), training=False),
    )
    return float(np.average(ops.convert_to_numpy(found), weights=task.events.weight))


def read(model: keras.Model, node: Any, task: Task) -> np.ndarray:
    """What a layer reads in each event, (events, inputs)."""
    (source,) = node.arguments.keras_tensors
    return outputs(keras.Model(model.input, source), task.events.x)


def judge(model: keras.Model, node: Any, task: Task) -> Callable[[np.ndarray], np.ndarray]:
    """The losses of all events, float64 (events,), from the outputs (events, units) of a layer."""
    values_of_layer = node.outputs[0]
    truth = ops.convert_to_tensor(task.events.y)
    given = keras.tree.flatten(shaped(model, task.events.x))
    rest = None
    if values_of_layer is not model.outputs[0]:
        rest = keras.Model([values_of_layer, *model.inputs], model.outputs)

    def losses(values: np.ndarray) -> np.ndarray:
        made = values if rest is None else rest([values, *given], training=False)
        found = task.losses(truth, made)
        each: np.ndarray = ops.convert_to_numpy(found).astype(np.float64)
        return each

    return losses


def gains_of(address: np.ndarray, change: np.ndarray, cells: int) -> np.ndarray:
    """What a change of the losses of events adds at each address; below zero, it is worth it."""
    return gain(*(np.bincount(address, x, cells) for x in (change, change**2)))


def gain(sums: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """The same from sums of the changes of events, and of their squares."""
    # The differences of rounded sums may be less than zero.
    found: np.ndarray = np.minimum(sums + _DOUBT * np.sqrt(np.maximum(squares, 0)), 0)
    return found

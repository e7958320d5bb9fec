"""The inputs and outputs of a network as one vector each, in the order of ``model.inputs`` and
``model.outputs``.

For each event, a trigger receives one vector of features and gives one vector of scores. A network
may divide the features among several inputs, and give the scores by several outputs.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np


def features(model: keras.Model) -> int:
    """The number of features of an event, over all inputs."""
    return sum(math.prod(tensor.shape[1:]) for tensor in model.inputs)


def scores(model: keras.Model) -> int:
    """The number of scores of an event, over all outputs."""
    return sum(math.prod(tensor.shape[1:]) for tensor in model.outputs)


def given(model: keras.Model, x: np.ndarray) -> Any:
    """Events, shape (events, features), as a network of this number of inputs is called with them:
    one array, or a list of arrays.
    """
    sizes = [math.prod(tensor.shape[1:]) for tensor in model.inputs]
    parts = np.split(np.reshape(x, (len(x), -1)), np.cumsum(sizes)[:-1], axis=1)
    arrays = [
        part.reshape(len(x), *tensor.shape[1:])
        for part, tensor in zip(parts, model.inputs, strict=True)
    ]
    return alone(arrays)


def called(model: Callable[..., Any], x: Any) -> np.ndarray:
    """The outputs of a network, (events, outputs), for inputs from ``given``."""
    y = keras.tree.flatten(model(x, training=False))
    arrays = [np.asarray(keras.ops.convert_to_numpy(part)) for part in y]
    return np.concatenate([a.reshape(len(a), -1) for a in arrays], axis=1)


def float64_inputs(model: keras.Model) -> Any:
    """Inputs for a copy of a network in float64, of the same shapes and names."""
    made = [keras.Input(t.shape[1:], dtype="float64", name=t.name) for t in model.inputs]
    return alone(made)


def alone(things: Sequence[Any]) -> Any:
    """The only one, or a list of them all: how Keras takes the inputs and outputs of a network."""
    return things[0] if len(things) == 1 else list(things)

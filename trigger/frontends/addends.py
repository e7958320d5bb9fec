"""Constants that Keras adds along another axis than broadcasting does."""

import math

import keras
import numpy as np

from trigger.frontends.inexact import Refusal


def is_added_elsewhere(constant: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether Keras adds a constant of this shape to values of a ``shape``, without that of the
    events, other than NumPy does.

    TensorFlow takes it for a bias if one axis of it alone is longer than one, and is as long as the
    first or the last axis of the values.
    """
    numbers = np.arange(1, 1 + math.prod(constant), dtype=np.float32).reshape(constant)
    zeros = np.zeros((1, *shape), dtype=np.float32)
    added = keras.ops.convert_to_numpy(keras.ops.add(zeros, numbers))
    return not np.array_equal(added, zeros + numbers)


def check(constant: tuple[int, ...], shape: tuple[int, ...], remedy: str) -> None:
    """Refuse such a constant."""
    if is_added_elsewhere(constant, shape):
        raise Refusal(
            f"Keras on {keras.backend.backend()} adds values of the shape {constant} to the shape "
            f"{shape} along another axis than NumPy does",
            remedy,
        )

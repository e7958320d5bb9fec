"""Keras in float64, which computes values of more than 24 bits exactly."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from trigger.frontends import tensors

# Few enough that what TensorFlow keeps of one call is small beside TensorFlow itself.
_BATCH = 2048


@contextlib.contextmanager
def keras_float64() -> Iterator[None]:
    """Inside, Keras computes in float64, and layers that are made are float64."""
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        with _jax_float64() if keras.backend.backend() == "jax" else contextlib.nullcontext():
            yield
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])


def in_batches(model: keras.Model, x: np.ndarray) -> np.ndarray:
    """The outputs (events, outputs), float64, of a float64 network for real inputs (events,
    features).
    """
    x = np.asarray(x, dtype=np.float64)
    parts = [
        tensors.called(model, tensors.given(model, x[start : start + _BATCH]))
        for start in range(0, len(x), _BATCH)
    ]
    return np.concatenate(parts)


def _jax_float64() -> contextlib.AbstractContextManager[Any]:
    # By default JAX computes in float32, whatever type is requested.
    import jax

    wide: contextlib.AbstractContextManager[Any] = jax.enable_x64(True)
    return wide

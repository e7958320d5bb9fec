"""Keras and QKeras in float64, so that values of more than 24 bits are computed exactly.

QKeras casts to float32 by name in several places. Inside ``float64()`` its module variables refer
to Keras operations in which that name is replaced; the rest of QKeras is unchanged.
"""

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import qkeras.quantizers

from trigger.frontends.floatx import keras_float64
from trigger.quantizers import FixedPoint, LearnedActivation


class _Float64Operations:
    """A Keras operations module in which "float32" reads "float64"."""

    def __init__(self, operations: Any) -> None:
        self._operations = operations

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._operations, name)
        if (
            name == "power"
        ):  # TensorFlow refuses integers to negative powers, which negative integer bits require
            return lambda base, exponent: value(
                float(base) if isinstance(base, int) else base, exponent
            )
        return _promoted(value) if name in ("cast", "array", "convert_to_tensor") else value


def _promoted(function: Any) -> Any:
    def call(x: Any, dtype: Any = None) -> Any:
        return function(x, dtype="float64" if dtype == "float32" else dtype)

    return call


@contextlib.contextmanager
def float64() -> Iterator[None]:
    """Inside, Keras and QKeras compute in float64."""
    module = qkeras.quantizers
    before = module.Kops, module.knp
    module.Kops = _Float64Operations(module.Kops)
    module.knp = _Float64Operations(module.knp)
    try:
        with keras_float64():
            yield
    finally:
        module.Kops, module.knp = before


def promoted(quantizer: Any) -> Any:
    """A copy of a quantiser or activation whose state is float64; to be used inside
    ``float64()``.
    """
    if isinstance(quantizer, FixedPoint | LearnedActivation):
        return quantizer.promoted("float64")
    twin = copy.copy(quantizer)
    if isinstance(twin, qkeras.quantizers.quantized_linear):
        twin.quantization_scale = twin.default_quantization_scale
    return twin


def evaluate(function: Any, x: np.ndarray) -> np.ndarray:
    """``function``, a quantiser or activation, on an array of numbers, in float64."""
    with float64():
        y = promoted(function)(keras.ops.convert_to_tensor(x, dtype="float64"))
        return np.asarray(keras.ops.convert_to_numpy(y), dtype=np.float64)

"""Trained numbers for the graph: they must be finite and fit 53 bits."""

from typing import Any

import keras
import numpy as np

from trigger.fixedpoint.build import constant
from trigger.fixedpoint.ops import Constant
from trigger.fixedpoint.types import Fixed, enclosing
from trigger.frontends.hgq_private import epsilon_of_table
from trigger.frontends.inexact import Refusal

# A weight of HGQ2's quantisers that only training reads; it is infinite at first.
_TRAINING = ("i_decay_speed",)


# NumPy would drop a part of complex numbers, objects, texts and dates, or fail.
_NOT_REAL = "cOSUMm"


def as_numpy(value: Any, what: str = "value") -> np.ndarray:
    """A tensor or variable of Keras, float64. Raises Refusal if its type is not real."""
    dtype = getattr(value, "dtype", None)
    values = value if isinstance(value, np.ndarray) else keras.ops.convert_to_numpy(value)
    if values.dtype.kind in _NOT_REAL:
        raise Refusal(
            f"its {what} is of the type {getattr(dtype, 'name', dtype)}, which is not real",
            "make the layer in float32, and retrain it or load other weights",
        )
    return np.asarray(values, dtype=np.float64)


def finite(what: str, values: np.ndarray) -> np.ndarray:
    """The values; refused if one is NaN or infinite."""
    bad = values[~np.isfinite(values)]
    if bad.size:
        fault = "not a number" if np.isnan(bad).any() else "infinite"
        raise Refusal(
            f"its {what} has a value that is {fault}",
            "retrain the network with a lower learning rate, or load other weights",
        )
    return values


def exact(what: str, values: np.ndarray, remedy: str) -> Constant:
    """The values as integers; refused if they need more than 53 bits."""
    try:
        return constant(finite(what, values))
    except ValueError as error:
        raise Refusal(f"its {what} spans too many bits ({error})", remedy) from error


def within(constant: Constant, fixed: Fixed) -> Constant:
    """The same values in this type, or in a wider one if it does not hold them."""
    if not constant.values.any():  # zero has no fractional bits, and is a value of any type
        return Constant(constant.values, fixed)
    shift = fixed.fraction - constant.type.fraction
    values = constant.values << max(shift, 0)
    if shift >= 0 and fixed.minimum <= values.min() and values.max() <= fixed.maximum:
        return Constant(values, fixed)
    both = enclosing((constant.type, fixed))
    return Constant(constant.values << (both.fraction - constant.type.fraction), both)


def check_weights(layer: Any) -> None:
    """Refuse a layer with NaN or infinite weights, or with negative variances."""
    for weight in layer.weights:
        name = weight.path.rpartition("/")[2]
        if name in _TRAINING:
            continue
        values = finite(name, as_numpy(weight, name))
        if name == "moving_variance":
            epsilon = epsilon_of_table(layer)
            check_variance(
                values, getattr(layer, "batchnorm", layer).epsilon if epsilon is None else epsilon
            )


def check_variance(values: np.ndarray, epsilon: float = 0.0) -> None:
    """Refuse variances that are negative even with ``epsilon``."""
    lowest = float(values.min(initial=0.0))
    if lowest < 0 and lowest + epsilon <= 0:
        raise Refusal(
            f"its variance has the value {lowest:g}, and a variance is at least 0",
            "retrain the network, or load other weights",
        )

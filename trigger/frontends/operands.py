"""What an operation on tensors reads: values, and constants that float32 holds."""

from typing import Any

import keras
import numpy as np

from trigger.fixedpoint.build import Builder
from trigger.frontends import merging
from trigger.frontends.calls import Call, Value
from trigger.frontends.constants import as_numpy, exact
from trigger.frontends.inexact import Refusal

_SPAN = "use constants of fewer bits"


def fixed(values: Any) -> np.ndarray:
    """Numbers that a network computes with; refused unless float32 holds each of them exactly."""
    array = as_numpy(np.asarray(values), "constant")
    if not np.isfinite(array).all():
        raise Refusal("its constant is not finite", "use a finite one")
    wrong = array[array != array.astype(np.float32)]
    if wrong.size:
        wanted = float(wrong.flat[0])
        raise Refusal(
            f"its constant {wanted!r} is not a fixed-point number of 24 bits",
            f"use one, such as {near(wanted)!r}",
        )
    tiny = array[(array != 0) & (np.abs(array) < np.finfo(np.float32).smallest_normal)]
    if tiny.size:
        raise Refusal(
            f"its constant {tiny.flat[0]:g} is below 2^-126, and TensorFlow takes it for 0",
            "use a larger one",
        )
    return array


def near(value: float) -> float:
    """The nearest number of eight significant bits."""
    mantissa, exponent = np.frexp(value)
    return float(np.ldexp(np.rint(np.ldexp(mantissa, 8)), exponent - 8))


def operands(call: Call) -> list[Value | np.ndarray]:
    """The arguments in order: tensors as values, and constants."""
    arguments = call.node.arguments
    inputs = iter(call.inputs)
    read: list[Value | np.ndarray] = []
    for argument in (*arguments.args, *arguments.kwargs.values()):
        if isinstance(argument, keras.KerasTensor):
            read.append(next(inputs))
        elif isinstance(argument, keras.Variable):
            raise Refusal("it reads a variable, which may change", "use a constant or a layer")
        elif keras.ops.is_tensor(argument):
            read.append(fixed(as_numpy(argument, "constant")))
        else:
            read.append(fixed(argument))
    return read


def times_plus(builder: Builder, name: str, source: str, scale: np.ndarray, offset: Any) -> str:
    """source * scale + offset, where each is one number, or one for each element."""
    count = len(builder[source].types)
    scales, offsets = (np.broadcast_to(part, count) for part in (scale, offset))
    return builder.affine(
        name, source, exact("constant", scales, _SPAN), exact("constant", offsets, _SPAN)
    )


def pair(builder: Builder, call: Call) -> tuple[list[str], list[np.ndarray], bool]:
    """The nodes and constants of two operands in one shape, and whether a constant comes first."""
    both = operands(call)
    constants = [part for part in both if isinstance(part, np.ndarray)]
    nodes, flat = merging.broadcast(builder, call.name, call.inputs, constants)
    return nodes, flat, isinstance(both[0], np.ndarray)

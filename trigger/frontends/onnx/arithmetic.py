"""Operators that compute with single values: sums, products, bounds and functions."""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from trigger.fixedpoint.types import Reals
from trigger.frontends.inexact import Refusal
from trigger.frontends.onnx.calls import Call
from trigger.frontends.onnx.exactly import exact
from trigger.frontends.onnx.reading import Node
from trigger.frontends.onnx.steps import Leaky, Smooth, same
from trigger.frontends.onnx.sums import Sum
from trigger.frontends.onnx.values import Value, gathered, real, scaled

_FARTHEST = 1e30


def summed(call: Call, sign: int) -> list[Value]:
    """Add and Sub, of values or with a constant."""
    first, second = call.given
    if isinstance(first, Value) and isinstance(second, Value):
        return [_added(call, first, second, sign)]
    if isinstance(first, Value):
        return [first.line(1, second * sign)]
    return [second.line(sign, first)]


def _added(call: Call, first: Value, second: Value, sign: int) -> Value:
    shape = np.broadcast_shapes(first.shape, second.shape)
    spread = [spread_to(value, shape) for value in (first, second)]
    parts = [scaled(call.builder, call.name, value) for value in spread]
    if same(parts[0].scales, parts[1].scales):
        nodes = [
            gathered(call.builder, f"{call.name}_{k}", part.node, part.elements)
            for k, part in enumerate(parts, 1)
        ]
        scale = parts[0].scale
    else:
        nodes = [real(call.builder, f"{call.name}_{k}", v.value) for k, v in enumerate(parts, 1)]
        scale = None
    total = call.builder.add(call.name, tuple(nodes), (1, sign))
    if scale is None:
        one, other = (
            gathered(call.builder, f"{call.name}_{k}_short", part.node, part.elements)
            for k, part in enumerate(parts, 1)
        )
        scales = parts[0].scales.ravel(), parts[1].scales.ravel() * sign
        call.sums[total] = Sum((one, other), scales)
    made = Value(total, np.arange(math.prod(shape)).reshape(shape))
    return made if scale is None else made.line(scale)


def multiplied(call: Call) -> list[Value]:
    """Mul, of values or with a constant."""
    first, second = call.given
    if not isinstance(first, Value):
        first, second = second, first
    if not isinstance(second, Value):
        return [first.line(second)]
    shape = np.broadcast_shapes(first.shape, second.shape)
    spread = [spread_to(value, shape) for value in (first, second)]
    parts = [scaled(call.builder, call.name, value) for value in spread]
    nodes = [
        gathered(call.builder, f"{call.name}_{k}", part.node, part.elements)
        for k, part in enumerate(parts, 1)
    ]
    made = Value(
        call.builder.multiply(call.name, *nodes), np.arange(math.prod(shape)).reshape(shape)
    )
    if all(part.scale is None for part in parts):
        return [made]
    return [made.line(parts[0].scales * parts[1].scales)]


def divided(call: Call) -> list[Value]:
    """Div by constants."""
    (divisor,) = call.constants()
    if not np.all(divisor):
        raise Refusal("it divides by zero", "divide by other constants")
    return [call.value.line(Fraction(1) / exact(divisor))]


def bounded(call: Call) -> list[Value]:
    """Clip."""
    low, high = (call.number(place, key) for place, key in ((1, "min"), (2, "max")))
    return [call.value.clipped(_end(low), _end(high))]


def _end(bound: Any) -> Any:
    """A bound; None where it is so far that it bounds nothing."""
    if bound is None or np.all(np.abs(np.asarray(bound, dtype=np.float64)) > _FARTHEST):
        return None
    return np.asarray(bound)


def extremum(call: Call, largest: bool) -> list[Value]:
    """Max and Min, of values and constants."""
    values = [value for value in call.given if isinstance(value, Value)]
    bounds = [value for value in call.given if not isinstance(value, Value)]
    made = values[0] if len(values) == 1 else _compared(call, values, largest)
    for bound in bounds:
        shape = np.broadcast_shapes(made.shape, np.shape(bound))
        spread = spread_to(made, shape)
        made = spread.clipped(*((_end(bound), None) if largest else (None, _end(bound))))
    return [made]


def spread_to(value: Value, shape: tuple[int, ...]) -> Value:
    """The value broadcast to a shape."""
    return value.moved(lambda x: np.broadcast_to(x, shape))


def _compared(call: Call, values: Sequence[Value], largest: bool) -> Value:
    shape = np.broadcast_shapes(*(value.shape for value in values))
    spread = [spread_to(value, shape) for value in values]
    nodes = [real(call.builder, f"{call.name}_{k}", v) for k, v in enumerate(spread, 1)]
    size = math.prod(shape)
    source = call.builder.concatenate(f"{call.name}_values", tuple(nodes))
    groups = np.arange(size * len(nodes)).reshape(len(nodes), size).T
    compare = call.builder.maximum if largest else call.builder.minimum
    return Value(compare(call.name, source, groups), np.arange(size).reshape(shape))


def leaky(call: Call, slope: Any) -> list[Value]:
    """LeakyRelu and PRelu."""
    slopes = np.asarray(slope, dtype=np.float64)
    if not (slopes > 0).all():
        if (slopes == 0).all():
            return [call.value.clipped(0, None)]
        raise Refusal("its slope of negative values is not positive", "use a positive slope")
    return [call.value.then(Leaky(exact(slopes, call.value.shape)))]


def smooth(function: Callable[[Reals], Reals]) -> Callable[[Call], list[Value]]:
    """A function of real numbers, which the next quantiser makes a table."""

    def lower(call: Call) -> list[Value]:
        return [call.value.then(Smooth(call.node.operator, call.node.name, function))]

    return lower


def hard_sigmoid(call: Call) -> list[Value]:
    """HardSigmoid: a line between bounds."""
    alpha, beta = (np.float32(call.node.get(*pair)) for pair in (("alpha", 0.2), ("beta", 0.5)))
    return [call.value.line(float(alpha), float(beta)).clipped(0, 1)]


def normalised(call: Call) -> list[Value]:
    """Batch normalisation with the constants that executors fold in float32."""
    if call.node.get("training_mode", 0):
        raise Refusal("it normalises by the events of a batch", "export it for inference")
    scale, offset = _normalisation(call.node, call.constants())
    shape = [1, -1, *([1] * (len(call.value.shape) - 2))]
    return [call.value.line(scale.reshape(shape), offset.reshape(shape))]


def _normalisation(node: Node, given: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Scale and offset of each channel, as onnxruntime folds them: in float32."""
    gamma, beta, mean, variance = (part.astype(np.float32) for part in given)
    with np.errstate(all="ignore"):
        scale = gamma / np.sqrt(variance + np.float32(node.get("epsilon", 1e-5)))
        offset = beta - mean * scale
    if not (np.isfinite(scale).all() and np.isfinite(offset).all()):
        raise Refusal("its variance is negative, or not finite", "train the network again")
    return scale.astype(np.float64), offset.astype(np.float64)


def _sigmoid(x: Reals) -> Reals:
    with np.errstate(over="ignore"):
        y: Reals = 1 / (1 + np.exp(-x))
    return y


FUNCTIONS: dict[str, Callable[[Reals], Reals]] = {
    "Sigmoid": _sigmoid,
    "Tanh": np.tanh,
    "Softplus": lambda x: np.logaddexp(x, 0),
    "Softsign": lambda x: x / (1 + np.abs(x)),
    "Exp": np.exp,
    "Sqrt": np.sqrt,
    "Log": np.log,
    "Reciprocal": np.reciprocal,
    "HardSwish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "Abs": np.abs,
}

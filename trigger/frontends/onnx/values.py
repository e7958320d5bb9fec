"""Tensors of a network: elements of a node of the graph, and steps that are still to do."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.types import Integers
from trigger.frontends.inexact import Refusal
from trigger.frontends.onnx.exactly import Exact, exact, floats, is_power_of_two
from trigger.frontends.onnx.reading import MOST_ELEMENTS
from trigger.frontends.onnx.steps import Clip, Leaky, Line, Smooth, Step, merged

ZERO = -1
ONE = Fraction(1)
_ROUND_FIRST = "put a quantiser after it, or use powers of two as its factors"


class Value(NamedTuple):
    """``elements`` has the numbers of the elements in the node, in the shape of the tensor with one
    event; -1 is zero. ``steps`` are done with them.
    """

    node: str
    elements: Integers
    steps: tuple[Step, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        return self.elements.shape

    def moved(self, move: Callable[[np.ndarray], np.ndarray]) -> "Value":
        """The value with its elements moved."""
        elements = move(self.elements)
        check_size(elements.shape)
        return Value(self.node, elements, tuple(step.moved(move) for step in self.steps))

    def then(self, step: Step) -> "Value":
        """The value with one more step."""
        return self._replace(steps=merged(self.steps, step))

    def line(self, scale: Any, offset: Any = 0) -> "Value":
        """scale * value + offset, with the broadcasting of ONNX."""
        shape = np.broadcast_shapes(self.shape, np.shape(scale), np.shape(offset))
        check_size(shape)
        spread = self if shape == self.shape else self.moved(lambda x: np.broadcast_to(x, shape))
        return spread.then(Line(exact(scale, shape), exact(offset, shape)))

    def clipped(self, low: Any, high: Any) -> "Value":
        ends = (None if end is None else exact(end, self.shape) for end in (low, high))
        return self.then(Clip(*ends))


class Scaled(NamedTuple):
    """Elements of a node, each times its scale; None is 1 for all."""

    node: str
    elements: Integers
    scale: Exact | None

    @property
    def scales(self) -> Exact:
        return exact(1, self.elements.shape) if self.scale is None else self.scale

    @property
    def value(self) -> Value:
        value = Value(self.node, self.elements)
        return value if self.scale is None else value.line(self.scale)


def check_size(shape: tuple[int, ...]) -> None:
    """Refuse a tensor so large that it was not meant for an FPGA."""
    if math.prod(shape) > MOST_ELEMENTS:
        raise Refusal(
            f"it makes a tensor of {math.prod(shape):,} elements",
            f"keep tensors below {MOST_ELEMENTS:,} elements",
        )


def gathered(builder: Builder, name: str, node: str, elements: Integers) -> str:
    """A node of these elements alone, in their order."""
    flat = elements.ravel()
    if np.array_equal(flat, np.arange(len(builder[node].types))):
        return node
    return builder.select(name, node, flat)


def scaled(builder: Builder, name: str, value: Value) -> Scaled:
    """The value with its steps in the graph, except for a scale of each element.

    Raises Refusal for steps that have no exact value.
    """
    if not value.steps:
        return Scaled(value.node, value.elements, None)
    if len(value.steps) == 1 and isinstance(value.steps[0], Line):
        line = value.steps[0]
        if not line.offset.any():
            return Scaled(value.node, value.elements, _scale(line.scale))
    node = gathered(builder, f"{name}_elements", value.node, value.elements)
    scale = exact(1, value.shape)
    for step in value.steps:
        node, scale = _stepped(builder, name, node, scale, step)
    elements = np.arange(value.elements.size).reshape(value.shape)
    return Scaled(node, elements, _scale(scale))


def real(builder: Builder, name: str, value: Value) -> str:
    """A node of the value's elements in their order, with all steps done.

    Raises Refusal for steps that have no exact value.
    """
    made = scaled(builder, name, value)
    node = gathered(builder, f"{name}_elements", made.node, made.elements)
    if made.scale is None:
        return node
    return _affine(builder, name, node, made.scale, exact(0, made.scale.shape))


def _scale(scale: Exact) -> Exact | None:
    return None if (scale == 1).all() else scale


def _stepped(builder: Builder, name: str, node: str, scale: Exact, step: Step) -> tuple[str, Exact]:
    """The node after one more step, and the scale of its elements."""
    match step:
        case Line():
            scale = scale * step.scale
            if not step.offset.any():
                return node, scale
            if (scale == 0).any():
                made = _affine(builder, name, node, scale, step.offset)
                return made, exact(1, scale.shape)
            if floats(step.offset / scale) is None and floats(scale) is not None:
                made = _affine(builder, name, node, scale, step.offset)
                return made, exact(1, scale.shape)
            return _affine(builder, name, node, exact(1, scale.shape), step.offset / scale), scale
        case Clip() | Leaky():
            if (scale <= 0).any():
                node = _affine(builder, name, node, scale, exact(0, scale.shape))
                scale = exact(1, scale.shape)
            if isinstance(step, Clip):
                return _clip(builder, name, node, scale, step), scale
            return _leaky(builder, name, node, step), scale
        case Smooth():
            raise Refusal(
                f"the function {step.operator} of {step.node} has no exact fixed-point value",
                "put a quantiser after it: the two are one table",
            )


def _clip(builder: Builder, name: str, node: str, scale: Exact, step: Clip) -> str:
    ends = [None if end is None else end / scale for end in step]
    bounds = [None if end is None else floats(end) for end in ends]
    for end, bound in zip(ends, bounds, strict=True):
        if end is not None and (bound is None or _between(builder, node, bound)):
            raise Refusal("it clips between two of its values", _ROUND_FIRST)
    low, high = (None if bound is None else bound.ravel() for bound in bounds)
    return builder.clip(name, node, low, high)


def _leaky(builder: Builder, name: str, node: str, step: Leaky) -> str:
    slopes = set(step.slope.ravel().tolist())
    slope = slopes.pop()
    if slopes or not is_power_of_two(slope) or slope > 1:
        raise Refusal(
            "its slope of negative values is not a power of two, so its values have no "
            "fixed-point type",
            "put a quantiser after it, or use a slope such as 0.125",
        )
    shift = slope.denominator.bit_length() - 1
    return builder.leaky_relu(name, node, shift) if shift else node


def _between(builder: Builder, node: str, bound: np.ndarray) -> bool:
    steps = np.ldexp(bound.ravel(), builder[node].fractions)
    return bool((steps != np.rint(steps)).any())


def _affine(builder: Builder, name: str, node: str, scale: Exact, offset: Exact) -> str:
    numbers = [floats(values) for values in (scale, offset)]
    for values, exactly in zip(numbers, (scale, offset), strict=True):
        if values is None:
            odd = next(v for v in exactly.ravel().tolist() if floats(exact(v)) is None)
            raise Refusal(
                f"its values are multiples of {float(odd):.6g}, which no fixed-point type has",
                _ROUND_FIRST,
            )
    try:
        constants = [constant(values.ravel()) for values in numbers if values is not None]
    except ValueError as error:
        raise Refusal(f"its factors are too far apart: {error}", _ROUND_FIRST) from error
    return builder.affine(name, node, *constants)

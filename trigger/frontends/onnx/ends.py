"""Both ends of a network: the types of its inputs, and its heads."""

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from trigger.fixedpoint.build import Builder
from trigger.fixedpoint.types import Fixed, smallest
from trigger.frontends.inexact import Refusal
from trigger.frontends.onnx import moves, quantisers
from trigger.frontends.onnx.exactly import exact, fraction_of, is_power_of_two, is_short
from trigger.frontends.onnx.reading import MISFITS, Model, Node
from trigger.frontends.onnx.steps import Line
from trigger.frontends.onnx.values import Value, scaled
from trigger.support.names import as_identifier

# Functions at the end of a network that are a table there, or left out.
_FUNCTIONS = {"Sigmoid": "sigmoid", "Tanh": "tanh", "Softmax": "softmax"}
_PASSED = ("Identity", "Flatten", "Cast", "Dropout")
_ONE_ROUNDING = Fraction(1, 1 << 23)


class Head(NamedTuple):
    """The end of an output: the function, its node, the tensor that it reads, and the axis of a
    softmax.
    """

    kind: str
    node: str
    before: str
    axis: Any = -1


class Trimmed(NamedTuple):
    """The nodes before the heads, and the heads."""

    nodes: list[Node]
    heads: tuple[Head, ...]


def trimmed(model: Model, left: Sequence[Node]) -> Trimmed:
    """The nodes of a network without functions at its end."""
    makers = {output: node for node in left for output in node.outputs}
    dropped: set[str] = set()
    heads = [_head(output, makers, left, model.outputs, dropped) for output in model.outputs]
    nodes = [node for node in left if not dropped.intersection(node.outputs)]
    return Trimmed(nodes, tuple(heads))


def _head(
    output: str,
    makers: Mapping[str, Node],
    left: Sequence[Node],
    outputs: Sequence[str],
    dropped: set[str],
) -> Head:
    place = output
    passed: list[str] = []
    while place in makers:
        node = makers[place]
        readers = sum(place in other.inputs for other in left) + (place in outputs)
        alone = readers == 1
        if alone and node.operator in _FUNCTIONS:
            dropped.update([place, *passed])
            kind = _FUNCTIONS[node.operator]
            return Head(kind, node.name, node.inputs[0], node.get("axis", -1))
        if not alone or node.operator not in _PASSED:
            break
        if node.operator == "Cast" and not moves.keeps(node):
            break
        passed.append(place)
        place = node.inputs[0]
    return Head("linear", output, output)


def input_types(
    node: Node, known: Mapping[str, np.ndarray], shape: tuple[int, ...]
) -> list[Fixed] | None:
    """The types of the features that a quantiser reads, if its steps are powers of two."""
    given = [known.get(name) for name in node.inputs[1:] if name]
    if any(values is None for values in given):
        return None
    try:
        if node.operator in ("Quant", "IntQuant"):
            parameters = quantisers.quant(node, given)
            low, high = parameters.low, parameters.high
            binary = parameters.is_binary
            if parameters.zero.any() or binary or parameters.rounding not in ("ROUND", "HALF_EVEN"):
                return None
            scale = parameters.scale
        elif node.operator == "QuantizeLinear":
            linear = quantisers.linear(node, given, shape, quantisers.integer_type(node, given))
            if linear.zero.any():
                return None
            scale, low, high = linear.scale, linear.low, linear.high
        else:
            return None
        steps = np.broadcast_to(exact(scale), shape).ravel().tolist()
    except (Refusal, *MISFITS):
        return None
    if not all(map(is_power_of_two, steps)):
        return None
    whole = smallest(low, high, 0)
    return [smallest(whole.minimum, whole.maximum, fraction_of(step)) for step in steps]


def without_factor(builder: Builder, name: str, value: Value) -> tuple[Value, Fraction]:
    """The outputs without a long factor of all of them, and the factor; 1 if there is none."""
    made = scaled(builder, name, _aligned(builder, value))
    factors = set(made.scales.ravel().tolist())
    if len(factors) > 1 or made.scale is None:
        return made.value, Fraction(1)
    (factor,) = factors
    if factor <= 0 or (is_short(factor) and is_dyadic(factor)):
        return made.value, Fraction(1)
    return Value(made.node, made.elements), factor


def is_dyadic(factor: Fraction) -> bool:
    """Whether a number has a finite binary form."""
    return factor.denominator & (factor.denominator - 1) == 0


def _aligned(builder: Builder, value: Value) -> Value:
    """The value with its biases as whole steps of its sums, where their scale is the one of the
    sums as float32 rounds it.
    """
    if len(value.steps) != 1 or not isinstance(value.steps[0], Line):
        return value
    line = value.steps[0]
    scale = line.scale.ravel()[0]
    if not line.offset.any() or scale <= 0 or not (line.scale == scale).all() or is_short(scale):
        return value
    step = scale / 2 ** int(builder[value.node].fractions.max())
    counts = [round(offset / step) for offset in line.offset.ravel().tolist()]
    for offset, count in zip(line.offset.ravel().tolist(), counts, strict=True):
        if abs(offset - count * step) > abs(offset) * _ONE_ROUNDING:
            raise Refusal(
                f"its biases are no multiples of {float(step):.6g}, the step of its sums",
                "put a quantiser after the last layer, or quantise its bias with the scale of the "
                "sums (in Brevitas bias_quant=Int32Bias)",
            )
    offset = exact(np.array(counts)).reshape(line.offset.shape) * step
    return value._replace(steps=(Line(line.scale, offset),))


def check_softmax(value: Value, axis: int) -> None:
    """Refuse a softmax that could reorder the outputs."""
    shape = value.shape
    size = shape[axis % len(shape)]
    if size != math.prod(shape):
        raise Refusal(
            f"its softmax over axis {axis} of the shape {shape} cannot be left out: the sum is not "
            f"over all outputs",
            "remove the softmax from the network and apply it in software",
        )
    if size == 1:
        raise Refusal(
            "a softmax of one output is always 1", "use two outputs, or a sigmoid instead"
        )


def lowered_head(builder: Builder, node: str, head: Head, note: Callable[[str], None]) -> str:
    """The output with its head: a table, or left out with a note."""
    if head.kind == "linear":
        return node
    if head.kind == "softmax":
        note(f"{head.node}: the softmax is left out; it cannot change the order of the classes")
        return node
    from trigger.frontends import heads

    name = as_identifier(head.node.rpartition("/")[2])
    made, said = heads.lower(builder, name, node, head.node, head.kind)
    note(said)
    return made

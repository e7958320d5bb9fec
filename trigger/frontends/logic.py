"""Comparisons of keras.ops, which give 0 or 1, and choices between values by them."""

from collections.abc import Callable

import keras
import numpy as np

from trigger.fixedpoint.build import Builder, constant
from trigger.frontends import merging, own
from trigger.frontends.calls import Call, Value
from trigger.frontends.inexact import Refusal
from trigger.frontends.keras_private import operation_name
from trigger.frontends.operands import operands, pair, times_plus
from trigger.frontends.piecewise import scaled

# What a comparison needs of the difference of its two values.
_REACHES = {"Greater": (1, 1), "GreaterEqual": (1, 0), "Less": (-1, 1), "LessEqual": (-1, 0)}
COMPARISONS = (*_REACHES, "Equal", "NotEqual")
LOGICAL = ("LogicalAnd", "LogicalOr", "LogicalNot")


def _truth(builder: Builder, name: str, operator: str, difference: str) -> str:
    """Append the truth of a comparison of two values, for their difference."""
    if operator in _REACHES:
        sign, steps = _REACHES[operator]
        if sign < 0:
            difference = merging.negated(builder, f"{name}_turned", difference)
        return _reaches(builder, name, difference, steps)
    at_least = _reaches(builder, f"{name}_reaches", difference, 0)
    above = _reaches(builder, f"{name}_exceeds", difference, 1)
    equal = builder.add(
        f"{name}_equal" if operator == "NotEqual" else name, (at_least, above), (1, -1)
    )
    return equal if operator == "Equal" else _inverted(builder, name, equal)


def _reaches(builder: Builder, name: str, source: str, steps: int) -> str:
    """1 where a value is at least ``steps`` of its finest steps, 0 elsewhere."""
    step = np.ldexp(1.0, -int(builder[source].fractions.max()))
    bound = constant(np.array([steps * step]))
    return builder.steps(name, source, bound, constant(np.array([0.0, 1.0])))


def _inverted(builder: Builder, name: str, truth: str) -> str:
    """Append 1 where a truth is 0, and 0 where it is 1."""
    return scaled(builder, name, truth, -1.0, 1.0)


def _chosen(builder: Builder, name: str, truth: str, values: tuple[str, str]) -> str:
    """Append the first value where a truth is 1, the second elsewhere."""
    other = _inverted(builder, f"{name}_other", truth)
    first = builder.multiply(f"{name}_first", truth, values[0])
    second = builder.multiply(f"{name}_second", other, values[1])
    return builder.add(name, (first, second))


def _joined(builder: Builder, name: str, operator: str, truths: list[str]) -> str:
    """Append the truth of all, or of any, of several truths."""
    compare: Callable[..., str] = builder.minimum if operator == "LogicalAnd" else builder.maximum
    return merging.extreme(builder, name, truths, compare)


def refuse_numbers(operator: str) -> Refusal:
    return Refusal(
        f"{operator} computes with truth values as if they were numbers",
        'write keras.ops.cast(x, "float32") first, or keras.ops.where',
    )


def comparison(builder: Builder, call: Call) -> str:
    """The comparison of two values, or of one and constants."""
    nodes, constants, is_first = pair(builder, call)
    name = f"{call.name}_difference"
    if constants:
        sign = -1.0 if is_first else 1.0
        node = times_plus(builder, name, nodes[0], np.array(sign), -sign * constants[0])
    else:
        node = merging.difference(builder, name, *nodes)
    return _truth(builder, call.name, operation_name(call.layer) or "", node)


def choice(builder: Builder, call: Call) -> str:
    """The operation ``where``, whose condition is a comparison."""
    condition, *values = operands(call)
    arguments = (*call.node.arguments.args, *call.node.arguments.kwargs.values())
    if len(values) != 2 or not isinstance(condition, Value) or arguments[0].dtype != "bool":
        raise Refusal(
            "it chooses by something else than a comparison",
            "write it as keras.ops.where(x > 0, …)",
        )
    constants = [part for part in values if isinstance(part, np.ndarray)]
    (truth, *nodes), flat = merging.broadcast(builder, call.name, call.inputs, constants)
    zero = scaled(builder, f"{call.name}_zero", truth, 0.0)
    fixed_ones = iter(flat)
    others = iter(nodes)
    parts = [
        next(others)
        if isinstance(part, Value)
        else times_plus(builder, f"{call.name}_constant", zero, np.array(1.0), next(fixed_ones))
        for part in values
    ]
    return _chosen(builder, call.name, truth, (parts[0], parts[1]))


def logical(builder: Builder, call: Call) -> str:
    """Truths that are inverted or joined."""
    if any(tensor.dtype != "bool" for tensor in call.node.arguments.keras_tensors):
        raise Refusal("it takes numbers for truth values", "compare them first, as in x != 0")
    operator = operation_name(call.layer) or ""
    if operator == "LogicalNot":
        return _inverted(builder, call.name, call.inputs[0].node)
    nodes, constants, _ = pair(builder, call)
    if constants:
        raise Refusal("it joins a truth value with a constant", "leave it out")
    return _joined(builder, call.name, operator, nodes)


def cast(builder: Builder, call: Call) -> str:  # noqa: ARG001
    """The operation ``cast``: the same values."""
    dtype = keras.backend.standardize_dtype(call.layer.dtype)
    if dtype not in own.PRECISIONS:
        raise Refusal(
            f"it casts to {dtype}, which changes values", 'cast to "float32", or use a quantiser'
        )
    return call.inputs[0].node

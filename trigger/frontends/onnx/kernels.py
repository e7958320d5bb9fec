"""Operators that multiply by weights: MatMul, Gemm, Conv; and averages and sums of elements."""

from fractions import Fraction
from functools import reduce
from math import gcd, lcm
from typing import Any

import numpy as np

from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.types import Integers
from trigger.frontends.inexact import Refusal
from trigger.frontends.onnx import windows
from trigger.frontends.onnx.exactly import Exact, exact, floats
from trigger.frontends.onnx.reading import Node
from trigger.frontends.onnx.values import ZERO, Scaled, Value, check_size, gathered, scaled

# A factor of all weights of an output with more bits than this stays out of the graph.
_SHORT_BITS = 8
# One factor serves all outputs if their own ones are at most so many times as large.
_FEW = 64


def product(builder: Builder, name: str, value: Value, weights: np.ndarray, bias: Any) -> Value:
    """The last axis of a value times weights (inputs, outputs), plus a bias."""
    read = value.shape[-1]
    if weights.ndim != 2 or weights.shape[0] != read:
        raise Refusal(
            f"its weights {weights.shape} do not fit values {value.shape}", "export it again"
        )
    source = scaled(builder, name, value)
    made = _dense(builder, name, source, source.elements.reshape(-1, read), weights)
    shaped = made.moved(lambda x: x.reshape(*value.shape[:-1], weights.shape[1]))
    return shaped if bias is None else shaped.line(1, bias)


def gemm(builder: Builder, name: str, node: Node, value: Value, given: list[Any]) -> Value:
    """alpha * A @ B + beta * C of constants B and C."""
    if node.get("transA", 0):
        raise Refusal("it transposes its events", "use transA=0")
    weights = given[0].T if node.get("transB", 0) else given[0]
    made = product(builder, name, value, weights, None)
    alpha, beta = (float(np.float32(node.get(key, 1.0))) for key in ("alpha", "beta"))
    made = made if alpha == 1 else made.line(alpha)
    return made.line(1, given[1] * beta) if len(given) > 1 and given[1] is not None else made


def convolution(builder: Builder, name: str, node: Node, value: Value, given: list[Any]) -> Value:
    """Conv with constant weights (outputs, channels of a group, kernel…)."""
    weights, *bias = given
    channels, *spatial = value.shape[1:]
    groups = int(node.get("group", 1))
    outputs, inside, *sizes = weights.shape
    if value.shape[0] != 1 or inside * groups != channels or len(sizes) != len(spatial):
        raise Refusal(
            f"its weights {weights.shape} do not fit values {value.shape}", "export it again"
        )
    source = scaled(builder, name, value)
    where = windows.window(node, tuple(spatial), list(sizes))
    places, counts = windows.under(np.arange(source.elements.size).reshape(value.shape[1:]), where)
    reads = places.transpose(1, 0, 2)  # positions, channels, members
    parts = []
    each = outputs // groups
    for group in range(groups):
        own = reads[:, group * inside : (group + 1) * inside].reshape(len(reads), -1)
        matrix = weights[group * each : (group + 1) * each].reshape(each, -1).T
        numbers = np.where(own < 0, ZERO, source.elements.ravel()[own])
        part = Scaled(source.node, numbers, _picked(source, own))
        suffix = f"_{group + 1}" if groups > 1 else ""
        parts.append(_dense(builder, f"{name}{suffix}", part, numbers, matrix))
    made = joined(builder, name, parts, 1)
    made = made.moved(lambda x: x.T.reshape(1, outputs, *counts))
    if not bias or bias[0] is None:
        return made
    return made.line(1, bias[0].reshape(1, -1, *([1] * len(spatial))))


def total(builder: Builder, name: str, value: Value, groups: Integers, shape: Any) -> Value:
    """The sums of groups (outputs, members) of elements, -1 being zero, as a value of this
    shape.
    """
    source = scaled(builder, name, value)
    numbers = np.where(groups < 0, ZERO, source.elements.ravel()[groups])
    part = Scaled(source.node, numbers, _picked(source, groups))
    made = _dense(builder, name, part, numbers, np.ones((groups.shape[1], 1)))
    return made.moved(lambda x: x.reshape(shape))


def joined(builder: Builder, name: str, values: list[Value], axis: int) -> Value:
    """Values beside each other on an axis."""
    if len(values) == 1:
        return values[0]
    check_size((sum(value.elements.size for value in values),))
    parts = [scaled(builder, name, value) for value in values]
    nodes = list(dict.fromkeys(part.node for part in parts))
    starts = np.cumsum([0, *(len(builder[node].types) for node in nodes)])
    first = dict(zip(nodes, starts.tolist(), strict=False))
    numbers = [
        np.where(part.elements < 0, ZERO, part.elements + first[part.node]) for part in parts
    ]
    node = builder.concatenate(f"{name}_inputs", tuple(nodes)) if len(nodes) > 1 else nodes[0]
    made = Value(node, np.concatenate(numbers, axis=axis))
    if all(part.scale is None for part in parts):
        return made
    return made.line(np.concatenate([part.scales for part in parts], axis=axis))


def _picked(source: Scaled, places: Integers) -> Exact | None:
    """The scales of these elements of a value; those outside take any that is there."""
    if source.scale is None:
        return None
    picked = source.scale.ravel()[places]
    inside = places >= 0
    for row in np.flatnonzero(~inside.all(axis=0)):
        rest = inside[:, row]
        picked[~rest, row] = picked[rest, row][0] if rest.any() else Fraction(0)
    return picked


def _dense(
    builder: Builder, name: str, source: Scaled, reads: Integers, weights: np.ndarray
) -> Value:
    """Rows of elements times weights (inputs, outputs), as a value (rows, outputs)."""
    weights = weights.astype(np.float64)
    scales = None if source.scale is None else source.scale.reshape(reads.shape)
    if scales is not None and not (scales == scales[0]).all():
        return _each_row(builder, name, source, reads, weights)
    effective = exact(weights)
    if scales is not None:
        effective = effective * scales[0][:, None]
    factors = _factors(effective)
    plain = floats(effective / factors)
    if plain is None:
        raise Refusal(
            "its inputs have scales that share no step",
            "use one scale for all that it reads, for example a quantiser for the whole tensor",
        )
    node = gathered(builder, f"{name}_inputs", source.node, reads)
    zero = constant(np.zeros(weights.shape[1]))
    try:
        matrix = constant(plain)
    except ValueError as error:
        raise Refusal(f"its weights have too many bits: {error}", "quantise the weights") from error
    made = builder.dense(name, node, matrix, zero, len(reads))
    value = Value(made, np.arange(len(reads) * weights.shape[1]).reshape(len(reads), -1))
    return value if (factors == 1).all() else value.line(factors)


def _each_row(
    builder: Builder, name: str, source: Scaled, reads: Integers, weights: np.ndarray
) -> Value:
    """Rows of different scales: those that share theirs together."""
    scales = source.scales.reshape(reads.shape)
    kinds: dict[Any, list[int]] = {}
    for row, each in enumerate(scales.tolist()):
        kinds.setdefault(tuple(each), []).append(row)
    parts, order = [], []
    for rows in kinds.values():
        part = Scaled(source.node, reads[rows], scales[rows])
        parts.append(_dense(builder, name, part, reads[rows], weights))
        order += rows
    return joined(builder, name, parts, 0).moved(lambda x: x[np.argsort(order)])


def _factors(weights: Exact) -> Exact:
    """A long factor of the weights of each output, (1, outputs), or 1; the same for all outputs if
    they share one.
    """
    every = [_common(column.tolist()) for column in weights.T]
    shared = _common(every)
    near = _is_long(shared) and max(every) <= _FEW * shared
    chosen = [shared if near else factor for factor in every]
    made = np.empty((1, len(chosen)), dtype=object)
    made[0, :] = [factor if _is_long(factor) else Fraction(1) for factor in chosen]
    return made


def _is_long(factor: Fraction) -> bool:
    """Whether a number has many bits between its first and its last one."""
    over, under = factor.numerator, factor.denominator
    odd = [n // (n & -n) for n in (over, under) if n]
    return factor != 0 and max(n.bit_length() for n in odd) > _SHORT_BITS


def _common(values: list[Fraction]) -> Fraction:
    """The greatest number of which all are multiples; 0 if all are zero."""
    some = [value for value in values if value != 0]
    if not some:
        return Fraction(0)
    over = reduce(gcd, (abs(value.numerator) for value in some))
    return Fraction(over, reduce(lcm, (value.denominator for value in some)))

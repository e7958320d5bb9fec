"""Bounds on the outputs of a network in float32, derived from its graph.

The user's own network computes in float32, the graph exactly. Where every product and every partial
sum of an event is an integer of at most 24 bits, float32 is exact and the two bounds are equal.
Elsewhere the bounds propagate the float32 rounding through the graph: a value that is rounded next
to a quantiser's step may end up on either side of it.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, assert_never

import numpy as np

from trigger.fixedpoint.arithmetic import (
    at_positions,
    extremes,
    product_ends,
    side_by_side,
    sum_ends,
    tabulated,
)
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import (
    Add,
    Affine,
    Clip,
    Concatenate,
    Dense,
    Ends,
    Input,
    LeakyRelu,
    Lookup,
    Maximum,
    Minimum,
    Multiply,
    Operation,
    Quantize,
    Select,
    Staircase,
    Threshold,
    TruthTable,
)
from trigger.fixedpoint.types import Flags, Integers, Overflow, Reals, Rounding, bounds

# Events at a time, so that memory does not grow with their number.
_BLOCK = 8192
# One rounding of float32, relative to the value.
_ROUNDOFF = 2.0**-24
# Integers up to this size are exact in float32.
_EXACT = 2.0**24
# The relative error of an elementary function (tanh, exp, log2) in float32, with its argument's.
FUNCTION_ERROR = 2.0**-21


_NEAR = "entries lie where float32 may round to a neighbouring level"


def near_note(table: str, near: int, entries: int) -> str:
    """The note of a graph about a table some of whose entries depend on rounding."""
    return f"{table}: {near} of its {entries} {_NEAR}"


def near_steps(function: Reals, rounded: Callable[[Reals], Reals]) -> int:
    """How many values of a function float32 may round to another level than float64."""
    error = FUNCTION_ERROR * np.abs(function)
    below, same, above = (rounded(x) for x in (function - error, function, function + error))
    return int(((below != same) | (above != same)).sum())


def _loose(graph: Graph) -> set[str]:
    """The tables whose values float32 may round to a neighbouring level."""
    return {note.partition(":")[0] for note in graph.notes if note.endswith(_NEAR)}


class Bounds(NamedTuple):
    """Real numbers, each of shape (events, elements); equal where float32 is exact."""

    low: Reals
    high: Reals

    @property
    def known(self) -> Flags:
        same: Flags = self.low == self.high
        return same

    @property
    def largest(self) -> Reals:
        return np.maximum(np.abs(self.low), np.abs(self.high))


def output_bounds(graph: Graph, x: Integers) -> Bounds:
    """Bounds on each output, for integer inputs of shape (events, features)."""
    blocks = [_block(graph, x[start : start + _BLOCK]) for start in range(0, len(x), _BLOCK)]
    return Bounds(*(np.concatenate(ends) for ends in zip(*blocks, strict=True)))


def _block(graph: Graph, x: Integers) -> Bounds:
    real = np.ldexp(x.astype(np.float64), -graph.input.fractions)
    narrow = real.astype(np.float32).astype(np.float64)  # as Keras receives them
    values = {graph.input.name: Bounds(narrow, narrow)}
    loose = _loose(graph)
    for node in graph.nodes[1:]:
        sources = [graph[name] for name in node.inputs]
        block = _next(node, sources, [values[name] for name in node.inputs])
        values[node.name] = _neighbours(node, block) if node.name in loose else block
    return values[graph.output.name]


def _next(node: Operation, sources: Sequence[Operation], values: Sequence[Bounds]) -> Bounds:
    assert not isinstance(node, Input)  # it is given, not computed
    source = sources[0]
    x = values[0]
    match node:
        case Dense():
            return _dense(node, x)
        case Affine():
            scale = node.scale.real
            bias = node.bias.real
            ends = x.low * scale, x.high * scale
            exact = Bounds(np.minimum(*ends) + bias, np.maximum(*ends) + bias)
            return _rounded(node, exact, x.largest * np.abs(scale) + np.abs(bias), x.known, 2)
        case Add():
            exact = Bounds(*sum_ends(node, [Ends(*value) for value in values]))
            known = np.logical_and.reduce([v.known for v in values])
            largest = np.sum([v.largest for v in values], axis=0)
            return _rounded(node, exact, largest, known, len(values))
        case Multiply():
            exact = Bounds(*product_ends(node, [Ends(*value) for value in values]))
            known = np.logical_and(*(value.known for value in values))
            largest = values[0].largest * values[1].largest
            return _rounded(node, exact, largest, known, 1)
        case Quantize():
            return _quantize(node, x)
        case Clip():
            low, high = (np.ldexp(end, -source.fractions) for end in (node.low, node.high))
            return Bounds(*(np.clip(end, low, high) for end in x))
        case LeakyRelu():
            return Bounds(*(np.where(end < 0, np.ldexp(end, -node.shift), end) for end in x))
        case Staircase():
            return _steps(node, x)
        case Lookup():
            return _lookup(node, source, x)
        case TruthTable():
            return _truth_table(node, source, x)
        case Threshold():
            bound = np.ldexp(node.bounds, -source.fractions[node.elements])
            return Bounds(*((end[:, node.elements] >= bound).astype(np.float64) for end in x))
        case Select():
            return Bounds(*(np.where(node.elements < 0, 0, end[:, node.elements]) for end in x))
        case Maximum():
            return Bounds(*(end[:, node.groups].max(axis=2) for end in x))
        case Minimum():
            return Bounds(*(end[:, node.groups].min(axis=2) for end in x))
        case Concatenate():
            return Bounds(*(np.concatenate(ends, axis=1) for ends in zip(*values, strict=True)))
        case _:
            assert_never(node)


def _dense(node: Dense, x: Bounds) -> Bounds:
    weights = node.weights.real
    bias = node.bias.real
    x = Bounds(*(at_positions(node, end) for end in x))
    up = np.maximum(weights, 0)
    down = np.minimum(weights, 0)
    low = side_by_side(x.low @ up + x.high @ down + bias)
    high = side_by_side(x.high @ up + x.low @ down + bias)
    read = (weights != 0).astype(np.float64)
    known = side_by_side((~x.known).astype(np.float64) @ read == 0)
    largest = side_by_side(x.largest @ np.abs(weights) + np.abs(bias))
    terms = int(read.sum(axis=0).max(initial=0)) + 1
    return _rounded(node, Bounds(low, high), largest, known, terms)


def _rounded(node: Operation, exact: Bounds, largest: Reals, known: Flags, terms: int) -> Bounds:
    """The exact bounds, and around them the rounding of a sum of terms.

    ``largest`` is the sum of the terms' magnitudes, which no partial sum exceeds.
    """
    # A term may take one more operation in Keras, such as a folded normalisation.
    error = largest * (terms + 8) * _ROUNDOFF
    error[known & (np.ldexp(largest, node.fractions) <= _EXACT)] = 0
    return Bounds(exact.low - error, exact.high + error)


def _quantize(node: Quantize, x: Bounds) -> Bounds:
    least, greatest = bounds(node.types, node.overflow)
    ends = [_round(np.ldexp(end, node.fractions), node.rounding) for end in x]
    if node.overflow is Overflow.WRAP:
        span = (greatest - least + 1).astype(np.float64)
        turns = [np.floor((end - least) / span) for end in ends]
        low, high = (end - turn * span for end, turn in zip(ends, turns, strict=True))
        crossed = turns[0] != turns[1]
        low = np.where(crossed, least, low)
        high = np.where(crossed, greatest, high)
    else:
        low, high = (np.clip(end, least, greatest) for end in ends)
    steps = Bounds(np.ldexp(low, -node.fractions), np.ldexp(high, -node.fractions))
    return _straight_through(node, x, steps)


def _straight_through(node: Operation, x: Bounds, y: Bounds) -> Bounds:
    """QKeras computes x + (y - x): where x is far from zero, that loses the last bits of y."""
    far = np.ldexp(x.largest, node.fractions) > _EXACT / 2
    error = np.where(far, 2 * _ROUNDOFF * x.largest, 0)
    return Bounds(y.low - error, y.high + error)


def _round(x: Reals, rounding: Rounding) -> Reals:
    """Real numbers, in steps, to whole steps."""
    below = np.floor(x)
    match rounding:
        case Rounding.TRN:
            return below
        case Rounding.RND:
            return below + (x - below >= 0.5)
        case Rounding.RND_CONV:
            return np.rint(x)
        case Rounding.RND_INF:
            return np.where(x < 0, -np.floor(0.5 - x), below + (x - below >= 0.5))


def _lookup(node: Lookup, source: Operation, x: Bounds) -> Bounds:
    """The levels between the bounds."""
    last = node.first + len(node.levels.values) - 1
    low, high = (np.ldexp(end, source.fractions) for end in x)
    ends = (np.clip(np.floor(low), node.first, last), np.clip(np.ceil(high), node.first, last))
    least, most = extremes(node, *(end.astype(np.int64) for end in ends))
    return Bounds(*(np.ldexp(end, -node.levels.type.fraction) for end in (least, most)))


def _truth_table(node: TruthTable, source: Operation, x: Bounds) -> Bounds:
    """The level where all members are known, else any level of the output."""
    known = x.known[:, node.elements].all(axis=2)
    integers = np.rint(np.ldexp(x.low, source.fractions)).astype(np.int64)
    level, levels = tabulated(node, integers), node.levels.values
    ends = (np.where(known, level, end) for end in (levels.min(axis=1), levels.max(axis=1)))
    return Bounds(*(np.ldexp(end.astype(float), -node.levels.type.fraction) for end in ends))


def _neighbours(node: Operation, y: Bounds) -> Bounds:
    """The function behind a table may lie next to the middle of two levels, where its error in
    float32 decides.
    """
    error = np.ldexp(1.0, -node.fractions) + FUNCTION_ERROR * y.largest
    return Bounds(y.low - error, y.high + error)


def _steps(node: Staircase, x: Bounds) -> Bounds:
    """A rounded function: its error in float32 moves a threshold between two neighbouring steps.

    If the levels at a threshold differ by more than one step, rounding cannot confuse them.
    """
    thresholds = node.thresholds.real
    levels = node.levels.real
    slack = np.zeros(len(thresholds))
    if len(thresholds) > 1:
        rise = np.diff(levels)
        spacing = np.diff(thresholds)
        widest = np.maximum(np.append(spacing, spacing[-1]), np.append(spacing[0], spacing))
        size = np.maximum(np.maximum(np.abs(levels[:-1]), np.abs(levels[1:])), 1)
        # The change of x over which the function rises by its own error.
        moved = np.abs(thresholds) + size * widest / rise
        slack = np.where(rise == rise.min(), FUNCTION_ERROR * moved, 0)
    late = np.maximum.accumulate(thresholds + slack)
    early = np.minimum.accumulate((thresholds - slack)[::-1])[::-1]
    low = np.searchsorted(late, x.low, "right")
    high = np.searchsorted(early, x.high, "right")
    return _straight_through(node, x, Bounds(levels[low], levels[high]))

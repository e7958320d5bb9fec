"""Interval analysis: the smallest and largest integer of every element of every node.

The intervals hold for every possible input. Those of a ``Dense`` are attained if its inputs are
independent, and are sound bounds otherwise. They set the width of each exact node, which proves
that nothing overflows.
"""

from collections.abc import Mapping
from typing import NamedTuple, assert_never

import numpy as np

from trigger.fixedpoint.arithmetic import (
    add_shifts,
    affine,
    at_positions,
    dense_terms,
    extremes,
    extremum,
    occurring,
    product_ends,
    requantize,
    selected,
    side_by_side,
    staircase,
    sum_ends,
)
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import (
    Add,
    Affine,
    Clip,
    Concatenate,
    Constant,
    Dense,
    Ends,
    GraphError,
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
from trigger.fixedpoint.types import MAX_WIDTH, Fixed, Flags, Integers, Overflow, bounds, smallest

# Real values, and products of two of them, must be normal numbers of float64.
_FARTHEST_POINT = 400


class Interval(NamedTuple):
    """Integers of shape (elements,), with the fractional bits of their node."""

    low: Integers
    high: Integers


class TooWide(GraphError):
    """A value with too many bits to be evaluated, and so verified, exactly."""

    def __init__(self, name: str, width: int) -> None:
        self.width = width
        super().__init__(f"{name}: a value needs {width} bits; at most {MAX_WIDTH} can be verified")


class Row(NamedTuple):
    """One line of the overflow proof: a node, the interval of its integers, and the bits that hold
    it.
    """

    name: str
    op: str
    low: int
    high: int
    needed: int
    width: int
    verdict: str


def ranges(graph: Graph) -> dict[str, Interval]:
    """The interval of every node."""
    intervals: dict[str, Interval] = {}
    for node in graph.nodes:
        intervals[node.name] = interval(
            node, {name: (graph[name], intervals[name]) for name in node.inputs}
        )
    return intervals


def overflow_proof(graph: Graph) -> list[Row]:
    """Prove for each node that its interval fits its type, or that it wraps or saturates by design.

    Raises GraphError if a value could leave its type, which cannot happen in a graph from a
    frontend.
    """
    intervals = ranges(graph)
    rows = []
    for node in graph.nodes:
        low, high = intervals[node.name]
        least, most = bounds(node.types)
        if (low < least).any() or (high > most).any():
            raise GraphError(f"{node.name}: values from {low.min()} to {high.max()} leave the type")
        needed = max(smallest(int(a), int(b), 0).width for a, b in zip(low, high, strict=True))
        verdict = "cannot overflow"
        if isinstance(node, Quantize):
            verdict = _quantizer_verdict(node, intervals[node.inputs[0]], graph[node.inputs[0]])
        elif isinstance(node, Input):
            verdict = "saturates"
        width = max(t.width for t in node.types)
        rows.append(
            Row(node.name, node.op, int(low.min()), int(high.max()), needed, width, verdict)
        )
    return rows


def _quantizer_verdict(node: Quantize, before: Interval, source: Operation) -> str:
    if not _leaves(node, before, source).any():
        return "cannot overflow"
    return "wraps, as asked" if node.overflow is Overflow.WRAP else "saturates"


def wraps(node: Quantize, before: Interval, source: Operation) -> Flags:
    """Whether each element of a quantiser, which reads ``source``, may wrap."""
    return _leaves(node, before, source) & (node.overflow is Overflow.WRAP)


def _leaves(node: Quantize, before: Interval, source: Operation) -> Flags:
    """Whether each rounded element may lie outside its type."""
    unbounded = tuple(Fixed(True, 62, 62 - t.fraction) for t in node.types)
    low, high = (
        requantize(end[None], source.fractions, unbounded, node.rounding, Overflow.SAT)[0]
        for end in (before.low, before.high)
    )
    least, most = bounds(node.types, node.overflow)
    outside: Flags = (low < least) | (high > most)
    return outside


def interval(node: Operation, inputs: Mapping[str, tuple[Operation, Interval]]) -> Interval:
    """The interval of one node from those of the nodes it reads."""
    sources = [inputs[name][0] for name in node.inputs]
    _check_fractions(node, sources)
    if isinstance(node, Input):
        return Interval(*bounds(node.types))
    reads = [inputs[name][1] for name in node.inputs]
    source, x = sources[0], reads[0]
    match node:
        case Concatenate():
            return Interval(
                np.concatenate([end.low for end in reads]),
                np.concatenate([end.high for end in reads]),
            )
        case Add():
            _check_width(node, np.sum([magnitude(*inputs[name]) for name in node.inputs], axis=0))
            shifts = add_shifts(node, sources)
            aligned = zip(reads, shifts, strict=True)
            ends = [Ends(*(end << shift for end in read)) for read, shift in aligned]
            return Interval(*sum_ends(node, ends))
        case Multiply():
            largest = np.prod([magnitude(*inputs[name]) for name in node.inputs], axis=0)
            square = len(set(node.inputs)) == 1
            signed = not square and any((end.low < 0).any() for end in reads)
            _check_width(node, largest, signed=signed)
            return Interval(*product_ends(node, [Ends(*end) for end in reads]))
        case Dense():
            largest = at_positions(node, magnitude(source, x))
            weights, bias = (
                np.ldexp(np.maximum(np.abs(ends.low), ends.high).astype(np.float64), -fraction)
                for ends, fraction in zip(
                    node.ends, (node.weights.type.fraction, node.bias.type.fraction), strict=True
                )
            )
            _check_width(node, largest[:, node.reads].ravel(), (largest @ weights + bias).ravel())
            return Interval(*_dense_ends(node, source, x))
        case Affine():
            scaled = magnitude(source, x) * np.abs(node.scale.real) + np.abs(node.bias.real)
            _check_width(node, scaled)
            a, b = (affine(node, source, end) for end in x)
            return Interval(np.minimum(a, b), np.maximum(a, b))
        case Quantize():
            low, high = (
                requantize(end[None], source.fractions, node.types, node.rounding, node.overflow)[0]
                for end in x
            )
            if node.overflow is Overflow.WRAP:
                return Interval(*bounds(node.types))
            return Interval(low, high)
        case Clip():
            return Interval(*(np.clip(end, node.low, node.high) for end in x))
        case LeakyRelu():
            _check_width(node, magnitude(source, x))
            return Interval(*(np.where(end < 0, end, end << node.shift) for end in x))
        case Staircase():
            return Interval(*(staircase(node, source, end[None])[0] for end in x))
        case Lookup():
            _check_addresses(node, x)
            return Interval(*extremes(node, *x))
        case TruthTable():
            possible, levels = occurring(node, *x), node.levels.values
            return Interval(
                np.where(possible, levels, levels.max()).min(axis=1),
                np.where(possible, levels, levels.min()).max(axis=1),
            )
        case Select():
            return Interval(*(selected(node, end) for end in x))
        case Maximum() | Minimum():
            _check_width(node, magnitude(source, x)[node.groups].max(axis=1))
            return Interval(*(extremum(node, source, end) for end in x))
        case Threshold():
            return Interval(*((end[node.elements] >= node.bounds).astype(np.int64) for end in x))
        case _:
            assert_never(node)


def _dense_ends(node: Dense, source: Operation, x: Interval) -> Ends:
    """The smallest and the largest sums at all positions, one after the other."""
    terms = dense_terms(node, source)
    low, high = (at_positions(node, end << terms.inputs) for end in x)
    weights, bias = node.ends
    shift = node.types[0].fraction - node.bias.type.fraction
    if node.parameters is None:
        positive, negative = np.maximum(weights.high, 0), np.minimum(weights.low, 0)
        sums = [low @ positive + high @ negative, high @ positive + low @ negative]
    else:
        products = np.stack([a[:, :, None] * b for a in (low, high) for b in weights])
        sums = [products.min(axis=0).sum(axis=1), products.max(axis=0).sum(axis=1)]
    return Ends(
        *(
            side_by_side((end << terms.products) + (b << shift))
            for end, b in zip(sums, bias, strict=True)
        )
    )


def magnitude(node: Operation, x: Interval) -> np.ndarray:
    """The largest absolute value of each element, as a real number; float64 is exact enough to
    count bits.
    """
    return np.ldexp(np.maximum(np.abs(x.low), np.abs(x.high)).astype(np.float64), -node.fractions)


def _check_fractions(node: Operation, sources: list[Operation]) -> None:
    """Check that exact operations keep every fractional bit, and selections the steps of their
    inputs.
    """
    constants = [
        value.type.fraction for value in vars(node).values() if isinstance(value, Constant)
    ]
    farthest = max(int(np.abs(node.fractions).max()), *map(abs, constants), 0)
    if farthest > _FARTHEST_POINT:
        raise GraphError(
            f"{node.name}: a binary point lies {farthest} bits away; at most "
            f"{_FARTHEST_POINT} can be evaluated"
        )
    before = [source.fractions for source in sources]
    match node:
        case Dense():
            needed = max(int(before[0].max()) + node.weights.type.fraction, node.bias.type.fraction)
            fits = (node.fractions == node.fractions[0]).all() and node.fractions[0] >= needed
        case Affine():
            kept = np.maximum(before[0] + node.scale.type.fraction, node.bias.type.fraction)
            fits = (node.fractions >= kept).all()
        case LeakyRelu():
            fits = (node.fractions == before[0] + node.shift).all()
        case Add():
            needed = max(int(b.max()) for b in before)
            fits = (node.fractions == node.fractions[0]).all() and node.fractions[0] >= needed
        case Multiply():
            fits = np.array_equal(node.fractions, before[0] + before[1])
        case Threshold():
            fits = (node.fractions == 0).all()
        case Clip() | Concatenate():
            fits = np.array_equal(node.fractions, np.concatenate(before))
        case Staircase() | TruthTable():
            fits = (node.fractions == node.levels.type.fraction).all()
        case Lookup():
            if (before[0] != before[0][0]).any():
                raise GraphError(
                    f"{node.name}: a table reads elements of one number of fractional bits, "
                    f"not of {before[0].min()} to {before[0].max()}"
                )
            fits = (node.fractions == node.levels.type.fraction).all()
        case Select():
            read = node.elements >= 0
            fits = np.array_equal(node.fractions[read], before[0][node.elements[read]])
        case Maximum() | Minimum():
            fits = (node.fractions >= before[0][node.groups].max(axis=1)).all()
        case Input() | Quantize():
            fits = True
        case _:
            assert_never(node)
    if not fits:
        raise GraphError(
            f"{node.name}: the fractional bits of its types do not match its operation"
        )


def _check_addresses(node: Lookup, x: Interval) -> None:
    low, high = int(x.low.min()), int(x.high.max())
    last = node.first + len(node.levels.values) - 1
    if low < node.first or high > last:
        raise GraphError(
            f"{node.name}: its table is for integers from {node.first} to {last}, but it reads "
            f"{low} to {high}"
        )


def _check_width(node: Operation, *magnitudes: np.ndarray, signed: bool = True) -> None:
    # Checked before any integer is computed: beyond int64 the interval itself would wrap.
    for real in magnitudes:
        each = node.fractions if len(real) == len(node.types) else node.fractions.max()
        exponents = np.where(real > 0, np.frexp(real)[1] + each, 0)
        width = int(exponents.max(initial=0)) + signed
        if width > MAX_WIDTH:
            raise TooWide(node.name, width)

"""Integer arithmetic of the operations: rounding, overflow and alignment shifts.

Alignment shifts are computed only here. The interval analysis, the golden model, the passes and the
integer backends all call these functions.
"""

from collections.abc import Sequence
from typing import NamedTuple, assert_never

import numpy as np

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
    Node,
    Operation,
    Quantize,
    Select,
    Staircase,
    Threshold,
    TruthTable,
)
from trigger.fixedpoint.types import (
    FARTHEST_SHIFT,
    Fixed,
    Flags,
    Integers,
    Overflow,
    Rounding,
    bounds,
)


class DenseTerms(NamedTuple):
    """The integers of a ``Dense`` are ``((x << inputs) @ weights << products) + bias`` at each
    position.

    ``inputs`` (elements of the source,) and ``products`` are shifts to the left; ``bias``
    (outputs,) has the fractional bits of the result.
    """

    inputs: Integers
    products: int
    bias: Integers


class AffineTerms(NamedTuple):
    """The integers of an ``Affine`` are ``(x * scale << products) + bias``.

    ``products`` (elements,) are shifts to the left; ``bias`` (elements,) has the fractional bits of
    the result.
    """

    products: Integers
    bias: Integers


def dense_terms(node: Dense, source: Node) -> DenseTerms:
    """The shifts of a ``Dense`` that reads ``source``, and its bias.

    An input without weights is not shifted, because the shifted value might not fit 64 bits.
    """
    read = np.tile(node.reads, node.positions)
    common = int(source.fractions[read].max(initial=source.fractions.min()))
    products = node.types[0].fraction - common - node.weights.type.fraction
    bias = node.bias.values << (node.types[0].fraction - node.bias.type.fraction)
    return DenseTerms(np.where(read, common - source.fractions, 0), products, bias)


def affine_terms(node: Affine, source: Node) -> AffineTerms:
    """The shifts of an ``Affine`` that reads ``source``, and its bias."""
    products = node.fractions - source.fractions - node.scale.type.fraction
    bias = node.bias.values << (node.fractions - node.bias.type.fraction)
    return AffineTerms(products, bias)


def add_shifts(node: Add, sources: Sequence[Node]) -> list[Integers]:
    """The left shifts of the elements of each input of an ``Add``, (elements,) each."""
    return [node.fractions - source.fractions for source in sources]


def at_positions(node: Dense, x: np.ndarray) -> np.ndarray:
    """What a ``Dense`` reads, shape (..., elements), as (..., positions, inputs)."""
    return x.reshape(*x.shape[:-1], node.positions, len(node.weights.values))


def side_by_side(y: np.ndarray) -> np.ndarray:
    """The results of a ``Dense``, shape (..., positions, outputs), as (..., elements)."""
    return y.reshape(*y.shape[:-2], y.shape[-2] * y.shape[-1])


def never_decreases(node: Operation, elements: Integers, low: Integers, high: Integers) -> bool:
    """Whether these elements of a node never fall while what they read rises.

    ``low`` and ``high`` are the ends of what the node reads.
    """
    match node:
        case Lookup():
            falls = np.append(0, np.cumsum(np.diff(node.levels.values) < 0))
            first, last = (falls[end[elements] - node.first] for end in (low, high))
            return bool((first == last).all())
        case Staircase() | Clip() | LeakyRelu():
            return True
        case Quantize():
            return node.overflow is not Overflow.WRAP
        case Affine():
            return bool((node.scale.values[elements] > 0).all())
        case (
            Input()
            | Dense()
            | TruthTable()
            | Threshold()
            | Add()
            | Multiply()
            | Concatenate()
            | Select()
            | Maximum()
            | Minimum()
        ):
            return False
        case _:
            assert_never(node)


def affine(node: Affine, source: Node, x: Integers) -> Integers:
    """The integers of ``Affine``, broadcasting over events."""
    products, bias = affine_terms(node, source)
    return (x * node.scale.values << products) + bias


def selected(node: Select, x: Integers) -> Integers:
    """The integers of ``Select`` for integers of shape (..., elements)."""
    return np.where(node.elements < 0, 0, x[..., node.elements])


def group_shifts(node: Maximum | Minimum, source: Operation) -> Integers:
    """By how far each member of each group is shifted to the left, shape (elements, members)."""
    return node.fractions[:, None] - source.fractions[node.groups]


def extremum(node: Maximum | Minimum, source: Operation, x: Integers) -> Integers:
    """The integers of ``Maximum`` or ``Minimum`` for integers of shape (..., elements)."""
    members = x[..., node.groups] << group_shifts(node, source)
    ends: Integers = members.max(-1) if isinstance(node, Maximum) else members.min(-1)
    return ends


def product_ends(node: Multiply, factors: Sequence[Ends]) -> Ends:
    """The smallest and the largest products of values between ends; a square is never negative."""
    a, b = factors
    corners = [x * y for x in a for y in b]
    low, high = np.minimum.reduce(corners), np.maximum.reduce(corners)
    return Ends(np.maximum(low, 0) if len(set(node.inputs)) == 1 else low, high)


def sum_ends(node: Add, terms: Sequence[Ends]) -> Ends:
    """The smallest and the largest sums of aligned values between ends."""
    turned = [
        end if sign > 0 else Ends(-end.high, -end.low)
        for sign, end in zip(node.factors, terms, strict=True)
    ]
    low, high = (np.sum(ends, axis=0) for ends in zip(*turned, strict=True))
    return Ends(low, high)


def looked_up(node: Lookup, x: Integers) -> Integers:
    """The integers of ``Lookup`` for integers of any shape, all in the table."""
    values: Integers = node.levels.values[x - node.first]
    return values


def extremes(node: Lookup, low: Integers, high: Integers) -> tuple[Integers, Integers]:
    """The least and the greatest level that inputs from ``low`` to ``high`` reach."""
    first, last = low - node.first, high - node.first
    least = most = node.levels.values
    lowest, highest = np.empty_like(low), np.empty_like(low)
    # Two runs of 2^k levels, which may overlap, are as long as any run of up to 2^(k+1) of them.
    length, spans = 1, last - first + 1
    while (spans >= length).any():
        at = (length <= spans) & (spans < 2 * length)
        ends = first[at], last[at] + 1 - length
        lowest[at] = np.minimum(*(least[end] for end in ends))
        highest[at] = np.maximum(*(most[end] for end in ends))
        least = np.minimum(least[:-length], least[length:])
        most = np.maximum(most[:-length], most[length:])
        length *= 2
    return lowest, highest


def addresses(node: TruthTable, x: Integers) -> Integers:
    """The addresses of a ``TruthTable`` for integers of shape (..., elements)."""
    masks = (1 << node.widths) - 1
    total = np.zeros((*x.shape[:-1], len(node.types)), dtype=np.int64)
    for elements, mask, offset in zip(node.elements.T, masks.T, node.offsets.T, strict=True):
        total |= (x[..., elements] & mask) << offset
    return total


def tabulated(node: TruthTable, x: Integers) -> Integers:
    """The integers of ``TruthTable`` for integers of shape (..., elements)."""
    rows = np.arange(len(node.types))
    values: Integers = node.levels.values[rows, addresses(node, x)]
    return values


def occurring(node: TruthTable, low: Integers, high: Integers) -> Flags:
    """Which addresses can occur for elements from ``low`` to ``high``, each taken for itself.

    Shape (outputs, entries).
    """
    entries = np.arange(node.levels.values.shape[1])
    possible = np.ones(node.levels.values.shape, dtype=bool)
    members = zip(node.elements.T, node.widths.T, node.offsets.T, strict=True)
    for elements, widths, offsets in members:
        masks = ((1 << widths) - 1)[:, None]
        least, most = low[elements][:, None], high[elements][:, None]
        possible &= (((entries >> offsets[:, None]) - least) & masks) <= most - least
    return possible


def depends(node: TruthTable) -> Flags:
    """Whether each output depends on each member, shape (outputs, members)."""
    levels = node.levels.values
    entries = np.arange(levels.shape[1])
    columns = []
    for widths, offsets in zip(node.widths.T, node.offsets.T, strict=True):
        without = entries & ~(((1 << widths) - 1) << offsets)[:, None]
        columns.append((np.take_along_axis(levels, without, axis=1) != levels).any(axis=1))
    return np.stack(columns, axis=1)


def staircase(node: Staircase, source: Node, x: Integers) -> Integers:
    """The integers of ``Staircase`` for integers of shape (events, elements)."""
    out = np.empty_like(x)
    for fraction in np.unique(source.fractions):
        at = source.fractions == fraction
        reached = np.searchsorted(thresholds(node, fraction), x[:, at], side="right")
        out[:, at] = node.levels.values[reached]
    return out


def thresholds(node: Staircase, fraction: int) -> Integers:
    """The thresholds of ``Staircase`` for an element with ``fraction`` fractional bits.

    Two of them may be equal.
    """
    return raised_bounds(node.thresholds.values, node.thresholds.type.fraction, int(fraction))


def requantize(
    x: Integers,
    fractions: Integers,
    types: tuple[Fixed, ...],
    rounding: Rounding,
    overflow: Overflow,
) -> Integers:
    """Quantise integers of shape (events, elements), element i with ``fractions[i]`` bits, into
    ``types[i]``.
    """
    shifts = np.asarray(fractions) - np.array([t.fraction for t in types])
    low, high = bounds(types, overflow)
    if (shifts == shifts[0]).all():
        return _fit(_rescale(x, int(shifts[0]), low, high, rounding, overflow), low, high, overflow)
    out = np.empty_like(x)
    for shift in np.unique(shifts):
        at = shifts == shift
        out[:, at] = _rescale(x[:, at], int(shift), low[at], high[at], rounding, overflow)
    return _fit(out, low, high, overflow)


def raised_bounds(bounds: Integers, fraction: int, to: int) -> Integers:
    """Bounds with ``fraction`` fractional bits, rounded up to ``to`` fractional bits.

    A bound that no 53-bit value reaches stays out of reach.
    """
    shift = min(abs(to - fraction), FARTHEST_SHIFT)
    if to <= fraction:
        return -(-bounds >> shift)
    end = 1 << (FARTHEST_SHIFT - shift)
    return np.clip(bounds, -end, end) << shift


def _rescale(
    x: Integers, shift: int, low: Integers, high: Integers, rounding: Rounding, overflow: Overflow
) -> Integers:
    if shift == 0:
        return x
    shift = min(max(shift, -FARTHEST_SHIFT), FARTHEST_SHIFT)
    if shift < 0:
        if overflow is not Overflow.WRAP:  # a value that saturates must not overflow int64 first
            x = np.clip(x, (low >> -shift) - 1, (high >> -shift) + 1)
        return x << -shift
    half = 1 << (shift - 1)
    match rounding:
        case Rounding.TRN:
            return x >> shift
        case Rounding.RND:
            return (x + half) >> shift
        case Rounding.RND_CONV:
            return (x + (half - 1) + ((x >> shift) & 1)) >> shift
        case Rounding.RND_INF:
            return (x + half - (x < 0)) >> shift


def _fit(x: Integers, low: Integers, high: Integers, overflow: Overflow) -> Integers:
    if overflow is not Overflow.WRAP:
        return np.clip(x, low, high)
    span = high - low + 1
    return ((x - low) & (span - 1)) + low

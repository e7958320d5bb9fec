"""One node of the graph as exact arithmetic on alkaid's symbolic variables.

Rounding and saturation are composed out of alkaid's exact operations: one addition of the rounding constant, which merges
with the bias before it, and a look at the bits above the type. What alkaid would round without a word is kept away from it.
"""

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, assert_never

import numpy as np
from alkaid.cmvm import solver_options_t
from alkaid.trace import FVariable, FVArray, HWConfig

from trigger.fixedpoint.arithmetic import requantize
from trigger.fixedpoint.ops import (
    Add,
    Affine,
    Clip,
    Concatenate,
    Dense,
    Input,
    LeakyRelu,
    Operation,
    Quantize,
    Staircase,
    Threshold,
)
from trigger.fixedpoint.ranges import Interval
from trigger.fixedpoint.types import Fixed, Overflow, Rounding, bounds

# Delay and cost of an adder are counted bit by bit: alkaid's own defaults.
HARDWARE = HWConfig(1, 1, -1)
# alkaid looks at constants, matrices and tables in float32 and drops what is wider without a word: all are kept narrow.
# Sums of six weights, which it makes tables of, must stay below 24 bits too.
_WEIGHT_BITS, _CONSTANT_BITS = 20, 24
# A wider table would take longer than a clock cycle: it is made of several, told apart by the upper bits.
_WHOLE_TABLE_BITS = 11
# Up to 2^8 entries a staircase is a table of a few LUTs a bit; up to 2^16 where that is less than its comparisons.
_SURE_TABLE_BITS, _TABLE_BITS = 8, 16


def lower(
    node: Operation, source: Operation, reach: Interval, read: Sequence[list[FVariable]]
) -> list[Any]:
    """The elements of a node from those of the nodes it reads, of which ``source`` is the first; a constant may be a number.

    ``reach`` is the source's interval, tighter than what alkaid knows of it.
    Raises ValueError, or alkaid's AssertionError, where there is no exact form.
    """
    assert not isinstance(node, Input)  # it is given, not computed
    x = read[0]
    match node:
        case Dense():
            return [_plus(v, b) for v, b in zip(_product(x, node), node.bias.real, strict=True)]
        case Affine():
            scaled = [
                _times(v, int(s), node.scale.type.fraction)
                for v, s in zip(x, node.scale.values, strict=True)
            ]
            return [_plus(v, b) for v, b in zip(scaled, node.bias.real, strict=True)]
        case Quantize():
            return [
                _quantize(v, kind, node.rounding, overflow)
                for v, kind, overflow in zip(
                    x, node.types, _needed(node, source, reach), strict=True
                )
            ]
        case Clip():
            low, high = (
                np.ldexp(bound.astype(float), -node.fractions) for bound in (node.low, node.high)
            )
            return [_least(_most(v, a), b) for v, a, b in zip(x, low, high, strict=True)]
        case LeakyRelu():
            return [v if v.low >= 0 else v.msb_mux(v * 2.0**-node.shift, v) for v in x]
        case Staircase():
            return [_steps(v, node) for v in x]
        case Threshold():
            bounds = np.ldexp(node.bounds.astype(np.float64), -source.fractions[node.elements])
            return [_accepts(x[e], float(b)) for e, b in zip(node.elements, bounds, strict=True)]
        case Add():
            return [
                sum(map(_fresh, rest), start=_fresh(first))
                for first, *rest in zip(*read, strict=True)
            ]
        case Concatenate():
            return [v for part in read for v in part]
        case _:
            assert_never(node)


def _needed(node: Quantize, source: Operation, reach: Interval) -> list[Overflow]:
    """The overflow of each element; none, which is the upper bits left out, where the source cannot leave the type."""
    low, high = bounds(node.types, node.overflow)
    wide = tuple(Fixed(True, 62, 62 - kind.fraction) for kind in node.types)
    least, most = (
        requantize(end[None], source.fractions, wide, node.rounding, Overflow.SAT)[0]
        for end in reach
    )
    fits = (least >= low) & (most <= high)
    return [Overflow.WRAP if fit else node.overflow for fit in fits]


def _product(x: list[FVariable], node: Dense) -> list[FVariable]:
    """x @ weights, the integers of the weights taken in chunks that alkaid's matrices hold exactly."""
    total = [variable(0.0)] * node.weights.values.shape[1]
    # alkaid makes tables of one-bit inputs, and takes each of them for 0 or 1; one of 0 and -1 has one bit as well.
    options: solver_options_t = {"binary_lut": not any(v.low < 0 and sum(v.kif) == 1 for v in x)}
    for chunk, shift in _chunks(node.weights.values):
        part = np.asarray(
            FVArray(np.array(x, dtype=object), options, HARDWARE) @ chunk.astype(np.float64)
        )
        scale = 2.0 ** (shift - node.weights.type.fraction)
        total = [
            a + _fresh(variable(b)) * scale if shift else variable(b) * scale
            for a, b in zip(total, part, strict=True)
        ]
    return total


def _times(x: FVariable, factor: int, fraction: int) -> FVariable:
    x = _fresh(x)
    products = [
        x * (float(chunk) * 2.0 ** (shift - fraction)) for chunk, shift in _chunks(np.array(factor))
    ]
    return sum(map(_fresh, products[1:]), start=products[0])


def _chunks(values: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
    """Integers as a sum of chunk * 2^shift, each chunk small enough for alkaid."""
    shift, half = 0, 1 << (_WEIGHT_BITS - 1)
    while True:
        chunk = ((values + half) & (2 * half - 1)) - half
        yield chunk, shift
        values = (values - chunk) >> _WEIGHT_BITS
        shift += _WEIGHT_BITS
        if not values.any():
            return


def _plus(x: FVariable, constant: float) -> FVariable:
    """x + constant. One too wide for alkaid is added in two parts, the upper one to the upper bits only."""
    if constant == 0:
        return x
    if x.low == x.high:
        return variable(x.low + constant)
    # alkaid merges constants: with one that was added before, and with all that its interval has gathered.
    merged = (constant, constant + _already_added(x), constant + x._affine.bias)
    if max(map(_significant_bits, merged)) <= _CONSTANT_BITS:
        return x + constant
    if _significant_bits(constant) <= _CONSTANT_BITS:
        return _fresh(x) + constant
    cut = _lowest_bit(constant) + _CONSTANT_BITS - 1
    low = float(np.mod(constant, 2.0**cut))
    upper, lower = _cut(_plus(x, low), cut)
    return _joined(_plus(upper, constant - low), lower)


def _joined(a: FVariable, b: FVariable) -> FVariable:
    """a + b, neither of which merges with what it was made of: together that may be wider than alkaid holds."""
    if a.low == a.high:
        return _plus(b, a.low)
    if b.low == b.high:
        return _plus(a, b.low)
    return _fresh(a) + _fresh(b)


def _fresh(x: FVariable) -> FVariable:
    """The same value put together of two parts, so that alkaid's interval forgets the factors and constants it has gathered.

    It looks for their lowest bit in float32: with many of them it would take the value for coarser than it is.
    """
    if x.low == x.high or (x.opr == "new" and x._affine.bias == 0):
        return x
    upper, lower = _cut(x, 1 - x.kif[2])
    return upper + lower


def _cut(x: FVariable, at: int) -> tuple[FVariable, FVariable]:
    """x as a multiple of 2^at and what is left over, side by side: their sum costs nothing."""
    signed, integer, fraction = x.kif
    return x.quantize(signed, max(integer, at + 1), -at), x.quantize(0, at, fraction)


def _already_added(x: FVariable) -> float:
    if x.opr != "cadd":
        return 0.0
    value, shift = (
        ((x._data >> at & 0xFFFFFFFF) + (1 << 31)) % (1 << 32) - (1 << 31) for at in (0, 32)
    )
    return float(value * 2.0**-shift * x._factor)


def _choose(
    key: FVariable, constant: float, x: FVariable, reach: tuple[float, float] | None = None
) -> FVariable:
    """``constant`` where the highest bit of key is set, x elsewhere; a wide constant in two parts.

    ``reach`` is the least and the greatest result, where that is known to be less than both allow.
    """
    if _significant_bits(constant) <= _CONSTANT_BITS:
        return key.msb_mux(
            variable(constant),
            x,
            (*reach, min(x.step, 2.0 ** _lowest_bit(constant or x.step))) if reach else None,
        )
    cut = _lowest_bit(constant) + _CONSTANT_BITS - 1
    low = float(np.mod(constant, 2.0**cut))
    upper, lower = _cut(x, cut)
    return _joined(_choose(key, constant - low, upper), _choose(key, low, lower))


def _significant_bits(value: float) -> int:
    return int(abs(value) / 2.0 ** _lowest_bit(value)).bit_length() if value else 0


def _lowest_bit(value: float) -> int:
    numerator, denominator = float(value).as_integer_ratio()
    return (numerator & -numerator).bit_length() - denominator.bit_length()


def _most(x: FVariable, bound: float) -> FVariable:
    """max(x, bound)"""
    if x.low >= bound:
        return x
    if x.high <= bound:
        return variable(bound)
    if bound == 0:
        return x.relu()
    return _choose(_plus(x, -bound), bound, x, (bound, x.high))


def _least(x: FVariable, bound: float) -> FVariable:
    """min(x, bound)"""
    if x.high <= bound:
        return x
    if x.low >= bound:
        return variable(bound)
    if bound == 0:
        return -(-x).relu()
    return _choose(~_plus(x, -bound).msb(), bound, x, (x.low, bound))


def _accepts(x: FVariable, bound: float) -> FVariable:
    """1 where x >= bound: the sign of their difference, of which nothing else is made."""
    if x.low >= bound or x.high < bound:
        return variable(float(x.low >= bound))
    return ~_plus(x, -np.ceil(bound / x.step) * x.step).msb()


def _quantize(x: FVariable, kind: Fixed, rounding: Rounding, overflow: Overflow) -> FVariable:
    x = _round(x, kind.fraction, rounding)
    step, integer = 2.0**-kind.fraction, kind.integer - kind.signed
    symmetric = overflow is Overflow.SAT_SYM and kind.signed
    low, high = (kind.minimum + symmetric) * step, kind.maximum * step
    if x.low >= low and x.high <= high:
        return x
    if overflow is Overflow.WRAP and x.low == x.high:  # alkaid's own would not wrap a constant
        return variable(low + float(np.mod(x.low - low, high - low + step)))
    if overflow is Overflow.WRAP:
        return x.quantize(kind.signed, integer, kind.fraction)
    if symmetric or x.high < low or x.low > high:
        return _least(_most(x, low), high)
    if not kind.signed:
        x = _most(x, 0.0)
    if x.low >= 0:
        return _saturate(x, integer, kind.fraction)
    return _saturate_both(x, integer, kind.fraction)


def _saturate(x: FVariable, integer: int, fraction: int) -> FVariable:
    """min(x, 2^integer - 2^-fraction) for x >= 0 of ``fraction`` bits: all ones where a bit above is set."""
    high = 2.0**integer - 2.0**-fraction
    if x.high <= high:
        return x
    above = x.quantize(0, x.kif[1], -integer).unary_bit_op("any")
    return _choose(above, high, x.quantize(0, integer, fraction))


def _saturate_both(x: FVariable, integer: int, fraction: int) -> FVariable:
    """x into the signed type: it fits where all bits above are copies of the sign."""
    sign = x.msb()
    above = x.quantize(1, max(x.kif[1], integer), -integer)
    outside = (above ^ (sign * -(2.0**integer))).unary_bit_op("any")
    inside = _choose(
        outside & ~sign, 2.0**integer - 2.0**-fraction, x.quantize(1, integer, fraction)
    )
    return _choose(outside & sign, -(2.0**integer), inside)


def _round(x: FVariable, fraction: int, rounding: Rounding) -> FVariable:
    """x to ``fraction`` fractional bits, without a bound."""
    before = x.kif[2]
    if before <= fraction and x.low != x.high:
        return x
    step, half = 2.0**-fraction, 2.0 ** (-fraction - 1)
    low, high = (_rounded(end, fraction, rounding) for end in (x.low, x.high))
    if low == high:
        return variable(low)
    match rounding:
        case Rounding.TRN:
            y = _floor(x, fraction)
        case Rounding.RND:
            y = _floor(_plus(x, half), fraction)
        case Rounding.RND_INF:
            lsb = 2.0**-before
            shifted = _plus(x, half - lsb) if x.low < 0 else _plus(x, half)
            y = _floor(shifted + ~x.msb() * lsb if x.low < 0 < x.high else shifted, fraction)
        case Rounding.RND_CONV:
            y = _half_to_even(_plus(x, half), fraction)
    signed, integer, _ = FVariable(low, high, step).kif
    return y.quantize(signed, integer, fraction)


def _half_to_even(shifted: FVariable, fraction: int) -> FVariable:
    """Floor of x + 1/2, with the last bit cleared where nothing is left over: there x lay half way."""
    step, up = 2.0**-fraction, _floor(shifted, fraction)
    left_over = shifted.quantize(0, -fraction, shifted.kif[2]).unary_bit_op("any") * step
    if up.low == up.high:
        odd = up.low / step % 2
        return _plus(left_over, up.low - step) if odd else variable(up.low)
    return _floor(up, fraction - 1) + (up.quantize(0, 1 - fraction, fraction) & left_over)


def _floor(x: FVariable, fraction: int) -> FVariable:
    signed, integer, before = x.kif
    if before <= fraction:
        return x
    if x.low == x.high:
        return variable(np.floor(x.low * 2.0**fraction) * 2.0**-fraction)
    return x.quantize(signed, max(integer, 1 - fraction), fraction)


def _rounded(value: float, fraction: int, rounding: Rounding) -> float:
    scaled, half = Fraction(value) * Fraction(2) ** fraction, Fraction(1, 2)
    match rounding:
        case Rounding.TRN:
            integer = math.floor(scaled)
        case Rounding.RND:
            integer = math.floor(scaled + half)
        case Rounding.RND_CONV:
            integer = round(scaled)
        case Rounding.RND_INF:
            integer = math.floor(abs(scaled) + half) * (-1 if scaled < 0 else 1)
    return math.ldexp(integer, -fraction)


def _steps(x: FVariable, node: Staircase) -> FVariable:
    """A staircase, as a table or as a sum over the steps that x has reached."""
    if max(abs(int(v)) for v in node.levels.values) >> _CONSTANT_BITS:
        raise ValueError(f"its levels need more than {_CONSTANT_BITS} bits")
    x = _floor(x, node.thresholds.type.fraction)
    levels = node.levels.real
    # A step between two values of x is taken at the upper one; where several are, the last one counts.
    thresholds, counts = np.unique(
        np.ceil(node.thresholds.real / x.step) * x.step, return_counts=True
    )
    levels = levels[np.concatenate([[0], np.cumsum(counts)])]
    first, last = np.searchsorted(thresholds, [x.low, x.high], side="right")
    thresholds, levels = thresholds[first:last], levels[first : last + 1]
    if not len(thresholds):
        return variable(levels[0])
    # One step below the first threshold and the last threshold itself stand for all that lies further out.
    inside = _least(_most(x, thresholds[0] - x.step), thresholds[-1])
    if sum(inside.kif) < sum(x.kif):
        x = inside
    width = sum(x.kif)
    bits = node.levels.type.width
    comparisons = len(thresholds) * (width / 2 + 1) + bits
    if width <= _SURE_TABLE_BITS or (
        width <= _TABLE_BITS and bits * 2.0 ** (width - 6) < comparisons
    ):
        entries = np.arange(round((x.high - x.low) / x.step) + 1) * x.step + x.low
        return _table(x, levels[np.searchsorted(thresholds, entries, side="right")])
    reached = FVArray(
        np.array([~_plus(x, -t).msb() for t in thresholds], dtype=object), hwconf=HARDWARE
    )
    return _plus(variable((reached @ np.diff(levels)[:, None])[0]), float(levels[0]))


def _table(x: FVariable, values: np.ndarray) -> FVariable:
    """``values`` by position of x between its lowest and its highest value."""
    if len(values) <= 1 << _WHOLE_TABLE_BITS:
        return x.lookup(values)
    index = _plus(x, -x.low)
    bits = int(len(values) - 1).bit_length()
    values = np.concatenate([values, np.full((1 << bits) - len(values), values[-1])])
    below = index.quantize(0, bits - 1 - index.kif[2], index.kif[2])
    halves = (
        _table(below, half) if (half != half[0]).any() else variable(half[0])
        for half in np.split(values, 2)
    )
    lower, upper = halves
    return index.msb().msb_mux(upper, lower)


def variable(value: FVariable | float) -> FVariable:
    """A number as a variable that never changes. Raises ValueError for one that alkaid does not hold exactly."""
    if isinstance(value, FVariable):
        return value
    if _significant_bits(value) > _CONSTANT_BITS:
        raise ValueError(
            f"an element is always {float(value)!r}, which needs more than {_CONSTANT_BITS} bits"
        )
    return FVariable.from_const(float(value), HARDWARE)


def narrowed(x: FVariable, low: float, high: float) -> FVariable:
    """Without the upper bits that the graph's interval, tighter than alkaid's, proves to be copies of the sign."""
    if low == high:
        return variable(low)
    if x.low >= low and x.high <= high:
        return x
    signed, integer, _ = FVariable(float(low), float(high), x.step).kif
    return x.quantize(signed, integer, x.kif[2])

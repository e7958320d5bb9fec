"""Rounding and overflow on alkaid's variables, composed out of its exact operations."""

import math
from fractions import Fraction

import numpy as np
from alkaid.trace import FVariable

from trigger.backends.rtl.choices import choose, maximum, minimum
from trigger.backends.rtl.sums import plus, variable
from trigger.fixedpoint.types import Fixed, Overflow, Rounding


def quantize(x: FVariable, fixed: Fixed, rounding: Rounding, overflow: Overflow) -> FVariable:
    x = _round(x, fixed.fraction, rounding)
    step = 2.0**-fixed.fraction
    integer = fixed.integer - fixed.signed
    symmetric = overflow is Overflow.SAT_SYM and fixed.signed
    low = (fixed.minimum + symmetric) * step
    high = fixed.maximum * step
    if x.low >= low and x.high <= high:
        return x
    if overflow is Overflow.WRAP and x.low == x.high:  # alkaid's own would not wrap a constant
        return variable(low + float(np.mod(x.low - low, high - low + step)))
    if overflow is Overflow.WRAP:
        return x.quantize(fixed.signed, integer, fixed.fraction)
    if symmetric or x.high < low or x.low > high:
        return minimum(maximum(x, low), high)
    if not fixed.signed:
        x = maximum(x, 0.0)
    if x.low >= 0:
        return _saturate(x, integer, fixed.fraction)
    return _saturate_both(x, integer, fixed.fraction)


def _saturate(x: FVariable, integer: int, fraction: int) -> FVariable:
    """min(x, 2^integer - 2^-fraction) for x >= 0 of ``fraction`` bits: all ones where a bit above
    is set.
    """
    high = 2.0**integer - 2.0**-fraction
    if x.high <= high:
        return x
    above = x.quantize(0, x.kif[1], -integer).unary_bit_op("any")
    return choose(above, high, x.quantize(0, integer, fraction))


def _saturate_both(x: FVariable, integer: int, fraction: int) -> FVariable:
    """x into the signed type: it fits where all bits above are copies of the sign."""
    sign = x.msb()
    above = x.quantize(1, max(x.kif[1], integer), -integer)
    outside = (above ^ (sign * -(2.0**integer))).unary_bit_op("any")
    inside = choose(
        outside & ~sign, 2.0**integer - 2.0**-fraction, x.quantize(1, integer, fraction)
    )
    return choose(outside & sign, -(2.0**integer), inside)


def _round(x: FVariable, fraction: int, rounding: Rounding) -> FVariable:
    """x to ``fraction`` fractional bits, without a bound."""
    before = x.kif[2]
    if before <= fraction and x.low != x.high:
        return x
    step = 2.0**-fraction
    half = 2.0 ** (-fraction - 1)
    low, high = (_rounded(end, fraction, rounding) for end in (x.low, x.high))
    if low == high:
        return variable(low)
    match rounding:
        case Rounding.TRN:
            y = floor(x, fraction)
        case Rounding.RND:
            y = floor(plus(x, half), fraction)
        case Rounding.RND_INF:
            lsb = 2.0**-before
            shifted = plus(x, half - lsb) if x.low < 0 else plus(x, half)
            y = floor(shifted + ~x.msb() * lsb if x.low < 0 < x.high else shifted, fraction)
        case Rounding.RND_CONV:
            y = _half_to_even(plus(x, half), fraction)
    signed, integer, _ = FVariable(low, high, step).kif
    return y.quantize(signed, integer, fraction)


def _half_to_even(shifted: FVariable, fraction: int) -> FVariable:
    """Floor of x + 1/2, with the last bit cleared if nothing is left over, because x was a tie."""
    step = 2.0**-fraction
    up = floor(shifted, fraction)
    left_over = shifted.quantize(0, -fraction, shifted.kif[2]).unary_bit_op("any") * step
    if up.low == up.high:
        odd = up.low / step % 2
        return plus(left_over, up.low - step) if odd else variable(up.low)
    return floor(up, fraction - 1) + (up.quantize(0, 1 - fraction, fraction) & left_over)


def floor(x: FVariable, fraction: int) -> FVariable:
    signed, integer, before = x.kif
    if before <= fraction:
        return x
    if x.low == x.high:
        return variable(np.floor(x.low * 2.0**fraction) * 2.0**-fraction)
    return x.quantize(signed, max(integer, 1 - fraction), fraction)


def _rounded(value: float, fraction: int, rounding: Rounding) -> float:
    scaled = Fraction(value) * Fraction(2) ** fraction
    half = Fraction(1, 2)
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

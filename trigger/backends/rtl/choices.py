"""One of two values of alkaid's variables, and the comparison with a constant."""

import numpy as np
from alkaid.trace import FVariable

from trigger.backends.rtl.sums import (
    CONSTANT_BITS,
    LUT_INPUTS,
    fresh,
    integers,
    joined,
    lowest_bit,
    plus,
    significant_bits,
    split,
    variable,
)

# The most bits that tables compare: three of them.
_COMPARED_BITS = 16
# alkaid's names of sums: of two variables, and with a constant.
_SUMS = ("vadd", "cadd")


def choose(
    key: FVariable, constant: float, x: FVariable, reach: tuple[float, float] | None = None
) -> FVariable:
    """``constant`` where the highest bit of key is set, x elsewhere; a wide constant in two parts.

    ``reach`` is the least and the greatest result, where that is known to be less than both allow.
    """
    if significant_bits(constant) <= CONSTANT_BITS:
        return key.msb_mux(
            variable(constant),
            x,
            (*reach, min(x.step, 2.0 ** lowest_bit(constant or x.step))) if reach else None,
        )
    cut = lowest_bit(constant) + CONSTANT_BITS - 1
    low = float(np.mod(constant, 2.0**cut))
    upper, lower = split(x, cut)
    return joined(choose(key, constant - low, upper), choose(key, low, lower))


def maximum(x: FVariable, bound: float) -> FVariable:
    """max(x, bound)"""
    if x.low >= bound:
        return x
    if x.high <= bound:
        return variable(bound)
    if bound == 0:
        return x.relu()
    return choose(plus(x, -bound), bound, x, (bound, x.high))


def minimum(x: FVariable, bound: float) -> FVariable:
    """min(x, bound)"""
    if x.high <= bound:
        return x
    if x.low >= bound:
        return variable(bound)
    if bound == 0:
        return -(-x).relu()
    return choose(~plus(x, -bound).msb(), bound, x, (x.low, bound))


def accepts(x: FVariable, bound: float) -> FVariable:
    """1 where x >= bound.

    Up to some bits of x, from the lowest one of the bound on, are compared by tables. More are a
    subtraction, of which only the sign is computed; so is a sum, with which it merges.
    """
    if x.low >= bound or x.high < bound:
        return variable(float(x.low >= bound))
    bound = float(np.ceil(bound / x.step) * x.step)
    if x.opr in _SUMS or sum(x.kif[:2]) - _lowest(x, bound) > _COMPARED_BITS:
        return ~plus(x, -bound).msb()
    return _reached(x, bound)


def _reached(x: FVariable, bound: float) -> FVariable:
    """1 where x >= bound, for a bound on the grid of x: a table of six inputs for five bits each.

    A table compares the upper five bits; where they are equal, the comparison of the lower bits
    decides, which other bounds share. Bits below the lowest one of the bound are not read.
    """
    signed, integer, _ = x.kif
    x = x.quantize(signed, integer, -_lowest(x, bound))
    if sum(x.kif) <= LUT_INPUTS:
        return x.lookup(np.array([v * x.step >= bound for v in integers(x)], dtype=float))
    cut = signed + integer - (LUT_INPUTS - 1)
    upper, lower = split(x, cut)
    below = float(np.mod(bound, 2.0**cut))
    address = joined(upper * 2.0 ** (1 - cut), _reached(lower, below))
    least = 2 * round((bound - below) * 2.0**-cut) + 1
    return address.lookup((integers(address) * address.step >= least).astype(float))


def _lowest(x: FVariable, bound: float) -> int:
    """The lowest bit of x that decides whether it reaches the bound."""
    return lowest_bit(bound) if bound else x.kif[1]


def larger(a: FVariable, b: FVariable) -> FVariable:
    """max(a, b), by the sign of their difference."""
    if a is b or a.low >= b.high:
        return a
    if b.low >= a.high:
        return b
    return (fresh(a) - fresh(b)).msb_mux(b, a)


def smaller(a: FVariable, b: FVariable) -> FVariable:
    """min(a, b), by the sign of their difference."""
    if a is b or a.high <= b.low:
        return a
    if b.high <= a.low:
        return b
    return (fresh(a) - fresh(b)).msb_mux(a, b)

"""One of two values of alkaid's variables, and the comparison with a constant."""

import numpy as np
from alkaid.trace import FVariable

from trigger.backends.rtl.sums import (
    CONSTANT_BITS,
    fresh,
    joined,
    lowest_bit,
    plus,
    significant_bits,
    split,
    variable,
)


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
    """1 where x >= bound: the sign of their difference; no other bit of it is computed."""
    if x.low >= bound or x.high < bound:
        return variable(float(x.low >= bound))
    return ~plus(x, -np.ceil(bound / x.step) * x.step).msb()


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

"""The product of two of alkaid's variables, in parts that each fit a fast clock cycle."""

from collections.abc import Callable

import numpy as np
from alkaid.trace import FVariable
from alkaid.trace.passes.surrogate import cost_lat_mul

from trigger.backends.rtl.dsp import fits
from trigger.backends.rtl.sums import HARDWARE, fresh, joined, lowest_bit, split, times, variable

# A longer multiplication is a sum of shorter ones, which pipeline registers may separate.
_LONGEST_NS = 2.0
# A square of at most this many bits is a table of one LUT per bit.
_TABLE_BITS = 6

# Whether a product needs no parts.
_Test = Callable[[FVariable, FVariable], bool]


def multiplied(a: FVariable, b: FVariable, dsp: bool) -> FVariable:
    """a * b; the parts fit DSP blocks if they are for these."""
    for x, y in ((a, b), (b, a)):
        if x.low == x.high:
            return _scaled(y, x.low)
    is_part = _fits if dsp else _is_short
    return _square(fresh(a), is_part) if a is b else _product(fresh(a), fresh(b), is_part)


def _scaled(x: FVariable, factor: float) -> FVariable:
    if x.low == x.high or factor == 0:
        return variable(x.low * factor)
    unit = lowest_bit(factor)
    return times(x, int(factor / 2.0**unit), -unit)


def _product(a: FVariable, b: FVariable, is_part: _Test) -> FVariable:
    if is_part(a, b):
        return a * b
    wide, narrow = (a, b) if sum(a.kif) >= sum(b.kif) else (b, a)
    upper, lower = _halves(wide)
    return joined(_product(upper, narrow, is_part), _product(lower, narrow, is_part))


def _square(x: FVariable, is_part: _Test) -> FVariable:
    """Cheaper than the product of two: both halves meet once, not twice."""
    if sum(x.kif) <= _TABLE_BITS:
        values = np.arange(round(x.low / x.step), round(x.high / x.step) + 1)
        return x.lookup(values.astype(np.float64) ** 2) * x.step**2
    if is_part(x, x):
        return x * x
    upper, lower = _halves(x)
    squares = joined(_square(upper, is_part), _square(lower, is_part))
    return joined(squares, _product(upper, lower, is_part) * 2.0)


def _fits(a: FVariable, b: FVariable) -> bool:
    return fits(a.qint, b.qint)


def _is_short(a: FVariable, b: FVariable) -> bool:
    _, delay = cost_lat_mul(a.qint, b.qint, HARDWARE.adder_size, HARDWARE.carry_size)
    return bool(delay <= _LONGEST_NS)


def _halves(x: FVariable) -> tuple[FVariable, FVariable]:
    return split(x, sum(x.kif) // 2 - x.kif[2])

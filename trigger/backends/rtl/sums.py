"""Sums and products of alkaid's variables, kept so narrow that alkaid holds them exactly."""

from collections.abc import Iterator

import numpy as np
from alkaid.trace import FVariable, HWConfig

from trigger.backends.rtl.alkaid_private import gathered, last_added
from trigger.fixedpoint.types import Integers

# Delay and cost of an adder are counted bit by bit: alkaid's own defaults.
HARDWARE = HWConfig(1, 1, -1)
# The inputs of a table that is one LUT.
LUT_INPUTS = 6
# alkaid holds constants, matrices and tables in float32 and silently drops further bits, so all are
# kept narrow. Sums of six weights, of which it makes tables, must stay below 24 bits too.
_WEIGHT_BITS, CONSTANT_BITS = 20, 24


def variable(value: FVariable | float) -> FVariable:
    """A number as a variable that never changes.

    Raises ValueError for one that alkaid does not hold exactly.
    """
    if isinstance(value, FVariable):
        return value
    if significant_bits(value) > CONSTANT_BITS:
        raise ValueError(
            f"an element is always {float(value)!r}, which needs more than {CONSTANT_BITS} bits"
        )
    return FVariable.from_const(float(value), HARDWARE)


def narrowed(x: FVariable, low: float, high: float) -> FVariable:
    """Without the upper bits that the graph's interval, tighter than alkaid's, proves to be copies
    of the sign.
    """
    if low == high:
        return variable(low)
    if x.low >= low and x.high <= high:
        return x
    signed, integer, _ = FVariable(float(low), float(high), x.step).kif
    return x.quantize(signed, integer, x.kif[2])


def times(x: FVariable, factor: int, fraction: int) -> FVariable:
    x = fresh(x)
    products = [
        x * (float(chunk) * 2.0 ** (shift - fraction)) for chunk, shift in chunks(np.array(factor))
    ]
    return sum(map(fresh, products[1:]), start=products[0])


def chunks(values: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
    """Integers as a sum of chunk * 2^shift, each chunk small enough for alkaid."""
    shift, half = 0, 1 << (_WEIGHT_BITS - 1)
    while True:
        chunk = ((values + half) & (2 * half - 1)) - half
        yield chunk, shift
        values = (values - chunk) >> _WEIGHT_BITS
        shift += _WEIGHT_BITS
        if not values.any():
            return


def plus(x: FVariable, constant: float) -> FVariable:
    """x + constant.

    One too wide for alkaid is added in two parts, the upper one to the upper bits only.
    """
    if constant == 0:
        return x
    if x.low == x.high:
        return variable(x.low + constant)
    # alkaid merges constants: with one that was added before, and with all that its interval has
    # gathered.
    merged = (constant, constant + last_added(x), constant + gathered(x))
    if max(map(significant_bits, merged)) <= CONSTANT_BITS:
        return x + constant
    if significant_bits(constant) <= CONSTANT_BITS:
        return fresh(x) + constant
    cut = lowest_bit(constant) + CONSTANT_BITS - 1
    low = float(np.mod(constant, 2.0**cut))
    upper, lower = split(plus(x, low), cut)
    return joined(plus(upper, constant - low), lower)


def joined(a: FVariable, b: FVariable) -> FVariable:
    """a + b, neither of which merges with what it was made of: together that may be wider than
    alkaid holds.
    """
    if a.low == a.high:
        return plus(b, a.low)
    if b.low == b.high:
        return plus(a, b.low)
    return fresh(a) + fresh(b)


def fresh(x: FVariable) -> FVariable:
    """The same value put together of two parts, so that alkaid's interval forgets the factors and
    constants it has gathered.

    It looks for their lowest bit in float32: with many of them it would take the value for coarser
    than it is.
    """
    if x.low == x.high or (x.opr == "new" and gathered(x) == 0):
        return x
    upper, lower = split(x, 1 - x.kif[2])
    return upper + lower


def split(x: FVariable, at: int) -> tuple[FVariable, FVariable]:
    """x as a multiple of 2^at and what is left over, side by side: their sum costs nothing."""
    signed, integer, fraction = x.kif
    return x.quantize(signed, max(integer, at + 1), -at), x.quantize(0, at, fraction)


def integers(x: FVariable) -> Integers:
    """All that a variable may be, in its steps."""
    first, last = round(x.low / x.step), round(x.high / x.step)
    return np.arange(first, last + 1)


def significant_bits(value: float) -> int:
    return int(abs(value) / 2.0 ** lowest_bit(value)).bit_length() if value else 0


def lowest_bit(value: float) -> int:
    numerator, denominator = float(value).as_integer_ratio()
    return (numerator & -numerator).bit_length() - denominator.bit_length()

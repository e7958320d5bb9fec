"""Numbers of ap_fixed types with their modes, and the assignment of a value to one of them."""

import math
from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.types import MAX_WIDTH, Fixed, Integers, Overflow, Rounding, smallest
from trigger.frontends.hls4ml.headers import HeaderError, Headers
from trigger.frontends.inexact import Refusal

_ROUNDINGS = {f"AP_{mode}": mode for mode in Rounding}
_OVERFLOWS = {f"AP_{mode}": mode for mode in Overflow}


class Number(NamedTuple):
    """A type of C++ with the modes of ap_fixed; an ``integer`` cuts fractions off, towards zero."""

    fixed: Fixed
    rounding: Rounding = Rounding.TRN
    overflow: Overflow = Overflow.WRAP
    integer: bool = False

    @property
    def least(self) -> int:
        symmetric = self.overflow is Overflow.SAT_SYM and self.fixed.signed
        return self.fixed.minimum + symmetric

    @property
    def is_bit(self) -> bool:
        """Whether it is ap_uint<1>, for which hls4ml has products of its own."""
        return self.fixed == Fixed(False, 1, 1)

    def holds(self, low: int, high: int) -> bool:
        """Whether integers of the type's step need neither saturation nor wrapping."""
        return self.least <= low and high <= self.fixed.maximum


def number(headers: Headers, name: str) -> Number:
    """The type of this name. Raises HeaderError for one that the graph does not have."""
    fixed, _ = headers.fixed(name)
    modes = headers.modes(name)
    rounding, overflow = Rounding.TRN, Overflow.WRAP
    if modes:
        if modes[0] not in _ROUNDINGS:
            raise HeaderError(
                f"the type {name} rounds by {modes[0]}, which the graph does not have"
            )
        rounding = _ROUNDINGS[modes[0]]
    if len(modes) > 1:
        if modes[1] not in _OVERFLOWS:
            raise HeaderError(
                f"the type {name} overflows by {modes[1]}, which the graph does not have"
            )
        overflow = _OVERFLOWS[modes[1]]
    if len(modes) > 2 and modes[2] != "0":
        raise HeaderError(f"the type {name} keeps {modes[2]} bits when it wraps")
    return Number(fixed, rounding, overflow, headers.is_integer(name))


def stored(value: float, kind: Number) -> int:
    """The integer of a real number that C++ assigns to a variable of the type."""
    scaled = Fraction(value) * Fraction(2) ** kind.fixed.fraction
    if kind.integer:
        return _fitted(math.trunc(scaled), kind)
    match kind.rounding:
        case Rounding.TRN:
            whole = math.floor(scaled)
        case Rounding.RND:
            whole = math.floor(scaled + Fraction(1, 2))
        case Rounding.RND_CONV:
            whole = round(scaled)
        case Rounding.RND_INF:
            whole = int(math.copysign(1, scaled)) * math.floor(abs(scaled) + Fraction(1, 2))
    return _fitted(whole, kind)


def _fitted(whole: int, kind: Number) -> int:
    if kind.overflow is not Overflow.WRAP:
        return min(max(whole, kind.least), kind.fixed.maximum)
    span = 1 << kind.fixed.width
    return (whole - kind.fixed.minimum) % span + kind.fixed.minimum


def values(integers: Integers, kind: Number) -> np.ndarray:
    """Integers of a type as real numbers; a type for constants has at most 53 bits."""
    if kind.fixed.width > MAX_WIDTH:
        raise Refusal(
            f"its constants have {kind.fixed.width} bits, but float64 holds {MAX_WIDTH}",
            "give them a narrower type",
        )
    return np.ldexp(integers.astype(np.float64), -kind.fixed.fraction)


def rounded(reals: Iterable[float], kind: Number) -> np.ndarray:
    """Real numbers after their assignment to variables of the type."""
    step = Fraction(2) ** -kind.fixed.fraction
    return np.array([float(stored(value, kind) * step) for value in reals])


def real(text: str) -> float:
    """A number that is written in C++. Raises HeaderError if it is an expression."""
    try:
        return float(text)
    except ValueError as error:
        raise HeaderError(f"{text!r} is not a number") from error


def assigned(builder: Builder, name: str, source: str, kind: Number) -> str:
    """A value after its assignment to a variable of the type; the same node if nothing changes."""
    if kind.integer and (builder.range(source).low < 0).any():
        source = cut(builder, name, source)
    low, high = _ends(builder, source, kind)
    node = builder[source]
    fixed, overflow = kind.fixed, kind.overflow
    if kind.holds(low, high):
        if node.fractions.max() <= kind.fixed.fraction:
            return source
        # Only rounding: in the narrowest type, because that of C++ may have more than 53 bits. It
        # holds every result, also where AP_SAT_SYM would leave out its least integer.
        fixed, overflow = smallest(low, high, kind.fixed.fraction), Overflow.SAT
    if fixed.width > MAX_WIDTH:
        raise Refusal(
            f"a value can overflow its type of {fixed.width} bits, but float64 holds {MAX_WIDTH}",
            "widen the type so that it cannot, or use fewer bits",
        )
    types = (fixed,) * len(node.types)
    return builder.quantize(name, source, types, kind.rounding, overflow)


def cut(builder: Builder, name: str, source: str) -> str:
    """A value without its fraction: rounded towards zero."""
    fractions = builder[source].fractions
    if (fractions <= 0).all():
        return source
    if fractions.max() > MAX_WIDTH:
        raise Refusal(
            f"a value of {fractions.max()} fractional bits is rounded towards zero",
            "use fewer fractional bits before it",
        )
    below = builder.clip(f"{name}_below", source, None, 0.0)
    above = builder.clip(f"{name}_above", source, 0.0, None)
    ones = constant(np.ones(len(fractions)))
    most = constant(1 - 2.0 ** -np.maximum(fractions, 0))
    up = builder.affine(f"{name}_up", below, ones, most)
    parts = [_floor(builder, f"{name}_{k}", part) for k, part in enumerate((up, above))]
    return builder.add(f"{name}_cut", (parts[0], parts[1]))


def _floor(builder: Builder, name: str, source: str) -> str:
    # Saturation never happens, but it keeps the interval as narrow as it is.
    low, high = _ends(builder, source, Number(Fixed(True, 1, 1)))
    types = (smallest(low, high, 0),) * len(builder[source].types)
    return builder.quantize(name, source, types, Rounding.TRN, Overflow.SAT)


def _ends(builder: Builder, source: str, kind: Number) -> tuple[int, int]:
    """The least and the greatest integer of a value, in steps of the type, rounded outwards."""
    span = builder.range(source)
    low, high = 0, 0
    fractions = builder[source].fractions.tolist()
    for least, most, fraction in zip(span.low.tolist(), span.high.tolist(), fractions, strict=True):
        step = Fraction(2) ** (kind.fixed.fraction - fraction)
        low = min(low, math.floor(least * step))
        high = max(high, math.ceil(most * step))
    return low, high

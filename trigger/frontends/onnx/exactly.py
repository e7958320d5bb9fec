"""Exact numbers in arrays: Python's fractions in place of floats."""

from fractions import Fraction
from typing import Any

import numpy as np

from trigger.frontends.inexact import Refusal

# An array of fractions, dtype object.
Exact = np.ndarray
# A factor with more bits is left out of the graph, or is cheaper together with a quantiser.
_SHORT_BITS = 12


def exact(values: Any, shape: tuple[int, ...] | None = None) -> Exact:
    """Numbers as fractions, also broadcast to a shape. Equal numbers share one object.

    Raises Refusal if one is not finite.
    """
    given = np.asarray(values)
    if given.dtype.kind == "f" and not np.isfinite(given).all():
        raise Refusal("its constants are not finite", "use finite numbers")
    made = np.empty(given.shape, dtype=object)
    known: dict[Any, Fraction] = {}
    for place, value in enumerate(given.ravel().tolist()):
        if value not in known:
            known[value] = Fraction(value)
        made.flat[place] = known[value]
    return made if shape is None else np.broadcast_to(made, shape)


def floats(values: Exact) -> np.ndarray | None:
    """The same numbers in float64; None if one of them has no float64 of its own."""
    flat = values.ravel().tolist()
    if not all(_fits(value) for value in set(flat)):
        return None
    return np.array([float(value) for value in flat], dtype=np.float64).reshape(values.shape)


def _fits(value: Fraction) -> bool:
    size = value.denominator
    if size & (size - 1) or abs(value.numerator).bit_length() > 1000 or size.bit_length() > 400:
        return False
    return Fraction(float(value)) == value


def is_power_of_two(value: Fraction) -> bool:
    """Whether a number is a power of two, positive."""
    return value > 0 and all(n & (n - 1) == 0 for n in (value.numerator, value.denominator))


def is_short(factor: Fraction) -> bool:
    """Whether a factor costs little as it is: it has few bits, or is a power of two."""
    return factor.numerator.bit_length() <= _SHORT_BITS or is_power_of_two(abs(factor))


def fraction_of(power: Fraction) -> int:
    """The number of fractional bits of a type whose step is this power of two."""
    return power.denominator.bit_length() - power.numerator.bit_length()

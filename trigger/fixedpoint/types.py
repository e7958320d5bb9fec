"""Fixed-point types and the arithmetic of rounding and overflow, in integers.

A value of type ``fixed<W,I>`` is an integer of W bits times 2^(I-W); I is the number of integer
bits, sign included, and may be negative or exceed W, as in ``ap_fixed`` (AMD UG1399, "Arbitrary
Precision Fixed-Point").
"""

import re
from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Reals = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Rounding(StrEnum):
    """How the bits below the new least significant bit are rounded; the names are those of
    ap_fixed.
    """

    TRN = "TRN"
    RND = "RND"
    RND_CONV = "RND_CONV"
    RND_INF = "RND_INF"


class Overflow(StrEnum):
    """How a value outside the range of the type is handled; the names are those of ap_fixed."""

    WRAP = "WRAP"
    SAT = "SAT"
    SAT_SYM = "SAT_SYM"


class Fixed(NamedTuple):
    """A fixed-point type. ``str()`` gives and ``parse`` reads ``fixed<W,I>`` or ``ufixed<W,I>``."""

    signed: bool
    width: int
    integer: int

    @property
    def fraction(self) -> int:
        """Fractional bits; the least significant bit is worth 2^-fraction."""
        return self.width - self.integer

    @property
    def minimum(self) -> int:
        return -(1 << (self.width - 1)) if self.signed else 0

    @property
    def maximum(self) -> int:
        return (1 << (self.width - self.signed)) - 1

    def __str__(self) -> str:
        return f"{'' if self.signed else 'u'}fixed<{self.width},{self.integer}>"

    @classmethod
    def parse(cls, text: str) -> "Fixed":
        """Read ``fixed<W,I>`` or ``ufixed<W,I>``. Raises ValueError that states the accepted
        form.
        """
        match = re.fullmatch(r"\s*(u?)fixed<\s*(\d{1,4})\s*,\s*(-?\d{1,4})\s*>\s*", text)
        if not match or not 1 <= int(match[2]) <= MAX_WIDTH:
            raise ValueError(f"{text[:60]!r} {NOT_A_TYPE}")
        return cls(not match[1], int(match[2]), int(match[3]))


# The trained network is evaluated in float64, which holds integers of this size exactly; wider
# values cannot be verified.
MAX_WIDTH = 53
NOT_A_TYPE = f"is not a type; write fixed<W,I> or ufixed<W,I> with W from 1 to {MAX_WIDTH}"
# Longer shifts change nothing: to the left the value saturates or wraps to 0, to the right it is 0
# or -1.
FARTHEST_SHIFT = MAX_WIDTH + 1


@lru_cache(1 << 12)  # many elements have equal ends
def smallest(low: int, high: int, fraction: int) -> Fixed:
    """The narrowest type with ``fraction`` fractional bits that holds every integer from ``low`` to
    ``high``.
    """
    signed = low < 0
    width = (
        max(max(high, 0).bit_length(), (~low).bit_length() if signed else 0, 1 - signed) + signed
    )
    return Fixed(signed, width, width - fraction)


def enclosing(types: Iterable[Fixed]) -> Fixed:
    """The narrowest single type that holds every value of all ``types`` exactly."""
    types = tuple(types)
    fraction = max(t.fraction for t in types)
    low = min(t.minimum << (fraction - t.fraction) for t in types)
    high = max(t.maximum << (fraction - t.fraction) for t in types)
    return smallest(low, high, fraction)


@lru_cache(1 << 8)  # each node is asked many times
def fractions(types: tuple[Fixed, ...]) -> Integers:
    """The number of fractional bits of each type; the array is read-only."""
    fractions = np.array([t.fraction for t in types], dtype=np.int64)
    fractions.setflags(write=False)
    return fractions


def bounds(types: Iterable[Fixed], overflow: Overflow = Overflow.SAT) -> tuple[Integers, Integers]:
    """The smallest and the largest integer of each type; SAT_SYM excludes the most negative one."""
    types = tuple(types)
    symmetric = overflow is Overflow.SAT_SYM
    low = {t: t.minimum + (symmetric and t.signed) for t in set(types)}
    high = {t: t.maximum for t in low}
    return (
        np.array([low[t] for t in types], dtype=np.int64),
        np.array([high[t] for t in types], dtype=np.int64),
    )

"""Step functions of integers as a product, a sum and a shift.

A level is reached from an integer on. Where the steps are nearly equal, as those of a quantiser
are, (n * factor + offset) >> shift makes the same steps, for every integer.
"""

from typing import NamedTuple

import numpy as np

from trigger.fixedpoint.types import Integers

_LONGEST = 48
# Pairs of so many steps limit the factor; all steps are then checked.
_MOST_STEPS = 600
# Steps that did not limit the factor may need longer shifts by so many bits.
_MORE = 4
# Products and sums of these fit 64 bits.
_MOST_BITS = 62


class Multiplier(NamedTuple):
    """floor((n * factor + offset) / 2^shift)."""

    factor: int
    offset: int
    shift: int


def multiplier(places: Integers, first: int) -> Multiplier | None:
    """The one with the shortest shift that reaches ``first + k`` exactly from ``places[k]`` on; the
    result must be limited to the levels from ``first - 1`` on.

    ``places`` never fall. None if there is none.
    """
    if not len(places):
        return Multiplier(0, first - 1, 0)
    largest = max(abs(first), abs(first + len(places))) + 1
    low, high = 0, min(_LONGEST, _MOST_BITS - 2 - largest.bit_length())
    steps = _Steps(places, first)
    while low < high:  # a factor and an offset for a shift, twice as large, serve the next
        middle = (low + high) // 2
        least, most = steps.factors(middle)
        if least <= most:
            high = middle
        else:
            low = middle + 1
    return next((one for shift in range(low, low + _MORE) if (one := steps.at(shift))), None)


class _Steps:
    """The steps, and the two by two distances of those that limit the factor."""

    def __init__(self, places: Integers, first: int) -> None:
        self.places = places
        self.levels = first + np.arange(len(places))
        count = len(places)
        chosen = np.unique(np.linspace(0, count - 1, min(count, _MOST_STEPS)).astype(np.int64))
        self.rises = chosen[:, None] - chosen[None, :]
        self.runs = places[chosen][:, None] - places[chosen][None, :]

    def factors(self, shift: int) -> tuple[int, int]:
        """The least and the greatest factor that any two steps allow."""
        rises = self.rises << shift
        # Of two steps, the later one is reached, and the earlier one is not reached too early.
        longer = self.runs >= 0
        least = max(int((-(-(rises[longer] + 1) // (self.runs[longer] + 1))).max()), 1)
        apart = self.runs > 1
        if not apart.any():
            return least, 2 * least
        return least, int(((rises[apart] - 1) // (self.runs[apart] - 1)).min())

    def at(self, shift: int) -> Multiplier | None:
        """A factor and an offset that make all steps."""
        least, most = self.factors(shift)
        reach = int(np.abs(self.places).max()) + 1
        for factor in dict.fromkeys((simplest(least, most), least, (least + most) // 2, most)):
            fits = factor.bit_length() + reach.bit_length() < _MOST_BITS
            if least <= factor <= most and fits:
                levels = self.levels << shift
                low = int((levels - self.places * factor).max())
                high = int((levels - (self.places - 1) * factor).min()) - 1
                if low <= high:
                    return Multiplier(factor, simplest(low, high), shift)
        return None


def simplest(low: int, high: int) -> int:
    """The number from low to high with the most zeros at its end."""
    if low <= 0 <= high:
        return 0
    shift = 0
    while -(-low >> (shift + 1)) << (shift + 1) <= high:
        shift += 1
        if shift > _MOST_BITS:
            break
    return -(-low >> shift) << shift

"""Step functions: which integer a quantiser makes of a real number.

They are written from the specifications of QONNX (Quant, BipolarQuant, Trunc, MultiThreshold) and
ONNX (QuantizeLinear), as bounds: the integer is ``low`` plus the number of bounds that are reached.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from trigger.frontends.inexact import Refusal
from trigger.frontends.onnx.exactly import Exact, exact
from trigger.frontends.onnx.steps import Side

_HALF = Fraction(1, 2)
MOST_BITS = 32


class Levels(NamedTuple):
    """Integers from ``low`` to ``high``. ``side(j, key)`` is where an element with that key reaches
    j or more; ``keys`` has the keys of the elements.
    """

    low: int
    high: int
    keys: np.ndarray
    side: Callable[[int, Any], Side]
    # By which executors divide.
    scales: frozenset[Fraction] = frozenset()


class Grid(NamedTuple):
    """A quantiser with equal steps: ``scale * (q - zero)`` for integers q from low to high, where q
    is x / scale + zero, limited and rounded.
    """

    scale: Exact
    zero: Exact
    low: int
    high: int
    rounding: str

    def levels(self, shape: tuple[int, ...]) -> Levels:
        keys = np.empty(shape, dtype=object)
        pairs = (np.broadcast_to(part, shape).ravel() for part in (self.scale, self.zero))
        keys.ravel()[:] = np.fromiter(zip(*pairs, strict=True), dtype=object, count=keys.size)
        reach = ROUNDINGS[self.rounding]

        def side(level: int, key: tuple[Fraction, Fraction]) -> Side:
            bound, inclusive = reach(level)
            scale, zero = key
            return Side((bound - zero) * scale, inclusive)

        return Levels(self.low, self.high, keys, side, frozenset(self.scale.ravel().tolist()))


def _half_even(level: int) -> tuple[Fraction, bool]:
    return level - _HALF, level % 2 == 0


def _ceil(level: int) -> tuple[Fraction, bool]:
    return Fraction(level - 1), False


def _floor(level: int) -> tuple[Fraction, bool]:
    return Fraction(level), True


def _down(level: int) -> tuple[Fraction, bool]:
    return _floor(level) if level > 0 else _ceil(level)


def _up(level: int) -> tuple[Fraction, bool]:
    return _ceil(level) if level > 0 else _floor(level)


def _half_up(level: int) -> tuple[Fraction, bool]:
    return level - _HALF, level > 0


def _half_down(level: int) -> tuple[Fraction, bool]:
    return level - _HALF, level <= 0


# For each rounding of QONNX: from where on a number becomes this level or more, and whether that
# number itself does.
ROUNDINGS: dict[str, Callable[[int], tuple[Fraction, bool]]] = {
    "ROUND": _half_even,
    "HALF_EVEN": _half_even,
    "CEIL": _ceil,
    "FLOOR": _floor,
    "UP": _up,
    "DOWN": _down,
    "ROUND_TO_ZERO": _down,
    "HALF_UP": _half_up,
    "HALF_DOWN": _half_down,
}


def rounding(mode: str) -> str:
    """The rounding of an attribute. Raises Refusal for one that QONNX does not have."""
    if mode.upper() not in ROUNDINGS:
        raise Refusal(
            f"its rounding_mode {mode[:20]!r} is not one of QONNX",
            f"use one of {', '.join(ROUNDINGS)}",
        )
    return mode.upper()


def truncated(scale: Exact, shift: int, grid: Grid, shape: tuple[int, ...]) -> Levels:
    """The levels of Trunc: a number is rounded to its step, divided by 2^shift, and rounded
    again.
    """
    keys = grid._replace(scale=scale).levels(shape).keys
    reach = ROUNDINGS[grid.rounding]

    def side(level: int, key: tuple[Fraction, Fraction]) -> Side:
        bound, inclusive = reach(level)
        place = bound * (1 << shift)
        whole = -(-place.numerator // place.denominator)  # the first whole step that reaches it
        whole += 0 if inclusive or whole != place else 1
        middle, even = _half_even(whole)
        own, zero = key
        return Side((middle - zero) * own, even)

    return Levels(grid.low, grid.high, keys, side, frozenset(scale.ravel().tolist()))


def counted(bounds: np.ndarray, shape: tuple[int, ...], axis: int) -> Levels:
    """The levels of MultiThreshold: how many bounds of its channel an element reaches."""
    rows = [tuple(row) for row in exact(np.sort(bounds.astype(np.float64), axis=1))]
    keys = np.empty(shape, dtype=object)
    places = np.indices(shape)[axis].ravel() if len(rows) > 1 else np.zeros(keys.size, dtype=int)
    for place, row in enumerate(places.tolist()):
        keys.ravel()[place] = rows[row]
    return Levels(0, bounds.shape[1], keys, lambda level, row: Side(row[level - 1], True))


def signs(shape: tuple[int, ...]) -> Levels:
    """1 from zero on, 0 below."""
    keys = np.zeros(shape, dtype=object)
    return Levels(0, 1, keys, lambda level, key: Side(Fraction(0), True))


def limits(bits: Any, signed: bool, narrow: bool) -> tuple[int, int]:
    """The least and the greatest integer of a quantiser. Raises Refusal for bits that it cannot
    have.
    """
    values = np.unique(np.asarray(bits, dtype=np.float64))
    width = float(values[0]) if len(values) == 1 else 0.0
    if not (width.is_integer() and 1 <= width <= MOST_BITS):
        shown = ", ".join(f"{value:g}" for value in values[:4])
        raise Refusal(
            f"its bit width is {shown}", f"use one whole number of bits, from 1 to {MOST_BITS}"
        )
    whole = int(width)
    if signed:
        return -(1 << (whole - 1)) + narrow, (1 << (whole - 1)) - 1
    return 0, (1 << whole) - 1 - narrow

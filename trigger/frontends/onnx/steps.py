"""What is left to do with elements of the graph: lines, bends and smooth functions, in order.

A trained network scales, shifts and bends values before the next quantiser. These steps need no
hardware of their own: the quantiser after them turns all of them into one step function of the
integers before them.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from trigger.fixedpoint.types import Reals
from trigger.frontends.onnx.exactly import Exact

Move = Callable[[np.ndarray], np.ndarray]


class Line(NamedTuple):
    """scale * x + offset, element by element."""

    scale: Exact
    offset: Exact

    def moved(self, move: Move) -> "Line":
        return Line(move(self.scale), move(self.offset))

    def of(self, place: tuple[int, ...]) -> "Slope":
        return Slope(self.scale[place], self.offset[place])


class Clip(NamedTuple):
    """min(max(x, low), high), element by element; None is no bound."""

    low: Exact | None
    high: Exact | None

    def moved(self, move: Move) -> "Clip":
        return Clip(*(None if end is None else move(end) for end in self))

    def of(self, place: tuple[int, ...]) -> "Ends":
        return Ends(*(None if end is None else end[place] for end in self))


class Leaky(NamedTuple):
    """x where it is positive, slope * x elsewhere; slopes are positive."""

    slope: Exact

    def moved(self, move: Move) -> "Leaky":
        return Leaky(move(self.slope))

    def of(self, place: tuple[int, ...]) -> "Kink":
        return Kink(self.slope[place])


class Smooth(NamedTuple):
    """A real-valued function of every element, by its operator in ONNX."""

    operator: str
    node: str
    function: Callable[[Reals], Reals]

    def moved(self, move: Move) -> "Smooth":
        return self

    def of(self, place: tuple[int, ...]) -> "Smooth":
        return self


Step = Line | Clip | Leaky | Smooth


class Slope(NamedTuple):
    """A ``Line`` of one element."""

    scale: Fraction
    offset: Fraction

    def real(self, x: Reals) -> Reals:
        return x * float(self.scale) + float(self.offset)

    def before(self, side: "Side") -> "Side":
        if self.scale == 0:
            return side.decided(self.offset)
        bound = (side.bound - self.offset) / self.scale
        return Side(bound, side.inclusive, side.falls != (self.scale < 0))


class Ends(NamedTuple):
    """A ``Clip`` of one element."""

    low: Fraction | None
    high: Fraction | None

    def real(self, x: Reals) -> Reals:
        low = -np.inf if self.low is None else float(self.low)
        high = np.inf if self.high is None else float(self.high)
        clipped: Reals = np.minimum(np.maximum(x, low), high)
        return clipped

    def before(self, side: "Side") -> "Side":
        ends = [end for end in self if end is not None]
        if not ends:
            return side
        if self.low is not None and self.high is not None and self.low > self.high:
            return side.decided(self.high)  # min(max(x, low), high)
        # All that is clipped to an end is on its side.
        low, high = (None if end is None else side.holds(end) for end in self)
        if side.falls:
            return side.always if high else side.never if low is False else side
        return side.always if low else side.never if high is False else side


class Kink(NamedTuple):
    """A ``Leaky`` of one element."""

    slope: Fraction

    def real(self, x: Reals) -> Reals:
        return np.where(x < 0, x * float(self.slope), x)

    def before(self, side: "Side") -> "Side":
        return side if side.bound >= 0 else side._replace(bound=side.bound / self.slope)


class Side(NamedTuple):
    """x >= bound, or x > bound unless ``inclusive``; with ``falls`` x <= bound or x < bound.

    ``known`` says that it holds for every x, or for none.
    """

    bound: Fraction
    inclusive: bool
    falls: bool = False
    known: bool | None = None

    @property
    def always(self) -> "Side":
        return self._replace(known=True)

    @property
    def never(self) -> "Side":
        return self._replace(known=False)

    def holds(self, x: Fraction) -> bool:
        if x == self.bound:
            return self.inclusive
        return (x < self.bound) == self.falls

    def decided(self, x: Fraction) -> "Side":
        """For a value that is always x."""
        return self.always if self.holds(x) else self.never


def merged(steps: tuple[Step, ...], step: Step) -> tuple[Step, ...]:
    """The steps with one more; two lines are one."""
    if isinstance(step, Line) and steps and isinstance(steps[-1], Line):
        before = steps[-1]
        step = Line(step.scale * before.scale, step.scale * before.offset + step.offset)
        steps = steps[:-1]
    return (*steps, step)


def same(first: Any, second: Any) -> bool:
    """Whether two arrays of fractions are equal."""
    return first is second or bool((first == second).all())

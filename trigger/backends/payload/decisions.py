"""What a shell decides, in Python: the thresholds, the prescales, the bunch crossing of each event."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from trigger.backends.rtl.interface import Port
from trigger.fixedpoint.types import Integers


class Point(NamedTuple):
    """A working point: output ``element`` of the core, at ``port`` of its outputs, and the integer it is compared with."""

    name: str
    element: int
    port: Port
    bound: int

    def described(self) -> dict[str, Any]:
        return {"name": self.name, "element": self.element, "bound": self.bound, "type": str(self.port.type)}


class Decisions(NamedTuple):
    """``accept`` (events, working points) and ``bx`` (events,), both integers."""

    accept: Integers
    bx: Integers


def decide(scores: Integers, points: Sequence[Point], orbit: int, first_bx: int = 0) -> Decisions:
    """The decisions on events that follow each other from a reset on, with the thresholds and prescales it sets.

    ``scores`` (events, outputs) are the core's; the first event is that of bunch crossing ``first_bx``.
    """
    accept = np.stack([(scores[:, p.element] >= p.bound).astype(np.int64) for p in points], axis=1)
    return Decisions(accept, (first_bx + np.arange(len(scores))) % orbit)


def prescaled(passes: Integers, prescale: int) -> Integers:
    """Of the events that pass, shape (events,), the first and then every ``prescale``-th; none for 0."""
    if prescale == 0:
        return np.zeros_like(passes)
    return passes * ((np.cumsum(passes) - 1) % prescale == 0)

"""The decisions of a shell, in Python: the accept bits and the bunch crossing of each event."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from trigger.backends.rtl.interface import Port
from trigger.fixedpoint.types import Integers


class Point(NamedTuple):
    """A working point: output ``element`` of the core, its ``port``, and the integer threshold."""

    name: str
    element: int
    port: Port
    bound: int

    def described(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "element": self.element,
            "bound": self.bound,
            "type": str(self.port.type),
        }


class Decisions(NamedTuple):
    """``accept`` (events, working points) and ``bx`` (events,), both integers."""

    accept: Integers
    bx: Integers


def decide(scores: Integers, points: Sequence[Point], orbit: int) -> Decisions:
    """The decisions on consecutive events from a start of orbit, with the thresholds after a reset.

    ``scores`` (events, outputs) are the core's.
    """
    accept = passing(scores, [p.element for p in points], [p.bound for p in points])
    return Decisions(accept, np.arange(len(scores)) % orbit)


def passing(scores: Integers, elements: Sequence[int], bounds: Sequence[int]) -> Integers:
    """For each event, 1 for each output ``element`` that is at least its bound, else 0."""
    pairs = zip(elements, bounds, strict=True)
    return np.stack([(scores[:, k] >= bound).astype(np.int64) for k, bound in pairs], axis=1)


def prescaled(passes: Integers, prescale: int) -> Integers:
    """The accept bits of consecutive events since a prescale was written, of those that pass."""
    if prescale == 0:
        return np.zeros_like(passes)
    accepted: Integers = passes * (passes.cumsum(axis=0) % prescale == 1 % prescale)
    return accepted

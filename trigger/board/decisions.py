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
    accept = np.stack([(scores[:, p.element] >= p.bound).astype(np.int64) for p in points], axis=1)
    return Decisions(accept, np.arange(len(scores)) % orbit)

"""The interface of a core: its ports and its latency."""

from collections.abc import Iterable
from typing import NamedTuple

from trigger.fixedpoint.types import Fixed


class Port(NamedTuple):
    """One feature or output: its lowest bit in ``x`` or ``y``, and its type."""

    low: int
    type: Fixed

    @property
    def high(self) -> int:
        return self.low + self.type.width - 1


class Interface(NamedTuple):
    """``latency`` is the number of clock edges from taking an event to showing its result, and
    ``interval`` the least number from one event to the next.
    """

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    latency: int
    interval: int = 1

    @property
    def input_width(self) -> int:
        return self.inputs[-1].high + 1

    @property
    def output_width(self) -> int:
        return self.outputs[-1].high + 1


def ports(types: Iterable[Fixed]) -> tuple[Port, ...]:
    """Consecutive elements, the first in the lowest bits."""
    made: list[Port] = []
    for fixed in types:
        made.append(Port(made[-1].high + 1 if made else 0, fixed))
    return tuple(made)

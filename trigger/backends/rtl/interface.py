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
    ``interval`` the least number from one event to the next. ``words`` is the number of words of
    an image, if other weights can be loaded.
    """

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    latency: int
    interval: int = 1
    words: int = 0

    @property
    def input_width(self) -> int:
        return self.inputs[-1].high + 1

    @property
    def output_width(self) -> int:
        return self.outputs[-1].high + 1


# What a bench gives a core beside the features of an event: whether the image is in force from the
# event on, whether a word is appended to it, and the word.
LOADING = (Fixed(False, 1, 1), Fixed(False, 1, 1), Fixed(False, 32, 32))
LOADING_BITS = sum(fixed.width for fixed in LOADING)


def simulated(core: Interface) -> Interface:
    """The interface of a core in a bench: with ``LOADING`` as further inputs, if other weights can
    be loaded.
    """
    if not core.words:
        return core
    return core._replace(inputs=ports([*(port.type for port in core.inputs), *LOADING]))


def ports(types: Iterable[Fixed]) -> tuple[Port, ...]:
    """Consecutive elements, the first in the lowest bits."""
    made: list[Port] = []
    for fixed in types:
        made.append(Port(made[-1].high + 1 if made else 0, fixed))
    return tuple(made)

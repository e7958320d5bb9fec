"""Traced logic as data: operations of alkaid, and kernels that several positions share."""

from typing import NamedTuple

import numpy as np
from alkaid.trace.fixed_variable import LookupTable
from alkaid.types import Op

from trigger.fixedpoint.types import Flags, Integers

# The operation codes of alkaid used here, one for a value that a shared kernel makes, one for a
# parameter that is loaded, whose data is its number, and one for a product in a DSP block.
INPUT, WRAP, CONSTANT, PRODUCT, LOOKUP = -1, 3, 5, 7, 8
SHARED, PARAMETER, DSP = -100, -101, -102
# Sharing costs latency, so it must save at least this fraction of the LUTs.
LEAST_SAVED = 0.25


class Weighed(NamedTuple):
    """Layers that could share hardware, and their LUTs: ``alone``, with hardware for each position
    and output, and ``shared``. If it is not ``taken``, it saves too little, or a product is too
    ``slow`` for a clock cycle.
    """

    layers: tuple[str, ...]
    alone: float
    shared: float
    taken: bool
    slow: bool = False


class Logic(NamedTuple):
    """All operations in order, inputs first; addresses and ``outputs`` are positions in ``ops``.

    ``groups[i]`` names the layer that operation i belongs to; ``delays[i]`` is in nanoseconds as
    alkaid estimates them for UltraScale+, ``costs[i]`` in LUTs by ``area``. ``tables`` belong to
    the look-ups, ``shared`` to the operations ``SHARED``, whose costs are those of their kernels.
    ``weighed`` says what could share hardware.
    """

    ops: list[Op]
    groups: list[str]
    delays: list[float]
    costs: list[float]
    tables: list[LookupTable]
    outputs: list[int]
    shared: list["Shared"]
    weighed: list[Weighed]

    def add(self, group: str, op: Op, delay: float = 0.0, cost: float = 0.0) -> int:
        """Append an operation; returns its place."""
        self.ops.append(op)
        self.groups.append(group)
        self.delays.append(delay)
        self.costs.append(cost)
        return len(self.ops) - 1


class Shared(NamedTuple):
    """A kernel at several positions of a layer.

    Each row of ``given`` has the values that one position reads, as the inputs of ``kernel``. The
    outputs are the operations from ``first`` on: all of the first row, then those of the next one.
    ``padding`` are constants of zero; the first row has none.
    A copy of the kernel computes up to ``phases`` positions, one after the other; to choose what
    it reads takes ``choosing`` LUTs in all.
    """

    group: str
    kernel: Logic
    given: Integers
    first: int
    padding: frozenset[int] = frozenset()
    phases: int = 1
    choosing: float = 0.0

    @property
    def zero(self) -> Flags:
        """Which inputs of each position are padding."""
        return np.isin(self.given, list(self.padding))

    @property
    def copies(self) -> list[range]:
        """The positions of each copy."""
        count = len(self.given)
        return [
            range(first, min(first + self.phases, count)) for first in range(0, count, self.phases)
        ]

    @property
    def outputs(self) -> Integers:
        """The numbers of the operations that each position makes, shape (positions, outputs)."""
        shape = len(self.given), len(self.kernel.outputs)
        return self.first + np.arange(shape[0] * shape[1]).reshape(shape)


def empty(tables: list[LookupTable] | None = None) -> Logic:
    """Logic to which operations are added; it has these tables."""
    return Logic([], [], [], [], tables or [], [], [], [])


def is_given(op: Op) -> bool:
    """Whether no logic makes a value."""
    given: bool = op.opcode in (INPUT, CONSTANT, PARAMETER)
    return given


def is_constant(op: Op) -> bool:
    """Whether a value never changes."""
    constant: bool = op.qint.min == op.qint.max
    return constant

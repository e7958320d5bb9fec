"""Kernels at several positions, as units that folding joins and chooses from."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from alkaid.types import Op

from trigger.backends.rtl.operations import INPUT, LOOKUP, Logic, empty
from trigger.fixedpoint.types import Integers


class Unit(NamedTuple):
    """A kernel at several positions; ``given``, ``made`` and ``padding``, as in ``Shared``, are
    numbers of operations of the logic.

    A unit that was made of others has them as ``parts``; one that is not ``known`` is no kernel of
    the logic.
    """

    group: str
    kernel: Logic
    given: Integers
    made: Integers
    padding: frozenset[int] = frozenset()
    known: bool = True
    parts: tuple["Unit", ...] = ()


class Kernel:
    """The logic of a kernel, taken over from operations elsewhere."""

    def __init__(self) -> None:
        self.logic = empty()
        self._inputs = 0

    def input(self, group: str, op: Op) -> int:
        """A new input that reads the value of ``op``."""
        self._inputs += 1
        return self.logic.add(group, Op((), INPUT, (self._inputs - 1,), op.qint, 0, 0))

    def take(self, logic: Logic, i: int, places: Mapping[int, int]) -> int:
        """Operation i of ``logic``, whose values are at ``places`` here."""
        op = logic.ops[i]
        if op.opcode == LOOKUP:
            table = logic.tables[op.data[0]]
            op = op._replace(data=(len(self.logic.tables), *op.data[1:]))
            self.logic.tables.append(table)
        op = op._replace(addr=tuple(places[source] for source in op.addr))
        return self.logic.add(logic.groups[i], op, logic.delays[i], logic.costs[i])

    def take_all(self, kernel: Logic, inputs: Sequence[int]) -> list[int]:
        """All operations of a kernel that reads ``inputs``; returns the places of its outputs."""
        places: dict[int, int] = {}
        for i, op in enumerate(kernel.ops):
            places[i] = inputs[op.data[0]] if op.opcode == INPUT else self.take(kernel, i, places)
        return [places[i] for i in kernel.outputs]


def depends(logic: Logic, units: Sequence[Unit], values: Integers, sources: Integers) -> bool:
    """Whether any of the values is computed from a source."""
    maker = {i: unit for unit in units for i in unit.made.ravel().tolist()}
    searched = set(sources.ravel().tolist())
    waiting, seen = values.ravel().tolist(), set[int]()
    while waiting:
        i = waiting.pop()
        if i in seen:
            continue
        seen.add(i)
        if i in searched:
            return True
        unit = maker.get(i)
        waiting += logic.ops[i].addr if unit is None else unit.given.ravel().tolist()
    return False

"""Positions that share hardware: with an event every N clock cycles, one copy of a kernel computes
up to N positions, one after the other.

The values that a copy reads are held from its first position to its last, and multiplexers choose
those of each position. Kernels that follow each other at the same positions become one first, so
that the values between them need neither.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from alkaid.types import Op

from trigger.backends.rtl.alike import alike
from trigger.backends.rtl.fusing import fused
from trigger.backends.rtl.hardware import costs
from trigger.backends.rtl.operations import (
    INPUT,
    LEAST_SAVED,
    SHARED,
    Logic,
    Shared,
    Weighed,
    empty,
    is_constant,
)
from trigger.backends.rtl.units import Unit
from trigger.fixedpoint.types import Integers

# A LUT of six inputs chooses one of four bits, or holds 64 constant ones.
_CHOSEN_PER_LUT, _ENTRIES_PER_LUT = 4, 64


def fold(logic: Logic, interval: int) -> Logic:
    """The same logic for an event every ``interval`` clock cycles.

    A copy of a kernel computes several positions where that saves LUTs, multiplexers counted.
    """
    if interval == 1:
        return logic
    known = [Unit(s.group, s.kernel, s.given, s.outputs, s.padding) for s in logic.shared]
    units = fused(logic, [*alike(logic, known), *known])
    forms = [_smallest(logic, unit, interval) for unit in units]
    folded = _Rebuilt(logic, [pair for form in forms for pair in form.units]).logic
    folded.weighed.extend(_weighed(logic, forms))
    return folded


class _Form(NamedTuple):
    """Units, each with the positions that a copy computes, and their LUTs; ``weighed`` are those of
    each unit that could share.
    """

    units: list[tuple[Unit, int]]
    luts: float
    weighed: list[Weighed]


def _smallest(logic: Logic, unit: Unit, interval: int) -> _Form:
    """The smaller form of a unit: as one, or as what it was made of, which takes more cycles."""
    phases, own = _phases(logic, unit, interval)
    luts = own.shared if own.taken else own.alone
    whole = [(unit, phases)] if phases > 1 or (unit.known and not unit.parts) else []
    if not unit.parts:
        return _Form(whole, luts, [own])
    parts = [_smallest(logic, part, interval) for part in unit.parts]
    total = sum(part.luts for part in parts)
    if phases > 1 and total >= (1 - LEAST_SAVED) * luts:
        return _Form(whole, luts, [own])
    each = [one for part in parts for one in part.weighed]
    return _Form([pair for part in parts for pair in part.units], total, each)


def _weighed(logic: Logic, forms: Sequence[_Form]) -> list[Weighed]:
    """All that could share. Outputs that share multipliers would have constants otherwise."""
    constants = {one.layers[0]: one.alone for one in logic.weighed if one.taken}
    others = [one for one in logic.weighed if not one.taken]
    units = [one for form in forms for one in form.weighed]
    return others + [one._replace(alone=constants.get(one.layers[0], one.alone)) for one in units]


def _choosing_luts(logic: Logic, unit: Unit, copies: Sequence[range]) -> float:
    """The LUTs that choose what the copies of a kernel read: multiplexers, and tables where all
    that is read is constant.
    """
    widths = [sum(op.qint.kif) for op in unit.kernel.ops if op.opcode == INPUT]
    return float(
        sum(
            width * _choice(logic, unit.given[rows.start : rows.stop, column])
            for rows in copies
            for column, width in enumerate(widths)
        )
    )


def _choice(logic: Logic, values: Integers) -> int:
    """The LUTs that choose one bit of these values."""
    sources = np.unique(values).tolist()
    if len(sources) == 1:
        return 0
    if all(is_constant(logic.ops[i]) for i in sources):
        return -(-len(values) // _ENTRIES_PER_LUT)
    return -(-(len(sources) - 1) // (_CHOSEN_PER_LUT - 1))


def _phases(logic: Logic, unit: Unit, interval: int) -> tuple[int, Weighed]:
    """The number of positions that a copy computes, 1 where sharing saves too little.

    Outputs that share multipliers were weighed against constants already: they always share.
    """
    positions = len(unit.given)
    copies = -(-positions // interval)
    phases = -(-positions // copies)
    shared = Shared(unit.group, unit.kernel, unit.given, 0, unit.padding, phases)
    left = copies * sum(unit.kernel.costs) + _choosing_luts(logic, unit, shared.copies)
    alone = float(costs(unit.kernel, shared.zero).sum())
    layers = tuple(dict.fromkeys(unit.kernel.groups))
    taken = left < (1 - LEAST_SAVED) * alone or _multiplies_constants(logic, unit)
    weighed = Weighed(layers, alone, left, taken)
    return (phases if weighed.taken else 1), weighed


def _multiplies_constants(logic: Logic, unit: Unit) -> bool:
    """Whether the kernel reads constants, other than padding, as variables."""
    inputs = [op for op in unit.kernel.ops if op.opcode == INPUT]
    return any(
        not is_constant(op) and any(is_constant(logic.ops[i]) for i in set(column) - unit.padding)
        for op, column in zip(inputs, unit.given.T.tolist(), strict=True)
    )


class _Rebuilt:
    """The logic with other kernels, each with its phases; what no output needs is left out."""

    def __init__(self, old: Logic, units: Sequence[tuple[Unit, int]]) -> None:
        self.logic = empty(old.tables)
        self._old = old
        self._place: dict[int, int] = {}
        self._maker = {i: chosen for chosen in units for i in chosen[0].made.ravel().tolist()}
        for i in [i for i, op in enumerate(old.ops) if op.opcode == INPUT]:
            self._append(i)
        self._add(old.outputs)
        self.logic.outputs.extend(self._place[i] for i in old.outputs)

    def _add(self, values: Sequence[int]) -> None:
        """Add these values behind all that they are computed from."""
        waiting = [*reversed(values)]
        while waiting:
            i = waiting[-1]
            missing = [source for source in self._sources(i) if source not in self._place]
            if i in self._place or not missing:
                waiting.pop()
                if i not in self._place:
                    self._append(i)
            waiting += reversed(missing)

    def _sources(self, i: int) -> list[int]:
        if i in self._place:
            return []
        if i in self._maker:
            given: list[int] = self._maker[i][0].given.ravel().tolist()
            return given
        return list(self._old.ops[i].addr)

    def _append(self, i: int) -> None:
        """Append the value, whose sources are there; with it all others of its kernel."""
        if i in self._maker:
            self._append_unit(*self._maker[i])
            return
        op = self._old.ops[i]
        op = op._replace(addr=tuple(self._place[source] for source in op.addr))
        old = self._old
        self._place[i] = self.logic.add(old.groups[i], op, old.delays[i], old.costs[i])

    def _append_unit(self, unit: Unit, phases: int) -> None:
        places = [[self._place[i] for i in row] for row in unit.given.tolist()]
        padding = frozenset(self._place[i] for i in unit.padding & set(unit.given.flat))
        first = len(self.logic.ops)
        shared = Shared(unit.group, unit.kernel, np.array(places), first, padding, phases)
        if phases > 1:
            choosing = _choosing_luts(self._old, unit, shared.copies)
            shared = shared._replace(choosing=choosing)
        number = len(self.logic.shared)
        self.logic.shared.append(shared)
        for row, made in enumerate(unit.made.tolist()):
            for k, i in enumerate(made):
                op = Op((), SHARED, (number, row, k), self._old.ops[i].qint, 0, 0)
                self._place[i] = self.logic.add(unit.group, op)

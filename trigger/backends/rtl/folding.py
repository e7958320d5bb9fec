"""Positions that share hardware: with an event every N clock cycles, one copy of a kernel computes
up to N positions, one after the other.

The values that a copy reads are held from its first position to its last, and multiplexers choose
those of each position. Kernels that follow each other at the same positions become one first, so
that the values between them need neither.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from alkaid.types import Op

from trigger.backends.rtl.logic import (
    CONSTANT,
    INPUT,
    LEAST_SAVED,
    LOOKUP,
    SHARED,
    Logic,
    Shared,
)
from trigger.fixedpoint.types import Integers

# A LUT of six inputs chooses one of four bits, or holds 64 constant ones.
_CHOSEN_PER_LUT, _ENTRIES_PER_LUT = 4, 64


class _Unit(NamedTuple):
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
    parts: tuple["_Unit", ...] = ()


def fold(logic: Logic, interval: int) -> Logic:
    """The same logic for an event every ``interval`` clock cycles.

    A copy of a kernel computes several positions where that saves LUTs, multiplexers counted.
    """
    if interval == 1:
        return logic
    known = [_Unit(s.group, s.kernel, s.given, s.outputs, s.padding) for s in logic.shared]
    chosen: list[tuple[_Unit, int]] = []
    for unit in _fused(logic, [*_alike(logic, known), *known]):
        phases = _phases(logic, unit, interval)
        if phases > 1:
            chosen.append((unit, phases))
        else:
            chosen += [(part, 1) for part in _as_before(unit)]
    return _Rebuilt(logic, chosen).logic


def choosing_luts(logic: Logic, unit: _Unit, copies: Sequence[range]) -> float:
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
    if all(_is_constant(logic.ops[i]) for i in sources):
        return -(-len(values) // _ENTRIES_PER_LUT)
    return -(-(len(sources) - 1) // (_CHOSEN_PER_LUT - 1))


def _phases(logic: Logic, unit: _Unit, interval: int) -> int:
    """The number of positions that a copy computes; 1 where sharing saves too little."""
    positions = len(unit.given)
    copies = -(-positions // interval)
    phases = -(-positions // copies)
    shared = Shared(unit.group, unit.kernel, unit.given, 0, unit.padding, phases)
    cost = sum(unit.kernel.costs)
    left = copies * cost + choosing_luts(logic, unit, shared.copies)
    return phases if left < (1 - LEAST_SAVED) * positions * cost else 1


def _as_before(unit: _Unit) -> Iterator[_Unit]:
    """The kernels of the logic that a unit was made of."""
    for part in unit.parts:
        yield from _as_before(part)
    if unit.known and not unit.parts:
        yield unit


class _Kernel:
    """The logic of a kernel, taken over from operations elsewhere."""

    def __init__(self) -> None:
        self.logic = Logic([], [], [], [], [], [], [])
        self._inputs = 0

    def add(self, group: str, op: Op, delay: float = 0.0, cost: float = 0.0) -> int:
        self.logic.ops.append(op)
        self.logic.groups.append(group)
        self.logic.delays.append(delay)
        self.logic.costs.append(cost)
        return len(self.logic.ops) - 1

    def input(self, group: str, op: Op) -> int:
        """A new input that reads the value of ``op``."""
        self._inputs += 1
        return self.add(group, Op((), INPUT, (self._inputs - 1,), op.qint, 0, 0))

    def take(self, logic: Logic, i: int, places: Mapping[int, int]) -> int:
        """Operation i of ``logic``, whose values are at ``places`` here."""
        op = logic.ops[i]
        if op.opcode == LOOKUP:
            table = logic.tables[op.data[0]]
            op = op._replace(data=(len(self.logic.tables), *op.data[1:]))
            self.logic.tables.append(table)
        op = op._replace(addr=tuple(places[source] for source in op.addr))
        return self.add(logic.groups[i], op, logic.delays[i], logic.costs[i])

    def take_all(self, kernel: Logic, inputs: Sequence[int]) -> list[int]:
        """All operations of a kernel that reads ``inputs``; returns the places of its outputs."""
        places: dict[int, int] = {}
        for i, op in enumerate(kernel.ops):
            places[i] = inputs[op.data[0]] if op.opcode == INPUT else self.take(kernel, i, places)
        return [places[i] for i in kernel.outputs]


# Operations outside kernels that compute the same at several places


class _Part(NamedTuple):
    """Operations of a layer that depend on each other, what they read, and what they compute."""

    members: list[int]
    given: list[int]
    key: Hashable


def _alike(logic: Logic, known: Sequence[_Unit]) -> list[_Unit]:
    """Units of the operations outside kernels, where several parts compute the same."""
    groups: dict[Hashable, list[_Part]] = {}
    for members in _connected(logic):
        part = _part(logic, members)
        groups.setdefault(part.key, []).append(part)
    shown = _read_elsewhere(logic)
    units = [
        _unit(logic, parts, shown) for parts in groups.values() if len(parts) > 1 and parts[0].given
    ]
    # Without one another, so that they can wait for all that any of them reads.
    return [unit for unit in units if not _depends(logic, known, unit.given, unit.made)]


def _is_inner(op: Op) -> bool:
    return op.opcode not in (INPUT, CONSTANT, SHARED) and not _is_constant(op)


def _is_constant(op: Op) -> bool:
    constant: bool = op.qint.min == op.qint.max
    return constant


def _connected(logic: Logic) -> list[list[int]]:
    """The operations outside kernels: each of a list reads another, of the same layer."""
    first = list(range(len(logic.ops)))

    def find(i: int) -> int:
        while first[i] != i:
            first[i] = first[first[i]]
            i = first[i]
        return i

    inner = [_is_inner(op) for op in logic.ops]
    for i, op in enumerate(logic.ops):
        for source in op.addr:
            if inner[i] and inner[source] and logic.groups[i] == logic.groups[source]:
                first[find(i)] = find(source)
    lists: dict[int, list[int]] = {}
    for i in range(len(logic.ops)):
        if inner[i]:
            lists.setdefault(find(i), []).append(i)
    return list(lists.values())


def _part(logic: Logic, members: list[int]) -> _Part:
    """Two parts have equal keys if one kernel computes both."""
    names: dict[int, Hashable] = {}
    given: list[int] = []
    facts: list[Hashable] = []
    for number, i in enumerate(members):
        op = logic.ops[i]
        for source in op.addr:
            if source not in names:
                interval = logic.ops[source].qint
                if interval.min == interval.max:
                    names[source] = "constant", interval
                else:
                    names[source] = "given", len(given), interval
                    given.append(source)
        names[i] = number
        read = tuple(names[source] for source in op.addr)
        facts.append((op.opcode, read, _data(logic, op), op.qint, logic.groups[i]))
    return _Part(members, given, tuple(facts))


def _data(logic: Logic, op: Op) -> Hashable:
    if op.opcode != LOOKUP:
        return tuple(op.data)
    spec = logic.tables[op.data[0]].spec
    return spec.hash, spec.out_qint, op.data[1:]


def _read_elsewhere(logic: Logic) -> np.ndarray:
    """Which values are outputs, or are read by a kernel or by an operation of another part."""
    shown = np.zeros(len(logic.ops), dtype=bool)
    shown[logic.outputs] = True
    for shared in logic.shared:
        shown[shared.given] = True
    for i, op in enumerate(logic.ops):
        for source in op.addr:
            if not _is_inner(op) or logic.groups[i] != logic.groups[source]:
                shown[source] = True
    return shown


def _unit(logic: Logic, parts: Sequence[_Part], shown: np.ndarray) -> _Unit:
    first, members = parts[0], np.array([part.members for part in parts])
    outputs = np.flatnonzero(shown[members].any(axis=0))
    kernel = _Kernel()
    group = logic.groups[first.members[0]]
    places = {i: kernel.input(group, logic.ops[i]) for i in first.given}
    for i in first.members:
        for source in logic.ops[i].addr:
            if source not in places:  # a constant
                op = logic.ops[source]
                value = round(op.qint.min / op.qint.step) if op.qint.min else 0
                places[source] = kernel.add(group, Op((), CONSTANT, (value,), op.qint, 0, 0))
        places[i] = kernel.take(logic, i, places)
    kernel.logic.outputs.extend(places[first.members[k]] for k in outputs)
    given = np.array([part.given for part in parts])
    return _Unit(group, kernel.logic, given, members[:, outputs], known=False)


# Kernels that follow each other


class _Match(NamedTuple):
    """Two units, and the positions of each at every position of both together, shape (positions,
    number).
    """

    first: _Unit
    second: _Unit
    first_rows: Integers
    second_rows: Integers


def _fused(logic: Logic, units: list[_Unit]) -> list[_Unit]:
    """Units that read each other at the same positions become one, as long as there are any."""
    while True:
        match = next(_matches(logic, units), None)
        if match is None:
            return units
        both = _joined(match, _needed(logic, units, match.second))
        units = [unit for unit in units if unit is not match.first and unit is not match.second]
        units.append(both)


def _matches(logic: Logic, units: Sequence[_Unit]) -> Iterator[_Match]:
    unit_of, row_of, column_of = (np.full(len(logic.ops), -1) for _ in range(3))
    for number, unit in enumerate(units):
        unit_of[unit.made] = number
        row_of[unit.made] = np.arange(len(unit.made))[:, None]
        column_of[unit.made] = np.arange(unit.made.shape[1])
    for second in units:
        for number in np.unique(unit_of[second.given]).tolist():
            if number < 0:
                continue
            first, own = units[number], unit_of[second.given] == number
            rows = np.where(own, row_of[second.given], -1)
            columns = np.where(own, column_of[second.given], -1)
            found = _one_for_each(rows, columns, len(first.given))
            if found is None:
                found = _some_for_each(rows, columns, len(first.given))
            if (
                found is not None
                and not _depends(logic, units, second.given[~own], first.made)
                and not _depends(logic, units, first.given, second.made)
            ):
                yield _Match(first, second, *found)


def _one_for_each(
    rows: Integers, columns: Integers, positions: int
) -> tuple[Integers, Integers] | None:
    """The rows of a match in which each position of the second unit reads one of the first, and
    equally many read each; None if there is none.

    ``rows`` and ``columns`` say where in the first unit each value is made; -1 is elsewhere.
    """
    read = rows.max(axis=1)
    if (read < 0).any() or ((rows != read[:, None]) & (rows >= 0)).any():
        return None
    count = len(rows) // positions
    if (np.bincount(read, minlength=positions) != count).any():
        return None
    order = np.lexsort((*columns.T, read))
    patterns = columns[order].reshape(positions, -1)
    if (patterns != patterns[0]).any():
        return None
    return np.arange(positions)[:, None], order.reshape(positions, count)


def _some_for_each(
    rows: Integers, columns: Integers, positions: int
) -> tuple[Integers, Integers] | None:
    """The rows of a match in which each position of the second unit reads several of the first,
    that no other reads; None if there is none.
    """
    read = [list(dict.fromkeys(row[row >= 0].tolist())) for row in rows]
    if len({len(own) for own in read}) > 1 or sorted(chain(*read)) != list(range(positions)):
        return None
    places = [
        [own.index(i) if i >= 0 else -1 for i in row]
        for own, row in zip(read, rows.tolist(), strict=True)
    ]
    if any(row != places[0] for row in places) or (columns != columns[0]).any():
        return None
    return np.array(read), np.arange(len(rows))[:, None]


def _depends(logic: Logic, units: Sequence[_Unit], values: Integers, sources: Integers) -> bool:
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


def _needed(logic: Logic, units: Sequence[_Unit], second: _Unit) -> np.ndarray:
    """Which values are read by something else than ``second``."""
    inside = {i for unit in units for i in unit.made.ravel().tolist()}
    needed = np.zeros(len(logic.ops), dtype=bool)
    needed[logic.outputs] = True
    for unit in units:
        if unit is not second:
            needed[unit.given] = True
    for i, op in enumerate(logic.ops):
        if i not in inside:
            needed[list(op.addr)] = True
    return needed


def _joined(match: _Match, needed: np.ndarray) -> _Unit:
    """One unit of two; ``needed`` says which values are read by others than the second one."""
    first, second, first_rows, second_rows = match
    kernel = _Kernel()
    given: dict[bytes, tuple[int, Integers]] = {}
    made: dict[int, int] = {}  # the places of the first position's values

    def read(values: Integers, op: Op) -> int:
        if values[0] in made:
            return made[values[0]]
        key = values.tobytes()
        if key not in given:
            given[key] = kernel.input(first.group, op), values
        return given[key][0]

    for unit, rows in (first, first_rows.T), (second, second_rows.T):
        for own in rows:
            inputs = (op for op in unit.kernel.ops if op.opcode == INPUT)
            places = [
                read(np.ascontiguousarray(column), op)
                for column, op in zip(unit.given[own].T, inputs, strict=True)
            ]
            results = kernel.take_all(unit.kernel, places)
            made |= zip(unit.made[own[0]].tolist(), results, strict=True)
    values = np.concatenate(
        [
            *(first.made[own][:, needed[first.made].any(axis=0)] for own in first_rows.T),
            *(second.made[own] for own in second_rows.T),
        ],
        axis=1,
    )
    kernel.logic.outputs.extend(made[i] for i in values[0].tolist())
    return _Unit(
        first.group,
        _inputs_first(kernel.logic),
        np.stack([column for _, column in given.values()], axis=1),
        values,
        first.padding | second.padding,
        known=False,
        parts=(first, second),
    )


def _inputs_first(logic: Logic) -> Logic:
    """The same kernel with its inputs before all other operations."""
    order = sorted(range(len(logic.ops)), key=lambda i: logic.ops[i].opcode != INPUT)
    place = {i: k for k, i in enumerate(order)}
    return logic._replace(
        ops=[
            logic.ops[i]._replace(addr=tuple(place[source] for source in logic.ops[i].addr))
            for i in order
        ],
        groups=[logic.groups[i] for i in order],
        delays=[logic.delays[i] for i in order],
        costs=[logic.costs[i] for i in order],
        outputs=[place[i] for i in logic.outputs],
    )


# The whole again


class _Rebuilt:
    """The logic with other kernels, each with its phases; what no output needs is left out."""

    def __init__(self, old: Logic, units: Sequence[tuple[_Unit, int]]) -> None:
        self.logic = Logic([], [], [], [], old.tables, [], [])
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
        self._place[i] = len(self.logic.ops)
        self._append_op(op, self._old.groups[i], self._old.delays[i], self._old.costs[i])

    def _append_unit(self, unit: _Unit, phases: int) -> None:
        places = [[self._place[i] for i in row] for row in unit.given.tolist()]
        padding = frozenset(self._place[i] for i in unit.padding & set(unit.given.flat))
        first = len(self.logic.ops)
        shared = Shared(unit.group, unit.kernel, np.array(places), first, padding, phases)
        if phases > 1:
            choosing = choosing_luts(self._old, unit, shared.copies)
            shared = shared._replace(choosing=choosing)
        number = len(self.logic.shared)
        self.logic.shared.append(shared)
        for row, made in enumerate(unit.made.tolist()):
            for k, i in enumerate(made):
                self._place[i] = len(self.logic.ops)
                op = Op((), SHARED, (number, row, k), self._old.ops[i].qint, 0, 0)
                self._append_op(op, unit.group, 0.0, 0.0)

    def _append_op(self, op: Op, group: str, delay: float, cost: float) -> None:
        self.logic.ops.append(op)
        self.logic.groups.append(group)
        self.logic.delays.append(delay)
        self.logic.costs.append(cost)

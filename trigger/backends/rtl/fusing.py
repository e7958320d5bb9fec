"""Units that read each other at the same positions, made one."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from alkaid.types import Op

from trigger.backends.rtl.operations import INPUT, Logic
from trigger.backends.rtl.units import Kernel, Unit, depends
from trigger.fixedpoint.types import Integers


class _Match(NamedTuple):
    """Two units, and the positions of each at every position of both together, shape (positions,
    number).
    """

    first: Unit
    second: Unit
    first_rows: Integers
    second_rows: Integers


def fused(logic: Logic, units: list[Unit]) -> list[Unit]:
    """Units that read each other at the same positions become one, as long as there are any."""
    while True:
        match = next(_matches(logic, units), None)
        if match is None:
            return units
        both = _joined(match, _needed(logic, units, match.second))
        units = [unit for unit in units if unit is not match.first and unit is not match.second]
        units.append(both)


def _matches(logic: Logic, units: Sequence[Unit]) -> Iterator[_Match]:
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
                and not depends(logic, units, second.given[~own], first.made)
                and not depends(logic, units, first.given, second.made)
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


def _needed(logic: Logic, units: Sequence[Unit], second: Unit) -> np.ndarray:
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


def _joined(match: _Match, needed: np.ndarray) -> Unit:
    """One unit of two; ``needed`` says which values are read by others than the second one."""
    first, second, first_rows, second_rows = match
    kernel = Kernel()
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
    return Unit(
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

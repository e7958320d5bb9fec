"""Operations outside kernels that compute the same at several places, as units."""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from alkaid.types import Op

from trigger.backends.rtl.operations import (
    CONSTANT,
    LOOKUP,
    SHARED,
    Logic,
    is_constant,
    is_given,
)
from trigger.backends.rtl.units import Kernel, Unit, depends


class _Part(NamedTuple):
    """Operations of a layer that depend on each other, what they read, and what they compute."""

    members: list[int]
    given: list[int]
    key: Hashable


def alike(logic: Logic, known: Sequence[Unit]) -> list[Unit]:
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
    return [unit for unit in units if not depends(logic, known, unit.given, unit.made)]


def _is_inner(op: Op) -> bool:
    return not is_given(op) and op.opcode != SHARED and not is_constant(op)


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


def _unit(logic: Logic, parts: Sequence[_Part], shown: np.ndarray) -> Unit:
    first, members = parts[0], np.array([part.members for part in parts])
    outputs = np.flatnonzero(shown[members].any(axis=0))
    kernel = Kernel()
    group = logic.groups[first.members[0]]
    places = {i: kernel.input(group, logic.ops[i]) for i in first.given}
    for i in first.members:
        for source in logic.ops[i].addr:
            if source not in places:  # a constant
                op = logic.ops[source]
                value = round(op.qint.min / op.qint.step) if op.qint.min else 0
                places[source] = kernel.logic.add(group, Op((), CONSTANT, (value,), op.qint, 0, 0))
        places[i] = kernel.take(logic, i, places)
    kernel.logic.outputs.extend(places[first.members[k]] for k in outputs)
    given = np.array([part.given for part in parts])
    return Unit(group, kernel.logic, given, members[:, outputs], known=False)

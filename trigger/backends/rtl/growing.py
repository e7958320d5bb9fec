"""Logic that grows: layers that alkaid has traced are appended, with the time at which each of
their operations is ready; at several positions they become a kernel.
"""

from collections.abc import Hashable, Sequence

import numpy as np
from alkaid.types import CombLogic, Op, QInterval

from trigger.backends.rtl.area import lut
from trigger.backends.rtl.hardware import costs
from trigger.backends.rtl.operations import (
    CONSTANT,
    DSP,
    INPUT,
    LOOKUP,
    SHARED,
    WRAP,
    Logic,
    Shared,
    empty,
    is_constant,
)
from trigger.fixedpoint.types import Integers

# A table takes at least as long as a choice, one LUT with its wires: alkaid counts no wires of
# small tables.
_TABLE_NS = 0.5


class Part:
    """Logic that grows, and when each of its operations is ready."""

    def __init__(self) -> None:
        self.logic = empty()
        self.arrival: list[float] = []

    def append(
        self,
        group: str,
        op: Op,
        delay: float = 0.0,
        known: dict[Hashable, int] | None = None,
    ) -> int:
        """Append an operation, if it is not ``known``; returns its place."""
        key = (op.opcode, op.addr, op.data, op.qint)
        if known is not None and key in known:
            return known[key]
        arrival = delay + max((self.arrival[i] for i in op.addr), default=0.0)
        place = self._append(group, op, delay, lut(op), arrival)
        if known is not None:
            known[key] = place
        return place

    def _append(self, group: str, op: Op, delay: float, cost: float, arrival: float) -> int:
        self.arrival.append(arrival)
        return self.logic.add(group, op, delay, cost)

    def adopt(
        self,
        group: str,
        layer: CombLogic,
        given: Sequence[int],
        first_table: int,
        known: dict[Hashable, int] | None = None,
    ) -> list[int]:
        """Append the operations of one layer; returns the positions of its outputs.

        ``known`` are operations that need not be repeated.
        """
        places: list[int] = []
        for op in layer.ops:
            if op.opcode == INPUT:
                places.append(given[op.data[0]])
                continue
            before = max((layer.ops[i].latency for i in op.addr), default=0.0)
            data = (op.data[0] + first_table,) if op.opcode == LOOKUP else op.data
            moved = op._replace(addr=tuple(places[i] for i in op.addr), data=data)
            delay = max(op.latency - before, _TABLE_NS if op.opcode == LOOKUP else 0.0)
            if op.opcode == DSP:  # it has stages of its own
                delay = 0.0
            places.append(self.append(group, moved, delay, known))
        outputs = []
        for index, shift, negative in zip(
            layer.out_idxs, layer.out_shifts, layer.out_negs, strict=True
        ):
            assert not negative, "alkaid's passes leave no negated outputs"
            place = places[index]
            if shift:  # the same bits with another binary point
                interval = QInterval(*(end * 2.0**shift for end in self.logic.ops[place].qint))
                op = Op((place,), WRAP, (shift,), interval, 0, 0)
                place = self.append(group, op, 0.0, known)
            outputs.append(place)
        return outputs

    def tables(self, layer: CombLogic) -> int:
        """Take over the tables of one layer; returns the number of the first."""
        first = len(self.logic.tables)
        self.logic.tables.extend(layer.lookup_tables or ())
        return first

    def share(
        self, group: str, layer: CombLogic, given: Integers, padding: frozenset[int]
    ) -> Integers:
        """Append a kernel at several positions, whose inputs are the rows of ``given``.

        Returns the places of the outputs, shape (positions, outputs).
        """
        kernel, inputs, places = _kernel(group, layer)
        shared = Shared(group, kernel.logic, given[:, inputs], len(self.logic.ops), padding)
        if kernel.logic.outputs:
            number = len(self.logic.shared)
            self.logic.shared.append(shared)
            cost = costs(kernel.logic, shared.zero).tolist()
            arrival = _arrival(kernel.logic, np.array(self.arrival)[shared.given])
            for row, ready in enumerate(arrival.tolist()):
                for k, place in enumerate(kernel.logic.outputs):
                    op = Op((), SHARED, (number, row, k), kernel.logic.ops[place].qint, 0, 0)
                    self._append(group, op, 0.0, cost[row] if k == 0 else 0.0, ready[k])
        column = {place: k for k, place in enumerate(kernel.logic.outputs)}
        results: list[Integers] = []
        for place in places:
            op = kernel.logic.ops[place]
            if place in column:
                results.append(shared.outputs[:, column[place]])
            elif op.opcode == INPUT:
                results.append(shared.given[:, op.data[0]])
            else:
                results.append(np.full(len(given), self.append(group, op)))
        return np.stack(results, axis=1)


def _kernel(group: str, layer: CombLogic) -> tuple[Part, list[int], list[int]]:
    """A layer as logic of its own, the inputs that it reads, and the places of its outputs.

    Its own outputs are those that neither are constant nor are one of the inputs.
    """
    part = Part()
    read = {i for op in layer.ops for i in op.addr} | set(layer.out_idxs)
    inputs: list[int] = []
    places = [-1] * layer.shape[0]
    for i, op in enumerate(layer.ops):
        if op.opcode == INPUT and i in read:
            if is_constant(op):
                value = round(op.qint.min / op.qint.step) if op.qint.min else 0
                own = Op((), CONSTANT, (value,), op.qint, 0, 0)
            else:
                own = Op((), INPUT, (len(inputs),), op.qint, 0, 0)
                inputs.append(op.data[0])
            places[op.data[0]] = part.append(group, own)
    outputs = part.adopt(group, layer, places, part.tables(layer))
    for place in dict.fromkeys(outputs):
        op = part.logic.ops[place]
        if op.opcode != INPUT and not is_constant(op):
            part.logic.outputs.append(place)
    return part, inputs, outputs


def slowest(kernel: CombLogic) -> float:
    """The time of the slowest operation in logic in nanoseconds; 0 without any."""
    before = (max((kernel.ops[i].latency for i in op.addr), default=0.0) for op in kernel.ops)
    times = (
        float(op.latency - start)
        for op, start in zip(kernel.ops, before, strict=True)
        if op.opcode not in (INPUT, DSP)
    )
    return max(times, default=0.0)


def _arrival(kernel: Logic, ready: np.ndarray) -> np.ndarray:
    """When the outputs of a kernel are ready, from when its inputs are: a row for each position."""
    times: list[np.ndarray] = []
    for op, delay in zip(kernel.ops, kernel.delays, strict=True):
        if op.opcode == INPUT:
            times.append(ready[:, op.data[0]])
        else:
            before = [times[i] for i in op.addr]
            times.append(delay + np.max(before or [np.zeros(len(ready))], axis=0))
    return np.stack([times[i] for i in kernel.outputs], axis=1)

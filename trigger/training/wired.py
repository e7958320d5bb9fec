"""Refinement of weightless neurons: truth tables and wires chosen one by one, by the loss itself.

With all other neurons as they are, the loss of each event depends on the bit of one neuron alone.
So the best table follows from two losses of each event: an entry is a one where ones lower the loss
of the events at its address, by more than chance. For a wire, this is found for all bits that it
may read at once.
"""

from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from trigger.training import weightless
from trigger.training.task import Task, gain, gains_of, judge, read

# Wires that the loss does not distinguish stay.
_LEAST_GAIN = 1e-7
# The score of the bit that a wire reads, over those that it does not.
_READ = 1.0


class Neurons:
    """The neurons of one layer: the bits that they read and give for all events."""

    def __init__(
        self, model: keras.Model, node: Any, task: Task, random: np.random.Generator
    ) -> None:
        self._layer = node.operation
        self._random = random
        self._weight = task.weight
        self._source = read(model, node, task) > 0.5
        self._chains = _chains(self._source)
        self._costs = weightless.prices(model, task.inputs, self._layer)
        self._lut = weightless.table(self._layer.n)
        self._wires = np.array(ops.convert_to_numpy(self._layer.wires()))
        self._tables = np.array(ops.convert_to_numpy(self._layer.tables)) > 0
        self._reads = np.zeros(len(self._costs), dtype=int)
        units = range(self._layer.units)
        for unit in units:
            self._count(unit, 1)
        self._bits = np.stack([self._looked_up(unit) for unit in units], axis=1).astype(np.float32)
        self._losses = judge(model, node, task)

    def refine(self, price: float) -> None:
        for unit in self._random.permutation(self._layer.units):
            self._refine(int(unit), price)
        scores = np.zeros(self._layer.wiring.shape, dtype=np.float32)
        scores[self._wires.ravel(), np.arange(self._wires.size)] = _READ
        self._layer.wiring.assign(scores)
        self._layer.tables.assign(np.where(self._tables, 1.0, -1.0))

    def _refine(self, unit: int, price: float) -> None:
        change = self._change(unit)
        self._count(unit, -1)
        wires = self._wires[unit]
        if self._layer.wiring.trainable:
            for k in self._random.permutation(self._layer.n):
                wires[k] = self._best_wire(wires, int(k), change, price)
        self._tables[unit] = self._best_table(wires, change, price)
        self._count(unit, 1)
        self._bits[:, unit] = self._looked_up(unit)

    def _best_table(self, wires: np.ndarray, change: np.ndarray, price: float) -> np.ndarray:
        """The table with the least loss, or a constant one where that is not worth its LUTs."""
        gains = gains_of(self._addresses(wires), change, 2**self._layer.n)
        new = [wire for wire in set(wires.tolist()) if not self._reads[wire]]
        lut = self._lut + self._costs[new].sum()
        whole = change.sum()
        if min(whole, 0.0) <= gains.sum() + price * lut:
            return np.full(len(gains), whole < 0)
        best: np.ndarray = gains < 0
        return best

    def _change(self, unit: int) -> np.ndarray:
        """By how much a one of a neuron raises the loss, for each event."""
        found = []
        for bit in (0.0, 1.0):
            self._bits[:, unit] = bit
            found.append(self._losses(self._bits))
        change: np.ndarray = (found[1] - found[0]) * self._weight
        return change

    def _best_wire(self, wires: np.ndarray, k: int, change: np.ndarray, price: float) -> int:
        """The bit for wire k with the least loss and price, each with its best table."""
        others = np.delete(wires, k)
        address = self._addresses(others)
        loss = np.concatenate(
            [chain.losses(address, 2 ** len(others), change) for chain in self._chains]
        )
        free = self._reads > 0
        free[others] = True
        total = loss + price * np.where(free, 0.0, self._costs)
        best = int(np.argmin(total))
        return best if total[best] < total[wires[k]] - _LEAST_GAIN else int(wires[k])

    def _addresses(self, wires: np.ndarray) -> np.ndarray:
        address = np.zeros(len(self._source), dtype=np.int64)
        for place, wire in enumerate(wires):
            address |= self._source[:, wire].astype(np.int64) << place
        return address

    def _looked_up(self, unit: int) -> np.ndarray:
        found: np.ndarray = self._tables[unit][self._addresses(self._wires[unit])]
        return found

    def _count(self, unit: int, sign: int) -> None:
        """Count the readers of each bit; a neuron of a constant table reads nothing."""
        if self._tables[unit].min() != self._tables[unit].max():
            np.add.at(self._reads, self._wires[unit], sign)


class _Chain(NamedTuple):
    """Neighbouring bits of which each implies the one before, as those of a thermometer: their
    number, and how many of them are ones in each event.
    """

    bits: int
    level: np.ndarray

    def losses(self, address: np.ndarray, cells: int, change: np.ndarray) -> np.ndarray:
        """For each bit, the least loss of a table of it and an address (events,)."""
        levels = self.bits + 1
        place = address * levels + self.level
        sums, squares = (
            np.cumsum(np.bincount(place, x, cells * levels).reshape(cells, levels), axis=1)
            for x in (change, change**2)
        )
        below = gain(sums[:, :-1], squares[:, :-1])
        above = gain(sums[:, -1:] - sums[:, :-1], squares[:, -1:] - squares[:, :-1])
        losses: np.ndarray = (below + above).sum(axis=0)
        return losses


def _chains(bits: np.ndarray) -> list[_Chain]:
    """The bits (events, bits) as chains, in order."""
    implied = ~(bits[:, 1:] & ~bits[:, :-1]).any(axis=0)
    starts = np.flatnonzero(np.concatenate([[True], ~implied]))
    parts = np.split(bits, starts[1:], axis=1)
    return [_Chain(part.shape[1], part.sum(axis=1)) for part in parts]

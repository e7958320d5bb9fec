"""Refinement of the tables of edges: entries, steps and whole tables, chosen by the loss itself.

An event reads one entry of a table. So the losses of all events with the table a step higher and a
step lower say for each of its entries which of the three is best, by more than chance. A table may
also get steps twice as large, or become constant, where its LUTs are not worth the loss.
"""

from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from trigger.training import weightless
from trigger.training.task import Task, gains_of, judge, read

# Entries that the loss does not distinguish stay.
_LEAST_GAIN = 1e-7


class _Table(NamedTuple):
    """A table in steps of 2**-fraction."""

    entries: np.ndarray
    fraction: int

    @property
    def bits(self) -> int:
        return int(self.entries.max() - self.entries.min()).bit_length()

    @property
    def values(self) -> np.ndarray:
        return np.ldexp(self.entries.astype(np.float64), -self.fraction)

    def coarser(self) -> "_Table":
        return _Table(np.rint(self.entries / 2).astype(np.int64), self.fraction - 1)

    def constant(self, value: float) -> "_Table":
        entry = round(float(np.ldexp(value, self.fraction)))
        return _Table(np.full_like(self.entries, entry), self.fraction)


class Edges:
    """The tables of one layer: the addresses that they are read at in all events, and the sums."""

    def __init__(
        self, model: keras.Model, node: Any, task: Task, random: np.random.Generator
    ) -> None:
        self._layer = node.operation
        self._random = random
        self._weight = task.weight
        self._losses = judge(model, node, task)
        source = read(model, node, task)
        self._addresses = ops.convert_to_numpy(self._layer.addresses(source)).astype(np.int64)
        entries = ops.convert_to_numpy(self._layer.entries()).astype(np.float64)
        self._fraction = np.rint(ops.convert_to_numpy(self._layer.fraction)).astype(np.int64)
        self._entries = np.ldexp(entries, self._fraction[..., None]).astype(np.int64)
        self._sums: np.ndarray = ops.convert_to_numpy(self._layer(source)).astype(np.float64)
        self._address_lut = weightless.address_prices(model, task.inputs, node)
        self._loss = self._judged(self._sums)

    def refine(self, price: float) -> None:
        shape = self._fraction.shape
        for i, j in self._random.permutation(np.argwhere(np.ones(shape))).tolist():
            self._refine(i, j, price)
        fraction = self._fraction[..., None]
        self._layer.knots.assign(np.zeros(self._layer.knots.shape))
        self._layer.details.assign(np.ldexp(self._entries.astype(np.float64), -fraction))
        self._layer.fraction.assign(self._fraction)

    def _refine(self, i: int, j: int, price: float) -> None:
        now = _Table(self._entries[i, j], int(self._fraction[i, j]))
        if not now.bits:
            return
        address = self._addresses[:, i]
        now = self._set(i, j, self._best_entries(now, address, j))
        others = self._entries[i].max(axis=1) > self._entries[i].min(axis=1)
        others[j] = False
        alone = 0.0 if others.any() else self._address_lut[i]
        mean = float(self._weight @ now.values[address])
        for simpler in (now.constant(mean), now.coarser()):
            sums = self._with(now, simpler, address, j)
            loss = self._judged(sums)
            saved = self._lut(now.bits, alone) - self._lut(simpler.bits, alone)
            if (loss - self._loss).sum() < price * saved - _LEAST_GAIN:
                self._loss = loss
                self._sums = sums
                self._set(i, j, simpler)
                return

    def _best_entries(self, table: _Table, address: np.ndarray, j: int) -> _Table:
        """The table with each entry as it is, or a step higher or lower within its range."""
        size = len(table.entries)
        losses = [self._loss]
        gains = [np.full(size, -_LEAST_GAIN)]
        for step in (1, -1):
            moved = self._sums.copy()
            moved[:, j] += step * 2.0**-table.fraction
            losses.append(self._judged(moved))
            gains.append(gains_of(address, losses[-1] - self._loss, size))
        gains[1][table.entries == table.entries.max()] = 0.0
        gains[2][table.entries == table.entries.min()] = 0.0
        best = np.argmin(gains, axis=0)
        chosen = table._replace(entries=table.entries + np.array([0, 1, -1])[best])
        self._sums = self._with(table, chosen, address, j)
        self._loss = np.stack(losses)[best[address], np.arange(len(address))]
        return chosen

    def _with(self, now: _Table, then: _Table, address: np.ndarray, j: int) -> np.ndarray:
        """The sums with another table on an edge to unit j."""
        sums = self._sums.copy()
        sums[:, j] += (then.values - now.values)[address]
        return sums

    def _set(self, i: int, j: int, table: _Table) -> _Table:
        self._entries[i, j] = table.entries
        self._fraction[i, j] = table.fraction
        return table

    def _judged(self, sums: np.ndarray) -> np.ndarray:
        losses: np.ndarray = self._losses(sums.astype(np.float32)) * self._weight
        return losses

    def _lut(self, bits: int, alone: float) -> float:
        there = float(bits > 0)
        return float(weightless.edge(self._layer.bits, bits, there)) + alone * there

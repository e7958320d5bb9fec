"""Refinement of weightless networks: truth tables and wires chosen one by one, by the loss itself.

With all other neurons as they are, the loss of each event depends on the bit of one neuron alone.
So the best table follows from two losses of each event: an entry is a one where ones lower the loss
of the events at its address, by more than chance. For a wire, this is found for all bits that it
may read at once. Pass by pass, this is coordinate descent, at a price of LUTs.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from trigger.errors import TriggerError
from trigger.events.dataset import Events
from trigger.fixedpoint.types import Fixed
from trigger.frontends.nested import nodes
from trigger.frontends.networks import outputs, shaped
from trigger.layers import LookupLayer
from trigger.training import weightless
from trigger.training.refine import Found, Schedule

# The price of a LUT in loss, times the target: it rises after each pass above the target, the more
# the farther, and falls after each below.
_FIRST_PRICE = 0.02
_RISE = 1.6
_FALL = 0.6
# An entry is a one where ones lower the loss by more than this many standard errors: what fewer
# events seem to gain is mostly chance. Jet taggers gain 0.2 to 0.4 points on other events by it.
_DOUBT = 1.0
# Wires that the loss does not distinguish stay.
_LEAST_GAIN = 1e-7
# The score of the bit that a wire reads, over those that it does not.
_READ = 1.0

# The losses of events (events,), from their truth and the outputs for them.
Losses = Callable[[Any, Any], Any]


class Task(NamedTuple):
    """What a network shall do: the types of its inputs, training events, and their losses."""

    inputs: tuple[Fixed, ...]
    events: Events
    losses: Losses


def refine(
    model: keras.Model,
    task: Task,
    lut: Callable[[], Any],
    schedule: Schedule,
    watch: Callable[[Found], None],
) -> Found:
    """Refine the neurons of a network in place, until ``lut`` of it is within the target; returns
    the final state.

    ``watch`` is called after each pass. The result is the network with the least loss within the
    target after a pass. Raises TriggerError if there is none.
    """
    random = np.random.default_rng(schedule.seed)
    price = _FIRST_PRICE / schedule.target
    best = Found(math.inf, math.inf)
    weights = None
    for _ in range(schedule.passes):
        _refine_at(model, task, price, random)
        now = Found(_mean_loss(model, task), float(lut()))
        watch(now)
        within = now.lut <= schedule.target
        if within and now.loss < best.loss:
            best = now
            weights = model.get_weights()
        price *= _FALL if within else _RISE * (now.lut / schedule.target) ** 2
    if weights is None:
        raise TriggerError(
            f"training: refinement reached {now.lut:,.0f} LUT by count, but training.target_lut is "
            f"{schedule.target:,}; raise it, give the LookupLayers fewer units, or raise "
            "training.refinement"
        )
    model.set_weights(weights)
    return best


def _mean_loss(model: keras.Model, task: Task) -> float:
    given = shaped(model, task.events.x)
    truth = ops.convert_to_tensor(task.events.y)
    losses = ops.convert_to_numpy(task.losses(truth, model(given, training=False)))
    return float(np.average(losses, weights=task.events.weight))


def _refine_at(model: keras.Model, task: Task, price: float, random: np.random.Generator) -> None:
    """Choose the wires and the table of every neuron once, in random order, in place.

    ``price`` is the loss that a LUT is worth.
    """
    uses = [node for node in nodes(model) if isinstance(node.operation, LookupLayer)]
    layers = [node.operation for node in uses]
    for k in random.permutation(len(uses)):
        if layers.count(layers[k]) == 1 and layers[k].trainable:
            _Layer(model, uses[k], task, random).refine(price)


class _Layer:
    """The neurons of one layer: the bits that they read and give for all events."""

    def __init__(
        self, model: keras.Model, node: Any, task: Task, random: np.random.Generator
    ) -> None:
        self._layer = node.operation
        self._random = random
        self._weight = task.events.weight / task.events.weight.sum()
        (source,) = node.arguments.keras_tensors
        self._source = outputs(keras.Model(model.input, source), task.events.x) > 0.5
        self._chains = _chains(self._source)
        self._costs = weightless.prices(model, task.inputs, self._layer)
        self._lut = weightless.table(self._layer.n)
        self._wires = np.array(ops.convert_to_numpy(self._layer.wires()))
        self._tables = np.array(ops.convert_to_numpy(self._layer.tables)) > 0
        self._reads = np.zeros(len(self._costs), dtype=int)
        for unit in range(self._layer.units):
            self._count(unit, 1)
        self._bits = np.stack(
            [self._looked_up(unit) for unit in range(self._layer.units)], axis=1
        ).astype(np.float32)
        rest = keras.Model([node.outputs[0], *model.inputs], model.outputs)
        given = keras.tree.flatten(shaped(model, task.events.x))
        truth = ops.convert_to_tensor(task.events.y)

        def judge() -> np.ndarray:
            found = task.losses(truth, rest([self._bits, *given], training=False))
            losses: np.ndarray = ops.convert_to_numpy(found).astype(np.float64)
            return losses

        self._losses = judge

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
        for k in self._random.permutation(self._layer.n):
            wires[k] = self._best_wire(wires, int(k), change, price)
        gains = _gains(self._addresses(wires), change, 2**self._layer.n)
        loss = gains.sum()
        new = [wire for wire in set(wires.tolist()) if not self._reads[wire]]
        lut = self._lut + self._costs[new].sum()
        always = min(change.sum(), 0.0)
        constant = always <= loss + price * lut
        self._tables[unit] = (change.sum() < 0) if constant else (gains < 0)
        self._count(unit, 1)
        self._bits[:, unit] = self._looked_up(unit)

    def _change(self, unit: int) -> np.ndarray:
        """By how much a one of a neuron raises the loss, for each event."""
        found = []
        for bit in (0.0, 1.0):
            self._bits[:, unit] = bit
            found.append(self._losses())
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
        below = _gain(sums[:, :-1], squares[:, :-1])
        above = _gain(sums[:, -1:] - sums[:, :-1], squares[:, -1:] - squares[:, :-1])
        losses: np.ndarray = (below + above).sum(axis=0)
        return losses


def _gains(address: np.ndarray, change: np.ndarray, cells: int) -> np.ndarray:
    """The loss that a one at each address changes, below zero where it is one."""
    return _gain(*(np.bincount(address, x, cells) for x in (change, change**2)))


def _gain(sums: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """The same from sums of the changes of events, and of their squares."""
    # The differences of rounded sums may be less than zero.
    gain: np.ndarray = np.minimum(sums + _DOUBT * np.sqrt(np.maximum(squares, 0)), 0)
    return gain


def _chains(bits: np.ndarray) -> list[_Chain]:
    """The bits (events, bits) as chains, in order."""
    implied = ~(bits[:, 1:] & ~bits[:, :-1]).any(axis=0)
    starts = np.flatnonzero(np.concatenate([[True], ~implied]))
    parts = np.split(bits, starts[1:], axis=1)
    return [_Chain(part.shape[1], part.sum(axis=1)) for part in parts]

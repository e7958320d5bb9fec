"""Placement of pipeline registers: assign operations to stages that meet the clock period."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from alkaid.types import Op

from trigger.backends.rtl import dsp
from trigger.backends.rtl.operations import DSP, INPUT, SHARED, Logic, Shared, is_given
from trigger.backends.rtl.positions import equal_rows
from trigger.errors import TriggerError
from trigger.fixedpoint.types import Integers

_BALANCING_STEPS = 12
# One LUT with its wires, as of a choice in alkaid's delay model; two bits of an address choose one
# of four.
_CHOICE_NS = 0.5


class Run(NamedTuple):
    """Positions of ``shared`` whose operations fall into the same stages.

    ``rows`` are their numbers and ``starts`` their first stages, from which ``stages`` are counted.
    If copies of the kernel compute several positions, all start with the first one.
    """

    shared: Shared
    rows: Integers
    starts: Integers
    stages: list[int]


class Schedule(NamedTuple):
    """The stage that makes each value, the runs of shared kernels, the longest path in each stage
    in nanoseconds of the delay model, and the number of stages.

    Of those, the results wait in the ones after the last operation.
    """

    stages: list[int]
    runs: list[Run]
    paths: dict[int, float]
    total: int

    @property
    def longest(self) -> float:
        """The longest path in any stage."""
        return max(self.paths.values(), default=0.0)


def schedule(logic: Logic, budget_ns: float, least: int = 1) -> Schedule:
    """The schedule with the fewest stages of at most ``budget_ns`` in the delay model, but at
    ``least`` so many.

    With that number of stages, the slowest is made as fast as possible. Raises TriggerError if a
    single operation exceeds ``budget_ns``.
    """
    slowest, group = max(_slowest(logic, dsp.timing(budget_ns).ns), key=lambda layer: layer[0])
    if slowest > budget_ns:
        raise TriggerError(
            f"{group}: one operation takes {slowest:.2f} ns, but a clock cycle leaves "
            f"{budget_ns:.2f} ns for logic; "
            "lower target.clock_mhz or use fewer bits"
        )
    timing = dsp.timing(budget_ns)
    best = _as_soon_as_possible(logic, budget_ns, timing)
    total = max(best.total, least)
    low, high = slowest, budget_ns
    for _ in range(_BALANCING_STEPS):
        middle = (low + high) / 2
        tried = _as_soon_as_possible(logic, middle, timing)
        if tried.total <= total:
            best, high = tried, middle
        else:
            low = middle
    return best._replace(total=total)


def _slowest(logic: Logic, dsp_ns: float) -> Iterator[tuple[float, str]]:
    """The longest delay of an operation, and its layer; then those of each kernel. A stage of a
    product in a DSP block takes ``dsp_ns``.
    """
    delays = [
        dsp_ns if op.opcode == DSP else delay
        for op, delay in zip(logic.ops, logic.delays, strict=True)
    ]
    longest = max(delays, default=0.0)
    yield longest, logic.groups[delays.index(longest)] if delays else ""
    for shared in logic.shared:
        yield _choice_ns(shared), shared.group
        yield from _slowest(shared.kernel, dsp_ns)


def most_phases(budget_ns: float) -> int:
    """The most positions of which one is chosen in ``budget_ns``."""
    most: int = 4 ** int(budget_ns / _CHOICE_NS)
    return most


def _choice_ns(shared: Shared) -> float:
    """The time to choose what the copies of a kernel read."""
    address = (shared.phases - 1).bit_length()
    return -(-address // 2) * _CHOICE_NS


def _as_soon_as_possible(logic: Logic, budget_ns: float, timing: dsp.Timing) -> Schedule:
    inputs = [op for op in logic.ops if op.opcode == INPUT]
    placed = _Placement(logic, budget_ns, timing, [(0, 0.0)] * len(inputs))
    # A product in a DSP block is in a register when it is read.
    last = (max(m + 1, r) for m, r in zip(placed.stages, placed.ready, strict=True))
    return Schedule(placed.stages, placed.runs, placed.paths, max(last, default=1))


class _Placement:
    """The stage that makes each value, the first one in which it is ``ready`` to be read, and when
    it is finished there; ``inputs`` are ready at these times.

    Only a product in a DSP block is ready later than in the stage that makes it.
    """

    def __init__(
        self,
        logic: Logic,
        budget_ns: float,
        timing: dsp.Timing,
        inputs: Sequence[tuple[int, float]],
    ) -> None:
        self.stages: list[int] = []
        self.ready: list[int] = []
        self.finished: list[float] = []
        self.runs: list[Run] = []
        self.paths: dict[int, float] = {}
        self._logic = logic
        self._budget_ns, self._timing = budget_ns, timing
        stages, ready, finished = self.stages, self.ready, self.finished  # local names are faster
        for place, (op, delay) in enumerate(zip(logic.ops, logic.delays, strict=True)):
            if place < len(stages):  # a value of a shared kernel that is placed already
                continue
            if op.opcode == SHARED:
                self._add(logic.shared[op.data[0]])
                continue
            if op.opcode == DSP:
                self._add_product(op)
                continue
            if op.opcode == INPUT:
                stage, start = inputs[op.data[0]]
            else:
                stage = max((ready[i] for i in op.addr), default=0)
                start = max((finished[i] for i in op.addr if ready[i] == stage), default=0.0)
            if start + delay > budget_ns:
                stage, start = stage + 1, 0.0
            stages.append(stage)
            ready.append(stage)
            finished.append(start + delay)
        self._reach(zip(ready, finished, strict=True))

    def _reach(self, ends: Iterable[tuple[int, float]]) -> None:
        """Lengthen the longest path of each stage to these ends of paths."""
        paths = self.paths
        for stage, end in ends:
            if end > paths.get(stage, -1.0):
                paths[stage] = end

    def _add_product(self, op: Op) -> None:
        """Place a product in a DSP block, between registers."""
        stage = max(self.ready[i] + (self.finished[i] > 0) for i in op.addr)
        self.stages.append(stage)
        self.ready.append(stage + self._timing.stages)
        self.finished.append(0.0)
        self._reach((stage + k, self._timing.ns) for k in range(self._timing.stages))

    def _add(self, shared: Shared) -> None:
        """Place a kernel once for all positions whose values are ready at the same times.

        Those that then differ only in their first stages are one run.
        """
        if shared.phases > 1:
            self._add_folded(shared)
            return
        stages, finished = (
            np.array(self.ready)[shared.given],
            np.array(self.finished)[shared.given],
        )
        # Padding is ready at any time, so with what the first position reads in its place.
        padding = np.isin(shared.given, list(shared.padding))
        stages = np.where(padding, stages[0], stages)
        finished = np.where(padding, finished[0], finished)
        starts = stages.min(axis=1)
        made, ready = np.zeros((2, *shared.outputs.shape), dtype=np.int64)
        ends = np.zeros(shared.outputs.shape)
        runs: dict[tuple[int, ...], list[int]] = {}
        for rows in equal_rows(np.concatenate([stages, finished], axis=1)):
            waits = (stages[rows[0]] - starts[rows[0]]).tolist()
            latest = finished[rows[0]].tolist()
            inputs = list(zip(waits, latest, strict=True))
            placed = self._kernel(shared, inputs, set(starts[rows].tolist()))
            runs.setdefault(tuple(placed.stages), []).extend(rows)
            outputs = shared.kernel.outputs
            made[rows] = np.array(placed.stages)[outputs] + starts[rows][:, None]
            ready[rows] = np.array(placed.ready)[outputs] + starts[rows][:, None]
            ends[rows] = np.array(placed.finished)[outputs]
        self.stages += made.ravel().tolist()
        self.ready += ready.ravel().tolist()
        self.finished += ends.ravel().tolist()
        for own, rows in runs.items():
            self.runs.append(Run(shared, np.array(rows), starts[rows], list(own)))

    def _kernel(
        self, shared: Shared, inputs: Sequence[tuple[int, float]], starts: set[int]
    ) -> "_Placement":
        """Place the operations of a kernel whose positions have these first stages."""
        placed = _Placement(shared.kernel, self._budget_ns, self._timing, inputs)
        for start in starts:
            self._reach((start + stage, end) for stage, end in placed.paths.items())
        return placed

    def _add_folded(self, shared: Shared) -> None:
        """Place a kernel whose copies compute several positions.

        The copies start when the inputs of all positions are in registers. The results of all
        positions are there with the last one.
        """
        given = set(shared.given.ravel().tolist()) - shared.padding
        start = max(
            0 if is_given(self._logic.ops[i]) else max(self.stages[i] + 1, self.ready[i])
            for i in given
        )
        chosen = [(0, _choice_ns(shared))] * shared.given.shape[1]
        placed = self._kernel(shared, chosen, {start})
        last = start + shared.phases - 1
        positions, outputs = len(shared.given), shared.kernel.outputs
        self.stages += [last + placed.stages[i] for i in outputs] * positions
        self.ready += [last + placed.ready[i] for i in outputs] * positions
        self.finished += [placed.finished[i] for i in outputs] * positions
        rows = np.arange(positions)
        self.runs.append(Run(shared, rows, np.full(positions, start), placed.stages))

"""Placement of pipeline registers: assign operations to stages that meet the clock period."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from trigger.backends.rtl.operations import INPUT, SHARED, Logic, Shared, is_given
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
    """The stage of each operation, the runs of shared kernels, and the longest path in a stage in
    nanoseconds of the delay model.

    After the last operation, the results wait ``idle`` stages.
    """

    stages: list[int]
    runs: list[Run]
    longest: float
    idle: int = 0

    @property
    def last(self) -> int:
        return max(self.stages, default=0)

    @property
    def total(self) -> int:
        """The number of stages."""
        return self.last + 1 + self.idle


def schedule(logic: Logic, budget_ns: float, least: int = 1) -> Schedule:
    """The schedule with the fewest stages of at most ``budget_ns`` in the delay model, but at
    ``least`` so many.

    With that number of stages, the slowest is made as fast as possible. Raises TriggerError if a
    single operation exceeds ``budget_ns``.
    """
    slowest, group = max(_slowest(logic), key=lambda layer: layer[0])
    if slowest > budget_ns:
        raise TriggerError(
            f"{group}: one operation takes {slowest:.2f} ns, but a clock cycle leaves "
            f"{budget_ns:.2f} ns for logic; "
            "lower target.clock_mhz or use fewer bits"
        )
    best = _as_soon_as_possible(logic, budget_ns)
    total = max(best.total, least)
    low, high = slowest, budget_ns
    for _ in range(_BALANCING_STEPS):
        middle = (low + high) / 2
        tried = _as_soon_as_possible(logic, middle)
        if tried.total <= total:
            best, high = tried, middle
        else:
            low = middle
    return best._replace(idle=total - best.total)


def _slowest(logic: Logic) -> Iterator[tuple[float, str]]:
    """The longest delay of an operation, and its layer; then those of each kernel."""
    longest = max(logic.delays, default=0.0)
    yield longest, logic.groups[logic.delays.index(longest)] if logic.delays else ""
    for shared in logic.shared:
        yield _choice_ns(shared), shared.group
        yield from _slowest(shared.kernel)


def most_phases(budget_ns: float) -> int:
    """The most positions of which one is chosen in ``budget_ns``."""
    most: int = 4 ** int(budget_ns / _CHOICE_NS)
    return most


def _choice_ns(shared: Shared) -> float:
    """The time to choose what the copies of a kernel read."""
    address = (shared.phases - 1).bit_length()
    return -(-address // 2) * _CHOICE_NS


def _as_soon_as_possible(logic: Logic, budget_ns: float) -> Schedule:
    inputs = [op for op in logic.ops if op.opcode == INPUT]
    placed = _Placement(logic, budget_ns, [(0, 0.0)] * len(inputs))
    return Schedule(placed.stages, placed.runs, placed.longest)


class _Placement:
    """The stage of each operation, and when it is finished in its stage; inputs are ``ready``."""

    def __init__(self, logic: Logic, budget_ns: float, ready: Sequence[tuple[int, float]]) -> None:
        self.stages: list[int] = []
        self.finished: list[float] = []
        self.runs: list[Run] = []
        self.longest = 0.0
        self._logic = logic
        self._budget_ns = budget_ns
        stages, finished = self.stages, self.finished  # local names are faster
        for place, (op, delay) in enumerate(zip(logic.ops, logic.delays, strict=True)):
            if place < len(stages):  # a value of a shared kernel that is placed already
                continue
            if op.opcode == SHARED:
                self._add(logic.shared[op.data[0]])
                continue
            if op.opcode == INPUT:
                stage, start = ready[op.data[0]]
            else:
                stage = max((stages[i] for i in op.addr), default=0)
                start = max((finished[i] for i in op.addr if stages[i] == stage), default=0.0)
            if start + delay > budget_ns:
                stage, start = stage + 1, 0.0
            stages.append(stage)
            finished.append(start + delay)
        self.longest = max([self.longest, *finished])

    def _add(self, shared: Shared) -> None:
        """Place a kernel once for all positions whose values are ready at the same times.

        Those that then differ only in their first stages are one run.
        """
        if shared.phases > 1:
            self._add_folded(shared)
            return
        stages, finished = (
            np.array(self.stages)[shared.given],
            np.array(self.finished)[shared.given],
        )
        # Padding is ready at any time, so with what the first position reads in its place.
        padding = np.isin(shared.given, list(shared.padding))
        stages = np.where(padding, stages[0], stages)
        finished = np.where(padding, finished[0], finished)
        starts = stages.min(axis=1)
        made = np.zeros(shared.outputs.shape, dtype=np.int64)
        ready = np.zeros(shared.outputs.shape)
        runs: dict[tuple[int, ...], list[int]] = {}
        for rows in equal_rows(np.concatenate([stages, finished], axis=1)):
            waits = (stages[rows[0]] - starts[rows[0]]).tolist()
            latest = finished[rows[0]].tolist()
            inputs = list(zip(waits, latest, strict=True))
            placed = _Placement(shared.kernel, self._budget_ns, inputs)
            self.longest = max(self.longest, placed.longest)
            runs.setdefault(tuple(placed.stages), []).extend(rows)
            outputs = shared.kernel.outputs
            made[rows] = np.array(placed.stages)[outputs] + starts[rows][:, None]
            ready[rows] = np.array(placed.finished)[outputs]
        self.stages += made.ravel().tolist()
        self.finished += ready.ravel().tolist()
        for own, rows in runs.items():
            self.runs.append(Run(shared, np.array(rows), starts[rows], list(own)))

    def _add_folded(self, shared: Shared) -> None:
        """Place a kernel whose copies compute several positions.

        The copies start when the inputs of all positions are in registers. The results of all
        positions are there with the last one.
        """
        given = set(shared.given.ravel().tolist()) - shared.padding
        start = max(
            0 if is_given(op) else self.stages[i] + 1 for i in given for op in [self._logic.ops[i]]
        )
        chosen = [(0, _choice_ns(shared))] * shared.given.shape[1]
        placed = _Placement(shared.kernel, self._budget_ns, chosen)
        self.longest = max(self.longest, placed.longest)
        last = start + shared.phases - 1
        positions = len(shared.given)
        self.stages += [last + placed.stages[i] for i in shared.kernel.outputs] * positions
        self.finished += [placed.finished[i] for i in shared.kernel.outputs] * positions
        rows = np.arange(positions)
        self.runs.append(Run(shared, rows, np.full(positions, start), placed.stages))

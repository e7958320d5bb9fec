"""What is in each stage of a pipeline: the LUTs of each layer, and the flip-flops that keep what it
made.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np

from trigger.backends.rtl.hardware import Form, forms
from trigger.backends.rtl.operations import SHARED, Logic
from trigger.backends.rtl.schedule import Run, Schedule
from trigger.backends.rtl.structure import Core, Register

# The valid bit, counters, the weights that are loaded, and what copies of kernels choose from.
CONTROL = "(control)"


def stages(logic: Logic, schedule: Schedule, delay: float) -> list[dict[str, Any]]:
    """Each stage: the longest path in nanoseconds, for a part whose delays are ``delay`` times
    those of the model, and the LUTs of each layer.
    """
    luts: list[dict[str, float]] = [{} for _ in range(schedule.total)]
    for stage, layer, cost in _costs(logic, schedule):
        if cost:
            luts[stage][layer] = luts[stage].get(layer, 0.0) + cost
    paths = (schedule.paths.get(stage, 0.0) * delay for stage in range(schedule.total))
    return [{"ns": ns, "lut": of} for ns, of in zip(paths, luts, strict=True)]


def written(stage: Mapping[str, Any]) -> dict[str, Any]:
    """A stage with as many digits as rtl.json has, its layers by name."""
    luts = {name: round(cost, 1) for name, cost in sorted(stage["lut"].items())}
    return {"ns": round(stage["ns"], 2), "lut": luts}


def registers_by_layer(core: Core, logic: Logic, schedule: Schedule) -> dict[str, int]:
    """The flip-flops that keep the values of each layer; they add up to those of the core."""
    counts: dict[str, int] = {}

    def add(found: Iterable[tuple[str, int]]) -> None:
        for layer, bits in found:
            counts[layer] = counts.get(layer, 0) + bits

    add((logic.groups[i], bits) for i, bits in _bits(core.registers))
    for run, kernel in zip(schedule.runs, core.kernels, strict=True):
        kept = list(_bits(kernel.registers))
        for form in _forms(run):
            count = len(form.rows) if run.shared.phases == 1 else len(run.shared.copies)
            alive = ((i, bits) for i, bits in kept if not form.constant[i])
            add((run.shared.kernel.groups[i], bits * count) for i, bits in alive)
    rest = core.register_bits - sum(counts.values())
    return {name: bits for name, bits in {**counts, CONTROL: rest}.items() if bits}


def _costs(logic: Logic, schedule: Schedule) -> Iterator[tuple[int, str, float]]:
    """The stage, the layer and the LUTs of each operation."""
    for i, op in enumerate(logic.ops):
        if op.opcode != SHARED:
            yield schedule.stages[i], logic.groups[i], logic.costs[i]
    for run in schedule.runs:
        kernel, shared = run.shared.kernel, run.shared
        first = int(run.starts.min())
        # What copies choose is chosen once, in the first of the runs.
        yield first, shared.group, shared.choosing if 0 in run.rows else 0.0
        for form in _forms(run):
            kept = np.flatnonzero(~form.removed).tolist()
            for start, count in _starts(run, form):
                for i in kept:
                    yield start + run.stages[i], kernel.groups[i], count * kernel.costs[i]


def _forms(run: Run) -> list[Form]:
    zero = run.shared.zero[run.rows] & (run.shared.phases == 1)
    return forms(run.shared.kernel, zero)


def _starts(run: Run, form: Form) -> list[tuple[int, int]]:
    """The first stages of the copies of a kernel, each with the number of copies."""
    if run.shared.phases > 1:
        return [(int(run.starts[0]), len(run.shared.copies))]
    counted = np.unique(run.starts[form.rows], return_counts=True)
    return list(zip(*(part.tolist() for part in counted), strict=True))


def _bits(registers: Iterable[Register]) -> Iterator[tuple[int, int]]:
    """The number of each value that is in registers, and their bits in all stages."""
    named = ((re.fullmatch(r"[rp]\d+_v(\d+)", one.name), one.width) for one in registers)
    found = sorted((int(match[1]), width) for match, width in named if match)
    for value, ones in groupby(found, itemgetter(0)):
        yield value, sum(width for _, width in ones)

"""Placement of pipeline registers: assign operations to stages that meet the clock period."""

from trigger.backends.rtl.logic import Logic
from trigger.errors import TriggerError

_BALANCING_STEPS = 12


def schedule(logic: Logic, budget_ns: float) -> list[int]:
    """The stage of each operation, with the fewest stages of at most ``budget_ns`` in the delay
    model.

    With that number of stages, the slowest is made as fast as possible. Raises TriggerError if a
    single operation exceeds ``budget_ns``.
    """
    slowest = max(logic.delays, default=0.0)
    if slowest > budget_ns:
        group = logic.groups[logic.delays.index(slowest)]
        raise TriggerError(
            f"{group}: one operation takes {slowest:.2f} ns, but a clock cycle leaves "
            f"{budget_ns:.2f} ns for logic; "
            "lower target.clock_mhz or use fewer bits"
        )
    pipeline_stages = _as_soon_as_possible(logic, budget_ns)
    low, high = slowest, budget_ns
    for _ in range(_BALANCING_STEPS):
        middle = (low + high) / 2
        tried = _as_soon_as_possible(logic, middle)
        if max(tried, default=0) == max(pipeline_stages, default=0):
            pipeline_stages, high = tried, middle
        else:
            low = middle
    return pipeline_stages


def stage_delays(logic: Logic, pipeline_stages: list[int]) -> list[float]:
    """The longest path of each stage in nanoseconds of the delay model."""
    finished: list[float] = []
    longest = [0.0] * (max(pipeline_stages, default=0) + 1)
    for op, delay, stage in zip(logic.ops, logic.delays, pipeline_stages, strict=True):
        start = max((finished[i] for i in op.addr if pipeline_stages[i] == stage), default=0.0)
        finished.append(start + delay)
        longest[stage] = max(longest[stage], finished[-1])
    return longest


def _as_soon_as_possible(logic: Logic, budget_ns: float) -> list[int]:
    pipeline_stages: list[int] = []
    finished: list[float] = []
    for op, delay in zip(logic.ops, logic.delays, strict=True):
        stage = max((pipeline_stages[i] for i in op.addr), default=0)
        start = max((finished[i] for i in op.addr if pipeline_stages[i] == stage), default=0.0)
        if start + delay > budget_ns:
            stage, start = stage + 1, 0.0
        pipeline_stages.append(stage)
        finished.append(start + delay)
    return pipeline_stages

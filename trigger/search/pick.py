"""Choice of a trial by conditions such as "lut<=2500, latency_ns<=60", or of the nearest one."""

import operator
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from trigger.errors import TriggerError, quoted
from trigger.search.study import Point
from trigger.spec.tables import Budget, nearest

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
}
_CONDITION = re.compile(r"\s*(\w+)\s*(<=|>=|==)\s*([0-9.eE+-]+)\s*")


class Condition(NamedTuple):
    """A condition on one figure of a trial."""

    name: str
    comparison: str
    bound: float

    def __str__(self) -> str:
        return f"{self.name} {self.comparison} {self.bound:g}"

    def met(self, point: Point, metric: str) -> bool:
        return _COMPARISONS[self.comparison](figure(point, self.name, metric), self.bound)

    def miss(self, point: Point, metric: str) -> float:
        """The violation as a fraction of the bound; 0 if the condition is met."""
        if self.met(point, metric):
            return 0.0
        return abs(figure(point, self.name, metric) - self.bound) / max(abs(self.bound), 1e-9)


def parse(text: str, metric: str) -> list[Condition]:
    """Conditions between commas. Raises TriggerError for anything else."""
    known = ("trial", metric, "lut", "ff", "latency_ns")
    conditions = []
    for part in text.split(","):
        match = _CONDITION.fullmatch(part)
        try:
            condition = Condition(match[1], match[2], float(match[3])) if match else None
        except ValueError:
            condition = None
        if condition is None:
            raise TriggerError(
                f'--pick: {quoted(part.strip())} is not a condition; write "lut<=2500" '
                f'or "lut<=2500, latency_ns<=60"'
            )
        if condition.name not in known:
            raise TriggerError(
                f"--pick: no figure "
                f"{quoted(condition.name)}{nearest(condition.name, known)}; available: "
                f"{', '.join(known)}"
            )
        conditions.append(condition)
    return conditions


def of_budget(budget: Budget) -> list[Condition]:
    """The budgets that can be checked for a trial."""
    limits = (("lut", budget.lut), ("ff", budget.ff), ("latency_ns", budget.latency_ns))
    return [Condition(name, "<=", float(limit)) for name, limit in limits if limit is not None]


def best(points: Sequence[Point], conditions: Sequence[Condition], metric: str) -> Point:
    """The complete trial with the best metric that meets all conditions; ties go to the smallest.

    If there is none, raises TriggerError with the nearest one and the conditions to relax.
    """
    if not points:
        raise TriggerError("search: no trial is complete yet")
    meeting = [p for p in points if all(c.met(p, metric) for c in conditions)]
    if meeting:
        return max(meeting, key=lambda p: (figure(p, metric, metric), -figure(p, "lut", metric)))
    closest = min(points, key=lambda p: sum(c.miss(p, metric) for c in conditions))
    missed = [c for c in conditions if not c.met(closest, metric)]
    relaxed = ", ".join(f"{c.name} to {figure(closest, c.name, metric):g}" for c in missed)
    raise TriggerError(
        f"no trial has {', '.join(map(str, conditions))}; the nearest is "
        f"{describe(closest, metric)}. "
        f"Relax {relaxed}, or search smaller networks: fewer bits, a lower "
        f"training.target_lut, fewer neurons"
    )


def figure(point: Point, name: str, metric: str) -> float:
    """One figure of a complete trial by its name."""
    outcome = point.outcome
    figures = {"trial": point.number, metric: outcome.metric, "lut": outcome.lut, "ff": outcome.ff}
    value = {**figures, "latency_ns": outcome.latency_ns}[name]
    assert value is not None
    return float(value)


def describe(point: Point, metric: str) -> str:
    """A trial in one line."""
    o = point.outcome
    name = f"trial {point.number}{', ' if point.family else ''}{point.family}"
    if o.metric is None:
        return f"{name}: {o.state}: {o.reason}"
    return f"{name}: {metric} {o.metric:.4f}, {o.lut:,} LUT, {o.latency_ns:.1f} ns"

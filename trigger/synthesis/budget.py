"""Budgets: the allowed cost of a trigger against the best figure for each."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from trigger.spec.tables import Budget
from trigger.spec.target_tables import Target
from trigger.support.numbers import plain
from trigger.synthesis.result import HLS, LABELS, PAYLOAD, Synthesis

AREA = ("lut", "ff", "dsp", "bram")
_HELP = {
    "latency_ns": "a part with a faster grade, fewer bits or fewer layers; a higher "
    "target.clock_mhz wastes less of each cycle",
    "ii": "more links, so that an event has fewer words; with hls4ml reuse_factor 1",
    "lut": "fewer bits in kernels and activations, a higher pruning.sparsity, a "
    "smaller layer, or with hls4ml a reuse_factor",
    "ff": "fewer bits, a higher pruning.sparsity, or a lower target.clock_mhz, which "
    "needs fewer pipeline stages",
    "dsp": "with hls4ml strategy distributed_arithmetic, which needs none, or a reuse_factor",
    "bram": "narrower inputs of tables, or activations that need no table",
    "rate_khz": "a higher threshold, or decision.accept.NAME.rate_khz, which finds it",
    "clock_mhz": "a lower target.clock_mhz, fewer bits, or a part with a faster grade",
}
# What else needs fewer DSP blocks, by target.multipliers.
_FEWER_DSP = {
    "dsp": 'target.multipliers = "auto" or "lut"; ',
    "auto": 'target.multipliers = "lut"; ',
    "lut": "",
}
UNITS = {"latency_ns": "ns", "clock_mhz": "MHz", "rate_khz": "kHz"}


class Timing(NamedTuple):
    """The timing of a payload in clock cycles: from the last word of an event to its decision, and
    between events.
    """

    latency: int
    ii: int


class Figure(NamedTuple):
    """A number with its origin, and, if it is uncertain, the ``interval`` of the true value.

    The area of a core is a lower limit for its payload: the upper end is then infinite.
    """

    value: float
    origin: str
    interval: tuple[float, float] | None = None

    @property
    def is_bound(self) -> bool:
        return self.interval is not None and self.interval[1] == math.inf

    def __str__(self) -> str:
        if self.interval and not self.is_bound:
            low, high = self.interval
            return f"{plain(self.value, 3)} ({plain(low, 3)} to {plain(high, 3)}, {self.origin})"
        return f"{plain(self.value)} ({self.origin})"


class Line(NamedTuple):
    """One budget and its figure, None if not measured; ``helps`` says how to lower it."""

    name: str
    allowed: float
    figure: Figure | None
    helps: str = ""

    @property
    def met(self) -> bool | None:
        """None if unknown. An uncertain figure misses its budget if its whole interval does."""
        if self.figure is None:
            return None
        low, high = self.figure.interval or (self.figure.value, self.figure.value)
        missed = high < self.allowed if self.name == "clock_mhz" else low > self.allowed
        return False if missed else None if self.figure.is_bound else True

    def __str__(self) -> str:
        unit = f" {UNITS[self.name]}" if self.name in UNITS else ""
        if self.figure is None:
            return f"{self.name}: at most {plain(self.allowed)}{unit} allowed, not measured"
        by = plain(abs(self.figure.value - self.allowed))
        if self.name == "clock_mhz":
            text = (
                f"clock: {plain(self.allowed)} MHz requested, {self.figure} reached, "
                f"{by} MHz too slow"
            )
        else:
            text = (
                f"{self.name}: {self.figure} is {by}{unit} over the "
                f"{plain(self.allowed)}{unit} allowed"
            )
        return f"{text}; to reduce it: {self.helps or _HELP[self.name]}"


def figures(
    target: Target, results: Sequence[Synthesis], payload: Timing | None = None
) -> dict[str, Figure]:
    """The best figure of each kind for the spec's part, including ``latency_ns``; of the payload if
    any.

    Routed results take precedence over synthesised, and those over estimated; of equals the later
    counts.
    """
    own = sorted((r for r in results if r.part == target.part), key=lambda r: LABELS.index(r.label))
    core = [r for r in own if r.design != PAYLOAD]
    names = (*AREA, "clock_mhz")
    if payload is None:
        values = {name: _best(core, name) for name in ("latency", "ii", *names)}
    else:
        whole = [r for r in own if r.design == PAYLOAD]
        values = {name: _best(whole, name, "payload, ") or _bound(core, name) for name in names}
        for name, cycles in payload._asdict().items():
            values[name] = Figure(cycles, "payload, simulated")
    cycles = values.pop("latency")
    if cycles is not None:
        values["latency_ns"] = cycles._replace(value=cycles.value * 1000 / target.clock_mhz)
    return {name: figure for name, figure in values.items() if figure is not None}


def check_budget(
    budget: Budget, target: Target, results: Sequence[Synthesis], payload: Timing | None = None
) -> list[Line]:
    """Each budget of area and time in the spec, and the clock, with its figure."""
    values = figures(target, results, payload)
    allowed = {name: getattr(budget, name) for name in ("latency_ns", "ii", *AREA)}
    helps = {"dsp": _FEWER_DSP[target.multipliers] + _HELP["dsp"]}
    lines = [
        Line(name, limit, values.get(name), helps.get(name, ""))
        for name, limit in allowed.items()
        if limit is not None
    ]
    return [*lines, Line("clock_mhz", target.clock_mhz, values.get("clock_mhz"))]


def over(lines: Iterable[Line]) -> list[Line]:
    """The budgets that are not met."""
    return [line for line in lines if line.met is False]


def _best(results: Sequence[Synthesis], name: str, of: str = "") -> Figure | None:
    candidates = [
        Figure(getattr(r, name), of + _origin(r, name))
        for r in results
        if getattr(r, name) is not None
    ]
    return candidates[-1] if candidates else None


def _bound(core: Sequence[Synthesis], name: str) -> Figure | None:
    """Figures of a core as lower limits for its payload; the delay model has no shell, so the clock
    is that of the core.
    """
    best = _best(core, name, "core alone, ")
    if best is None or name == "clock_mhz":
        return best
    return best._replace(interval=(best.value, math.inf))


def _origin(result: Synthesis, name: str) -> str:
    """The cycles of the RTL come from verification, not from a tool."""
    return "simulated" if result.design != HLS and name in ("latency", "ii") else result.origin

"""Budgets: what the trigger may cost, against the best figure there is for each."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from trigger.sections import Budget, Target
from trigger.synthesis.result import LABELS, Synthesis

_AREA = ("lut", "ff", "dsp", "bram")
_HELP = {
    "latency_ns": "a part with a faster grade, fewer bits or fewer layers; a higher target.clock_mhz wastes less of each cycle",
    "ii": "reuse_factor 1, or the RTL, which always takes an event with every clock cycle",
    "lut": "fewer bits in kernels and activations, a higher pruning.sparsity, a smaller layer, or with hls4ml a reuse_factor",
    "ff": "fewer bits, a higher pruning.sparsity, or a lower target.clock_mhz, which needs fewer pipeline stages",
    "dsp": "the RTL or strategy distributed_arithmetic, which need none, or a reuse_factor",
    "bram": "narrower inputs of tables, or activations that need no table",
    "rate_khz": "a higher threshold, or decision.accept.NAME.rate_khz, which finds it",
    "clock_mhz": "a lower target.clock_mhz, fewer bits, or a part with a faster grade",
}
_UNITS = {"latency_ns": "ns", "clock_mhz": "MHz", "rate_khz": "kHz"}


class Figure(NamedTuple):
    """One number with where it comes from; ``interval`` are its ends where it is an estimate."""

    value: float
    origin: str
    interval: tuple[float, float] | None = None

    def __str__(self) -> str:
        if self.interval:
            return f"{self.value:.3g} ({self.interval[0]:.3g} to {self.interval[1]:.3g}, {self.origin})"
        return (
            f"{self.value:,.4g} ({self.origin})"
            if self.value % 1
            else f"{self.value:,.0f} ({self.origin})"
        )


class Line(NamedTuple):
    """One budget and what was found. ``figure`` is None where nothing has measured it."""

    name: str
    allowed: float
    figure: Figure | None

    @property
    def met(self) -> bool | None:
        """None where nothing is known. An estimate misses its budget where its whole interval does."""
        if self.figure is None:
            return None
        if self.figure.interval:
            return self.figure.interval[0] <= self.allowed
        return (
            self.figure.value >= self.allowed
            if self.name == "clock_mhz"
            else self.figure.value <= self.allowed
        )

    def __str__(self) -> str:
        unit = f" {_UNITS[self.name]}" if self.name in _UNITS else ""
        if self.figure is None:
            return f"{self.name}: at most {self.allowed:g}{unit} allowed, not measured"
        by = abs(self.figure.value - self.allowed)
        if self.name == "clock_mhz":
            text = (
                f"clock: {self.allowed:g} MHz asked, {self.figure} reached, {by:,.4g} MHz too slow"
            )
        else:
            text = f"{self.name}: {self.figure} is {by:,.4g}{unit} over the {self.allowed:,g}{unit} allowed"
        return f"{text}; what helps: {_HELP[self.name]}"


def check(budget: Budget, target: Target, results: Sequence[Synthesis]) -> list[Line]:
    """Each budget that the spec sets, and the clock, against the best of the results for the spec's part.

    Of two results the one that went further (routed before synthesised before estimated) counts, of equals the later one.
    """
    own = sorted((r for r in results if r.part == target.part), key=lambda r: LABELS.index(r.label))
    cycles = _best(own, "latency")
    latency = cycles and Figure(cycles.value * 1000 / target.clock_mhz, cycles.origin)
    lines = [] if budget.latency_ns is None else [Line("latency_ns", budget.latency_ns, latency)]
    for name in ("ii", *_AREA):
        allowed = getattr(budget, name)
        if allowed is not None:
            lines.append(Line(name, allowed, _best(own, name)))
    lines.append(Line("clock_mhz", target.clock_mhz, _best(own, "clock_mhz")))
    return lines


def over(lines: Iterable[Line]) -> list[Line]:
    """The budgets that are not met."""
    return [line for line in lines if line.met is False]


def _best(results: Sequence[Synthesis], name: str) -> Figure | None:
    found = [
        Figure(getattr(r, name), _origin(r, name)) for r in results if getattr(r, name) is not None
    ]
    return found[-1] if found else None


def _origin(result: Synthesis, name: str) -> str:
    """The cycles of the RTL are not what a tool says: verification counts them."""
    return "simulated" if result.design == "RTL" and name in ("latency", "ii") else result.origin

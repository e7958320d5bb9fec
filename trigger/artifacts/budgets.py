"""The budgets of a finished build: cost and rate of the trigger against the limits in the spec."""

import numpy as np

from trigger.artifacts.decided import accept_bits
from trigger.artifacts.folder import Build, integer_events, read_graph, read_json
from trigger.fixedpoint.graph import Graph
from trigger.physics.rates import menu
from trigger.spec.spec import Spec
from trigger.synthesis.advice import advice
from trigger.synthesis.budget import Figure, Line, Timing, check_budget
from trigger.synthesis.result import PAYLOAD, Synthesis
from trigger.synthesis.run import results
from trigger.synthesis.yosys import SHELL


def budgets(build: Build, syntheses: list[Synthesis] | None = None) -> list[Line]:
    """Each budget of the spec with the best figure of the synthesis runs, or with the rate.

    ``syntheses`` are results to use instead of all those of the build.
    """
    spec = build.spec
    syntheses = results(build.root)[0] if syntheses is None else syntheses
    graph = read_graph(build.root)
    lines = [
        line._replace(helps=_helps(spec, graph, syntheses)) if line.name in ("lut", "ff") else line
        for line in check_budget(spec.budget, spec.target, syntheses, timing(build))
    ]
    if spec.budget.rate_khz is not None:
        lines.append(Line("rate_khz", spec.budget.rate_khz, _rate(build)))
    return lines


def timing(build: Build) -> Timing | None:
    """The clock cycles of the payload, from its description; None without a payload."""
    if build.spec.payload is None:
        return None
    payload = read_json(build.root / "payload" / "payload.json")
    return Timing(payload["latency"], payload["apart"])


def _rate(build: Build) -> Figure | None:
    test = integer_events(build)["test"]
    outputs = np.load(build.root / "verification" / "outputs.npy")[: len(test.x)]
    if len(outputs) != len(test.x):  # an aborted csim has no outputs
        return None
    rate = menu(accept_bits(build.root, build.spec, outputs), test, build.spec).total.rate
    return rate and Figure(rate.value, "test events", (rate.low, rate.high))


def _helps(spec: Spec, graph: Graph, syntheses: list[Synthesis]) -> str:
    """The best way to reduce LUT and FF: a change in the largest layer, or in the shell if that is
    larger.
    """
    of_design = [r for r in syntheses if r.layers and r.part == spec.target.part]
    if not of_design:
        return ""
    best = next((r for r in of_design if r.design == PAYLOAD), of_design[-1])
    layers = best.layers
    if layers.get(SHELL, 0) == max(layers.values()):
        fixed = ', or payload.thresholds = "fixed"' if not spec.decides else ""
        return f"fewer links or working points{fixed}: the shell takes {layers[SHELL]:,} LUT"
    change = advice(graph, layers, best.lut or sum(layers.values()))
    if spec.training.target_lut is None:
        return change
    target = f"a lower training.target_lut, which is {spec.training.target_lut:,} now"
    return f"{change}; or {target}" if change else target

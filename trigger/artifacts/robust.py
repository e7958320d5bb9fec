"""The effects of the shifts of a build, from the graph's outputs for the shifted test events."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from trigger.artifacts.folder import Build, integer_events, read_graph, read_json
from trigger.fixedpoint.evaluate import run
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.passes.decision import scores as scores_of
from trigger.fixedpoint.types import Integers
from trigger.physics.metrics import logits
from trigger.physics.rates import Estimate
from trigger.physics.robustness import TOTAL, Effect, Outputs, effects
from trigger.spec.spec import Spec

FILE_NAME = "robustness.json"


def robustness(build: Build) -> list[dict[str, Any]]:
    """For each shift: its name, its keys, the fraction of test events with changed inputs, and its
    effects.
    """
    if not build.spec.robustness:
        return []
    test = integer_events(build)["test"]
    graph = scores_of(read_graph(build.root))
    integers = run(graph, test.x)
    nominal = _outputs(build, graph, integers)
    records = []
    for number, shift in enumerate(read_json(build.root / "shifts" / "summary.json")):
        with np.load(build.root / "shifts" / f"{number}.npz") as file:
            x = file["x"].astype(np.int64)
        changed = (x != test.x).any(axis=1)
        shifted = integers.copy()
        shifted[changed] = run(graph, x[changed])
        keys = build.spec.robustness[shift["name"]].model_dump(exclude_none=True)
        effect = effects(nominal, _outputs(build, graph, shifted), test, build.spec)
        records.append(
            {
                "name": shift["name"],
                **keys,
                "changed": float(changed.mean()),
                "effects": [{**e._asdict(), "change": e.change._asdict()} for e in effect],
            }
        )
    return records


def recorded_effects(shift: dict[str, Any]) -> list[Effect]:
    """The effects of one shift, as ``robustness`` records them."""
    return [Effect(**{**e, "change": Estimate(**e["change"])}) for e in shift["effects"]]


def read_robustness(root: Path) -> list[dict[str, Any]]:
    """The result of ``robustness`` in the report of a build; [] without shifts."""
    path = root / "report" / FILE_NAME
    return list(read_json(path)) if path.exists() else []


def _outputs(build: Build, graph: Graph, integers: Integers) -> Outputs:
    """Accept bits and logits from the integers of all scores."""
    summary = read_json(build.root / "graph" / "summary.json")
    real = np.ldexp(integers.astype(np.float64), -graph.output.fractions)
    bits = None
    if points := list(summary["working_points"].values()):
        bits = np.stack([integers[:, p["element"]] >= p["bound"] for p in points], axis=1)
    return Outputs(bits, logits(real, summary["outputs"]))


def shown(effect: Effect) -> tuple[str, str, str]:
    """The nominal and the shifted figure, and the interval of their difference, as text."""
    low, high = effect.change.low, effect.change.high
    if effect.figure in ("accepted", "accuracy"):
        return (
            f"{100 * effect.nominal:.2f} %",
            f"{100 * effect.shifted:.2f} %",
            f"{100 * low:+.2f} to {100 * high:+.2f} %",
        )
    if effect.figure == "auc":
        return f"{effect.nominal:.4f}", f"{effect.shifted:.4f}", f"{low:+.4f} to {high:+.4f}"
    size = max(abs(effect.nominal), abs(effect.shifted), 1e-9)
    digits = max(3 - math.floor(math.log10(size)), 0)
    change = f"{low:+,.{digits}f} to {high:+,.{digits}f}"
    return f"{effect.nominal:,.{digits}f}", f"{effect.shifted:,.{digits}f}", change


def title(effect: Effect, spec: Spec) -> str:
    """What a figure is, with its unit."""
    unit = next((head.unit for head in spec.scoring if head.name == effect.of), "")
    match effect.figure:
        case "rate_khz":
            return "rate, kHz"
        case "accepted":
            return f"{effect.what} accepted"
        case "auc":
            return f"AUC {effect.what}"
        case figure:
            return f"{figure}, {unit}" if unit and figure != "accuracy" else figure


def lines(root: Path, spec: Spec) -> list[tuple[str, str]]:
    """For the terminal: each shift, and its effect on the rate and on the classes that the network
    learns to accept, or on the main figure of each head.
    """
    rows = []
    for shift in read_robustness(root):
        parts = [
            f"{' '.join(filter(None, ['' if e.accept else e.of, title(e, spec)]))} "
            f"{' → '.join(shown(e)[:2])} ({shown(e)[2]})"
            for e in recorded_effects(shift)
            if _is_main(e, spec)
        ]
        rows.append((f"shift {shift['name']}", "; ".join(parts)))
    return rows


def _is_main(effect: Effect, spec: Spec) -> bool:
    if spec.accept:
        whole = TOTAL if len(spec.accept) > 1 else next(iter(spec.accept))
        classes = spec.data.classes if spec.data.label else ["events"]
        signals = [c for c in spec.scored_high or classes if c != spec.physics.zero_bias]
        return effect.accept and effect.of == whole and effect.what in ("", *signals)
    if spec.task == "anomaly":
        return effect.figure == "auc"
    return effect.figure in ("accuracy", "bias", "resolution")

"""The report: one HTML page that opens from disk, with configuration, results and proof."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trigger.artifacts.budgets import timing
from trigger.artifacts.cross_validated import cross_validated
from trigger.artifacts.folder import Build, integer_events, read_graph, read_json, write_json
from trigger.artifacts.manifest import facts
from trigger.artifacts.outcome import Measured, Outcome, outcome
from trigger.artifacts.robust import FILE_NAME, robustness
from trigger.events.dataset import Events
from trigger.fixedpoint.evaluate import run
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import Dense, Operation
from trigger.fixedpoint.passes.decision import scores as scores_of
from trigger.fixedpoint.ranges import overflow_proof
from trigger.physics.metrics import curves_of, roc
from trigger.physics.rates import crossings_khz, turn_on
from trigger.report import plots
from trigger.report.page import environment
from trigger.report.shifts import panels, relative_changes
from trigger.spec.head_tables import Scoring
from trigger.spec.parts import utilisation
from trigger.spec.spec import Spec
from trigger.synthesis.advice import ten_times_smaller
from trigger.synthesis.result import CORE, LABELS, Synthesis
from trigger.synthesis.run import results as results_of


def write_report(build: Build, folder: Path) -> None:
    """Write ``index.html`` from the finished stages of a build, and ``robustness.json`` if it has
    shifts of the inputs.
    """
    spec = build.spec
    graph = read_graph(build.root)
    training = _read(build, "model/summary.json")
    test = integer_events(build)["test"]
    result = outcome(build)
    shifts = robustness(build)
    if shifts:
        write_json(folder / FILE_NAME, shifts)
    histories = {
        name: summary["history"]
        for name, summary in training.items()
        if summary["history"] and name != "teacher"  # its loss is of another kind
    }
    runs, failures = results_of(build.root)
    validated = cross_validated(build)
    pruning = (spec.pruning.start_epoch, spec.pruning.end_epoch) if spec.pruning else None
    rows = _layers(graph)
    sized = _best_sized(runs, spec.target.part)
    page = (
        environment()
        .get_template("report.html.j2")
        .render(
            spec=spec,
            target=spec.target,
            graph=graph,
            layers=rows,
            by_design=[row for row in rows if row["by_design"]],
            zeros=_zeros([node for node in graph.nodes if isinstance(node, Dense)]),
            training=training,
            events=_read(build, "events/summary.json"),
            lowered=_read(build, "graph/summary.json"),
            headline=result.headline,
            warnings=result.warnings,
            results=result.results,
            figures=result.figures,
            cycles=_cycles(build),
            shell=_read(build, "payload/payload.json") if spec.payload else None,
            menu=result.menu,
            crossings_khz=crossings_khz(spec),
            shifts=shifts,
            panels=panels(shifts, spec),
            shifts_svg=relative_changes(shifts, spec),
            rates_svg=_rate_curves(build, test),
            turn_ons={} if result.bits is None else _turn_ons(result.bits, test, spec),
            utilisation=utilisation,
            synthesis=runs,
            estimate=next(r for r in runs if r.design == CORE),
            sized=sized,
            smaller=ten_times_smaller(graph, sized.lut),
            notes=dict.fromkeys(f"{r.tool}: {note}" for r in runs for note in r.notes),
            synthesis_failures=failures,
            budgets=result.budgets,
            passes=_read(build, "synthesis/results.json")["passes"],
            area_svg=plots.area_by_layer(
                {f"{r.title}: {r.origin}": r.layers for r in runs if r.layers}
            ),
            turns_svg=plots.turns(_read(build, "rtl/rtl.json")["turns"]),
            weighed=_weighed(_read(build, "rtl/rtl.json")["weighed"]),
            weights=_read(build, "rtl/rtl.json").get("weights"),
            heads=result.heads,
            alike=_alike(result),
            reference=result.reference,
            baseline="boosted trees" in result.scores,
            pictures=[_picture(head, result, test, spec) for head in result.heads],
            validated=validated,
            learning_svg=plots.learning_curve(validated)
            if validated is not None and len(validated.points) > 1
            else "",
            training_svg=plots.training_curves(histories, pruning, _loss(spec))
            if histories
            else "",
            quantization=_read(build, "model/quantization.json") if spec.quantization else None,
            bits_svg=plots.bit_widths(_bits(graph)),
            manifest=facts(build),
            test_events=len(test.x),
        )
    )
    (folder / "index.html").write_text(page, encoding="utf-8")


def _weighed(layers: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """What could share hardware, the largest first, without what has no logic."""
    seen = [one for one in layers if one["alone"]]
    return sorted(seen, key=lambda one: -one["alone"])


def _picture(measured: Measured, result: Outcome, test: Events, spec: Spec) -> dict[str, str]:
    """The plot of a head and its caption: ROC curves, or residuals by bins of the truth."""
    head = measured.head
    title = f"{head.name}: " if head.name else ""
    if head.is_regression:
        unit = f" [{head.unit}]" if head.unit else ""
        svg = plots.residuals(measured.regression, f"True {head.name}{unit}")
        caption = f"{title}bias, with the resolution as a bar, by bins of the true value."
        return {"svg": svg, "caption": caption}
    curves = {label: curves_of(scores, test, head) for label, scores in result.scores.items()}
    against = _against(head)
    return {
        "svg": plots.roc_curves(curves, spec.physics.signal_efficiency),
        "caption": f"{title}ROC curves, {against}; dotted: float, wide: {result.reference}, "
        f"dashed: csim{', dashed and dotted: teacher' if spec.model.teacher else ''}"
        f"{', points: boosted trees' if 'boosted trees' in result.scores else ''}.",
        "against": against,
    }


def _alike(result: Outcome) -> bool | None:
    """Whether csim and reference have the same figures; None if the csim gives no scores."""
    figures_of_heads = [
        figures for head in result.heads for figures in (head.performance, head.regression)
    ]
    pairs = [(each["csim"], each[result.reference]) for each in figures_of_heads if "csim" in each]
    return all(csim == trained for csim, trained in pairs) if pairs else None


def _against(head: Scoring) -> str:
    """The comparison that a ROC curve shows."""
    if head.background is None:
        return "each class against all others"
    names = " and ".join(head.classes[number] for number in head.background)
    return f"each class against {names}, {names} against all others"


def _loss(spec: Spec) -> str:
    """What training minimised."""
    if spec.task == "classification":
        return "Cross entropy"
    return "Loss" if spec.model.teacher is None else "Difference from the teacher's score"


def _read(build: Build, name: str) -> Any:
    return read_json(build.root / name)


def _best_sized(results: Sequence[Synthesis], part: str) -> Synthesis:
    """The core on the spec's own part, by the most reliable tool; the estimate if no other gives
    LUTs.
    """
    sized = [r for r in results if r.design == CORE and r.part == part and r.lut is not None]
    return max(sized, key=lambda r: LABELS.index(r.label))


def _cycles(build: Build) -> dict[str, int]:
    """Latency in clock cycles: of the core, and of the payload if there is one."""
    cycles = {"core": int(_read(build, "rtl/rtl.json")["latency"])}
    whole = timing(build)
    return cycles if whole is None else {**cycles, "payload": whole.latency}


def _rate_curves(build: Build, test: Events) -> str:
    """Zero-bias rate against the efficiency of each other class, for every output with an accept
    bit.
    """
    spec = build.spec
    if spec.decision is None or spec.physics.zero_bias is None:
        return ""
    points = _read(build, "graph/summary.json")["working_points"].values()
    values = run(scores_of(read_graph(build.root)), test.x)
    background = spec.data.classes.index(spec.physics.zero_bias)
    curves = {}
    colors = {}
    for element in dict.fromkeys(point["element"] for point in points):
        for number, name in enumerate(spec.data.classes):
            if number != background:
                label = name if len(spec.scores) == 1 else f"{name}, score {spec.scores[element]}"
                curves[label] = roc(values[:, [element]], test, number, (background,))
                colors[label] = number
    return plots.rate_curves(
        curves,
        colors,
        crossings_khz(spec),
        [p.rate_khz for p in spec.decision.accept.values() if p.rate_khz],
    )


def _turn_ons(bits: np.ndarray, test: Events, spec: Spec) -> dict[str, str]:
    """For each feature in physics.turn_on, or sum of a field over its objects, the efficiency of
    the OR of all accept bits by class.
    """
    kept = np.asarray(bits.any(axis=1))
    fields = spec.inputs.fields()
    pictures = {}
    for name in spec.physics.turn_on:
        summands = spec.summands(name)
        numbers = [spec.data.features.index(feature) for feature in summands]
        values = test.x[:, numbers].sum(axis=1) * (
            fields[summands[0]].field.lsb
            if fields
            else 2.0 ** -spec.input_types[numbers[0]].fraction
        )
        shown = f"the sum of {name}" if len(summands) > 1 else name
        curves = {}
        for k, class_name in enumerate(spec.data.classes if spec.data.label else ["events"]):
            here = test.y == k
            curves[class_name] = turn_on(kept[here], values[here], test.weight[here])
        pictures[shown] = plots.turn_on(curves, shown)
    return pictures


def _layers(graph: Graph) -> list[dict[str, Any]]:
    """One row per node: sizes, weights and zeros, types, and whether it wraps or saturates by
    design.
    """
    rows = []
    for row, node in zip(overflow_proof(graph), graph.nodes, strict=True):
        kinds = sorted({str(t) for t in node.types})
        entry: dict[str, Any] = {
            "name": node.name,
            "op": node.op,
            "elements": len(node.types),
            "type": kinds[0] if len(kinds) == 1 else f"{len(kinds)} types",
            "types": ", ".join(kinds),
            "proof": row,
            "by_design": row.verdict != "cannot overflow",
            "weights": "",
            "zeros": None,
        }
        if isinstance(node, Dense):
            entry |= {"weights": _shape(node), "zeros": _zeros([node])}
        rows.append(entry)
    return rows


def _zeros(layers: Sequence[Dense]) -> float | None:
    """The fraction of zero weights; None if there are none but those of sums, such as counts of
    ones, whose zeros only say what is added.
    """
    weights = [node.weights.values for node in layers if node.weights.type.width > 1]
    zero = sum(int((values == 0).sum()) for values in weights)
    return zero / sum(values.size for values in weights) if weights else None


def _shape(node: Dense) -> str:
    shape = " × ".join(map(str, node.weights.values.shape))
    places = f" at {node.positions} positions" if node.positions > 1 else ""
    return f"{shape} {node.weights.type}{places}"


def _bits(graph: Graph) -> dict[str, tuple[int, int]]:
    """Integer and fractional bits of one element of each node, the widest."""

    def widest(node: Operation) -> tuple[int, int]:
        fixed = max(node.types, key=lambda t: t.width)
        return fixed.integer, fixed.fraction

    return {node.name: widest(node) for node in graph.nodes}

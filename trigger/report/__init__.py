"""The report: one HTML page that opens from disk and says what was asked, what was built and what was proven."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trigger.budgets import budgets
from trigger.checks import accept_bits
from trigger.events.dataset import Events
from trigger.fixedpoint.graph import Constant, Dense, Graph
from trigger.fixedpoint.passes.decision import scores as scores_of
from trigger.fixedpoint.ranges import overflow_proof
from trigger.folder import Build, integer_events, read_graph, read_json
from trigger.physics.metrics import Performance, accuracy, logits, performance, roc
from trigger.physics.rates import crossings_khz, menu, turn_on
from trigger.provenance import facts
from trigger.report import plots
from trigger.report.page import environment
from trigger.spec import Spec
from trigger.synthesis.result import LABELS, Synthesis
from trigger.synthesis.run import results as results_of


def write(build: Build, folder: Path) -> None:
    """Write ``index.html`` from the finished stages of a build."""
    spec, graph = build.spec, read_graph(build.root)
    training = _read(build, "model/summary.json")
    results = _read(build, "verification/results.json")
    test = integer_events(build)["test"]
    files = {"float": "float_scores.npy", "Keras": "network_scores.npy"}
    scores = {
        kind: np.load(path)
        for kind, name in files.items()
        if (path := build.root / "model" / name).exists()
    }
    outputs = np.load(build.root / "verification" / "outputs.npy")[: len(test.x)]
    complete = len(outputs) == len(test.x)  # an aborted csim has none
    bits = accept_bits(build.root, spec, outputs) if spec.decision and complete else None
    if complete and not spec.decides:
        real = np.ldexp(outputs.astype(np.float64), -graph.output.fractions)
        scores["csim"] = logits(real, _read(build, "graph/summary.json")["head"])
    if spec.data.label is None:  # nothing to measure a performance by
        scores = {}
    curves = {
        kind: {c: roc(s, test, n, spec.background) for n, c in enumerate(spec.data.classes)}
        for kind, s in scores.items()
    }
    histories = {
        name: summary["history"] for name, summary in training.items() if summary["history"]
    }
    found, failures = results_of(build.root)
    pruning = (spec.pruning.start_epoch, spec.pruning.end_epoch) if spec.pruning else None
    page = (
        environment()
        .get_template("report.html.j2")
        .render(
            spec=spec,
            target=spec.target,
            graph=graph,
            layers=_layers(graph),
            training=training,
            events=_read(build, "events/summary.json"),
            lowered=_read(build, "graph/summary.json"),
            results=results,
            shell=_shell(build) if spec.payload else None,
            menu=None if bits is None else menu(bits, test, spec),
            crossings_khz=crossings_khz(spec),
            against=_against(spec),
            rates_svg=_rate_curves(build, test),
            turn_ons={} if bits is None else _turn_ons(bits, test, spec),
            synthesis=found,
            sized=_best_sized(found, spec.target.part),
            synthesis_failures=failures,
            budgets=budgets(build),
            passes=_read(build, "synthesis/results.json")["passes"],
            area_svg=plots.area_by_layer(
                {f"{r.design}: {r.origin}": r.layers for r in found if r.layers}
            ),
            performance={kind: _performance(s, test, spec) for kind, s in scores.items()},
            roc_svg=plots.roc_curves(curves, spec.physics.signal_efficiency) if curves else "",
            training_svg=plots.training_curves(histories, pruning) if histories else "",
            quantization=_read(build, "model/quantization.json") if spec.quantization else None,
            bits_svg=plots.bit_widths(_bits(graph)),
            manifest=facts(build),
            test_events=len(test.x),
        )
    )
    (folder / "index.html").write_text(page, encoding="utf-8")


def _performance(scores: np.ndarray, test: Events, spec: Spec) -> Performance:
    asked = spec.data.classes, spec.physics.signal_efficiency, spec.background
    found = performance(scores, test, *asked)
    if spec.task == "anomaly":
        return found._replace(accuracy=None)
    taught = np.isin(test.y, spec.taught)
    return found._replace(
        accuracy=accuracy(scores[taught], test.take(np.flatnonzero(taught)), spec.background)
    )


def _against(spec: Spec) -> str:
    """What a ROC curve is of."""
    if spec.background is None:
        return "each class against all others"
    names = " and ".join(spec.data.classes[number] for number in spec.background)
    return f"each class against {names}, {names} against all others"


def _shell(build: Build) -> dict[str, Any]:
    """What the payload's own description says, and where in time its decision is."""
    found = _read(build, "payload/payload.json")
    return {**found, "ns": found["latency"] * 1000 / build.spec.target.clock_mhz}


def _read(build: Build, name: str) -> Any:
    return read_json(build.root / name)


def _best_sized(results: Sequence[Synthesis], part: str) -> Synthesis:
    """The RTL on the spec's own part by the tool that went furthest; the estimate where no other gave its LUTs."""
    sized = [r for r in results if r.design == "RTL" and r.part == part and r.lut is not None]
    return max(sized, key=lambda r: LABELS.index(r.label))


def _rate_curves(build: Build, test: Events) -> str:
    """Zero-bias rate against the efficiency of each other class, for every output that an accept bit looks at."""
    spec = build.spec
    if spec.decision is None or spec.physics.zero_bias is None:
        return ""
    points = _read(build, "graph/summary.json")["working_points"].values()
    values = scores_of(read_graph(build.root)).run(test.x)
    background = spec.data.classes.index(spec.physics.zero_bias)
    curves = {}
    for element in dict.fromkeys(point["element"] for point in points):
        for number, name in enumerate(spec.data.classes):
            if number != background:
                label = name if len(spec.scores) == 1 else f"{name}, score {spec.scores[element]}"
                curves[label] = roc(values[:, [element]], test, number, (background,))
    return plots.rate_curves(
        curves,
        crossings_khz(spec),
        [p.rate_khz for p in spec.decision.accept.values() if p.rate_khz],
    )


def _turn_ons(bits: np.ndarray, test: Events, spec: Spec) -> dict[str, str]:
    """For each feature asked for: the efficiency of any accept bit, class by class."""
    kept, pictures = np.asarray(bits.any(axis=1)), {}
    for feature in spec.physics.turn_on:
        number = spec.data.features.index(feature)
        fields = spec.inputs.fields()
        values = test.x[:, number] * (
            fields[feature].field.lsb if fields else 2.0 ** -spec.input_types[number].fraction
        )
        curves = {}
        for k, name in enumerate(spec.data.classes if spec.data.label else ["events"]):
            here = test.y == k
            curves[name] = turn_on(kept[here], values[here], test.weight[here])
        pictures[feature] = plots.turn_on(curves, feature)
    return pictures


def _layers(graph: Graph) -> list[dict[str, Any]]:
    """One row a node: sizes, weights and their zeros, the types."""
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
            "weights": "",
            "zeros": "",
        }
        if isinstance(node, Dense):
            entry |= {
                "weights": _shape(node.weights),
                "zeros": float((node.weights.values == 0).mean()),
            }
        rows.append(entry)
    return rows


def _shape(weights: Constant) -> str:
    return f"{' × '.join(map(str, weights.values.shape))} {weights.type}"


def _bits(graph: Graph) -> dict[str, tuple[int, int]]:
    return {
        node.name: (max(t.integer for t in node.types), max(t.fraction for t in node.types))
        for node in graph.nodes
    }

"""The report: one HTML page that opens from disk, with configuration, results and proof."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trigger.artifacts.cross_validated import cross_validated
from trigger.artifacts.folder import Build, integer_events, read_graph, read_json, write_json
from trigger.artifacts.manifest import facts
from trigger.artifacts.outcome import Outcome, outcome
from trigger.artifacts.robust import FILE_NAME, robustness
from trigger.events.dataset import Events
from trigger.fixedpoint.ops import Dense
from trigger.physics.rates import crossings_khz
from trigger.report import accepting, files, hardware, network, performance
from trigger.report.figures import hex_colors, numbers_of_classes
from trigger.report.page import environment
from trigger.report.plots import training as training_plots
from trigger.report.plots.network import MOST_ROWS
from trigger.report.shifts import panels, relative_changes
from trigger.spec.parts import utilisation
from trigger.spec.spec import Spec
from trigger.synthesis.advice import ten_times_smaller
from trigger.synthesis.result import CORE
from trigger.synthesis.run import results as results_of


def write_report(build: Build, folder: Path) -> None:
    """Write ``index.html`` from the finished stages of a build, and ``robustness.json`` if it has
    shifts of the inputs.
    """
    spec = build.spec
    test = integer_events(build)["test"]
    result = outcome(build)
    shifts = robustness(build)
    if shifts:
        write_json(folder / FILE_NAME, shifts)
    page = (
        environment()
        .get_template("report.html.j2")
        .render(
            spec=spec,
            target=spec.target,
            colors=hex_colors(numbers_of_classes(spec)),
            events=_read(build, "events/summary.json"),
            headline=result.headline,
            warnings=result.warnings,
            results=result.results,
            lowered=_read(build, "graph/summary.json"),
            reference=result.reference,
            quantization=_read(build, "model/quantization.json") if spec.quantization else None,
            shifts=shifts,
            panels=panels(shifts, spec),
            changes=relative_changes(shifts, spec),
            manifest=facts(build),
            files=files.by_folder(build.root),
            test_events=len(test.x),
            **_trained(build),
            **_measured(build, result, test),
            **_made(build, result, test),
        )
    )
    (folder / "index.html").write_text(page, encoding="utf-8")


def _trained(build: Build) -> dict[str, Any]:
    """What the page says of training."""
    spec = build.spec
    training = _read(build, "model/summary.json")
    histories = {
        name: summary["history"]
        for name, summary in training.items()
        if summary["history"] and name != "teacher"  # its loss is of another kind
    }
    pruning = (spec.pruning.start_epoch, spec.pruning.end_epoch) if spec.pruning else None
    validated = cross_validated(build)
    several = validated is not None and len(validated.points) > 1
    curves = training_plots.training_curves(histories, pruning, _loss(spec)) if histories else None
    return {
        "training": training,
        "validated": validated,
        "learning": training_plots.learning_curve(validated) if several and validated else None,
        "curves": curves,
    }


def _measured(build: Build, result: Outcome, test: Events) -> dict[str, Any]:
    """What the page says of the figures on the test events."""
    firmware = performance.firmware_of(build, test)
    return {
        "heads": performance.heads(result, test, build.spec, firmware),
        "alike": _alike(result),
        "baseline": "boosted trees" in result.scores,
        "few": performance.FEW,
        "menu": result.menu,
        "crossings_khz": crossings_khz(build.spec),
        "rates": accepting.rate_curves(firmware, test, build.spec),
        "turn_ons": accepting.turn_ons(result.bits, test, build.spec),
    }


def _made(build: Build, result: Outcome, test: Events) -> dict[str, Any]:
    """What the page says of the network and its hardware."""
    spec = build.spec
    graph = read_graph(build.root)
    runs, failures = results_of(build.root)
    sized = hardware.best_sized(runs, spec.target.part)
    rows = network.layers(graph)
    return {
        "graph": graph,
        "layers": rows,
        "by_design": [row for row in rows if row["by_design"]],
        "zeros": network.zeros([node for node in graph.nodes if isinstance(node, Dense)]),
        "network": network.pictures(graph, test, sized.layers, hardware.registers(build)),
        "most_rows": MOST_ROWS,
        "hardware": hardware.pictures(build, runs, graph),
        "figures": result.figures,
        "shares": hardware.shares(result, spec),
        "budgets": result.budgets,
        "cycles": hardware.cycles(build),
        "shell": _read(build, "payload/payload.json") if spec.payload else None,
        "utilisation": utilisation,
        "synthesis": runs,
        "synthesis_failures": failures,
        "estimate": next(r for r in runs if r.design == CORE),
        "sized": sized,
        "smaller": ten_times_smaller(graph, sized.lut),
        "notes": dict.fromkeys(f"{r.tool}: {note}" for r in runs for note in r.notes),
        "passes": _read(build, "synthesis/results.json")["passes"],
        "weighed": hardware.weighed(build),
        "weights": hardware.described(build).get("weights"),
        "proof": _read(build, "proof/results.json"),
    }


def _alike(result: Outcome) -> bool | None:
    """Whether csim and reference have the same figures; None if the csim gives no scores."""
    figures_of_heads: list[Mapping[str, Any]] = [
        figures for head in result.heads for figures in (head.performance, head.regression)
    ]
    pairs = [(each["csim"], each[result.reference]) for each in figures_of_heads if "csim" in each]
    return all(csim == trained for csim, trained in pairs) if pairs else None


def _loss(spec: Spec) -> str:
    """What training minimised."""
    if spec.task == "classification":
        return "Cross entropy [nats]"
    return "Loss" if spec.model.teacher is None else "Difference from the teacher's score"


def _read(build: Build, name: str) -> Any:
    return read_json(build.root / name)

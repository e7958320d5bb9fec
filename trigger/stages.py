"""The stages of a build: what each one reads, and what it writes into its folder."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from trigger import checks
from trigger.checks import WorkingPoints, keras_integers
from trigger.events.hardware import splits, structured
from trigger.fixedpoint.evaluate import quantize_inputs
from trigger.fixedpoint.passes import optimize
from trigger.fixedpoint.passes.decision import decide
from trigger.fixedpoint.ranges import overflow_proof
from trigger.fixedpoint.serialize import fingerprint, to_json
from trigger.folder import Build, integer_events, read_graph, real_events, write_json
from trigger.physics.working_points import working_points
from trigger.spec import Spec, outputs
from trigger.support import resources
from trigger.support.archive import normalise
from trigger.support.digest import data_digest, file_digest, folder_digest, path_digest
from trigger.support.progress import Advance, progress, say
from trigger.support.versions import versions

if TYPE_CHECKING:
    from trigger.synthesis.tool import Job

# So many events, besides the vectors, every implementation is compared on.
_EVENTS = 100_000
_STRUCTURED = 5_000


# The trainings of a build, as they are told.
_TRAINED = {"float": "float network", "network": "network"}
# Of each epoch of training.
_SHOWN = ("loss", "val_loss", "val_accuracy", "lut")


class Stage(NamedTuple):
    """``reads`` gives all that the result depends on; ``run`` writes the result into a folder.

    ``code`` names the modules of this package whose text the result depends on as well.
    """

    name: str
    what: str
    code: tuple[str, ...]
    reads: Callable[[Build], Mapping[str, Any]]
    run: Callable[[Build, Path], None]
    wanted: Callable[[Spec], bool] = lambda spec: True


def data_digests(build: Build) -> dict[str, str]:
    """SHA-256 of each event file. Raises TriggerError for one that cannot be read."""
    return {name: file_digest(build.source / name) for name in build.spec.data.files}


# --- events ---------------------------------------------------------------------------------------------------------


def _events_reads(build: Build) -> Mapping[str, Any]:
    return {
        "files": data_digests(build),
        "data": build.spec.data.model_dump(),
        "inputs": build.spec.inputs.model_dump(),
    }


def _events(build: Build, folder: Path) -> None:
    """Read, quantise to the hardware types, split."""
    spec = build.spec
    found, saturated = splits(spec, build.source)
    for name, share in found.items():
        np.savez(folder / f"{name}.npz", **share._asdict())
    summary = {
        "files": data_digests(build),
        "events": sum(len(share.x) for share in found.values()),
        "saturated": {
            name: int(n) for name, n in zip(spec.data.features, saturated, strict=True) if n
        },
    }
    write_json(folder / "summary.json", summary)


# --- model ----------------------------------------------------------------------------------------------------------


def _model_reads(build: Build) -> Mapping[str, Any]:
    spec = build.spec
    return {
        "events": build.digests["events"],
        "code": [file_digest(build.source / name) for name in spec.model_files],
        "spec": [
            p.model_dump() if p else None
            for p in (spec.model, spec.training, spec.pruning, spec.quantization)
        ],
        "versions": versions(),
    }


def _model(build: Build, folder: Path) -> None:
    """Train the network, and its float twin in the same way without pruning; or take the trained one, quantised if asked."""
    from trigger import keras_backend

    keras_backend.start(build.spec.training.backend)
    from trigger.frontends.networks import head, record
    from trigger.frontends.saving import save
    from trigger.training import fit, network, prune

    spec, events = build.spec, real_events(build)
    network.reset_names()
    summary: dict[str, Any] = {}

    def keep(
        name: str, model: Any, history: Mapping[str, Any], cost: Mapping[str, float] | None = None
    ) -> None:
        if name == "network":
            own = record(model, _asked(model, spec, events["test"].x[:_EVENTS]))
            own.save(folder / "trained.npz")
            save(model, folder / "network.keras", own.x)
        else:
            model.save(folder / f"{name}.keras")
        normalise(folder / f"{name}.keras")
        np.save(folder / f"{name}_scores.npy", fit.scores(model, events["test"].x))
        summary[name] = {
            "history": history,
            "sparsity": prune.measured(model),
            "parameters": model.count_params(),
            "head": head(model),
            "cost": cost,
        }

    if spec.model.network is not None:
        model = network.trained(spec, build.source)
        if spec.quantization:
            from trigger.training.post_training import choose

            keep("float", model, {})
            chosen = choose(model, events, spec)
            rows = [row._asdict() for row in chosen.rows]
            for note in chosen.notes:
                say(f"  quantization: {note}")
            written = {"bits": chosen.bits, "rows": rows, "notes": chosen.notes}
            write_json(folder / "quantization.json", written)
            model = chosen.network
        keep("network", model, {})
    else:
        from trigger.training import widths
        from trigger.training.attempt import Attempt
        from trigger.training.teach import check, normalize, train
        from trigger.training.twin import float_twin

        network.set_seed(spec.training.seed)
        quantised = network.make(spec, build.source)
        left = network.warm_started(quantised, spec, build.source)
        twin = float_twin(quantised)
        check(quantised, events, spec)
        normalize(twin, events, spec)
        attempt = Attempt(build.root / "training", _trainings_key(build))
        for name, model, asked, teacher in (
            ("float", twin, spec, None),
            ("network", quantised, left, twin),
        ):
            network.set_seed(spec.training.seed)
            epochs, what = asked.training.epochs, _TRAINED[name]
            history = attempt.taken(what, model, epochs)
            if history is None:
                with progress(f"training the {what}", epochs, "epochs") as done:
                    watch = attempt.watched(what, partial(_one_epoch, done))
                    history = train(model, events, asked, folder / name, watch, teacher)
                attempt.finished(what, model, history)
            keep(
                name,
                model,
                history,
                widths.cost(model, spec.input_types)._asdict()
                if widths.is_learned(model)
                else None,
            )
        attempt.close()
    write_json(folder / "summary.json", summary)


def _trainings_key(build: Build) -> str:
    """All that the trained weights depend on."""
    package = Path(__file__).parent / "training"
    return data_digest({"reads": _model_reads(build), "code": path_digest(package)})


def _asked(model: Any, spec: Spec, test: np.ndarray) -> np.ndarray:
    """What the trained network itself is asked: the test events and the vectors, as real inputs."""
    from trigger.frontends.networks import lower
    from trigger.verification import vectors

    graph = lower(model, spec.input_types)
    integers = quantize_inputs(graph, vectors.generate(graph, spec.training.seed).all)
    return np.concatenate([test, np.ldexp(integers.astype(np.float64), -graph.input.fractions)])


def _one_epoch(done: Advance, logs: Mapping[str, float]) -> None:
    """Show what the epoch just finished says of the network."""
    seen = [f"{name} {logs[name]:.4g}" for name in _SHOWN if name in logs]
    done(1, ", ".join(seen))


# --- graph ----------------------------------------------------------------------------------------------------------


def _graph_reads(build: Build) -> Mapping[str, Any]:
    network = file_digest(build.root / "model" / "network.keras")
    decision = build.spec.decision.model_dump() if build.spec.decision else None
    decides = build.spec.decides
    return {
        "network": network,
        "events": build.digests["events"],
        "decision": decision,
        "decides": decides,
        "physics": build.spec.physics.model_dump(),
        "versions": versions(),
    }


def _graph(build: Build, folder: Path) -> None:
    """Lower the network; make the vectors; ask Keras, in float64, what every implementation must give."""
    from trigger import keras_backend

    keras_backend.start(build.spec.training.backend)
    from trigger.frontends.loading import load
    from trigger.frontends.networks import Reference, left_out, lower, score_head
    from trigger.verification import vectors

    model = load(build.root / "model" / "network.keras")
    graph = lower(model, build.spec.input_types)
    events = integer_events(build)["validation"]
    points = working_points(build.spec, graph, events, left_out(model, graph))
    decided = WorkingPoints(
        *(np.array([p[key] for p in points.values()]) for key in ("element", "threshold"))
    )
    if build.spec.decides:
        graph = decide(graph, *decided)
    (folder / "graph.json").write_text(to_json(graph))
    made = vectors.generate(graph, build.spec.training.seed)
    reference = Reference(model, graph)
    test = integer_events(build)["test"].x
    inputs = {
        "test events": test,
        "resampled test events": _resampled(test, build.spec.training.seed),
    }
    objects = structured(build.spec, _STRUCTURED, build.spec.training.seed)
    inputs |= {"objects in order, missing and saturated": objects} if len(objects) else {}
    inputs |= {name: quantize_inputs(graph, x) for name, x in made.families.items()}
    x = np.concatenate(list(inputs.values()))
    expected, off_grid = keras_integers(
        graph, reference, x, decided if build.spec.decides else None
    )
    np.savez(folder / "expected.npz", x=x, expected=expected, off_grid=off_grid)
    summary = {
        "families": {name: len(rows) for name, rows in inputs.items()},
        "ties": made.ties._asdict(),
        "ends": made.ends._asdict(),
        "working_points": points,
        "head": score_head(model, graph),
    }
    write_json(folder / "summary.json", summary)


def _resampled(x: np.ndarray, seed: int) -> np.ndarray:
    """Each feature drawn anew from the test events, on its own: realistic values in combinations never seen."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, len(x), size=(max(_EVENTS - len(x), 0), x.shape[1]))
    return np.take_along_axis(x, rows, axis=0)


# --- firmware -------------------------------------------------------------------------------------------------------


def _firmware_reads(build: Build) -> Mapping[str, Any]:
    graph = file_digest(build.root / "graph" / "graph.json")
    return {
        "graph": graph,
        "target": build.spec.target.model_dump(),
        "name": build.spec.name,
        "versions": versions(),
    }


def _firmware(build: Build, folder: Path) -> None:
    """Write the hls4ml project."""
    from trigger.backends.hls4ml import Hls4mlOptions, write

    target = build.spec.target
    options = Hls4mlOptions(
        target.fpga,
        target.clock_mhz,
        backend=target.backend,
        strategy=target.strategy,
        reuse_factor=target.reuse_factor,
        project_name=build.spec.name,
    )
    write(read_graph(build.root), folder, options)


# --- rtl ------------------------------------------------------------------------------------------------------------


def _rtl_reads(build: Build) -> Mapping[str, Any]:
    spec = build.spec
    names = [spec.data.features, outputs(spec)]
    target = spec.target.model_dump(include={"part", "device", "clock_mhz"})
    graph = file_digest(build.root / "graph" / "graph.json")
    return {
        "graph": graph,
        "target": target,
        "names": names,
        "name": spec.name,
        "versions": versions(),
    }


def _rtl(build: Build, folder: Path) -> None:
    """Write the RTL project."""
    from trigger.backends.rtl import RtlOptions, write
    from trigger.backends.rtl.logic import weights

    spec = build.spec
    graph = read_graph(build.root)
    options = RtlOptions(
        spec.target.fpga,
        spec.target.clock_mhz,
        "verilog",
        spec.name,
        spec.data.features,
        outputs(spec),
    )
    with progress("tracing the logic", weights(optimize(graph)), "weights") as done:
        write(graph, folder, options, done)


# --- payload --------------------------------------------------------------------------------------------------------


def _payload_reads(build: Build) -> Mapping[str, Any]:
    spec = build.spec
    return {
        **{name: build.digests[name] for name in ("rtl", "graph")},
        "inputs": spec.inputs.model_dump(),
        "features": spec.data.features,
        "name": spec.name,
        "output": spec.payload and spec.payload.output and spec.payload.output.model_dump(),
        "shell": folder_digest(resources.folder("firmware") / "shell"),
    }


def _payload(build: Build, folder: Path) -> None:
    """Write the shell around the RTL."""
    from trigger.backends.payload import write
    from trigger.backends.rtl import open_project
    from trigger.payload import output_fields

    graph = read_graph(build.root)
    project = open_project(build.root / "rtl", graph)
    shell = checks.payload(build.root, build.spec, project, folder)
    if build.spec.payload and build.spec.payload.output:
        output_fields(build.spec, shell)  # they fit, now that the widths of the scores are known
    write(shell, fingerprint(graph))


# --- verification ---------------------------------------------------------------------------------------------------


def _verification_reads(build: Build) -> Mapping[str, Any]:
    return {name: build.digests.get(name) for name in ("graph", "firmware", "rtl", "payload")}


def _verification(build: Build, folder: Path) -> None:
    """Compile csim and RTL, compare, prove."""
    graph = read_graph(build.root)
    verdict, outputs = checks.check(
        build.root, build.spec, checks.recorded_expectations(build.root)
    )
    found = checks.trained_network(build.root)
    results = {
        "trained": {"events": found.comparison.events, "exact": found.exact},
        "comparisons": [
            {**c._asdict(), "witness": str(c.witness) if c.witness else None, "equal": c.equal}
            for c in verdict.comparisons
        ],
        "proof": [row._asdict() for row in overflow_proof(graph)],
        "equal": verdict.equal,
    }
    write_json(folder / "results.json", results)
    np.save(folder / "outputs.npy", outputs)


# --- synthesis ------------------------------------------------------------------------------------------------------


def _synthesis_reads(build: Build) -> Mapping[str, Any]:
    read = {name: build.digests.get(name) for name in ("rtl", "payload")}
    return {**read, "target": build.spec.target.model_dump(), "versions": versions()}


def _synthesis(build: Build, folder: Path) -> None:
    """Estimate; where Yosys knows the family, synthesise the core, and the payload as a whole."""
    from trigger.backends.rtl import lut_by_passes
    from trigger.synthesis.run import estimate, synthesise
    from trigger.synthesis.table import line
    from trigger.synthesis.tool import ToolFailed

    whole = synthesis_job(build.root, build.spec)
    core = whole._replace(payload=None)
    results, failures = [estimate(core)], []
    say(f"  {line(results[0])}")
    try:
        for this in (core, whole) if whole.payload else (core,):
            say(f"  Yosys, {this.part.family}, {this.design}")
            results.append(synthesise("yosys", this, folder / this.design))
            # Paths and processes of this machine.
            (folder / this.design / "yosys.log").unlink(missing_ok=True)
            say(f"  {line(results[-1])}")
    except ToolFailed as failure:
        failures.append(str(failure).replace(str(folder), "synthesis"))
        say(f"  {failures[-1]}")
    say("  estimating LUT without each pass")
    passes = lut_by_passes(core.rtl.graph)
    write_json(
        folder / "results.json",
        {"results": [r._asdict() for r in results], "failures": failures, "passes": passes},
    )


def synthesis_job(root: Path, spec: Spec) -> "Job":
    """What a build gives to a synthesis tool: the payload, where it has one."""
    from trigger.backends.rtl import open_project
    from trigger.synthesis.tool import Job

    rtl = open_project(root / "rtl", read_graph(root))
    return Job(
        rtl,
        root / "firmware",
        spec.target.backend,
        spec.target.fpga,
        spec.target.clock_mhz,
        checks.payload(root, spec, rtl) if spec.payload else None,
    )


# --- report ---------------------------------------------------------------------------------------------------------


def _report_reads(build: Build) -> Mapping[str, Any]:
    read = {name: digest for name, digest in sorted(build.digests.items()) if name != "report"}
    text = file_digest(build.root / "trigger.toml")
    return {"stages": read, "spec": build.spec.model_dump(), "text": text, "versions": versions()}


def _report(build: Build, folder: Path) -> None:
    from trigger.report import write

    write(build, folder)


_GRAPH_CODE = ("frontends", "fixedpoint", "physics", "verification")
_PAYLOAD_CODE = ("backends/payload", "links.py")
STAGES = (
    Stage(
        "events",
        "reading and splitting the events",
        ("events", "sections.py", "spec.py"),
        _events_reads,
        _events,
    ),
    Stage(
        "model",
        "making or reading the network",
        ("training", "quantizers.py", "keras_backend.py"),
        _model_reads,
        _model,
    ),
    Stage(
        "graph",
        "lowering the network to integers",
        ("frontends", "fixedpoint", "physics", "verification"),
        _graph_reads,
        _graph,
    ),
    Stage(
        "firmware",
        "writing the hls4ml project",
        ("backends", "fixedpoint"),
        _firmware_reads,
        _firmware,
    ),
    Stage("rtl", "writing the RTL", ("backends", "fixedpoint"), _rtl_reads, _rtl),
    Stage(
        "payload",
        "writing the payload",
        _PAYLOAD_CODE,
        _payload_reads,
        _payload,
        lambda spec: spec.payload is not None,
    ),
    Stage(
        "verification",
        "verifying",
        ("backends", "fixedpoint", "verification"),
        _verification_reads,
        _verification,
    ),
    Stage(
        "synthesis",
        "synthesising",
        ("backends/rtl", "backends/payload", "synthesis"),
        _synthesis_reads,
        _synthesis,
    ),
    Stage(
        "report",
        "writing the report",
        (
            "report",
            "physics",
            "synthesis",
            "outcome.py",
            "budgets.py",
            "numbers.py",
            "provenance.py",
        ),
        _report_reads,
        _report,
    ),
)

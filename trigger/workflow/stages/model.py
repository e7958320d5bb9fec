"""The network of a build: trained together with its float baseline, or already trained, also a
forest."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from trigger.artifacts.folder import NUISANCE, Build, training_events, write_json
from trigger.events.dataset import Events
from trigger.fixedpoint.graph import Graph
from trigger.frontends.trees.forest import Forest
from trigger.spec import network_files
from trigger.spec.families import TREES
from trigger.spec.spec import Spec
from trigger.support.archive import normalise
from trigger.support.code import code_digest
from trigger.support.digest import data_digest, file_digest
from trigger.support.files import write_bytes
from trigger.support.progress import Advance, progress, say
from trigger.support.versions import versions

DATA = ()
# The number of test events on which the trained network itself is recorded.
_EVENTS = 100_000
# The trainings of a build, by their names in messages.
_TRAINED = {"teacher": "teacher", "float": "float network", "network": "network"}
# The logs shown for each epoch.
_SHOWN = ("loss", "val_loss", "val_accuracy", "lut")


def reads(build: Build) -> Mapping[str, Any]:
    spec = build.spec
    nuisance = build.root / "shifts" / NUISANCE
    return {
        "events": build.digests["events"],
        "nuisance": file_digest(nuisance) if spec.training.adversary else None,
        "files": network_files.file_digests(spec, build.source),
        "program": code_digest(network_files.program_modules(spec, build.source)),
        "spec": spec.model_dump(include={"task", "model", "training", "pruning", "quantization"}),
        "classes": spec.data.classes,
        "label": spec.data.label,
        "heads": {
            name: head.model_dump(exclude={"bins", "unit"}) for name, head in spec.heads.items()
        },
        "features": spec.data.features,
        "types": [str(fixed) for fixed in spec.input_types],
    }


def run(build: Build, folder: Path) -> None:
    """Train the network and its float baseline (without pruning), or load a trained one and
    quantise it on request.
    """
    from trigger.frontends import keras_backend

    keras_backend.start(build.spec.training.backend)
    from trigger.frontends.networks import lower, record
    from trigger.frontends.saving import save, write
    from trigger.training import boosted, fit, forests, network, prune, teaching
    from trigger.training.calibration import calibrated

    spec = build.spec
    events = training_events(build)
    if boosted.wanted(spec):
        np.save(folder / "boosted_scores.npy", boosted.scores(events, spec))
    if spec.model.family == TREES:
        _train_forest(spec, events, folder)
        return
    if (path := forests.file_of(spec, build.source)) is not None:
        _keep_forest(path, spec, events, folder)
        return
    if spec.model.network is not None and spec.model.network.endswith(".onnx"):
        _keep_onnx(build.source / spec.model.network, spec, events, folder)
        return
    if spec.model.network is not None and spec.model.network.endswith(".zip"):
        _keep_project(build.source / spec.model.network, spec, events, folder)
        return
    network.reset_names()
    summary: dict[str, Any] = {}

    def keep(
        name: str, model: Any, history: Mapping[str, Any], cost: Mapping[str, float] | None = None
    ) -> None:
        final = model
        if name == "network":
            final = calibrated(model, events["validation"], spec)
            lowered = lower(final, spec.input_types)
            own = record(final, _asked(lowered, spec, events["test"].x[:_EVENTS]))
            own.save(folder / "trained.npz")
            save(final, folder / "network.keras", own.x)
        else:
            write(model, folder / f"{name}.keras")
        normalise(folder / f"{name}.keras")
        find = teaching.scores if name == "teacher" else fit.scores
        np.save(folder / f"{name}_scores.npy", find(final, events["test"].x))
        summary[name] = {
            "history": history,
            "sparsity": prune.measured(model),
            "parameters": model.count_params(),
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
        from trigger.training import transfer, widths
        from trigger.training.attempt import Attempt
        from trigger.training.float_baseline import float_baseline
        from trigger.training.recipe import check_trainable, normalize, train, train_teacher

        network.set_seed(spec.training.seed)
        quantised = network.make(spec, build.source)
        autoencoder = network.make_teacher(spec, build.source)
        left = network.warm_started(quantised, spec, build.source)
        baseline = float_baseline(quantised)
        transfer.freeze(quantised, left, build.source)
        check_trainable(quantised, events, spec)
        normalize(baseline, events, spec)
        attempt = Attempt(build.root / "training", _trainings_key(build))

        def fitted(
            name: str, model: Any, epochs: int, training: Callable[[fit.Watch], fit.History]
        ) -> fit.History:
            network.set_seed(spec.training.seed)
            what = _TRAINED[name]
            history = attempt.taken(what, model, epochs)
            if history is None:
                with progress(f"training the {what}", epochs, "epochs") as done:
                    history = training(attempt.watched(what, partial(_one_epoch, done)))
                attempt.finished(what, model, history)
            return history

        if autoencoder is not None:
            training = partial(train_teacher, autoencoder, events, spec, folder / "teacher")
            keep(
                "teacher",
                autoencoder,
                fitted("teacher", autoencoder, spec.training.epochs, training),
            )
        for name, model, asked, teacher in (
            ("float", baseline, spec, autoencoder),
            ("network", quantised, left, autoencoder or baseline),
        ):
            training = partial(train, model, events, asked, folder / name, teacher=teacher)
            history = fitted(name, model, asked.training.epochs, training)
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
    code = code_digest([__name__], DATA)
    return data_digest({"reads": reads(build), "code": code, "versions": versions()})


def _keep_forest(path: Path, spec: Spec, events: Mapping[str, Events], folder: Path) -> None:
    """Read a forest, round its leaves on request, and record what its library gives."""
    from trigger.frontends.trees import libraries
    from trigger.frontends.trees.lowering import lower
    from trigger.training import forests

    forest = rounded = forests.trained(spec, path)
    test = events["test"].x
    if spec.quantization:
        chosen = forests.choose(forest, events, spec)
        rows = [row._asdict() for row in chosen.rows]
        write_json(folder / "quantization.json", {"bits": chosen.bits, "rows": rows, "notes": []})
        rounded = chosen.forest
        np.save(folder / "float_scores.npy", forests.scores(forest, test))
    graph = _told(lower(rounded, spec.input_types))
    if (note := libraries.missing(forest)) is not None:
        say(f"  {note}")
    asked = _asked(graph, spec, test[:_EVENTS])
    libraries.record(path, forest, rounded, asked).save(folder / "trained.npz")
    _write_forest(rounded, test, folder)


def _keep_onnx(path: Path, spec: Spec, events: Mapping[str, Events], folder: Path) -> None:
    """Copy an ONNX file, and record what it gives."""
    from trigger.frontends.onnx import network
    from trigger.training import onnx_files

    model = onnx_files.trained(spec, path)
    graph = _told(network.lower(model, spec.input_types))
    test = events["test"].x
    asked = _asked(graph, spec, test[:_EVENTS])
    network.record(model, graph, asked).save(folder / "trained.npz")
    if apart := network.apart(model, graph, asked):
        say(
            f"  in {apart:,} of {len(asked):,} events float32 gives other outputs: some of its "
            f"factors are no powers of two, and it rounds a value next to a step of a quantiser "
            f"to the other side; the firmware gives the exact one"
        )
    write_bytes(folder / "network.onnx", path.read_bytes())
    np.save(folder / "network_scores.npy", onnx_files.scores(model, graph, test))
    parameters = onnx_files.parameters(model)
    summary = {"history": {}, "sparsity": 0.0, "parameters": parameters, "cost": None}
    write_json(folder / "summary.json", {"network": summary})


def _keep_project(path: Path, spec: Spec, events: Mapping[str, Events], folder: Path) -> None:
    """Copy a packed hls4ml project, and record what its csim gives."""
    from trigger.frontends.hls4ml import network
    from trigger.training import hls_projects

    project = hls_projects.trained(spec, path)
    graph = _told(network.lower(project, spec.input_types))
    test = events["test"].x
    network.record(project, _asked(graph, spec, test[:_EVENTS])).save(folder / "trained.npz")
    write_bytes(folder / "network.zip", path.read_bytes())
    np.save(folder / "network_scores.npy", hls_projects.scores(project, graph, test))
    parameters = hls_projects.parameters(project)
    summary = {"history": {}, "sparsity": 0.0, "parameters": parameters, "cost": None}
    write_json(folder / "summary.json", {"network": summary})


def _train_forest(spec: Spec, events: Mapping[str, Events], folder: Path) -> None:
    """Train the trees of family "trees", and record what they give."""
    from trigger.frontends.trees import libraries
    from trigger.frontends.trees.lowering import lower
    from trigger.training import boosting

    most = boosting.most_forests(spec)
    with progress("growing the trees", most, "forests" if most > 1 else "forest") as done:
        forest = boosting.trained(spec, events, done)
    test = events["test"].x
    asked = _asked(_told(lower(forest, spec.input_types)), spec, test[:_EVENTS])
    libraries.recorded(forest, asked, "trained trees").save(folder / "trained.npz")
    _write_forest(forest, test, folder)


def _told(graph: Graph) -> Graph:
    for note in graph.notes:
        say(f"  {note}")
    return graph


def _write_forest(rounded: Forest, test: np.ndarray, folder: Path) -> None:
    from trigger.training import forests

    forests.save(rounded, folder / "network.json")
    np.save(folder / "network_scores.npy", forests.scores(rounded, test))
    parameters = forests.parameters(rounded)
    summary = {"history": {}, "sparsity": 0.0, "parameters": parameters, "cost": None}
    write_json(folder / "summary.json", {"network": summary})


def _asked(graph: Graph, spec: Spec, test: np.ndarray) -> np.ndarray:
    """The inputs recorded for the trained network itself: test events and vectors, as real
    numbers.
    """
    from trigger.fixedpoint.evaluate import quantize_inputs
    from trigger.verification import vectors

    integers = quantize_inputs(graph, vectors.generate(graph, spec.training.seed).all)
    return np.concatenate([test, np.ldexp(integers.astype(np.float64), -graph.input.fractions)])


def _one_epoch(done: Advance, logs: Mapping[str, float]) -> None:
    """Show the logs of the last epoch."""
    seen = [f"{name} {logs[name]:.4g}" for name in _SHOWN if name in logs]
    done(1, ", ".join(seen))

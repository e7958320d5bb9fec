"""The graph of a build, the vectors, and Keras' outputs for them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trigger.artifacts.decided import WorkingPoints
from trigger.artifacts.folder import Build, integer_events, network_file, write_json
from trigger.events.hardware import structured
from trigger.fixedpoint.evaluate import quantize_inputs
from trigger.fixedpoint.passes.decision import decide
from trigger.fixedpoint.serialize import to_json
from trigger.physics import constant, monotone
from trigger.physics.working_points import working_points
from trigger.support.digest import file_digest
from trigger.support.progress import say
from trigger.verification.keras_integers import keras_integers

DATA = ()
# The number of events, besides the vectors, for the comparison of implementations.
_EVENTS = 100_000
_STRUCTURED = 5_000


def reads(build: Build) -> Mapping[str, Any]:
    spec = build.spec
    return {
        "network": file_digest(network_file(build.root)),
        "events": build.digests["events"],
        "spec": spec.model_dump(include={"task", "inputs", "decision"}),
        "decides": spec.decides,
        "weights": spec.target.weights,
        "classes": spec.data.classes,
        "features": spec.data.features,
        "scores": spec.scores,
        "physics": spec.physics.model_dump(include={"zero_bias", "filled_bunches"}),
        "training": spec.training.model_dump(include={"backend", "seed"}),
        "remedy": constant.remedy(spec),
        "monotone": {name: head.monotone for name, head in spec.heads.items() if head.monotone},
    }


def run(build: Build, folder: Path) -> None:
    """Lower the network, make the vectors, and compute the reference outputs with Keras in
    float64.
    """
    from trigger.frontends import keras_backend

    keras_backend.start(build.spec.training.backend)
    from trigger.frontends.stored import opened
    from trigger.verification import vectors

    network = opened(network_file(build.root))
    lowered = network.lower(build.spec.input_types, build.spec.target.reloadable)
    graph = monotone.proven(lowered, build.spec, say)
    events = integer_events(build)["validation"]
    points = working_points(build.spec, graph, events, network.left_out(graph))
    decided = WorkingPoints(
        *(np.array([p[key] for p in points.values()]) for key in ("element", "threshold"))
    )
    if build.spec.decides:
        graph = decide(graph, *decided)
    (folder / "graph.json").write_text(to_json(graph))
    made = vectors.generate(graph, build.spec.training.seed)
    reference = network.reference(graph)
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
    same = constant.constants(build.spec, graph, expected, points)
    summary = {
        "families": {name: len(rows) for name, rows in inputs.items()},
        "ties": made.ties._asdict(),
        "ends": made.ends._asdict(),
        "working_points": points,
        "outputs": network.ends(graph),
        "constant": [one._asdict() for one in same],
    }
    write_json(folder / "summary.json", summary)
    for warning in constant.warnings(same, build.spec):
        say(f"  warning: {warning}")


def _resampled(x: np.ndarray, seed: int) -> np.ndarray:
    """Each feature resampled independently from the test events: realistic values, new
    combinations.
    """
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, len(x), size=(max(_EVENTS - len(x), 0), x.shape[1]))
    return np.take_along_axis(x, rows, axis=0)

"""The implementations of a build, compared with what Keras gives for the same events."""

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from trigger.errors import TriggerError
from trigger.events import dataset
from trigger.events.hardware import to_hardware
from trigger.fixedpoint.evaluate import GoldenModel
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import GraphError
from trigger.fixedpoint.passes.decision import scores
from trigger.folder import read_graph, read_json
from trigger.links import link_map
from trigger.spec import Spec
from trigger.support.progress import progress, say
from trigger.verification import oracle
from trigger.verification.compare import Verdict, compare, to_integers

if TYPE_CHECKING:
    from trigger.backends.payload import Payload
    from trigger.backends.rtl import Rtl
    from trigger.frontends.networks import Reference


class WorkingPoints(NamedTuple):
    """The output element and the threshold, a real number, of each accept bit."""

    elements: np.ndarray
    thresholds: np.ndarray


class Expected(NamedTuple):
    """Integer inputs (events, features), Keras' integers (events, outputs), and the events whose value is between two."""

    x: np.ndarray
    outputs: np.ndarray
    off_grid: np.ndarray


def recorded_expectations(root: Path) -> Expected:
    """The test events and vectors of a build with what Keras gave for them. Does not need Keras.

    Raises TriggerError where the file cannot be read, or has not as many events as the build counted.
    """
    path = root / "graph" / "expected.npz"
    try:
        with np.load(path) as file:
            found = Expected(file["x"], file["expected"], file["off_grid"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise TriggerError(f"{path}: cannot be read: {error}") from error
    counted = sum(read_json(root / "graph" / "summary.json")["families"].values())
    if {len(part) for part in found} != {counted}:
        counts = ", ".join(str(len(part)) for part in found)
        raise TriggerError(f"{path}: {counts} events and results; the build counted {counted}")
    return found


def expectations(root: Path, spec: Spec, path: Path) -> Expected:
    """Events of another file, with what the build's network, run in Keras, gives for them."""
    from trigger import keras_backend

    keras_backend.start(spec.training.backend)
    from trigger.frontends.loading import load
    from trigger.frontends.networks import Reference

    graph = read_graph(root)
    x = to_hardware(
        dataset.features(path, spec.data.features, spec.data.tree, bool(spec.inputs.objects)), spec
    ).x
    return Expected(
        x,
        *keras_integers(
            graph,
            Reference(load(root / "model" / "network.keras"), graph),
            x,
            working_points(root, spec),
        ),
    )


def check(
    root: Path, spec: Spec, expected: Expected, netlist: bool = False
) -> tuple[Verdict, np.ndarray]:
    """Compare graph, csim and RTL of a build with what Keras gave. Returns the verdict and the csim's integers.

    The last comparison is of the graph with what the trained network itself gave.

    With ``netlist`` the netlist that Yosys makes of the RTL is compared as well. Raises TriggerError where something is
    missing or g++ or Verilator refuses the firmware.
    """
    own = trained_network(root).comparison
    compiled = {name: make() for name, make in implementations(root, spec, netlist).items()}
    verdict = compare_with(read_graph(root), expected, compiled)
    verdict = verdict._replace(comparisons=(*verdict.comparisons, own))
    return verdict, compiled[f"csim ({spec.target.backend})"].outputs


def trained_network(root: Path) -> oracle.Agreement:
    """The graph of a build against what the trained network itself gave before it was saved."""
    return oracle.agreement(read_graph(root), oracle.load(root / "model" / "trained.npz"))


def compare_with(graph: Graph, expected: Expected, implementations: Mapping[str, Any]) -> Verdict:
    """Compare compiled implementations of a graph with what Keras gave; one that fails as it runs is a difference."""
    if not len(expected.x):
        raise TriggerError("verify: there are no events to compare on")
    failures = (TriggerError, GraphError)
    return compare(
        graph, expected.outputs, expected.off_grid, expected.x, implementations, failures=failures
    )


def implementations(root: Path, spec: Spec, netlist: bool = False) -> dict[str, Callable[[], Any]]:
    """What a build holds besides its network, by name; calling one compiles it.

    Raises TriggerError where one is missing, and its call where g++ or Verilator refuses it.
    """
    from trigger.backends import csim, rtl
    from trigger.backends.payload.simulate import PayloadSimulation
    from trigger.support.compiled import empty
    from trigger.synthesis.netlist import Netlist

    graph = read_graph(root)
    hls = csim.open_project(root / "firmware", graph, spec.name, spec.target.backend)
    project = rtl.open_project(root / "rtl", graph)
    gates = Netlist(project, spec.target.fpga)

    def compiled(what: str, make: Callable[[], Any]) -> Callable[[], "_Recorded"]:
        def run() -> _Recorded:
            say(f"  {what}")
            return _Recorded(make())

        return run

    def simulation() -> "Rtl":
        return project.compile(root / "simulation")

    found: dict[str, Callable[[], Any]] = {"graph": lambda: GoldenModel(graph)}
    found[hls.label] = compiled("compiling the csim", lambda: hls.compile(root / "csim"))
    found[project.label] = compiled("compiling the RTL simulation", simulation)
    found[project.with_gaps().label] = lambda: _Recorded(simulation().with_gaps())
    if spec.payload is not None:
        shell = PayloadSimulation(payload(root, spec, project))
        found[shell.label] = compiled(
            "compiling the payload", lambda: shell.compile(root / "payload-simulation")
        )
    if netlist:
        found[gates.label] = compiled(
            "synthesising and compiling the netlist", lambda: gates.compile(empty(root / "netlist"))
        )
    return found


class _Recorded:
    """A csim or RTL simulation that shows its progress and keeps its outputs for the report."""

    def __init__(self, implementation: Any) -> None:
        self._implementation = implementation
        self.label: str = implementation.label
        self.outputs = np.empty((0, 0), dtype=np.int64)

    def run(self, x: np.ndarray) -> np.ndarray:
        with progress(self.label, len(x), "events") as done:
            self.outputs = self._implementation.run(x, done)
        return self.outputs

    def trace(self, x: np.ndarray) -> dict[str, np.ndarray]:
        return self._implementation.trace(x)


def working_points(root: Path, spec: Spec) -> WorkingPoints | None:
    """The working points that a build's core decides by; None where it gives scores."""
    if not spec.decides:
        return None
    found = read_json(root / "graph" / "summary.json")["working_points"]
    return WorkingPoints(
        np.array([p["element"] for p in found.values()]),
        np.array([p["threshold"] for p in found.values()]),
    )


def accept_bits(root: Path, spec: Spec, outputs: np.ndarray) -> np.ndarray:
    """The accept bits, shape (events, working points), of what a build's core gives, integers of shape (events, outputs)."""
    if spec.decides:
        return outputs
    found = read_json(root / "graph" / "summary.json")["working_points"].values()
    return np.stack(
        [(outputs[:, p["element"]] >= p["bound"]).astype(np.int64) for p in found], axis=1
    )


def payload(root: Path, spec: Spec, project: "Rtl", directory: Path | None = None) -> "Payload":
    """The payload around a core: that of the build, or one in another folder."""
    from trigger.backends.payload import Payload
    from trigger.backends.payload.decisions import Point

    found = read_json(root / "graph" / "summary.json")["working_points"]
    outputs = project.interface.outputs
    if spec.decides:
        points = [Point(name, k, outputs[k], 1) for k, name in enumerate(found)]
    else:
        points = [
            Point(name, p["element"], outputs[p["element"]], p["bound"])
            for name, p in found.items()
        ]
    return Payload(
        directory or root / "payload",
        f"{spec.name}_trigger",
        link_map(spec),
        tuple(points),
        project,
    )


def keras_integers(
    graph: Graph, reference: "Reference", x: np.ndarray, points: WorkingPoints | None
) -> tuple[np.ndarray, np.ndarray]:
    """What Keras gives for integer inputs, as integers of the graph's outputs, and the events it has no such integers for.

    Accept bits are decided on Keras' own scores.
    """
    real = reference.predict(np.ldexp(x.astype(np.float64), -graph.input.fractions))
    integers, off_grid = to_integers(scores(graph), real)
    if points is not None:
        integers = (real[:, points.elements] >= points.thresholds).astype(np.int64)
    return integers, off_grid

"""The implementations of a build, compared with Keras on the same events."""

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from trigger.artifacts.folder import read_graph, read_json
from trigger.errors import TriggerError
from trigger.fixedpoint.evaluate import GoldenModel
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import GraphError
from trigger.spec.spec import Spec
from trigger.support.files import regular
from trigger.support.progress import progress, say
from trigger.verification import oracle
from trigger.verification.compare import Verdict, compare

if TYPE_CHECKING:
    from trigger.backends.rtl import Rtl


class Expected(NamedTuple):
    """Integer inputs (events, features), Keras' integers (events, outputs), and the events between
    two integers.
    """

    x: np.ndarray
    outputs: np.ndarray
    off_grid: np.ndarray


def recorded_expectations(root: Path) -> Expected:
    """The test events and vectors of a build with the recorded outputs of Keras. Does not need
    Keras.

    Raises TriggerError if the file cannot be read, or if its number of events is wrong.
    """
    path = root / "graph" / "expected.npz"
    try:
        with np.load(regular(path)) as file:
            expected = Expected(file["x"], file["expected"], file["off_grid"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise TriggerError(f"{path}: cannot be read: {error}") from error
    counted = sum(read_json(root / "graph" / "summary.json")["families"].values())
    if {len(part) for part in expected} != {counted}:
        counts = ", ".join(str(len(part)) for part in expected)
        raise TriggerError(f"{path}: {counts} events and results; the build has {counted}")
    return expected


def check_implementations(
    root: Path, spec: Spec, expected: Expected, netlist: bool = False
) -> tuple[Verdict, np.ndarray]:
    """Compare graph, csim and RTL of a build with Keras. Returns the verdict and the csim's
    integers.

    The last comparison is of the graph with the recorded outputs of the trained network.

    With ``netlist`` the netlist from Yosys is compared too. Raises TriggerError if something is
    missing, or if g++ or Verilator refuses the firmware.
    """
    own = trained_network(root).comparison
    compiled = {name: make() for name, make in implementations(root, spec, netlist).items()}
    verdict = compare_with(read_graph(root), expected, compiled)
    verdict = verdict._replace(comparisons=(*verdict.comparisons, own))
    return verdict, compiled[f"csim ({spec.target.backend})"].outputs


def trained_network(root: Path) -> oracle.Agreement:
    """Compare the graph of a build with the trained network itself, as recorded before saving."""
    return oracle.agreement(read_graph(root), oracle.load(root / "model" / "trained.npz"))


def compare_with(graph: Graph, expected: Expected, implementations: Mapping[str, Any]) -> Verdict:
    """Compare compiled implementations of a graph with Keras; a failure while running is a
    difference.
    """
    if not len(expected.x):
        raise TriggerError("verify: no events to compare")
    failures = (TriggerError, GraphError)
    return compare(
        graph, expected.outputs, expected.off_grid, expected.x, implementations, failures=failures
    )


def implementations(root: Path, spec: Spec, netlist: bool = False) -> dict[str, Callable[[], Any]]:
    """The implementations in a build, by name, as functions that compile them.

    Raises TriggerError if one is missing; its call raises if g++ or Verilator refuses it.
    """
    from trigger.artifacts import built_payload
    from trigger.backends import rtl
    from trigger.backends.hls4ml import csim
    from trigger.board.simulate import PayloadSimulation
    from trigger.support.compiled import empty
    from trigger.synthesis.netlist import Netlist

    graph = read_graph(root)
    hls = csim.open_project(root / "firmware", graph, spec.name, spec.target.backend)
    project = rtl.open_project(root / "rtl", graph)
    gates = Netlist(project, spec.target.fpga)

    def compiled(what: str, make: Callable[[], Any]) -> Callable[[], "Recorded"]:
        def run() -> Recorded:
            say(f"  {what}")
            return Recorded(make())

        return run

    def simulation() -> "Rtl":
        return project.compile(root / "simulation")

    makers: dict[str, Callable[[], Any]] = {"graph": lambda: GoldenModel(graph)}
    makers[hls.label] = compiled("compiling the csim", lambda: hls.compile(root / "csim"))
    makers[project.label] = compiled("compiling the RTL simulation", simulation)
    makers[project.with_stalls().label] = lambda: Recorded(simulation().with_stalls())
    if spec.payload is not None:
        shell = PayloadSimulation(built_payload.payload(root, spec, project))
        makers[shell.label] = compiled(
            "compiling the payload", lambda: shell.compile(root / "payload-simulation")
        )
    if netlist:
        makers[gates.label] = compiled(
            "synthesising and compiling the netlist", lambda: gates.compile(empty(root / "netlist"))
        )
    return makers


class Recorded:
    """A csim or RTL simulation that shows its progress and stores its outputs for the report."""

    def __init__(self, implementation: Any) -> None:
        self.inner = implementation
        self.label: str = implementation.label
        self.outputs = np.empty((0, 0), dtype=np.int64)

    def run(self, x: np.ndarray) -> np.ndarray:
        with progress(self.label, len(x), "events") as done:
            self.outputs = self.inner.run(x, done)
        return self.outputs

    def trace(self, x: np.ndarray) -> dict[str, np.ndarray]:
        traced: dict[str, np.ndarray] = self.inner.trace(x)
        return traced

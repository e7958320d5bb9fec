"""Other weights for firmware that is in the field, verified before they are written."""

import tempfile
from itertools import zip_longest
from pathlib import Path

import numpy as np

from trigger.artifacts import implementations
from trigger.artifacts.built_payload import payload as built_payload
from trigger.artifacts.folder import Build, integer_events, network_file, read_graph
from trigger.backends import rtl
from trigger.backends.rtl.reloading import loaded
from trigger.board.weights import Weights, write_weights
from trigger.errors import TriggerError
from trigger.fixedpoint.evaluate import quantize_inputs, run
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.parameters import difference
from trigger.fixedpoint.types import Integers
from trigger.support.destinations import check_folder
from trigger.support.progress import progress, say
from trigger.verification import vectors
from trigger.workflow.build import open_sealed
from trigger.workflow.exports import Exported, into_folder, open_exact


def to_weights(root: Path, network: Path, output: Path | None = None) -> Exported:
    """Export the weights of a network, or of another build, for the firmware of a build.

    The network is compared with Keras on the events and vectors of the build, and loaded into the
    simulated core while events flow. Raises TriggerError if it does not fit, and names what.
    """
    build = open_exact(root)
    if not build.spec.target.reloadable:
        raise TriggerError(
            f'export: the weights of {root} are constants; set target.weights to "reloadable" and '
            "build it again"
        )
    target = output or Path(f"{build.spec.name}_weights")
    check_folder(target, "weights")  # before the work
    retrained, x = _lowered(build, network)

    def make(path: Path) -> str:
        path.mkdir()
        project = rtl.open_project(build.root / "rtl", retrained.built)
        count = _simulated(project, retrained.network, x)
        has_shell = build.spec.payload is not None
        shell = built_payload(build.root, build.spec, project) if has_shell else None
        write_weights(retrained, shell, path)
        return (
            f"verified: loaded while events flow, the core gives the integers of {network} "
            f"for {count:,} events"
        )

    return into_folder(target, "weights", make)


def _lowered(build: Build, network: Path) -> tuple[Weights, Integers]:
    """The network as a graph for the hardware of the build, and the events for which it is equal to
    Keras.
    """
    from trigger.frontends import keras_backend

    keras_backend.start(build.spec.training.backend)
    from trigger.frontends.stored import opened
    from trigger.physics import monotone
    from trigger.physics.working_points import working_points
    from trigger.verification.keras_integers import keras_integers

    path = _file(build, network)
    if not path.is_file():
        raise TriggerError(f"{network}: no such network")
    say(f"  reading {path}")
    built = read_graph(build.root)
    loadable = opened(path)
    if not loadable.is_keras:
        raise TriggerError(f"export: {network} is no network of Keras; no others can be loaded")
    graph = monotone.proven(loadable.lower(build.spec.input_types, built), build.spec, say)
    fault = difference(built, graph)
    if fault:
        raise _misfit(build, network, fault)
    x = _events(build, graph)
    expected, off_grid = keras_integers(graph, loadable.reference(graph), x, None)
    wrong = off_grid | (run(graph, x) != expected).any(axis=1)
    if wrong.any():
        raise TriggerError(
            f"export: {network} differs from its graph in event {int(np.argmax(wrong))}, inputs "
            f"{x[np.argmax(wrong)].tolist()}; nothing was written"
        )
    events = integer_events(build)["validation"]
    points = working_points(build.spec, graph, events, loadable.left_out(graph))
    bounds = {name: point["bound"] for name, point in points.items()}
    return Weights(build.spec.name, built, graph, bounds), x


def _events(build: Build, graph: Graph) -> Integers:
    """The events and vectors of the build, and vectors for the graph: its ties and ends."""
    recorded, _, _ = implementations.recorded_expectations(build.root)
    own = vectors.generate(graph, build.spec.training.seed).families.values()
    return np.concatenate([recorded.astype(np.int64), *(quantize_inputs(graph, x) for x in own)])


def _file(build: Build, network: Path) -> Path:
    """The file of a network, or that of another build, whose features and scores must be those of
    the build, in their order.
    """
    if not network.is_dir():
        return network
    other = open_sealed(network)
    for what, own, theirs in (
        ("feature", build.spec.data.features, other.spec.data.features),
        ("score", build.spec.outputs, other.spec.outputs),
    ):
        pairs = enumerate(zip_longest(theirs, own, fillvalue="none"), 1)
        for number, (here, there) in pairs:
            if here != there:
                fault = f"{what} {number} is {here}, in the build {there}"
                raise _misfit(build, network, fault)
    return network_file(network)


def _misfit(build: Build, network: Path, fault: str) -> TriggerError:
    return TriggerError(
        f"export: {network} does not fit the firmware of {build.root}: {fault}; build it anew"
    )


def _simulated(project: rtl.Rtl, graph: Graph, x: Integers) -> int:
    """Load the graph into the simulated core. Raises TriggerError if an event differs."""
    with tempfile.TemporaryDirectory() as work:
        say("  compiling the RTL simulation")
        simulation = project.compile(Path(work)).simulation
        assert simulation is not None
        with progress("loading the weights while events flow", len(x), "events") as done:
            given = loaded(simulation, project.interface, graph, x)
            done(len(x))
    differs = (given != run(graph, x)).any(axis=1)
    if differs.any():
        event = int(np.argmax(differs))
        raise TriggerError(
            f"export: the core with these weights differs in event {event}, inputs "
            f"{x[event].tolist()}; nothing was written"
        )
    return len(x)

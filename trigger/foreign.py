"""An hls4ml project of other origin against the network it is said to be."""

from pathlib import Path

import numpy as np

from trigger.backends.foreign import ForeignProject, open_foreign
from trigger.errors import TriggerError
from trigger.events.dataset import numeric_columns
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.types import Integers
from trigger.progress import progress, say
from trigger.verification.compare import Comparison, Verdict, Witness

_RANDOM_EVENTS = 10_000


def check(directory: Path, network: Path, events: Path | None) -> Verdict:
    """Compare the csim of a project with a trained network, in real numbers that must be equal.

    Both are given the same values of the project's input type: those of an event file, whose columns of numbers are the
    features in their order, or where there is none random events and the vectors made for the network. Raises Inexact where
    the network has no fixed-point form, and TriggerError where something cannot be read or compiled.
    """
    from trigger import keras_backend

    project = open_foreign(directory)
    keras_backend.start()
    from trigger.frontends.loading import load
    from trigger.frontends.networks import Reference, head, left_out, lower

    model = load(network)
    if head(model) == "softmax":
        raise TriggerError(
            f"{network}: it ends in softmax, which hls4ml takes from tables: no project of it is exact; "
            "save the network without its softmax, which does not change the order of the classes, and convert that"
        )
    graph = lower(model, project.input_type)
    if (omitted := left_out(model, graph)) is not None:
        raise TriggerError(
            f"{network}: it ends in {omitted.name}, of values too wide for a table: no project of it is exact; "
            f"save the network without its {omitted.name}, which does not change the order of the events, and convert that"
        )
    sizes = {
        "inputs": (len(graph.input.types), project.inputs),
        "outputs": (len(graph.output.types), project.outputs),
    }
    for what, (ours, theirs) in sizes.items():
        if ours != theirs:
            raise TriggerError(f"{directory}: it has {theirs} {what}, the network {ours}")
    x = _events(graph, events)
    real = np.ldexp(x.astype(np.float64), -graph.input.fractions)
    say("  compiling the csim")
    with progress(project.label, len(x), "events") as done:
        found = project.predict(real, done)
    return Verdict(
        (_compared(graph, project, x, Reference(model, graph).predict(real), found),), len(x)
    )


def _events(graph: Graph, events: Path | None) -> Integers:
    from trigger.verification import vectors

    if events is None:
        rng = np.random.default_rng(0)
        random = [rng.integers(t.minimum, t.maximum + 1, _RANDOM_EVENTS) for t in graph.input.types]
        return np.concatenate(
            [np.stack(random, axis=1), graph.quantize_inputs(vectors.generate(graph, 0).all)]
        )
    columns = numeric_columns(events)
    if len(columns) < len(graph.input.types):
        raise TriggerError(
            f"{events}: {len(columns)} columns of numbers; the network has {len(graph.input.types)} inputs"
        )
    return graph.quantize_inputs(np.stack(list(columns.values())[: len(graph.input.types)], axis=1))


def _compared(
    graph: Graph, project: ForeignProject, x: Integers, expected: np.ndarray, found: np.ndarray
) -> Comparison:
    differs = (expected != found).any(axis=1)
    witness = None
    if differs.any():
        event = int(np.argmax(differs))
        element = int(np.argmax(expected[event] != found[event]))
        # Steps that hold the values of both.
        fraction = max(project.output_type.fraction, graph.output.types[element].fraction)
        values = [int(np.ldexp(y[event, element], fraction)) for y in (expected, found)]
        inputs = tuple(int(value) for value in x[event])
        name, kind = graph.output.name, str(project.output_type)
        witness = Witness(
            project.label, event, name, element, kind, values[0], values[1], fraction, inputs
        )
    return Comparison(project.label, len(x), int(differs.sum()), witness)

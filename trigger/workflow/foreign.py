"""Comparison of a foreign hls4ml project with the network that it should implement."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from trigger.errors import TriggerError
from trigger.events.dataset import numeric_columns
from trigger.fixedpoint.types import MAX_WIDTH, Fixed, Integers
from trigger.frontends.hls4ml.foreign import open_foreign
from trigger.frontends.hls4ml.foreign_csim import ForeignProject
from trigger.support.numbers import counted
from trigger.support.progress import progress, say
from trigger.support.spelling import read_type
from trigger.verification.compare import Comparison, Verdict, Witness

if TYPE_CHECKING:
    import keras

    from trigger.fixedpoint.graph import Graph

_RANDOM_EVENTS = 10_000


class _Network(NamedTuple):
    """The reference: ``predict`` from real inputs to real outputs, both float64, (events,
    elements).

    ``graph`` is None if the network cannot be compiled.
    """

    predict: Callable[[np.ndarray], np.ndarray]
    inputs: int
    outputs: int
    graph: "Graph | None"


def compare_project(
    directory: Path, network: Path, events: Path | None, inputs: str | None = None
) -> Verdict:
    """Compare the csim of a project with a trained network, in real numbers that must be equal.

    Both get the same values of the project's input type, or of the narrower type ``inputs``: those
    of an event file, whose numeric columns are the features in order, or otherwise random events
    and, if the network can be compiled, its directed vectors. A network that cannot be compiled is
    evaluated by Keras in float64. Raises TriggerError if something cannot be read or compiled.
    """
    from trigger.frontends import keras_backend

    project = open_foreign(directory)
    fixed = _input_type(project, inputs)
    keras_backend.start()
    from trigger.frontends.loading import load
    from trigger.frontends.networks import head

    model = load(network)
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise TriggerError(
            f"{network}: it has {counted(len(model.inputs), 'input')} and "
            f"{counted(len(model.outputs), 'output')}; "
            "only networks with one of each can be compared with a project"
        )
    if head(model) == "softmax":
        raise TriggerError(
            f"{network}: it ends in softmax, which hls4ml approximates by tables, so no "
            f"project is exact; save the "
            "network without its softmax, which keeps the order of the classes, and convert that"
        )
    reference = _network(model, network, fixed)
    sizes = {
        "inputs": (reference.inputs, project.inputs),
        "outputs": (reference.outputs, project.outputs),
    }
    for what, (ours, theirs) in sizes.items():
        if ours != theirs:
            raise TriggerError(f"{directory}: it has {theirs} {what}, the network {ours}")
    x = _events(reference, fixed, events)
    real = np.ldexp(x.astype(np.float64), -fixed.fraction)
    expected = reference.predict(real)
    if not np.isfinite(expected).all():
        raise TriggerError(f"{network}: Keras gives NaN outputs; check its weights")
    say("  compiling the csim")
    with progress(project.label, len(x), "events") as done:
        outputs = project.predict(real, done)
    return Verdict((_compared(reference, project, x, expected, outputs),), len(x))


def _input_type(project: ForeignProject, inputs: str | None) -> Fixed:
    """The type of the inputs. Raises TriggerError if the project's type cannot hold all its
    values.
    """
    whole = project.input_type
    if whole.width > MAX_WIDTH:
        raise TriggerError(
            f"{project.directory}: its inputs are {whole}; up to {MAX_WIDTH} bits can "
            f"be compared exactly"
        )
    if inputs is None:
        return whole
    try:
        fixed = read_type(inputs)
    except ValueError as error:
        raise TriggerError(f"verify: --inputs: {error}") from error
    ends = [
        value * 2.0 ** (whole.fraction - fixed.fraction) for value in (fixed.minimum, fixed.maximum)
    ]
    if fixed.fraction > whole.fraction or ends[0] < whole.minimum or ends[1] > whole.maximum:
        raise TriggerError(
            f"verify: --inputs: {fixed} has values outside the inputs of the project, {whole}"
        )
    return fixed


def _network(model: "keras.Model", path: Path, fixed: Fixed) -> _Network:
    from trigger.frontends.inexact import Inexact
    from trigger.frontends.networks import Reference, in_float64, left_out, lower

    try:
        graph = lower(model, fixed)
    except Inexact as error:
        say(
            f"  {path.name} cannot be compiled exactly ({error.layer}: {error.reason}): "
            "compared with Keras in float64, on random inputs"
        )
        try:
            predict = in_float64(model)
        except ValueError as failure:
            raise TriggerError(
                f"{path}: Keras cannot compute it in float64: {failure}"
            ) from failure
        n_in, n_out = (int(np.prod(t.shape[1:])) for t in (model.inputs[0], model.outputs[0]))
        return _Network(predict, n_in, n_out, None)
    if (omitted := left_out(model, graph)[0]) is not None:
        raise TriggerError(
            f"{path}: it ends in {omitted.name}, whose input is too wide for a table, "
            f"so no project is exact; "
            f"save the network without its {omitted.name}, which keeps the order of the "
            f"events, and convert that"
        )
    predict = Reference(model, graph).predict
    return _Network(predict, len(graph.input.types), len(graph.output.types), graph)


def _events(network: _Network, fixed: Fixed, events: Path | None) -> Integers:
    """Inputs as integers of the type, shape (events, features)."""
    if events is None:
        rng = np.random.default_rng(0)
        ends = np.array([[fixed.minimum], [fixed.maximum]]).repeat(network.inputs, axis=1)
        shape = (_RANDOM_EVENTS, network.inputs)
        parts = [ends, rng.integers(fixed.minimum, fixed.maximum + 1, shape)]
        if network.graph is not None:
            from trigger.verification import vectors

            parts.append(_quantized(vectors.generate(network.graph, 0).all, fixed))
        return np.concatenate(parts)
    columns = numeric_columns(events)
    if len(columns) < network.inputs:
        raise TriggerError(
            f"{events}: {counted(len(columns), 'numeric column')}; the network has "
            f"{counted(network.inputs, 'input')}"
        )
    return _quantized(np.stack(list(columns.values())[: network.inputs], axis=1), fixed)


def _quantized(x: np.ndarray, fixed: Fixed) -> Integers:
    """Real values as the nearest integers of the type."""
    steps = np.rint(np.ldexp(np.asarray(x, dtype=np.float64), fixed.fraction))
    return np.clip(steps, fixed.minimum, fixed.maximum).astype(np.int64)


def _compared(
    network: _Network,
    project: ForeignProject,
    x: Integers,
    expected: np.ndarray,
    outputs: np.ndarray,
) -> Comparison:
    differs = (expected != outputs).any(axis=1)
    witness = None
    if differs.any():
        event = int(np.argmax(differs))
        element = int(np.argmax(expected[event] != outputs[event]))
        name = network.graph.output.name if network.graph else "outputs"
        both = [float(y[event, element]) for y in (expected, outputs)]
        fixed = project.output_type
        # A step that both values are multiples of.
        fraction = max(fixed.fraction, *(v.as_integer_ratio()[1].bit_length() - 1 for v in both))
        values = [int(Fraction(v) * Fraction(2) ** fraction) for v in both]
        inputs = tuple(int(value) for value in x[event])
        witness = Witness(
            project.label, event, name, element, str(fixed), values[0], values[1], fraction, inputs
        )
    return Comparison(project.label, len(x), int(differs.sum()), witness)

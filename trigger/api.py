"""The Python interface: what ``import trigger`` gives. Names here are stable."""

import math
from collections.abc import Mapping, Sequence
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trigger.errors import TriggerError
from trigger.fixedpoint import evaluate
from trigger.fixedpoint import graph as fixedpoint
from trigger.fixedpoint.ops import GraphError
from trigger.fixedpoint.passes.decision import scores
from trigger.fixedpoint.types import Fixed, Integers
from trigger.support import layers
from trigger.support.numbers import counted
from trigger.verification import compare as comparison

if TYPE_CHECKING:
    import keras

    from trigger.backends.hls4ml.csim import Csim
    from trigger.backends.rtl import Rtl


class Graph(fixedpoint.Graph):
    """The fixed-point graph of a network.

    ``predict(x)`` takes real inputs, float64 of shape (events, features), and gives the exact real
    outputs; ``run(x)`` takes and gives integers.
    """

    def summary(self, rtl: "Rtl | None" = None) -> None:
        """Print a table of the layers, as Keras does for a model: shapes, types, weights; with an
        RTL project of this graph also the LUTs of each layer, estimated.
        """
        estimate = {} if rtl is None else rtl.estimate
        print(layers.text(self, estimate.get("layers", {}), estimate.get("lut")))

    def _repr_html_(self) -> str:
        """The same table for a notebook, and the notes of the lowering."""
        return layers.page(self)

    def quantize_inputs(self, x: np.ndarray) -> Integers:
        """Real inputs, shape (events, features), to the integers the hardware receives."""
        return evaluate.quantize_inputs(self, x)

    def run(self, x: Integers) -> Integers:
        """Integer inputs, shape (events, features), to integer outputs, shape (events, outputs)."""
        return evaluate.run(self, x)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Real inputs, shape (events, features), to the exact real outputs, float64 of shape
        (events, outputs).
        """
        return evaluate.predict(self, x)

    def to_hls4ml(
        self,
        directory: str | Path,
        backend: str = "Vitis",
        part: str = "xcvu13p-flga2577-2-e",
        clock_mhz: float = 240.0,
        io_type: str = "io_parallel",
        strategy: str = "latency",
        reuse_factor: int = 1,
        project_name: str = "network",
    ) -> "Csim":
        """Write the hls4ml project; ``.compile()`` and ``.predict(x)`` of the result run its csim.

        Raises TriggerError for options that hls4ml cannot meet.
        """
        from trigger.backends.hls4ml.project import Hls4mlOptions, write

        options = Hls4mlOptions(
            part, clock_mhz, backend, io_type, strategy, reuse_factor, project_name
        )
        return write(self, Path(directory), options)

    def to_rtl(
        self,
        directory: str | Path,
        language: str = "verilog",
        part: str = "xcvu13p-flga2577-2-e",
        clock_mhz: float = 240.0,
        project_name: str = "network",
        latency_cycles: int | None = None,
        ii: int = 1,
        multipliers: str = "lut",
    ) -> "Rtl":
        """Write pipelined Verilog or VHDL; ``.compile()`` and ``.predict(x)`` of the result run its
        simulation.

        The latency is the least in clock cycles, or exactly ``latency_cycles``. With an event every
        ``ii`` clock cycles or later, positions that compute the same, and outputs of dense layers,
        share hardware where that saves LUTs. Products of two variables are in logic ("lut"), in
        DSP blocks ("dsp"), or in as many of these as the part has ("auto"). Raises TriggerError for
        options that cannot be met.
        """
        from trigger.backends.rtl import write
        from trigger.backends.rtl.planning import RtlOptions

        options = RtlOptions(
            part,
            clock_mhz,
            language,
            project_name,
            latency_cycles=latency_cycles,
            interval=index(ii),  # NumPy's integers, too
            multipliers=multipliers,
        )
        return write(self, Path(directory), options)


def lower(
    model: "keras.Model",
    inputs: str | Fixed | Sequence[str | Fixed] | None = None,
    kernels: Mapping[str, str | Fixed] | None = None,
    reloadable: bool | Graph = False,
) -> Graph:
    """A trained network of Keras, QKeras or HGQ2 as the fixed-point graph with the same integers.

    ``inputs`` is the hardware type of the features, such as "fixed<16,6>", one for all or one for
    each; ``ap_fixed<16,6>`` and ``ap_uint<8>`` are read too. Values enter rounded half to even, and
    saturated. It may be omitted if the network starts with a rounding quantiser of QKeras.
    ``kernels`` gives plain Dense layers an explicit type by layer name. If ``reloadable``, RTL can
    load other kernels and biases, within the ranges of their quantisers, or of those of a
    reloadable graph that hardware was made from. Raises ``Inexact``, with
    everything that cannot be exact, if there is no such graph.
    """
    from trigger.frontends.networks import lower as lower_keras

    graph = lower_keras(model, inputs, kernels, reloadable)
    return Graph(graph.nodes, graph.notes)


def verify(
    model: "keras.Model", implementations: Sequence[Any], x: np.ndarray
) -> comparison.Verdict:
    """Compare graphs, compiled csims and compiled RTL with the Keras network, evaluated in float64.

    ``x`` are real inputs: an array (events, features), or a list with an array for each input of
    the network. The last comparison is of the graph with what ``model`` itself gives in float32,
    called as Keras calls it: equal where float32 is exact, within its rounding elsewhere.

    If the network does not quantise its inputs, all implementations get values of the graph's input
    types. Raises TriggerError for other arguments, or if the number of inputs or outputs differs
    from the network.
    """
    from trigger.frontends.networks import Reference, record
    from trigger.verification.oracle import agreement

    if not isinstance(implementations, Sequence) or not implementations:
        raise TriggerError("verify: nothing to compare with the network; pass graphs, csims or RTL")
    x = _events(_joined(model, x))
    graphs = [_belonging(model, implementation) for implementation in implementations]
    graph = next((graph for graph in graphs if graph is not None), None)
    if graph is None:
        raise TriggerError("verify: no implementation knows its graph; pass the graph too")
    reference = Reference(model, graph)
    try:
        integers = evaluate.quantize_inputs(graph, x)
    except GraphError as error:
        raise TriggerError(f"verify: {error}") from error
    on_grid = np.ldexp(integers.astype(np.float64), -graph.input.fractions)
    seen = x if reference.input_types == graph.input.types else on_grid
    expected, off_grid = comparison.to_integers(graph, reference.predict(seen))

    def layers(inputs: np.ndarray) -> Mapping[str, np.ndarray]:
        return reference.layers(np.ldexp(inputs.astype(np.float64), -graph.input.fractions))

    named = comparison.names([_implementation(one) for one in implementations])
    verdict = comparison.compare(
        graph, expected, off_grid, integers, named, layers, (TriggerError, GraphError)
    )
    own = agreement(graph, record(model, on_grid)).comparison
    return verdict._replace(comparisons=(*verdict.comparisons, own))


def _implementation(given: Any) -> comparison.Implementation:
    return evaluate.GoldenModel(given) if isinstance(given, fixedpoint.Graph) else given


def _joined(model: "keras.Model", x: Any) -> Any:
    """The features of all inputs side by side, where they are given for each."""
    inputs = len(getattr(model, "inputs", None) or ())
    if inputs < 2 or not isinstance(x, list | tuple):
        return x
    try:
        parts = [np.asarray(part, dtype=np.float64) for part in x]
    except (TypeError, ValueError):
        return x
    if any(part.ndim < 2 for part in parts):
        return x
    if len(parts) != inputs:
        raise TriggerError(f"verify: {len(parts)} arrays for the network's {inputs} inputs")
    if len({len(part) for part in parts}) > 1:
        events = ", ".join(str(len(part)) for part in parts)
        raise TriggerError(
            f"verify: the inputs have {events} events; give the same number for each input"
        )
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


def _events(x: np.ndarray) -> np.ndarray:
    try:
        x = np.asarray(x, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TriggerError(f"verify: the events are not an array of numbers: {error}") from error
    if x.ndim < 2 or not len(x):
        raise TriggerError(
            f"verify: the events have the shape {x.shape}; give (events, features), one "
            f"event or more"
        )
    return x


def _belonging(model: "keras.Model", implementation: Any) -> fixedpoint.Graph | None:
    """The graph of an implementation, after checking its numbers of inputs and outputs.

    None for an implementation without a graph, whose outputs are counted after running it.
    """
    from trigger.frontends.networks import is_network

    if not is_network(model):
        raise TriggerError(f"verify: {type(model).__name__} is not a Keras network")
    graph = getattr(implementation, "graph", implementation)
    if not isinstance(graph, fixedpoint.Graph):
        if isinstance(implementation, comparison.Implementation):
            return None
        raise TriggerError(f"verify: {type(implementation).__name__} is not a graph, csim or RTL")
    output = scores(graph).output
    for what, tensors, size in (
        ("input", model.inputs, len(graph.input.types)),
        ("output", model.outputs, len(output.types)),
    ):
        count = sum(math.prod(tensor.shape[1:]) for tensor in tensors)
        if count != size:
            raise TriggerError(
                f"verify: the network has {counted(count, what)}, "
                f"{_implementation(implementation).label} has {size}"
            )
    return graph


def build(target: str | Path, output: str | Path = "build") -> Path:
    """Run ``trigger build``: from trigger.toml to the report. Returns the build folder.

    ``target`` is a zoo name, a folder or a trigger.toml. Raises TriggerError if the build cannot
    run.
    """
    from trigger.workflow.build import build as run

    return run(str(target), Path(output))

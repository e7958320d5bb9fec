"""Comparison of implementations with the Keras network, integer by integer, and the witness."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from trigger.fixedpoint.evaluate import GoldenModel, trace
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import Dense, Operation, Select, Threshold
from trigger.fixedpoint.types import Integers
from trigger.support import html
from trigger.support.numbers import counted, plain


@runtime_checkable
class Implementation(Protocol):
    """Anything that can be compared: the golden model, a csim, RTL, a payload, a netlist."""

    @property
    def label(self) -> str:
        """Its name in comparisons."""

    def run(self, x: Integers) -> Integers:
        """Integer inputs, shape (events, features), to integer outputs, shape (events, outputs)."""

    def trace(self, x: Integers) -> Mapping[str, Integers]:
        """The integers of its visible nodes, by name, for the same inputs."""


class Witness(NamedTuple):
    """The first difference: which event, where, and both values.

    ``place`` says where the event is, if it is of a file. ``channels`` are the elements of one
    position, where a layer computes the same at several; 0 elsewhere.
    """

    implementation: str
    event: int
    node: str
    element: int
    type: str
    expected: int
    found: int
    fraction: int
    inputs: tuple[int, ...]
    channels: int = 0
    place: str = ""

    def __str__(self) -> str:
        place = f"element {self.element}"
        if self.channels:
            position, channel = divmod(self.element, self.channels)
            place += f" (position {position}, channel {channel})"

        def both(value: int) -> str:
            return f"{'-' if value < 0 else ''}{abs(value):#x} = {value * 2.0**-self.fraction!r}"

        return (
            f"event {self.event}{f' ({self.place})' if self.place else ''}: "
            f"{self.implementation} first differs in {self.node}, "
            f"{place}, {self.type}: "
            f"expected {both(self.expected)}, found {both(self.found)}\n"
            f"  inputs (integers): {', '.join(map(str, self.inputs))}"
        )


class Disagreement(NamedTuple):
    """The first output of the trained network that the graph cannot give."""

    event: int
    output: int
    given: float
    low: float
    high: float
    inputs: tuple[float, ...]

    def __str__(self) -> str:
        allowed = repr(self.low) if self.low == self.high else f"{self.low!r} to {self.high!r}"
        return (
            f"event {self.event}: the trained network gives {self.given!r} in output "
            f"{self.output}, the graph {allowed}\n"
            f"  inputs: {', '.join(f'{value:g}' for value in self.inputs)}"
        )


class Comparison(NamedTuple):
    """One implementation against the reference. ``differing`` is a number of events."""

    name: str
    events: int
    differing: int
    witness: Witness | Disagreement | None
    failure: str = ""

    @property
    def equal(self) -> bool:
        return not self.differing and not self.failure

    @property
    def state(self) -> str:
        """Equal, different or failed, in words."""
        if self.failure:
            return f"failed: {self.failure}"
        return "equal" if self.equal else f"DIFFERENT in {counted(self.differing, 'event')}"


class Verdict(NamedTuple):
    """All comparisons; true if every one found every event equal."""

    comparisons: tuple[Comparison, ...]
    events: int

    @property
    def equal(self) -> bool:
        return all(c.equal for c in self.comparisons)

    @property
    def witness(self) -> Witness | Disagreement | None:
        return next((c.witness for c in self.comparisons if c.witness), None)

    def __bool__(self) -> bool:
        return self.equal

    def _repr_html_(self) -> str:
        """The comparisons and their witnesses, for a notebook."""
        title = "equal to the bit" if self.equal else "DIFFERENT"
        rows = [(c.name, plain(c.events), c.state) for c in self.comparisons]
        witnesses = [html.block(str(c.witness)) for c in self.comparisons if c.witness]
        table = html.table(("implementation", "events#", "verdict"), rows)
        return "".join([html.paragraph(title), table, *witnesses])

    def __str__(self) -> str:
        lines = []
        for c in self.comparisons:
            lines.append(f"{c.name}: {counted(c.events, 'event')}, {c.state}")
            if c.witness:
                lines.append(f"  {c.witness}")
        return "\n".join(lines)


def to_integers(graph: Graph, y: np.ndarray) -> tuple[Integers, np.ndarray]:
    """Real outputs as integers of the output's types, and which events have a value between two
    steps.
    """
    scaled = np.ldexp(np.asarray(y, dtype=np.float64), graph.output.fractions)
    rounded = np.rint(scaled)
    return rounded.astype(np.int64), (rounded != scaled).any(axis=1)


def compare(
    graph: Graph,
    expected: Integers,
    off_grid: np.ndarray,
    x: Integers,
    implementations: Mapping[str, Implementation],
    layers: Callable[[Integers], Mapping[str, np.ndarray]] | None = None,
    failures: tuple[type[Exception], ...] = (),
) -> Verdict:
    """Compare each implementation with the integers Keras gives.

    ``expected`` (events, outputs) are Keras' integers; ``off_grid`` (events,) marks events in which
    a value of Keras lies between two steps, which is a difference by definition. ``layers`` gives
    the layer outputs of Keras, as real numbers, for a few inputs, so that a witness names the first
    layer that differs. Exceptions of the types ``failures``, and a wrong number of outputs, are
    failures of that implementation.
    """
    comparisons = []
    for name, implementation in implementations.items():
        try:
            outputs = implementation.run(x)
            if outputs.shape != expected.shape:
                text = f"it gives {outputs.shape[1]} outputs, the network {expected.shape[1]}"
                comparisons.append(Comparison(name, len(x), 0, None, text))
                continue
            differs = (outputs != expected).any(axis=1) | off_grid
            witness = None
            if differs.any():
                witness = _witness(
                    graph,
                    name,
                    implementation,
                    expected,
                    outputs,
                    int(np.argmax(differs)),
                    x,
                    layers,
                )
            comparisons.append(Comparison(name, len(x), int(differs.sum()), witness))
        except failures as failure:
            comparisons.append(Comparison(name, len(x), 0, None, str(failure)))
    return Verdict(tuple(comparisons), len(x))


def _witness(
    graph: Graph,
    name: str,
    implementation: Implementation,
    expected: Integers,
    outputs: Integers,
    event: int,
    x: Integers,
    layers: Callable[[Integers], Mapping[str, np.ndarray]] | None,
) -> Witness:
    inputs = x[event : event + 1]
    golden = trace(graph, inputs)
    traced = implementation.trace(inputs)
    if isinstance(implementation, GoldenModel):  # only the layers of Keras can locate its fault
        golden = _as_traced(graph, layers(inputs)) if layers else {}
    golden = {**golden, graph.output.name: expected[event : event + 1]}
    traced = {**traced, graph.output.name: outputs[event : event + 1]}
    for node in graph.nodes:
        if node.name in golden and node.name in traced:
            different = np.flatnonzero(golden[node.name][0] != traced[node.name][0])
            if len(different) or node is graph.output:
                element = int(different[0]) if len(different) else 0
                return Witness(
                    name,
                    event,
                    node.name,
                    element,
                    str(node.types[element]),
                    int(golden[node.name][0, element]),
                    int(traced[node.name][0, element]),
                    node.types[element].fraction,
                    tuple(int(v) for v in inputs[0]),
                    _channels(graph, node),
                )
    raise AssertionError("the output is always compared")


def _channels(graph: Graph, node: Operation) -> int:
    """The elements of one position of a kernel of several, also behind what follows it element by
    element; 0 for any other node.
    """
    while not isinstance(node, Dense):
        if len(node.inputs) != 1 or isinstance(node, Select | Threshold):
            return 0
        before = graph[node.inputs[0]]
        if len(before.types) != len(node.types):
            return 0
        node = before
    return len(node.types) // node.positions if node.positions > 1 else 0


def _as_traced(graph: Graph, layers: Mapping[str, np.ndarray]) -> dict[str, Integers]:
    """Keras' layer outputs as integers of the nodes of the same name, where the two have the same
    size.
    """
    traced = {}
    for node in graph.nodes:
        y = layers.get(node.name)
        if y is not None and y.shape[1] == len(node.types):
            traced[node.name] = np.rint(np.ldexp(y, node.fractions)).astype(np.int64)
    return traced


def names(implementations: Sequence[Implementation]) -> dict[str, Implementation]:
    """A unique name for each implementation: "graph", "csim (Vitis)", "RTL (Verilog)", "graph
    2".
    """
    named: dict[str, Implementation] = {}
    for implementation in implementations:
        base = name = implementation.label
        count = 1
        while name in named:
            count += 1
            name = f"{base} {count}"
        named[name] = implementation
    return named

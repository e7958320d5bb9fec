"""Comparison of implementations with the Keras network, as equality of integers, and the witness of a difference."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from trigger.fixedpoint.evaluate import GoldenModel, trace
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.types import Integers


@runtime_checkable
class Implementation(Protocol):
    """What can be compared: the golden model, a csim, RTL, a payload, a netlist."""

    @property
    def label(self) -> str:
        """Its name in comparisons."""

    def run(self, x: Integers) -> Integers:
        """Integer inputs, shape (events, features), to integer outputs, shape (events, outputs)."""

    def trace(self, x: Integers) -> Mapping[str, Integers]:
        """The integers of the nodes that can be seen in it, by name, for the same inputs."""


class Witness(NamedTuple):
    """The first difference: which event, where, and both values."""

    implementation: str
    event: int
    node: str
    element: int
    type: str
    expected: int
    found: int
    fraction: int
    inputs: tuple[int, ...]

    def __str__(self) -> str:
        def both(value: int) -> str:
            return f"{'-' if value < 0 else ''}{abs(value):#x} = {value * 2.0**-self.fraction!r}"

        return (
            f"event {self.event}: {self.implementation} first differs in {self.node}, element {self.element}, {self.type}: "
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
    """One implementation against the reference. ``differing`` counts events."""

    name: str
    events: int
    differing: int
    witness: Witness | Disagreement | None
    failure: str = ""

    @property
    def equal(self) -> bool:
        return not self.differing and not self.failure


class Verdict(NamedTuple):
    """All comparisons; true where every one found every event equal."""

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

    def __str__(self) -> str:
        lines = []
        for c in self.comparisons:
            state = (
                f"failed: {c.failure}"
                if c.failure
                else "equal"
                if c.equal
                else f"DIFFERENT in {c.differing} events"
            )
            lines.append(f"{c.name}: {c.events} events, {state}")
            if c.witness:
                lines.append(f"  {c.witness}")
        return "\n".join(lines)


def to_integers(graph: Graph, y: np.ndarray) -> tuple[Integers, np.ndarray]:
    """Real outputs as integers of the output's types, and which events have a value between two steps."""
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

    ``expected`` (events, outputs) are Keras' integers and ``off_grid`` (events,) says where Keras' value lies between two
    steps, which differs by definition. ``layers`` gives Keras' own layer outputs, as real numbers, for a few inputs; with
    it a witness names the first layer that differs. Exceptions of the types ``failures`` are that implementation's;
    another number of outputs is a failure too.
    """
    comparisons = []
    for name, implementation in implementations.items():
        try:
            found = implementation.run(x)
            if found.shape != expected.shape:
                text = f"it gives {found.shape[1]} outputs, the network {expected.shape[1]}"
                comparisons.append(Comparison(name, len(x), 0, None, text))
                continue
            differs = (found != expected).any(axis=1) | off_grid
            witness = None
            if differs.any():
                witness = _witness(
                    graph, name, implementation, expected, found, int(np.argmax(differs)), x, layers
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
    found: Integers,
    event: int,
    x: Integers,
    layers: Callable[[Integers], Mapping[str, np.ndarray]] | None,
) -> Witness:
    inputs = x[event : event + 1]
    golden = trace(graph, inputs)
    traced = implementation.trace(inputs)
    if isinstance(implementation, GoldenModel):  # only Keras' layers can tell where it is wrong
        golden = _as_traced(graph, layers(inputs)) if layers else {}
    golden = {**golden, graph.output.name: expected[event : event + 1]}
    traced = {**traced, graph.output.name: found[event : event + 1]}
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
                )
    raise AssertionError("the output is always compared")


def _as_traced(graph: Graph, layers: Mapping[str, np.ndarray]) -> dict[str, Integers]:
    """Keras' layer outputs as integers of the nodes of the same name, where the two have the same size."""
    found = {}
    for node in graph.nodes:
        y = layers.get(node.name)
        if y is not None and y.shape[1] == len(node.types):
            found[node.name] = np.rint(np.ldexp(y, node.fractions)).astype(np.int64)
    return found


def names(implementations: Sequence[Implementation]) -> dict[str, Implementation]:
    """A name for each implementation: "graph", "csim (Vitis)", "RTL (Verilog)"; numbered where two are alike."""
    named: dict[str, Implementation] = {}
    for implementation in implementations:
        base = name = implementation.label
        count = 1
        while name in named:
            count += 1
            name = f"{base} {count}"
        named[name] = implementation
    return named

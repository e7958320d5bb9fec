"""The golden model: the graph evaluated on NumPy integers."""

from typing import NamedTuple, assert_never

import numpy as np

from trigger.fixedpoint.arithmetic import (
    add_shifts,
    affine,
    dense_terms,
    extremum,
    looked_up,
    requantize,
    selected,
    staircase,
    tabulated,
)
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import (
    Add,
    Affine,
    Clip,
    Concatenate,
    Dense,
    GraphError,
    Input,
    LeakyRelu,
    Lookup,
    Maximum,
    Minimum,
    Multiply,
    Operation,
    Quantize,
    Select,
    Staircase,
    Threshold,
    TruthTable,
)
from trigger.fixedpoint.types import Integers, bounds

# Small enough for the values of a block to stay in the processor's cache.
_BLOCK = 2048


class GoldenModel(NamedTuple):
    """The graph as an implementation, the reference for all others, node by node."""

    graph: Graph

    @property
    def label(self) -> str:
        """The name of this implementation in comparisons."""
        return "graph"

    def run(self, x: Integers) -> Integers:
        """As ``run``."""
        return run(self.graph, x)

    def trace(self, x: Integers) -> dict[str, Integers]:
        """As ``trace``."""
        return trace(self.graph, x)


def quantize_inputs(graph: Graph, x: np.ndarray) -> Integers:
    """Real inputs, shape (events, features), to integers: round half to even, saturate.

    Raises GraphError for a wrong shape and for NaN.
    """
    x = np.asarray(x, dtype=np.float64)
    if x.ndim > 2:
        x = x.reshape(len(x), -1)
    _check_shape(graph, x)
    if np.isnan(x).any():
        event, feature = np.argwhere(np.isnan(x))[0]
        raise GraphError(f"event {event}, feature {feature} is not a number")
    low, high = bounds(graph.input.types)
    with np.errstate(over="ignore"):  # values that overflow float64 saturate as well
        scaled = np.ldexp(x, graph.input.fractions)
    integers: Integers = np.clip(np.rint(scaled), low, high).astype(np.int64)
    return integers


def predict(graph: Graph, x: np.ndarray) -> np.ndarray:
    """Real inputs, shape (events, features), to the exact real outputs, float64 of shape (events,
    outputs).
    """
    integers = run(graph, quantize_inputs(graph, x))
    return np.ldexp(integers.astype(np.float64), -graph.output.fractions)


def run(graph: Graph, x: Integers) -> Integers:
    """Integer inputs, shape (events, features), to integer outputs, shape (events, outputs).

    Raises GraphError for a wrong shape, a type other than integer, or values outside the input
    types.
    """
    x = _check_inputs(graph, x)
    blocks = [
        trace(graph, x[start : start + _BLOCK])[graph.output.name]
        for start in range(0, len(x), _BLOCK)
    ]
    return (
        np.concatenate(blocks) if blocks else np.empty((0, len(graph.output.types)), dtype=np.int64)
    )


def trace(graph: Graph, x: Integers) -> dict[str, Integers]:
    """The integers of every node, by name, for integer inputs of shape (events, features)."""
    values = {graph.input.name: x}
    for node in graph.nodes[1:]:
        values[node.name] = evaluate(
            node, [graph[name] for name in node.inputs], [values[name] for name in node.inputs]
        )
    return values


def _check_shape(graph: Graph, x: np.ndarray) -> None:
    features = len(graph.input.types)
    if x.ndim != 2 or x.shape[1] != features:
        raise GraphError(f"inputs have the shape {x.shape}; the network takes (events, {features})")


def _check_inputs(graph: Graph, x: np.ndarray) -> Integers:
    x = np.asarray(x)
    _check_shape(graph, x)
    if not np.issubdtype(x.dtype, np.integer):
        raise GraphError(f"run() needs integers, not {x.dtype}; use predict() for real numbers")
    low, high = bounds(graph.input.types)
    outside = (x < low) | (x > high)
    if outside.any():
        event, feature = np.argwhere(outside)[0]
        raise GraphError(
            f"event {event}, feature {feature}: {x[event, feature]} is outside "
            f"{graph.input.types[feature]}, "
            f"integers {low[feature]} to {high[feature]}"
        )
    return x.astype(np.int64)


def evaluate(node: Operation, sources: list[Operation], values: list[Integers]) -> Integers:
    """The integers of one node from those of the nodes it reads, each of shape (events,
    elements).
    """
    assert not isinstance(node, Input)  # an input is given, not computed
    source, x = sources[0], values[0]
    match node:
        case Dense():
            terms = dense_terms(node, source)
            if terms.inputs.any():
                x = x << terms.inputs
            # The ranges prove that every partial sum is below 2^53, so the fast float64 product is
            # exact.
            # One product of two matrices is faster than one for each event.
            vectors = x.reshape(-1, len(node.weights.values)).astype(np.float64)
            product = (vectors @ node.weights.values.astype(np.float64)).astype(np.int64)
            product <<= terms.products
            return (product + terms.bias).reshape(len(x), len(node.types))
        case Affine():
            return affine(node, source, x)
        case Quantize():
            return requantize(x, source.fractions, node.types, node.rounding, node.overflow)
        case Clip():
            return np.clip(x, node.low, node.high)
        case LeakyRelu():
            return np.where(x < 0, x, x << node.shift)
        case Staircase():
            return staircase(node, source, x)
        case Lookup():
            return looked_up(node, x)
        case TruthTable():
            return tabulated(node, x)
        case Threshold():
            return (x[:, node.elements] >= node.bounds).astype(np.int64)
        case Add():
            shifts = add_shifts(node, sources)
            signed = zip(values, shifts, node.factors, strict=True)
            parts = [(value << shift) * sign for value, shift, sign in signed]
            total: Integers = np.sum(parts, axis=0, dtype=np.int64)
            return total
        case Multiply():
            return x * values[1]
        case Concatenate():
            return np.concatenate(values, axis=1)
        case Select():
            return selected(node, x)
        case Maximum() | Minimum():
            return extremum(node, source, x)
        case _:
            assert_never(node)

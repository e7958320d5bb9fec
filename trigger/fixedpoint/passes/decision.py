"""Decision lowering: with accept bits as outputs, drop everything that cannot change them.

A threshold moves back through every non-decreasing function (sigmoids, quantisers, clipping), which
then vanishes. Before a ``Dense`` it absorbs the bias and is rounded up to the next value of the
sum. A constant bit reads a value that is computed anyway.
"""

import dataclasses
from collections.abc import Callable
from math import gcd
from typing import NamedTuple

import numpy as np

from trigger.fixedpoint.arithmetic import dense_terms, never_decreases
from trigger.fixedpoint.evaluate import evaluate
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import (
    Constant,
    Dense,
    GraphError,
    Operation,
    Threshold,
)
from trigger.fixedpoint.ranges import Interval, interval, ranges
from trigger.fixedpoint.types import Fixed, Integers, smallest


class LeftOut(NamedTuple):
    """A non-decreasing function at the end of a network that the graph omits; ``name`` in Keras.

    ``before`` maps an output element and a threshold on the function's values to the threshold on
    its argument. ``value`` is the function, or None if it is not elementwise. Both work on real
    numbers.
    """

    name: str
    before: Callable[[int, float], float]
    value: Callable[[float], float] | None


def decide(graph: Graph, elements: Integers, thresholds: np.ndarray, name: str = "accept") -> Graph:
    """The graph with accept bits as outputs: bit i is 1 if output ``elements[i]`` >=
    ``thresholds[i]``.

    ``thresholds`` are real numbers. Raises GraphError if one is not finite.
    """
    bounds = np.array(
        [bound_of(graph, int(e), float(t)) for e, t in zip(elements, thresholds, strict=True)],
        dtype=np.int64,
    )
    node = Threshold(
        name,
        (graph.output.name,),
        (Fixed(False, 1, 1),) * len(elements),
        np.asarray(elements),
        bounds,
    )
    return Graph((*graph.nodes, node), graph.notes)


def bound_of(graph: Graph, element: int, threshold: float) -> int:
    """The smallest integer of an output that reaches a real threshold; its maximum + 1 if none
    does.

    Raises GraphError if the threshold is not finite.
    """
    if not np.isfinite(threshold):
        raise GraphError("a threshold is not a finite number")
    low, high = ranges(graph)[graph.output.name]
    bound = np.ceil(np.ldexp(threshold, graph.output.fractions[element]))
    return int(np.clip(bound, low[element], high[element] + 1))


def scores(graph: Graph) -> Graph:
    """The graph that ``decide`` was given; any other graph is returned unchanged."""
    return Graph(graph.nodes[:-1], graph.notes) if isinstance(graph.output, Threshold) else graph


def lower_decision(graph: Graph) -> Graph:
    """Move the thresholds of accept bits as far towards the inputs as possible; other graphs are
    kept.
    """
    graph = _without_sums_for_constants(graph)
    while isinstance(graph.output, Threshold):
        nodes = graph.nodes[:-1]
        accept, source = graph.output, graph[graph.output.inputs[0]]
        if any(source.name in node.inputs for node in nodes):
            break
        before = graph[source.inputs[0]] if source.inputs else source
        reach = ranges(graph)[before.name]
        if never_decreases(source, accept.elements, *reach):
            moved = _through(accept, source, before, reach)
        elif (
            isinstance(source, Dense)
            and source.parameters is None
            and source.positions == 1
            and source.bias.values.any()
        ):
            return Graph(
                (*(n for n in nodes if n is not source), *_into_bound(accept, source, graph)),
                graph.notes,
            )
        else:
            break
        graph = Graph((*(n for n in nodes if n is not source), moved), graph.notes)
    return graph


def _without_sums_for_constants(graph: Graph) -> Graph:
    """Constant bits compare the score of another bit, or the first input if all bits are constant.

    Their bounds are then reached by every value or by none, and their own scores become dead.
    """
    accept = graph.output
    if not isinstance(accept, Threshold):
        return graph
    intervals = ranges(graph)
    low, high = intervals[accept.name]
    constant = low == high
    if not constant.any():
        return graph
    nodes, source = graph.nodes[:-1], accept.inputs[0]
    read = accept.elements[~constant]
    if not len(read):
        nodes, source, read = (graph.input,), graph.input.name, np.zeros(1, dtype=np.int64)
    least, most = (end[read[0]] for end in intervals[source])
    moved = dataclasses.replace(
        accept,
        inputs=(source,),
        elements=np.where(constant, read[0], accept.elements),
        bounds=np.where(constant, np.where(low == 1, least, most + 1), accept.bounds),
    )
    return Graph((*nodes, moved), graph.notes)


def _through(accept: Threshold, node: Operation, source: Operation, reach: Interval) -> Threshold:
    """The same accept bits from the value before ``node``: a bound is the smallest integer that
    ``node`` maps to the old one.
    """
    low, high = reach.low[accept.elements].copy(), reach.high[accept.elements] + 1
    x = np.repeat(reach.low[None], len(low), axis=0)
    rows = np.arange(len(low))
    while (low < high).any():
        middle = np.minimum((low + high) >> 1, reach.high[accept.elements])
        x[rows, accept.elements] = middle
        passes = evaluate(node, [source], [x])[rows, accept.elements] >= accept.bounds
        low, high = (
            np.where(passes | (low >= high), low, middle + 1),
            np.where(passes, middle, high),
        )
    return dataclasses.replace(accept, inputs=(source.name,), bounds=low)


def _into_bound(accept: Threshold, node: Dense, graph: Graph) -> tuple[Operation, Threshold]:
    """A Dense without bias and unread columns, and the bounds for its sums."""
    columns, elements = np.unique(accept.elements, return_inverse=True)
    fraction = node.types[0].fraction
    weights = node.weights.values[:, columns]
    source = graph[node.inputs[0]]
    bias = dense_terms(node, source).bias[columns]
    common = int(source.fractions.max())
    sums = common + node.weights.type.fraction  # fractional bits of the sums alone
    bounds = accept.bounds - bias[elements]
    # A sum is a multiple of the greatest common divisor of its terms' steps.
    steps = np.array(
        [
            gcd(*(int(w) << int(common - f) for w, f in zip(column, source.fractions, strict=True)))
            for column in weights.T
        ]
    )
    grid = np.maximum(steps, 1)[elements] << (fraction - sums)
    bounds = (-(-bounds // grid) * grid) >> (fraction - sums)
    zero = Constant(np.zeros(len(columns), dtype=np.int64), Fixed(False, 1, 1 - sums))
    types = (Fixed(True, 53, 53 - sums),) * len(columns)
    bare = Dense(node.name, node.inputs, types, Constant(weights, node.weights.type), zero)
    intervals = ranges(graph)
    low, high = interval(bare, {source.name: (source, intervals[source.name])})
    bare = dataclasses.replace(
        bare, types=tuple(smallest(int(a), int(b), sums) for a, b in zip(low, high, strict=True))
    )
    return bare, dataclasses.replace(accept, inputs=(bare.name,), elements=elements, bounds=bounds)

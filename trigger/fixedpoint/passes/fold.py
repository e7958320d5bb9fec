"""Constant folding: constant values become part of the biases."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from trigger.fixedpoint.arithmetic import at_positions, dense_terms
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import Affine, Constant, Dense, Lookup, Multiply, Operation, TruthTable
from trigger.fixedpoint.ranges import Interval, ranges
from trigger.fixedpoint.types import Fixed, Integers, smallest


def fold_constants(graph: Graph) -> Graph:
    """Add constant inputs of a ``Dense`` to its bias and set their weights to zero.

    A Dense whose weights are then all zero reads the graph's inputs, so that nothing is computed
    for it. A table that gives only constants becomes such a Dense, a product with constants an
    ``Affine``.
    """
    intervals = ranges(graph)

    def folded(node: Operation) -> Operation:
        if (
            isinstance(node, Lookup | TruthTable)
            and (intervals[node.name].low == intervals[node.name].high).all()
        ):
            return _constant(graph.input, node, intervals[node.name].low)
        if isinstance(node, Multiply):
            return _scaled(node, graph, intervals)
        if not isinstance(node, Dense) or node.parameters is not None:
            return node
        node = _folded(node, graph[node.inputs[0]], intervals[node.inputs[0]])
        return node if node.weights.values.any() else _reading(graph.input, node)

    return Graph(tuple(map(folded, graph.nodes)), graph.notes)


def _scaled(node: Multiply, graph: Graph, intervals: Mapping[str, Interval]) -> Operation:
    """A product as an ``Affine``, if one factor is constants with one number of fractional bits."""
    for name, other in (node.inputs, node.inputs[::-1]):
        x, fractions = intervals[name], graph[name].fractions
        if (x.low == x.high).all() and (fractions == fractions[0]).all():
            scale_type = smallest(int(x.low.min()), int(x.low.max()), int(fractions[0]))
            least = int(node.fractions.min())
            zero = Constant(np.zeros_like(x.low), Fixed(False, 1, 1 - least))
            return Affine(node.name, (other,), node.types, Constant(x.low, scale_type), zero)
    return node


def _constant(source: Operation, node: Operation, values: Integers) -> Dense:
    """A Dense that gives these values, all with the node's first number of fractional bits."""
    weights, fraction = np.zeros((1, len(values)), dtype=np.int64), node.types[0].fraction
    bias = Constant(values, smallest(int(values.min()), int(values.max()), fraction))
    zero = Constant(weights, Fixed(False, 1, 1 - fraction))
    return _reading(source, Dense(node.name, (), node.types, zero, bias))


def _reading(source: Operation, node: Dense) -> Dense:
    zeros = np.zeros((len(source.types), len(node.types)), dtype=np.int64)
    bias = Constant(np.tile(node.bias.values, node.positions), node.bias.type)
    # The sum has the fractional bits of the widest term, even of a term that is always zero.
    fraction = min(
        int(node.fractions.min()) - int(source.fractions.max()), node.weights.type.fraction
    )
    weights = Constant(zeros, Fixed(False, 1, 1 - fraction))
    return dataclasses.replace(node, inputs=(source.name,), weights=weights, bias=bias, positions=1)


def _folded(node: Dense, source: Operation, x: Interval) -> Dense:
    never_moves = at_positions(node, x.low == x.high).all(axis=0)
    constant = never_moves & node.weights.values.any(axis=1)
    if not constant.any():
        return node
    fraction = node.types[0].fraction
    terms = dense_terms(node, source)
    values = at_positions(node, x.low << terms.inputs << terms.products)
    # The positions share their bias: it takes only what has the same value at all of them.
    aligned = values[0]
    constant &= (values == aligned).all(axis=0)
    bias = terms.bias + aligned[constant] @ node.weights.values[constant]
    weights = np.where(constant[:, None], 0, node.weights.values)
    bias_type = smallest(int(bias.min()), int(bias.max()), fraction)
    return dataclasses.replace(
        node, weights=Constant(weights, node.weights.type), bias=Constant(bias, bias_type)
    )

"""Constant folding: what never changes goes into the biases."""

import dataclasses

import numpy as np

from trigger.fixedpoint.graph import Constant, Dense, Graph, Node
from trigger.fixedpoint.ranges import Interval, ranges
from trigger.fixedpoint.types import smallest


def fold_constants(graph: Graph) -> Graph:
    """Inputs of ``Dense`` that have one value only are added to its bias, and their weights become zero."""
    found = ranges(graph)

    def folded(node: Node) -> Node:
        return _folded(node, graph[node.inputs[0]], found[node.inputs[0]]) if isinstance(node, Dense) else node

    return Graph(tuple(map(folded, graph.nodes)), graph.notes)


def _folded(node: Dense, source: Node, x: Interval) -> Dense:
    constant = (x.low == x.high) & (node.weights.values != 0).any(axis=1)
    if not constant.any():
        return node
    fraction = node.types[0].fraction
    aligned = x.low << (fraction - source.fractions - node.weights.type.fraction)
    bias = node.bias.values << (fraction - node.bias.type.fraction)
    bias = bias + aligned[constant] @ node.weights.values[constant]
    weights = np.where(constant[:, None], 0, node.weights.values)
    kind = smallest(int(bias.min()), int(bias.max()), fraction)
    return dataclasses.replace(node, weights=Constant(weights, node.weights.type), bias=Constant(bias, kind))

"""A dense layer whose outputs share multipliers: one output at a time, its weights as inputs."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from alkaid.types import QInterval

from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import Constant, Dense, GraphError
from trigger.fixedpoint.types import Fixed, Integers, smallest


class Output(NamedTuple):
    """The graph of any output of a dense layer, and what it reads.

    Its inputs are the elements ``read`` of the layer's input, then their weights and the bias, of
    which ``numbers`` has a row for each output, in real numbers within ``intervals``.
    """

    graph: Graph
    read: Integers
    numbers: np.ndarray
    intervals: list[QInterval]


def output(dense: Dense, types: Sequence[Fixed]) -> Output | None:
    """One output of a dense layer at one position, whose input has these types; None where the
    layer has a single output, or where sums of products may need more bits than a value has.
    """
    weights, bias = dense.weights, dense.bias
    read = np.flatnonzero(weights.values.any(axis=1))
    if weights.values.shape[1] < 2 or not len(read):
        return None
    kinds = [_type(row, weights) for row in weights.values[read]]
    try:
        graph = _sum(dense.name, [types[i] for i in read.tolist()], kinds, _type(bias.values, bias))
    except GraphError:
        return None
    numbers = np.concatenate([weights.real[read], bias.real[None]]).T
    ends = zip(numbers.min(axis=0).tolist(), numbers.max(axis=0).tolist(), strict=True)
    steps = [2.0**-kind.fraction for kind in graph.input.types[len(read) :]]
    intervals = [QInterval(*pair, step) for pair, step in zip(ends, steps, strict=True)]
    return Output(graph, read, numbers, intervals)


def loaded(dense: Dense, types: Sequence[Fixed], output: int) -> Graph:
    """The graph of an output whose weights are loaded; its inputs are what the output reads, of
    these types, then the weights, and the bias if one is loaded.
    """
    assert dense.parameters is not None
    bias = dense.bias.type if dense.parameters[-1, output] >= 0 else None
    return _sum(dense.name, types, [dense.weights.type] * len(types), bias)


def _sum(name: str, types: Sequence[Fixed], weights: Sequence[Fixed], bias: Fixed | None) -> Graph:
    """The sum of products of inputs and weights, which are inputs, too, and of a bias if there is
    one.
    """
    biases = (bias,) if bias else ()
    builder = Builder((*types, *weights, *biases))
    count = len(types)
    x = builder.select("x", builder.last, np.arange(count))
    w = builder.select("weights", "inputs", np.arange(count, 2 * count))
    terms = builder.multiply("products", x, w)
    if biases:
        b = builder.select("bias", "inputs", np.array([2 * count]))
        terms = builder.concatenate("terms", (terms, b))
    ones = constant(np.ones((count + len(biases), 1)))
    return builder.graph(builder.dense(name, terms, ones, constant(np.zeros(1))))


def _type(values: Integers, of: Constant) -> Fixed:
    return smallest(int(values.min()), int(values.max()), of.type.fraction)

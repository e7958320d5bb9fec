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
        builder = Builder((*(types[i] for i in read.tolist()), *kinds, _type(bias.values, bias)))
        count = len(read)
        x = builder.select("x", builder.last, np.arange(count))
        w = builder.select("weights", "inputs", np.arange(count, 2 * count))
        b = builder.select("bias", "inputs", np.array([2 * count]))
        terms = builder.concatenate("terms", (builder.multiply("products", x, w), b))
        ones = constant(np.ones((count + 1, 1)))
        graph = builder.graph(builder.dense(dense.name, terms, ones, constant(np.zeros(1))))
    except GraphError:
        return None
    numbers = np.concatenate([weights.real[read], bias.real[None]]).T
    ends = zip(numbers.min(axis=0).tolist(), numbers.max(axis=0).tolist(), strict=True)
    steps = [2.0**-kind.fraction for kind in builder["inputs"].types[count:]]
    intervals = [QInterval(*pair, step) for pair, step in zip(ends, steps, strict=True)]
    return Output(graph, read, numbers, intervals)


def _type(values: Integers, of: Constant) -> Fixed:
    return smallest(int(values.min()), int(values.max()), of.type.fraction)

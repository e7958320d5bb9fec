"""Graphs whose weights, thresholds and tables can be loaded."""

import numpy as np
from kernel_graphs import relu, windows

from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import Constant
from trigger.fixedpoint.parameters import parameters, replaced
from trigger.fixedpoint.types import Fixed
from trigger.frontends import loaded_tables

RNG = np.random.default_rng(23)
WEIGHT, BIAS = Fixed(True, 4, 1), Fixed(True, 5, 2)


def kernel(builder, name, source, trained, positions=1):
    """A kernel with random weights where ``trained`` (inputs + 1, outputs) allows one."""
    weights = np.where(trained[:-1], RNG.integers(-8, 8, trained[:-1].shape), 0)
    bias = np.where(trained[-1], RNG.integers(-16, 16, trained.shape[1]), 0)
    constants = Constant(weights, WEIGHT), Constant(bias, BIAS)
    return builder.dense(name, source, *constants, positions, trained)


def every(inputs, outputs, with_bias=True):
    trained = np.ones((inputs + 1, outputs), dtype=bool)
    trained[-1] = with_bias
    return trained


def dense() -> Graph:
    builder = Builder((Fixed(True, 6, 3),) * 4, reloadable=True)
    hidden = relu(builder, "relu", kernel(builder, "hidden", "inputs", every(4, 6)))
    return builder.graph(kernel(builder, "out", hidden, every(6, 2, with_bias=False)))


def convolution() -> Graph:
    """Padded, with groups: some weights are zero for ever; then one kernel at many positions."""
    builder = Builder((Fixed(True, 5, 2), Fixed(False, 3, 3)) * 6, reloadable=True)
    source, count = windows(builder, "windows", "inputs", 2, 3, 1)
    groups = np.tile(np.eye(2, dtype=bool), (3, 1))
    trained = np.concatenate([groups, [[True, False]]])
    source = relu(builder, "relu", kernel(builder, "conv", source, trained, count))
    source = relu(builder, "each_relu", kernel(builder, "each", source, every(2, 3), count))
    return builder.graph(kernel(builder, "out", source, every(3 * count, 2)))


def pruned() -> Graph:
    """All weights of one input and of one output are zero now, but others may be loaded."""
    graph = dense()
    own = parameters(graph).values.copy()
    own[:6] = 0
    own[2::6] = 0
    return replaced(graph, own)


def tables() -> Graph:
    """Thresholds on values of several types, tables of five bits and of one, and counts."""
    builder = Builder((Fixed(True, 5, 2), Fixed(False, 4, 1), Fixed(True, 3, 3)), reloadable=True)
    elements = np.repeat(np.arange(3), (4, 5, 2))
    bounds = np.concatenate([RNG.integers(-8, 8, 4), RNG.integers(0, 17, 5), [-4, 4]])
    bits = loaded_tables.threshold(builder, "bits", "inputs", elements, bounds)
    for name, size, count in (("wide", 5, 6), ("narrow", 1, 4)):
        wires = RNG.integers(0, len(builder[bits].types), (count, size))
        ones = RNG.integers(0, 2, (count, 1 << size))
        bits = loaded_tables.truth_table(builder, name, bits, wires, ones)
    counts = constant(np.kron(np.eye(2), np.ones((2, 1))))
    return builder.graph(builder.dense("counts", bits, counts, constant(np.zeros(2))))


GRAPHS = {
    "dense": dense(),
    "convolution": convolution(),
    "pruned": pruned(),
    "tables": tables(),
}

"""The vectors reach what they aim at."""

import itertools

import numpy as np
import pytest
from battery import around
from qkeras import QActivation

from trigger.fixedpoint import evaluate, types
from trigger.fixedpoint.build import Builder
from trigger.fixedpoint.evaluate import trace
from trigger.fixedpoint.ops import Constant, Dense
from trigger.fixedpoint.ranges import ranges
from trigger.fixedpoint.types import Fixed, bounds
from trigger.frontends.qkeras.lowering import lower
from trigger.verification.pairs import covering
from trigger.verification.vectors import generate


def graph():
    return lower(around(QActivation("quantized_relu(6,2)"), 8))


def test_families():
    made = generate(graph(), 1)
    assert {
        name: len(rows)
        for name, rows in made.families.items()
        if "ties of the q" not in name and "ends" not in name
    } == {
        "all minimum": 1,
        "all maximum": 1,
        "all zero": 1,
        "one step": 36,
        "random": 2000,
        "rounding ties of the inputs": 500,
        "outside the input range": 250,
        "entries of the tables": 0,
    }


@pytest.mark.parametrize(("features", "most"), [(2, 64), (6, 200), (57, 600)])
def test_ends_meet_neighbours(features, most):
    """Every end and neighbour of every feature meets those of every other one four times, in few events."""
    network = Builder((Fixed(True, 6, 3),) * features).graph("inputs")
    x = evaluate.quantize_inputs(
        network, generate(network, 1).families["pairs of ends and their neighbours"]
    )
    assert len(x) <= most
    at = np.stack([x == value for value in (-32, -31, 30, 31)]).astype(int)
    together = np.einsum("aei,bej->abij", at, at)
    assert together[:, :, ~np.eye(features, dtype=bool)].min() >= 4


def test_many_features_meet_in_few_events():
    """More features than the search takes: all their pairs, and in every second event others."""
    features, count = 768, 4
    levels = np.arange(count)[:, None] + np.arange(features)
    rng = np.random.default_rng(1)
    x = covering(rng, levels, np.full((1, features), -1))
    assert len(x) <= 300
    at = (x == levels[:, None]).astype(np.float32)
    different = ~np.eye(features, dtype=bool)
    for first, second in itertools.product(at, at):
        assert (first.T @ second)[different].min() >= 1
    mixed = (x == -1).any(axis=1)
    assert 0.4 < mixed.mean() <= 0.5
    assert 0.3 < (x[mixed] == -1).mean() < 0.6


def test_ties_are_ties():
    network = graph()
    made = generate(network, 1)
    assert made.ties.reached == made.ties.wanted == 7
    x = evaluate.quantize_inputs(network, made.families["rounding ties of the quantisers"])
    values, node = trace(network, x), network.nodes[2]
    before, shift = values[node.inputs[0]], network[node.inputs[0]].fractions - node.fractions
    halves = (before & ((1 << shift) - 1)) == 1 << (shift - 1)
    assert halves.any(axis=0).all()


def test_the_ends_of_the_first_accumulators_are_reached():
    network = graph()
    x = evaluate.quantize_inputs(network, generate(network, 1).families["ends of the accumulators"])
    first = next(node for node in network.nodes if isinstance(node, Dense))
    values, interval = trace(network, x)[first.name], ranges(network)[first.name]
    np.testing.assert_array_equal(values.min(axis=0), interval.low)
    np.testing.assert_array_equal(values.max(axis=0), interval.high)


def test_some_vectors_leave_the_input_range():
    network = graph()
    low, high = bounds(network.input.types)
    scaled = np.ldexp(
        generate(network, 1).families["outside the input range"], network.input.fractions
    )
    assert ((scaled < low) | (scaled > high)).any(axis=0).all()


def test_the_seed_decides():
    np.testing.assert_array_equal(generate(graph(), 7).all, generate(graph(), 7).all)


def levels(entries):
    return Constant(np.arange(entries) * 37 % 64, Fixed(False, 6, 6))


def addressed(network):
    """How many entries of its table the vectors address."""
    x = evaluate.quantize_inputs(network, generate(network, 1).families["entries of the tables"])
    return len(np.unique(trace(network, x)[network.output.inputs[0]]))


def test_every_entry_of_a_table_of_the_inputs():
    builder = Builder((Fixed(True, 16, 6),) * 3)
    network = builder.graph(builder.lookup("out", "inputs", -(1 << 15), levels(1 << 16)))
    assert addressed(network) == 1 << 16


def test_every_entry_of_a_table_after_a_layer():
    """The ends need every input at an end of its own, which no random input has."""
    rng = np.random.default_rng(3)
    builder = Builder((Fixed(True, 8, 4),) * 24)
    weights = Constant(rng.integers(-15, 16, (24, 2)), Fixed(True, 5, 3))
    bias = Constant(np.array([3, -5]), Fixed(True, 4, 4))
    builder.dense("sum", "inputs", weights, bias)
    kind = (Fixed(True, 10, 10),) * 2
    builder.quantize("narrow", "sum", kind, types.Rounding.RND_CONV, types.Overflow.SAT)
    network = builder.graph(builder.lookup("out", "narrow", -512, levels(1024)))
    low, high = ranges(network)["narrow"]
    assert high.max() - low.min() > 300
    assert addressed(network) == high.max() - low.min() + 1


def test_both_ends_of_products():
    """Those of factors that move together, against each other, and of a square."""
    builder = Builder((Fixed(True, 6, 3),) * 12)
    rng = np.random.default_rng(4)
    weights = np.zeros((12, 4), dtype=np.int64)
    weights[:6, :2] = rng.integers(-7, 8, (6, 2))
    weights[6:, 2:] = rng.integers(-7, 8, (6, 2))
    bias = Constant(np.zeros(4, dtype=np.int64), Fixed(False, 1, 1))
    builder.dense("sum", "inputs", Constant(weights, Fixed(True, 4, 1)), bias)
    left = builder.select("left", "sum", np.array([0, 1]))
    right = builder.select("right", "sum", np.array([2, 3]))
    network = builder.graph(builder.multiply("product", left, right))
    made = generate(network, 1)
    x = evaluate.quantize_inputs(network, made.families["ends of the accumulators"])
    found, interval = evaluate.run(network, x), ranges(network)["product"]
    np.testing.assert_array_equal(found.min(axis=0), interval.low)
    np.testing.assert_array_equal(found.max(axis=0), interval.high)

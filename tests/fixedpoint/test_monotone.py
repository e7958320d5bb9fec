"""In which inputs the outputs of a graph never decrease."""

import numpy as np
import pytest
from random_graphs import events, random_graph

from trigger.fixedpoint import evaluate
from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.monotone import changes
from trigger.fixedpoint.types import Fixed, Overflow, Rounding, bounds

FOUR_BITS = Fixed(True, 4, 4)


def directions(graph):
    """A sign for each output (rows) and input: + rises, - falls, 0 never changes, ? both."""
    found = changes(graph)
    signs = np.array([["0", "-"], ["+", "?"]])
    return ["".join(row) for row in signs[found.rises.astype(int), found.falls.astype(int)]]


def test_what_is_proven_holds_in_random_graphs():
    """Each input of each event is raised alone; the outputs move only as the proof allows."""
    moved = 0
    for seed in range(150):
        graph = random_graph(seed, operations=17)
        found = changes(graph)
        x = events(graph, seed, 30)
        before = evaluate.run(graph, x)
        _, most = bounds(graph.input.types)
        rng = np.random.default_rng(seed)
        for k in range(x.shape[1]):
            raised = x.copy()
            raised[:, k] += rng.integers(0, most[k] - x[:, k] + 1)
            after = evaluate.run(graph, raised)
            assert not ((after > before) & ~found.rises[:, k]).any(), (seed, k)
            assert not ((after < before) & ~found.falls[:, k]).any(), (seed, k)
            one_way = found.rises[:, k] != found.falls[:, k]
            moved += int((after != before)[:, one_way].any())
    assert moved > 40


def test_signs_of_weights_along_all_paths():
    builder = Builder((FOUR_BITS,) * 4)
    weights = np.array([[1.0, 0.5], [-1.0, 0], [2.0, -1.0], [0, 0]])
    hidden = builder.dense("hidden", "inputs", constant(weights), constant(np.zeros(2)))
    relu = builder.clip("relu", hidden, 0, None)
    builder.dense(
        "out", relu, constant(np.array([[1.0, -1.0, 1.0], [0.25, 0, -1.0]])), constant(np.zeros(3))
    )
    assert directions(builder.graph("out")) == ["+-?0", "-+-0", "?-+0"]


@pytest.mark.parametrize(
    ("bits", "overflow", "expected"),
    [(3, Overflow.SAT, "+"), (3, Overflow.WRAP, "?"), (5, Overflow.WRAP, "+")],
)
def test_a_value_that_may_wrap_does_both(bits, overflow, expected):
    builder = Builder((FOUR_BITS,))
    builder.affine("twice", "inputs", constant(np.array([1.5])), constant(np.array([0.0])))
    kind = (Fixed(True, bits, bits),)
    builder.quantize("out", "twice", kind, Rounding.RND_CONV, overflow)
    assert directions(builder.graph("out")) == [expected]


@pytest.mark.parametrize(
    ("levels", "expected"),
    [([0, 1, 1, 3], "+"), ([3, 1, 1, 0], "-"), ([0, 1, 0, 0], "?"), ([2] * 4, "0")],
)
def test_tables(levels, expected):
    builder = Builder((Fixed(False, 2, 2),))
    builder.lookup("out", "inputs", 0, constant(np.array(levels, dtype=float)))
    assert directions(builder.graph("out")) == [expected]


def test_products_depend_on_the_signs_of_their_factors():
    builder = Builder((Fixed(False, 3, 3), FOUR_BITS))
    positive = builder.select("positive", "inputs", np.array([0]))
    any_sign = builder.select("any_sign", "inputs", np.array([1]))
    builder.multiply("out", positive, any_sign)
    assert directions(builder.graph("out")) == ["?+"]
    builder.multiply("square", positive, positive)
    assert directions(builder.graph("square")) == ["+0"]


def test_groups_selections_and_differences():
    builder = Builder((FOUR_BITS,) * 3)
    largest = builder.maximum("largest", "inputs", np.array([[0, 1]]))
    third = builder.select("third", "inputs", np.array([2]))
    difference = builder.add("difference", (largest, third), (1, -1))
    none = builder.select("none", "inputs", np.array([-1]))
    builder.concatenate("out", (difference, none))
    assert directions(builder.graph("out")) == ["++-", "000"]

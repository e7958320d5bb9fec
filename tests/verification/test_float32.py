"""Bounds on a network in float32: what it computes lies in them, and they are equal where it is exact."""

import numpy as np
import pytest
from random_graphs import events, random_graph

from trigger.fixedpoint import evaluate
from trigger.fixedpoint.build import Builder
from trigger.fixedpoint.ops import Constant
from trigger.fixedpoint.types import Fixed
from trigger.verification.float32 import FUNCTION_ERROR, near_note, near_steps, output_bounds

FLOAT_BITS = 24


def product(first: Fixed, second: Fixed):
    builder = Builder((first, second))
    builder.select("a", "inputs", np.array([0]))
    builder.select("b", "inputs", np.array([1]))
    return builder.graph(builder.multiply("out", "a", "b"))


@pytest.mark.parametrize(
    ("first", "second", "exact"),
    [
        (Fixed(True, 12, 4), Fixed(True, 12, 9), True),
        (Fixed(True, 17, 4), Fixed(True, 18, 9), False),
    ],
)
def test_products(first, second, exact):
    graph = product(first, second)
    x = events(graph, 0, 2000)
    low, high = output_bounds(graph, x)
    found = np.ldexp(x, -graph.input.fractions).astype(np.float32).prod(axis=1, dtype=np.float32)
    assert (low[:, 0] <= found).all() and (found <= high[:, 0]).all()
    assert (low == high).all() == exact


def table(*notes):
    builder = Builder((Fixed(True, 4, 2),))
    levels = Constant(np.arange(16) ** 2 % 11, Fixed(False, 4, 2))
    return builder.graph(builder.lookup("out", "inputs", -8, levels), notes)


def test_a_table_is_exact():
    x = np.arange(-8, 8)[:, None]
    bounds = output_bounds(table(), x)
    exact = np.ldexp(evaluate.run(table(), x), -2)
    np.testing.assert_array_equal(bounds.low, exact)
    np.testing.assert_array_equal(bounds.high, exact)
    other = output_bounds(table(near_note("in", 1, 16)), x)
    np.testing.assert_array_equal(other.low, exact)


def test_values_next_to_the_middle_of_two_levels_are_counted():
    x = np.array([0.1, 0.5, 0.5 - 1e-9, 1.25, 1.5 + 1e-7, -0.5, 2.4999])
    assert near_steps(x, np.rint) == 4
    assert near_steps(np.zeros(3), np.rint) == 0


def test_a_table_whose_note_says_so_is_known_to_one_step():
    """Where the function behind it lies next to the middle of two levels, float32 may take either."""
    graph = table(near_note("out", 1, 16))
    assert graph.notes == (
        "out: 1 of its 16 entries lie where float32 may round to a neighbouring level",
    )
    x = np.arange(-8, 8)[:, None]
    bounds = output_bounds(graph, x)
    exact = np.ldexp(evaluate.run(graph, x), -2)
    error = 0.25 + FUNCTION_ERROR * np.abs(exact)
    np.testing.assert_array_equal(bounds.low, exact - error)
    np.testing.assert_array_equal(bounds.high, exact + error)


def test_random_graphs_lie_in_their_bounds():
    tried = 0
    for seed in range(150):
        graph = random_graph(seed, operations=15)
        kinds = {node.op for node in graph.nodes}
        narrow = max(kind.width for kind in graph.input.types) <= FLOAT_BITS
        if not narrow or not {"lookup", "multiply"} & kinds:
            continue
        tried += 1
        x = events(graph, seed, 50)
        low, high = output_bounds(graph, x)
        exact = np.ldexp(evaluate.run(graph, x).astype(np.float64), -graph.output.fractions)
        assert (low <= exact).all() and (exact <= high).all(), seed
    assert tried > 20

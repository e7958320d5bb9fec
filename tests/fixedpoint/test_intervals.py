"""The check that every battery makes: that no value of any node leaves its interval."""

import numpy as np
import pytest
from intervals import assert_inside

from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.evaluate import trace
from trigger.fixedpoint.ranges import ranges
from trigger.fixedpoint.types import Fixed


@pytest.fixture
def graph():
    builder = Builder((Fixed(True, 4, 2), Fixed(False, 3, 3)))
    weights = constant(np.array([[1.0, -0.5], [0.25, 2.0]]))
    builder.dense("sums", "inputs", weights, constant(np.array([0.5, -3.0])))
    return builder.graph(builder.leaky_relu("out", "sums", 2))


@pytest.fixture
def found(graph):
    x = np.array([(a, b) for a in range(-8, 8) for b in range(8)])
    return trace(graph, x)


def test_all_inputs_reach_the_ends_and_no_further(graph, found):
    assert_inside(graph, found)
    low, high = ranges(graph)["sums"]
    assert (found["sums"].min(axis=0) == low).all() and (found["sums"].max(axis=0) == high).all()


@pytest.mark.parametrize("name", ["inputs", "sums", "out"])
@pytest.mark.parametrize("end", [0, 1])
@pytest.mark.parametrize("element", [0, 1])
def test_one_value_outside_is_found(graph, found, name, end, element):
    beyond = int(ranges(graph)[name][end][element]) + (1 if end else -1)
    found[name] = found[name].copy()
    found[name][17, element] = beyond
    with pytest.raises(AssertionError, match=f"^{name}$"):
        assert_inside(graph, found)


def test_a_node_without_values_is_found(graph, found):
    del found["sums"]
    with pytest.raises(AssertionError):
        assert_inside(graph, found)


def test_no_events_are_found(graph, found):
    with pytest.raises(AssertionError, match="^inputs$"):
        assert_inside(graph, {name: values[:0] for name, values in found.items()})

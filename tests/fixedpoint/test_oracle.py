"""Graphs against rational numbers: random graphs, and the corners that were found with them."""

import json

import numpy as np
import oracle
import pytest
from corner_graphs import AROUND_BYTES, CORNERS, far_shifts, wide_end
from intervals import assert_inside
from random_graphs import events, random_graph, shares_kernels

from trigger.fixedpoint import evaluate
from trigger.fixedpoint.build import Builder
from trigger.fixedpoint.evaluate import trace
from trigger.fixedpoint.ops import Constant, GraphError
from trigger.fixedpoint.passes import PASSES, optimize
from trigger.fixedpoint.serialize import from_json, to_json
from trigger.fixedpoint.types import Fixed


@pytest.mark.parametrize("corner", CORNERS)
def test_corners_in_integers(corner):
    graph = CORNERS[corner]
    x = events(graph, 0, 200)
    expected = oracle.outputs(graph, x)
    for found in (graph, optimize(graph), from_json(to_json(graph))):
        np.testing.assert_array_equal(evaluate.run(found, x), expected)


def test_shifts_as_far_as_a_word_and_farther():
    x = AROUND_BYTES
    for graph in far_shifts():
        np.testing.assert_array_equal(evaluate.run(graph, x), oracle.outputs(graph, x))


def test_random_graphs():
    """A slice of the campaign of benchmarks/fuzz.py: every node, every pass, the JSON form."""
    for seed in range(100):
        graph = random_graph(seed)
        x = events(graph, seed, 12)
        found = trace(graph, x)
        for k, event in enumerate(x.tolist()):
            for name, reals in oracle.exact(graph, event).items():
                assert oracle.integers(graph[name], reals) == found[name][k].tolist(), (seed, name)
        assert_inside(graph, found)
        for run in (*PASSES.values(), optimize, lambda g: from_json(to_json(g))):
            np.testing.assert_array_equal(
                evaluate.run(run(graph), x), found[graph.output.name], str(seed)
            )


def test_random_graphs_of_version_2():
    """Wiring, comparisons, kernels of several positions, tables and products too."""
    graphs = [random_graph(seed, operations=15) for seed in range(160)]
    assert {"select", "maximum", "minimum", "lookup", "multiply"} <= {
        node.op for graph in graphs for node in graph.nodes
    }
    assert sum(map(shares_kernels, graphs)) > 5
    for seed, graph in enumerate(graphs):
        x = events(graph, seed, 12)
        expected = oracle.outputs(graph, x)
        for run in (*PASSES.values(), optimize, lambda g: from_json(to_json(g))):
            np.testing.assert_array_equal(evaluate.run(run(graph), x), expected, str(seed))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"elements": [0, 9]}, "cut: elements are numbers from -1 to 1"),
        ({"elements": [0, -2]}, "cut: elements are numbers from -1 to 1"),
        ({"elements": [0]}, "cut: elements has the shape (1,); it must be (2,)"),
        (
            {"types": ["fixed<8,3>", 2]},
            "cut: the fractional bits of its types do not match its operation",
        ),
        (
            {"op": "maximum", "groups": [[0, -1], [0, 1]]},
            "cut: groups are numbers from 0 to 1",
        ),
        (
            {"op": "minimum", "groups": [0, 1]},
            "cut: groups has the shape (2,); it must be (2, 1)",
        ),
    ],
)
def test_wiring_that_does_not_fit(changes, message):
    builder = Builder((Fixed(True, 8, 4),) * 2)
    text = json.loads(to_json(builder.graph(builder.select("cut", "inputs", np.array([1, 0])))))
    assert text["version"] == 2
    text["nodes"][1] |= changes
    with pytest.raises(GraphError) as error:
        from_json(json.dumps(text))
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"positions": 0}, "kernel: positions 0 is not a whole number above 0"),
        ({"positions": True}, "kernel: positions True is not a whole number above 0"),
        ({"positions": "3"}, "kernel: positions '3' is not a whole number above 0"),
        ({"positions": 5}, "kernel: reads 6 elements, not as many at each of its positions"),
        ({"positions": 6}, "kernel: has 3 elements, not as many at each of its positions"),
        (
            {"types": ["fixed<9,7>", 2]},
            "kernel: has 2 elements, not as many at each of its positions",
        ),
        (
            {"types": ["fixed<9,7>", 6]},
            "kernel: weights has the shape (2, 1); it must be (2, 2)",
        ),
    ],
)
def test_positions_that_do_not_fit(changes, message):
    builder = Builder((Fixed(True, 8, 4),) * 6)
    kernel = Constant(np.array([[1], [2]]), Fixed(False, 2, 2))
    bias = Constant(np.array([0]), Fixed(False, 1, 1))
    text = json.loads(to_json(builder.graph(builder.dense("kernel", "inputs", kernel, bias, 3))))
    assert text["version"] == 2
    text["nodes"][1] |= changes
    with pytest.raises(GraphError) as error:
        from_json(json.dumps(text))
    assert str(error.value) == message


def test_a_bound_between_two_values():
    builder = Builder((Fixed(True, 6, 8),))
    with pytest.raises(GraphError) as error:
        builder.clip("relu6", "inputs", 0, 6)
    assert str(error.value) == "relu6: the bound 6 lies between two values of inputs"


def test_a_bound_far_outside():
    builder = Builder((Fixed(False, 8, -62),))
    graph = builder.graph(builder.clip("out", "inputs", 0, 6))
    x = np.array([[0], [3], [255]])
    np.testing.assert_array_equal(evaluate.run(graph, x), x)


def test_a_binary_point_too_far_away():
    text = json.loads(to_json(wide_end()))
    text["nodes"][0]["types"] = ["fixed<8,500>", 1]
    with pytest.raises(GraphError) as error:
        from_json(json.dumps(text))
    assert str(error.value) == (
        "inputs: a binary point lies 492 bits away; at most 400 can be evaluated"
    )

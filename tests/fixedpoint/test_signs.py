"""Sums with a sign for each input."""

import json

import numpy as np
import oracle
import pytest
from random_graphs import events, random_graph

from trigger.fixedpoint import evaluate
from trigger.fixedpoint.build import Builder
from trigger.fixedpoint.ops import GraphError
from trigger.fixedpoint.passes import PASSES, optimize
from trigger.fixedpoint.ranges import ranges
from trigger.fixedpoint.serialize import from_json, to_json
from trigger.fixedpoint.types import Fixed


def difference(*signs):
    builder = Builder((Fixed(True, 4, 4), Fixed(False, 3, 2), Fixed(True, 5, 3)))
    builder.select("a", "inputs", np.array([0]))
    builder.select("b", "inputs", np.array([1]))
    builder.select("c", "inputs", np.array([2]))
    return builder.graph(builder.add("out", ("a", "b", "c"), signs))


@pytest.mark.parametrize(
    ("signs", "low", "high"),
    [
        ((1, -1, 1), -32 - 14 - 16, 28 + 0 + 15),
        ((-1, -1, -1), -28 - 14 - 15, 32 + 0 + 16),
        ((1, 1, -1), -32 + 0 - 15, 28 + 14 + 16),
    ],
)
def test_values_and_intervals(signs, low, high):
    graph = difference(*signs)
    assert [end.tolist() for end in ranges(graph)["out"]] == [[low], [high]]
    x = events(graph, 0, 300)
    found = evaluate.run(graph, x)
    np.testing.assert_array_equal(found, oracle.outputs(graph, x))
    np.testing.assert_array_equal(found[:, 0], x * [4, 2, 1] @ np.array(signs))
    for run in (*PASSES.values(), optimize, lambda g: from_json(to_json(g))):
        np.testing.assert_array_equal(evaluate.run(run(graph), x), found)


def test_graphs_without_signs_keep_their_bytes():
    text = to_json(difference())
    assert "signs" not in text
    assert text == to_json(difference(1, 1, 1)) == to_json(from_json(text))
    assert json.loads(to_json(difference(1, -1, 1)))["nodes"][-1]["signs"] == [1, -1, 1]


@pytest.mark.parametrize(
    ("signs", "message"),
    [
        ([1, -1], "out: has 2 signs for 3 inputs"),
        ([1, -1, 2], "out: signs are 1 or -1, one for each input"),
        ([1, -1, True], "out: signs are 1 or -1, one for each input"),
        ("+-+", "out: signs are 1 or -1, one for each input"),
    ],
)
def test_signs_that_do_not_fit(signs, message):
    text = json.loads(to_json(difference(1, -1, 1)))
    assert text["version"] == 2
    text["nodes"][-1]["signs"] = signs
    with pytest.raises(GraphError) as error:
        from_json(json.dumps(text))
    assert str(error.value) == message


def test_random_graphs_with_signs():
    graphs = [random_graph(seed, operations=16) for seed in range(120)]
    assert sum(bool(getattr(node, "signs", ())) for graph in graphs for node in graph.nodes) > 15
    for seed, graph in enumerate(graphs):
        x = events(graph, seed, 12)
        expected = oracle.outputs(graph, x)
        for run in (*PASSES.values(), optimize, lambda g: from_json(to_json(g))):
            np.testing.assert_array_equal(evaluate.run(run(graph), x), expected, str(seed))

"""Tables over several elements: learned logic, neurons as tables, the leaves of trees."""

import itertools
import json

import numpy as np
import oracle
import pytest
from random_graphs import events, random_graph

from trigger.fixedpoint import evaluate
from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.monotone import changes
from trigger.fixedpoint.ops import Constant, GraphError
from trigger.fixedpoint.passes import PASSES, optimize
from trigger.fixedpoint.passes.dead import remove_dead
from trigger.fixedpoint.passes.fold import fold_constants
from trigger.fixedpoint.ranges import ranges
from trigger.fixedpoint.serialize import dump, from_json, to_json
from trigger.fixedpoint.types import Fixed
from trigger.verification.vectors import generate

BIT = Fixed(False, 1, 1)
CORNERS = np.array(list(itertools.product((0, 1), repeat=3)))
TABLES = {
    "majority": lambda a, b, c: a + b + c > 1,
    "parity": lambda a, b, c: a ^ b ^ c,
    "the second": lambda a, b, c: b,
}


def logic():
    """A row for each function in ``TABLES`` of three bits; the first bit is the lowest."""
    builder = Builder((BIT,) * 3)
    rows = [[int(f(k & 1, k >> 1 & 1, k >> 2)) for k in range(8)] for f in TABLES.values()]
    elements = np.tile(np.arange(3), (3, 1))
    return builder.graph(
        builder.truth_table("out", "inputs", elements, Constant(np.array(rows), BIT))
    )


def test_functions_of_three_bits():
    expected = [[int(f(*event)) for f in TABLES.values()] for event in CORNERS.tolist()]
    for run in (*PASSES.values(), optimize, lambda g: from_json(to_json(g))):
        np.testing.assert_array_equal(evaluate.run(run(logic()), CORNERS), expected)


def test_bits_of_wider_and_negative_elements():
    """The lowest two bits of one element, all three of another, which may be negative."""
    builder = Builder((Fixed(False, 8, 8), Fixed(True, 3, 1)))
    levels = constant(np.arange(32)[None] / 2)
    widths = np.array([[2, 3]])
    graph = builder.graph(builder.truth_table("out", "inputs", np.array([[0, 1]]), levels, widths))
    x = np.array([[0, 0], [7, -1], [255, -4], [6, 3]])
    np.testing.assert_array_equal(
        evaluate.predict(graph, x / [1, 4])[:, 0],
        [0, (3 + 4 * 7) / 2, (3 + 4 * 4) / 2, (2 + 12) / 2],
    )


def test_random_graphs():
    graphs = [random_graph(seed, operations=17) for seed in range(120)]
    assert sum(node.op == "truthtable" for graph in graphs for node in graph.nodes) > 15
    for seed, graph in enumerate(graphs):
        x = events(graph, seed, 12)
        expected = oracle.outputs(graph, x)
        for run in (*PASSES.values(), optimize, lambda g: from_json(to_json(g))):
            np.testing.assert_array_equal(evaluate.run(run(graph), x), expected, str(seed))


def test_only_entries_that_can_occur_count():
    """The first element is 1 to 2 of 0 to 3; the level 9 needs 3."""
    builder = Builder((Fixed(False, 2, 2), BIT))
    builder.clip("inside", "inputs", np.array([1.0, 0]), np.array([2.0, 1]))
    levels = constant(np.array([[7.0, 1, 2, 9, 8, 3, 4, 9]]))
    graph = builder.graph(builder.truth_table("out", "inside", np.array([[0, 1]]), levels))
    assert [end.tolist() for end in ranges(graph)["out"]] == [[1], [4]]
    assert str(graph["out"].types[0]) == "ufixed<3,3>"


def test_what_no_table_depends_on_vanishes():
    builder = Builder((BIT,) * 4)
    hidden = builder.threshold("hidden", "inputs", np.arange(4), np.ones(4, dtype=int))
    levels = Constant(np.tile([0, 0, 1, 1], (2, 1)), BIT)
    elements = np.array([[0, 2], [3, 2]])
    graph = builder.graph(builder.truth_table("out", hidden, elements, levels))
    small = remove_dead(graph)
    assert small["hidden"].elements.tolist() == [2]
    x = np.array(list(itertools.product((0, 1), repeat=4)))
    np.testing.assert_array_equal(evaluate.run(small, x), evaluate.run(graph, x))


def test_tables_of_one_level_are_constants():
    builder = Builder((BIT,) * 2)
    levels = Constant(np.array([[1] * 4, [0] * 4]), BIT)
    graph = builder.graph(builder.truth_table("out", "inputs", np.array([[0, 1]] * 2), levels))
    assert fold_constants(graph)["out"].bias.values.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ([0, 1, 0, 1], ["+", "0"]),
        ([0, 0, 0, 1], ["+", "+"]),
        ([1, 1, 0, 1], ["+", "-"]),
        ([0, 1, 1, 0], ["?", "?"]),
    ],
)
def test_how_the_outputs_change(levels, expected):
    builder = Builder((BIT,) * 2)
    table = Constant(np.array([levels]), BIT)
    found = changes(builder.graph(builder.truth_table("out", "inputs", np.array([[0, 1]]), table)))
    signs = np.array([["0", "-"], ["+", "?"]])
    assert signs[found.rises[0].astype(int), found.falls[0].astype(int)].tolist() == expected


def test_negative_integers_do_not_rise_with_their_bits():
    builder = Builder((Fixed(True, 2, 2),))
    rising = constant(np.arange(4.0)[None])
    found = changes(builder.graph(builder.truth_table("out", "inputs", np.array([[0]]), rising)))
    assert (found.rises.all(), found.falls.all()) == (True, True)


def test_vectors_reach_every_address():
    graph = logic()
    x = evaluate.quantize_inputs(graph, generate(graph, 0).families["entries of the tables"])
    assert len(np.unique(x @ [1, 2, 4])) == 8


def test_the_text_dump():
    assert [line.strip() for line in dump(logic()).splitlines()[3:]] == [
        "out                          truthtable          3  ufixed<1,1>              inputs",
        "integers 0 … 1, 1 bits needed of 1: cannot overflow",
        "levels 3×8 ufixed<1,1>, 12 zero",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"elements": [[0, 1, 3]] * 3}, "out: elements are numbers from 0 to 2"),
        ({"elements": [[0, 1, -1]] * 3}, "out: elements are numbers from 0 to 2"),
        ({"elements": [[0, 1]] * 3}, "out: widths has the shape (3, 3); it must be (3, 2)"),
        ({"widths": [1, 1, 1]}, "out: widths are numbers of bits above 0, a row for each output"),
        (
            {"widths": [[1, 1, 0]] * 3},
            "out: widths are numbers of bits above 0, a row for each output",
        ),
        (
            {"widths": [[1, 1, 1]] * 2 + [[1, 2, 1]]},
            "out: its addresses have 3 to 4 bits; all need the same number",
        ),
        ({"widths": [[1, 2, 1]] * 3}, "out: levels has the shape (3, 8); it must be (3, 16)"),
        ({"widths": [[1, 40, 40]] * 3}, "out: its addresses have 81 bits; at most 16 fit"),
        ({"inputs": []}, "out: reads 0 values, not one"),
    ],
)  # fmt: skip
def test_tables_that_do_not_fit(changes, message):
    text = json.loads(to_json(logic()))
    text["nodes"][-1] |= changes
    with pytest.raises(GraphError) as error:
        from_json(json.dumps(text))
    assert str(error.value) == message


def test_a_table_over_too_many_bits():
    builder = Builder((Fixed(False, 17, 17),))
    with pytest.raises(GraphError) as error:
        builder.truth_table("out", "inputs", np.array([[0]]), constant(np.zeros((1, 1 << 17))))
    assert str(error.value) == (
        "out: a table of 131072 entries; at most 65536 fit the hardware: use fewer bits before it"
    )

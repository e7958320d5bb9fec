"""Products of two values, element by element."""

import json

import numpy as np
import oracle
import pytest
from random_graphs import events

from trigger.fixedpoint import evaluate
from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.ops import GraphError
from trigger.fixedpoint.passes import optimize
from trigger.fixedpoint.passes.dead import remove_dead
from trigger.fixedpoint.passes.fold import fold_constants
from trigger.fixedpoint.ranges import ranges
from trigger.fixedpoint.serialize import from_json, to_json
from trigger.fixedpoint.types import Fixed

KINDS = (Fixed(True, 5, 3), Fixed(False, 4, 1), Fixed(True, 4, 6), Fixed(False, 3, 3))


def product():
    """The first two elements times the last two."""
    builder = Builder(KINDS)
    first = builder.select("first", "inputs", np.array([0, 1]))
    second = builder.select("second", "inputs", np.array([2, 3]))
    return builder, builder.multiply("product", first, second)


def same(before, after):
    x = events(before, 0, 300)
    expected = oracle.outputs(before, x)
    for graph in (before, after, from_json(to_json(after))):
        np.testing.assert_array_equal(evaluate.run(graph, x), expected)


def test_types_and_intervals():
    builder, last = product()
    graph = builder.graph(last)
    assert list(map(str, graph["product"].types)) == ["fixed<9,9>", "ufixed<7,4>"]
    low, high = ranges(graph)["product"]
    assert (low.tolist(), high.tolist()) == ([-8 * 15, 0], [16 * 8, 15 * 7])
    same(graph, optimize(graph))


def test_a_square_is_never_negative():
    builder = Builder(KINDS)
    builder.clip("clip", "inputs", np.array([0.5, 0.25, -20.0, 0]), np.array([2.0, 1, -4, 0]))
    squares = [
        builder.multiply("square", "inputs", "inputs"),
        builder.multiply("part", "clip", "clip"),
    ]
    graph = builder.graph(builder.concatenate("both", tuple(squares)))
    low, high = ranges(graph)["both"]
    assert low.tolist() == [0, 0, 0, 0, 4, 4, 1, 0]
    assert high.tolist() == [256, 225, 64, 49, 64, 64, 25, 0]
    assert not any(kind.signed for kind in graph["both"].types)
    same(graph, optimize(graph))


def test_dead_elements_vanish():
    builder, last = product()
    graph = builder.graph(builder.select("second", last, np.array([1])))
    assert [len(node.types) for node in remove_dead(graph).nodes] == [4, 1, 1, 1, 1]
    same(graph, optimize(graph))


def test_a_product_with_constants_is_a_scale():
    builder = Builder(KINDS[:2])
    fixed = builder.dense(
        "fixed", "inputs", constant(np.zeros((2, 2))), constant(np.array([2.5, -3]))
    )
    last = builder.multiply("product", "inputs", fixed)
    graph = builder.graph(builder.multiply("again", fixed, last))
    folded = fold_constants(graph)
    assert [node.op for node in folded.nodes] == ["input", "dense", "affine", "affine"]
    assert folded["product"].scale.real.tolist() == [2.5, -3]
    assert [node.name for node in optimize(graph).nodes] == ["inputs", "product", "again"]
    same(graph, optimize(graph))


def test_products_of_53_bits_and_more():
    builder = Builder((Fixed(True, 27, 20), Fixed(False, 26, -3)))
    first, second = (builder.select(n, "inputs", np.array([k])) for k, n in enumerate(("a", "b")))
    graph = builder.graph(builder.multiply("product", first, second))
    assert str(graph["product"].types[0]) == "fixed<53,17>"
    same(graph, optimize(graph))
    square = builder.graph(builder.multiply("square", first, first))
    assert str(square["square"].types[0]) == "ufixed<53,39>"
    same(square, optimize(square))
    builder = Builder((Fixed(True, 28, 20), Fixed(True, 26, 0)))
    first, second = (builder.select(n, "inputs", np.array([k])) for k, n in enumerate(("a", "b")))
    for name, factors, bits in (("square", (first, first), 55), ("product", (first, second), 54)):
        with pytest.raises(GraphError) as error:
            builder.multiply(name, *factors)
        assert str(error.value) == (
            f"{name}: a value needs {bits} bits; at most 53 can be verified"
        )


def fewer_bits(node):
    node["types"] = ["fixed<8,8>", 1, "ufixed<7,4>", 1]


def other_fraction(node):
    node["types"] = ["fixed<9,8>", 1, "ufixed<7,4>", 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (fewer_bits, "its types are too narrow for its values"),
        (other_fraction, "the fractional bits of its types do not match its operation"),
        (lambda node: node.update(inputs=["first"]), "reads 1 values, not two"),
        (lambda node: node.update(inputs=["first"] * 3), "reads 3 values, not two"),
        (
            lambda node: node.update(inputs=["first", "inputs"]),
            "multiplies inputs of different numbers of elements",
        ),
        (
            lambda node: node.update(types=["fixed<9,9>", 3]),
            "the number of types differs from the number of elements",
        ),
    ],
)
def test_what_does_not_fit_is_not_read(change, message):
    builder, last = product()
    text = json.loads(to_json(builder.graph(last)))
    assert text["version"] == 2
    change(text["nodes"][-1])
    with pytest.raises(GraphError) as error:
        from_json(json.dumps(text))
    assert str(error.value) == f"product: {message}"

"""A graph whose nodes have more or fewer elements than their operations give is refused when it is read."""

import json

import numpy as np
import pytest

from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.ops import GraphError
from trigger.fixedpoint.serialize import from_json, to_json
from trigger.fixedpoint.types import Fixed, Overflow, Rounding

KIND = Fixed(True, 6, 3)


def every_operation():
    builder = Builder((KIND, KIND))
    builder.dense("dense", "inputs", constant(np.eye(2)), constant(np.array([0.5, 1])))
    builder.affine("affine", "dense", constant(np.array([2.0, 3])), constant(np.array([1.0, -1])))
    builder.quantize("quantize", "affine", (KIND, KIND), Rounding.RND, Overflow.SAT)
    builder.clip("clip", "quantize", np.array([-1.0, 0]), np.array([1.0, 2]))
    builder.leaky_relu("leaky", "clip", 2)
    thresholds, levels = constant(np.array([-0.5, 1])), constant(np.array([0.0, 1, 3]))
    builder.steps("steps", "leaky", thresholds, levels)
    builder.add("sum", ("leaky", "steps"))
    builder.concatenate("beside", ("inputs", "sum"))
    return builder.graph(builder.threshold("bits", "beside", np.array([0, 3]), np.array([1, 2])))


def test_the_graph_itself_is_read():
    text = to_json(every_operation())
    assert to_json(from_json(text)) == text


@pytest.mark.parametrize("name", ["quantize", "leaky", "clip", "affine", "steps", "sum", "beside"])
def test_more_types_than_elements(name):
    assert refusal(name, types=lambda types: [types[0], 9]) == (
        f"{name}: the number of types differs from the number of elements"
    )


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("dense", {"types": lambda types: [types[0], 8]}, "weights has the shape (2, 2); it must be (2, 8)"),
        ("dense", {"bias.values": lambda values: values[:1]}, "bias has the shape (1,); it must be (2,)"),
        ("affine", {"scale.values": lambda values: values[:1]}, "scale has the shape (1,); it must be (2,)"),
        ("affine", {"bias.values": lambda values: values[0]}, "bias has the shape (); it must be (2,)"),
        ("clip", {"low": lambda low: low[:1]}, "low has the shape (1,); it must be (2,)"),
        ("clip", {"high": lambda high: high[0]}, "high has the shape (); it must be (2,)"),
        ("steps", {"levels.values": lambda values: values[:2]}, "levels has the shape (2,); it must be (3,)"),
        ("steps", {"levels.values": lambda values: [3, 0, 1]}, "levels decrease"),
        ("bits", {"elements": lambda elements: [0, -1]}, "elements are numbers from 0 to 3"),
        ("bits", {"elements": lambda elements: [0, 4]}, "elements are numbers from 0 to 3"),
        ("bits", {"bounds": lambda bounds: [1]}, "bounds has the shape (1,); it must be (2,)"),
        ("sum", {"inputs": lambda names: ["leaky", "inputs", "bits"]}, "unknown input bits"),
        ("sum", {"inputs": lambda names: []}, "reads no value"),
        ("clip", {"inputs": lambda names: []}, "reads 0 values, not one"),
        ("clip", {"inputs": lambda names: [*names, "dense"]}, "reads 2 values, not one"),
    ],
)  # fmt: skip
def test_what_does_not_fit(name, change, message):
    assert refusal(name, **change) == f"{name}: {message}"


def test_inputs_of_different_sizes_are_not_added():
    builder = Builder((KIND, KIND))
    builder.threshold("bit", "inputs", np.array([0]), np.array([1]))
    builder.quantize("two", "inputs", (KIND, Fixed(True, 4, 2)), Rounding.RND, Overflow.SAT)
    builder.add("sum", ("two", "inputs"))
    graph = builder.graph(builder.concatenate("out", ("sum", "bit")))
    assert refusal("sum", graph, inputs=lambda names: ["two", "bit"]) == (
        "sum: adds inputs of different numbers of elements"
    )


def refusal(name, graph=None, **changes):
    """What is said of a graph where keys of one node, such as ``bias.values``, have other values."""
    data = json.loads(to_json(graph or every_operation()))
    (node,) = (entry for entry in data["nodes"] if entry["name"] == name)
    for key, change in changes.items():
        *tables, last = key.split(".")
        place = node[tables[0]] if tables else node
        place[last] = change(place[last])
    with pytest.raises(GraphError) as error:
        from_json(json.dumps(data))
    return str(error.value)

"""Whether the weights of one build can be loaded into another, as `trigger compare` says it."""

from dataclasses import replace

import numpy as np
import pytest
from kernel_graphs import deep_sets
from reloadable_graphs import convolution, dense

from trigger.artifacts.changes.network import network
from trigger.artifacts.changes.result import Detail
from trigger.artifacts.changes.words import headline
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import Dense
from trigger.fixedpoint.parameters import parameters, replaced


def retrained(graph):
    return replaced(graph, np.roll(parameters(graph).values, 1))


CAN = "the weights of the second can be loaded into the first"


def test_a_retrained_network_fits():
    built = dense()
    changes = network(built, retrained(built))
    assert changes.loading == CAN
    assert headline(changes) == f"2 layers changed; {CAN}"


@pytest.mark.parametrize(
    ("built", "other", "expected"),
    [
        (deep_sets, dense, ""),
        (
            dense,
            convolution,
            "the weights of the second cannot be loaded into the first: "
            "inputs: 12 elements, in the build 4",
        ),
    ],
)
def test_another_network(built, other, expected):
    assert network(built(), other()).loading == expected


def test_a_layer_of_constants_and_one_that_is_loaded():
    built = dense()
    fixed = [
        replace(node, parameters=None) if isinstance(node, Dense) else node for node in built.nodes
    ]
    changes = network(built, Graph(tuple(fixed)))
    assert [detail for detail in changes.layers if detail.what == "parameters"] == [
        Detail("hidden", "parameters", "5 × 6", "none"),
        Detail("out", "parameters", "7 × 2", "none"),
    ]
    assert changes.loading == (
        "the weights of the second cannot be loaded into the first: they are constants of the firmware"
    )

"""A tap that reads another element, padding that is not zero, and a zero that should be read: the vectors find each."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import layers
from qkeras import QActivation, QConv1D, QConv2D

import trigger
from trigger.fixedpoint import evaluate
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import Maximum, Select
from trigger.fixedpoint.passes import optimize
from trigger.verification.vectors import generate

W = {"kernel_quantizer": "quantized_bits(4,0,alpha=1)", "bias_quantizer": "quantized_bits(4,0)"}


def network(shape, *stages) -> Graph:
    x = inputs = keras.Input(shape)
    for stage in stages:
        x = stage(x)
    model = keras.Model(inputs, layers.Flatten()(x))
    rng = np.random.default_rng(0)
    for weight in model.weights:
        # No weight is zero: a fault behind one changes nothing.
        weight.assign(rng.choice([-5, -3, -1, 1, 3, 5], weight.shape) / 8)
    return trigger.lower(model, "fixed<5,3>")


def relu():
    return QActivation("quantized_relu(6,3)")


GRAPHS = {
    "1D, same": lambda: network((5, 2), QConv1D(2, 3, padding="same", **W), relu()),
    "1D, causal": lambda: network((5, 2), layers.Conv1D(2, 3, padding="causal"), relu()),
    "2D, same": lambda: network((3, 3, 1), QConv2D(2, 2, padding="same", **W), relu()),
    "zeros around": lambda: network((3, 2), layers.ZeroPadding1D(1), QConv1D(2, 2, **W)),
    "the largest": lambda: network((6, 1), QConv1D(2, 2, **W), layers.MaxPooling1D(2)),
}


def mutants(graph: Graph):
    """The graph with one element of one node read from elsewhere."""
    for number, node in enumerate(graph.nodes):
        if not isinstance(node, Select | Maximum):
            continue
        field = "elements" if isinstance(node, Select) else "groups"
        taps = getattr(node, field)
        size = len(graph[node.inputs[0]].types)
        for place in np.ndindex(taps.shape):
            others = {(taps[place] + 1) % size, (taps[place] - 1) % size}
            if isinstance(node, Select):
                others.add(-1)
            own = origin(graph, node, taps[place])
            for other in (other for other in others if origin(graph, node, other) != own):
                changed = taps.copy()
                changed[place] = other
                nodes = list(graph.nodes)
                nodes[number] = dataclasses.replace(node, **{field: changed})
                yield f"{node.name}{list(place)} = {other}", Graph(tuple(nodes))


def origin(graph: Graph, node: Select | Maximum, element: int) -> int:
    """What a tap reads, through the zeros of a padding before it."""
    before = graph[node.inputs[0]]
    if element >= 0 and isinstance(before, Select):
        return int(before.elements[element])
    return int(element)


@pytest.mark.parametrize("name", GRAPHS)
def test_every_fault_is_found(name):
    graph = optimize(GRAPHS[name]())
    x = evaluate.quantize_inputs(graph, generate(graph, 1).all)
    expected = evaluate.run(graph, x)
    found = {
        fault: bool((evaluate.run(mutant, x) != expected).any()) for fault, mutant in mutants(graph)
    }
    assert len(found) > 15
    assert [fault for fault, is_found in found.items() if not is_found] == []

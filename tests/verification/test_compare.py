"""Verdicts, witnesses, JUnit."""

from xml.etree import ElementTree

import keras
import numpy as np
import pytest
from battery import around
from qkeras import QActivation, QConv1D, QDense

import trigger
from trigger.fixedpoint import evaluate
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import GraphError
from trigger.verification.compare import Comparison, Verdict, Witness, compare
from trigger.verification.junit import to_junit

OWN = "trained network (float32): 50 events, equal"


class Off:
    """An implementation that is wrong in one bit of one hidden value, and aborts on request."""

    label = "csim (test)"

    def __init__(self, graph: Graph, aborts: bool = False) -> None:
        self.graph, self.aborts = graph, aborts

    def run(self, x):
        if self.aborts:
            raise GraphError("it aborted")
        y = evaluate.run(self.graph, x)
        y[5, 1] += 1
        return y

    def trace(self, x):
        from trigger.fixedpoint.evaluate import trace

        values = trace(self.graph, x)
        hidden = self.graph.nodes[1].name
        values[hidden] = values[hidden].copy()
        values[hidden][:, 3] ^= 1
        return values


class OffAt(Off):
    """An implementation that is wrong in one element of one node, and so in the output."""

    def __init__(self, graph: Graph, node: str, element: int) -> None:
        super().__init__(graph)
        self.node, self.element = node, element

    def trace(self, x):
        values = evaluate.trace(self.graph, x)
        values[self.node] = values[self.node].copy()
        values[self.node][:, self.element] += 1
        return values


WEIGHTS = {"kernel_quantizer": "quantized_bits(4,0,alpha=1)"}


@pytest.fixture(scope="module")
def network():
    model = around(QActivation("quantized_relu(6,2)"), 8)
    return model, trigger.lower(model), np.random.default_rng(0).normal(size=(50, 6)) * 4


def test_equal(network):
    model, graph, x = network
    verdict = trigger.verify(model, [graph], x)
    assert verdict
    assert verdict.equal
    assert verdict.witness is None
    assert verdict.events == 50
    assert str(verdict) == f"graph: 50 events, equal\n{OWN}"


def test_a_difference_has_a_witness(network):
    model, graph, x = network
    verdict = trigger.verify(model, [graph, Off(graph)], x)
    assert not verdict
    assert [c.differing for c in verdict.comparisons] == [0, 1, 0]
    witness = verdict.witness
    assert witness is not None
    assert (witness.event, witness.node, witness.element) == (5, graph.nodes[1].name, 3)
    assert witness.found == witness.expected ^ 1
    value = witness.expected * 2.0**-witness.fraction
    sign = "-" if witness.expected < 0 else ""
    assert (
        f"element 3, {witness.type}: expected {sign}{abs(witness.expected):#x} = {value!r}, found "
        in str(witness)
    )


def test_a_witness_names_position_and_channel():
    x = inputs = keras.Input((4, 2))
    x = QConv1D(3, 1, **WEIGHTS, name="each")(x)
    x = QActivation("quantized_relu(4,2)", name="each_relu")(x)
    model = keras.Model(inputs, QDense(2, **WEIGHTS, name="out")(keras.layers.Flatten()(x)))
    graph = trigger.lower(model, "fixed<6,3>")
    events = np.random.default_rng(2).normal(size=(50, 4, 2))
    witness = trigger.verify(model, [OffAt(graph, "each_relu", 7)], events).witness
    assert (witness.node, witness.element, witness.channels) == ("each_relu", 7, 3)
    assert "first differs in each_relu, element 7 (position 2, channel 1), ufixed<4,2>: " in str(
        witness
    )
    witness = trigger.verify(model, [OffAt(graph, "out", 1)], events).witness
    assert (witness.node, witness.element, witness.channels) == ("out", 1, 0)


def test_a_graph_that_is_wrong_is_told_by_keras_layers(network):
    """The first layer that differs is named by Keras' own layer outputs."""
    model, graph, x = network
    import dataclasses

    first = graph.nodes[1]
    values = first.weights.values.copy()
    values[0, 0] += 1
    faulty = dataclasses.replace(first, weights=dataclasses.replace(first.weights, values=values))
    wrong = trigger.Graph((graph.nodes[0], faulty, *graph.nodes[2:]))
    verdict = trigger.verify(model, [wrong], x)
    assert not verdict
    assert verdict.witness.node == first.name


def test_a_value_between_two_steps_is_a_difference(network):
    _, graph, x = network
    integers = evaluate.quantize_inputs(graph, x)
    off = np.zeros(len(x), dtype=bool)
    off[7] = True
    verdict = compare(
        graph, evaluate.run(graph, integers), off, integers, {"graph": evaluate.GoldenModel(graph)}
    )
    assert verdict.comparisons[0].differing == 1
    assert verdict.witness.event == 7


def test_an_abort_is_a_failure_of_that_implementation(network):
    model, graph, x = network
    verdict = trigger.verify(model, [graph, Off(graph, aborts=True)], x)
    assert not verdict
    assert str(verdict) == (
        f"graph: 50 events, equal\ncsim (test): 50 events, failed: it aborted\n{OWN}"
    )


def test_nothing_to_compare(network):
    message = "verify: nothing to compare with the network; pass graphs, csims or RTL"
    for nothing in ([], network[1]):
        with pytest.raises(trigger.TriggerError) as error:
            trigger.verify(network[0], nothing, network[2])
        assert str(error.value) == message


def test_arguments_that_do_not_belong_together(network):
    model, graph, x = network
    wide = around(QActivation("quantized_relu(6,2)"), 8)
    one = keras.Model(
        wide.inputs[0], QDense(1, kernel_quantizer="quantized_bits(4,0,alpha=1)")(wide.outputs[0])
    )
    for arguments, message in (
        ((one, [graph], x), "the network has 1 output, graph has 3"),
        ((model, [graph, trigger.lower(one)], x), "the network has 3 outputs, graph has 1"),
        ((model, [Off(trigger.lower(one))], x), "the network has 3 outputs, csim (test) has 1"),
        ((None, [graph], x), "NoneType is not a Keras network"),
        ((model, [model], x), "Functional is not a graph, csim or RTL"),
        (
            (model, [graph], x[:0]),
            "the events have the shape (0, 6); give (events, features), one event or more",
        ),
        (
            (model, [graph], x[0]),
            "the events have the shape (6,); give (events, features), one event or more",
        ),
        (
            (model, [graph], [["a"]]),
            "the events are not an array of numbers: could not convert string to float: 'a'",
        ),
    ):
        with pytest.raises(trigger.TriggerError) as error:
            trigger.verify(*arguments)
        assert str(error.value) == f"verify: {message}"


def test_junit():
    witness = Witness("csim", 3, "dense", 0, "fixed<8,3>", 5, 4, 5, (1, 2))
    verdict = Verdict(
        (
            Comparison("graph", 10, 0, None),
            Comparison("csim", 10, 2, witness),
            Comparison("rtl", 10, 0, None, "aborted"),
        ),
        10,
    )
    suite = ElementTree.fromstring(to_junit("mine", verdict))
    assert suite.attrib == {
        "name": "trigger verify mine",
        "tests": "3",
        "failures": "1",
        "errors": "1",
    }
    assert [case.attrib["name"] for case in suite] == [
        "graph equals Keras",
        "csim equals Keras",
        "rtl equals Keras",
    ]
    assert suite.find("testcase/failure").text == str(witness)
    assert suite.find("testcase/error").attrib["message"] == "aborted"


def test_junit_is_xml_whatever_a_tool_says():
    failure = "\x1b[31mg++: \x00 <b> ]]> \ufffe \ud800 é\x1b[0m"
    suite = ElementTree.fromstring(
        to_junit("a<b", Verdict((Comparison("csim", 1, 0, None, failure),), 1))
    )
    assert suite[0][0].attrib["message"] == (
        "\ufffd[31mg++: \ufffd <b> ]]> \ufffd \ufffd é\ufffd[0m"
    )
    assert suite[0].attrib["classname"] == "a<b"

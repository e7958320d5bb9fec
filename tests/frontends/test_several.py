"""Networks of several inputs and outputs: one vector of features and one of scores, in Keras' order."""

import keras
import numpy as np
import pytest
from as_called import with_dyadic_weights
from battery import randomize
from keras import layers
from qkeras import QActivation, QDense

import trigger
from trigger import Inexact, TriggerError
from trigger.fixedpoint import evaluate
from trigger.frontends.networks import Reference, record
from trigger.verification.oracle import agreement

W = {
    "kernel_quantizer": "quantized_bits(4,0,alpha=1)",
    "bias_quantizer": "quantized_bits(4,0,alpha=1)",
}
TYPE = "fixed<6,3>"


def body(jets, energy):
    x = QActivation("quantized_relu(4,1)")(QDense(3, **W, name="each")(jets))
    x = layers.Concatenate(name="all")([layers.Flatten()(x), energy])
    return QActivation("quantized_relu(4,1)", name="shared")(QDense(5, **W, name="body")(x))


def tagger(flavour="softmax", correction=None, pack=list):
    """Jets of particles and a missing energy; a flavour and a correction."""
    jets, energy = keras.Input((4, 2), name="jets"), keras.Input((2,), name="energy")
    shared = body(jets, energy)
    outputs = {
        "flavour": QDense(3, **W, activation=flavour, name="flavour")(shared),
        "correction": QDense(1, **W, activation=correction, name="correction")(shared),
    }
    inputs = {"jets": jets, "energy": energy}
    if pack is list:
        return randomize(keras.Model(list(inputs.values()), list(outputs.values())), 0)
    return randomize(keras.Model(inputs, outputs), 0)


def events(count=300):
    return np.random.default_rng(1).integers(-32, 32, (count, 10)) / 8


def assert_itself(model, x=None):
    """Graph = reference = network, heads that are left out apart."""
    x = events() if x is None else x
    graph = trigger.lower(model, TYPE)
    np.testing.assert_array_equal(evaluate.predict(graph, x), Reference(model, graph).predict(x))
    found = agreement(graph, record(model, x)).comparison
    assert found.equal and found.events == len(x), str(found.witness)
    return graph


@pytest.mark.parametrize("pack", [list, dict])
@pytest.mark.parametrize("flavour", ["softmax", "sigmoid", "tanh", "linear", None])
@pytest.mark.parametrize("correction", ["sigmoid", "tanh", None])
def test_two_inputs_and_two_heads(flavour, correction, pack):
    assert_itself(tagger(flavour, correction, pack))


def test_the_order_is_said():
    graph = assert_itself(tagger())
    assert graph.notes == (
        "features: those of the inputs jets, energy, in this order",
        "flavour: the softmax is left out; it cannot change the order of the classes",
        "outputs: those of flavour, correction, in this order",
    )
    assert [len(node.types) for node in (graph.input, graph.output)] == [10, 4]


def test_against_the_network_as_it_is_called():
    model = tagger(None)
    x = events(50)
    jets, energy = x[:, :8].reshape(-1, 4, 2).astype("f4"), x[:, 8:].astype("f4")
    expected = np.concatenate(model([jets, energy]), axis=1)
    found = evaluate.predict(trigger.lower(model, TYPE), x)
    np.testing.assert_array_equal(found, expected)


def test_a_type_for_each_feature():
    model = tagger(None)
    types = ["fixed<6,3>"] * 8 + ["ufixed<9,7>", "fixed<3,3>"]
    graph = trigger.lower(model, types)
    assert [str(kind) for kind in graph.input.types] == types
    with pytest.raises(Inexact) as error:
        trigger.lower(model, types[:9])
    assert str(error.value.problems[0]) == (
        "inputs: 9 types for 10 features. Remedy: give one type, or one per feature."
    )


def test_types_of_inputs_that_quantisers_give():
    jets, energy = keras.Input((4, 2)), keras.Input((2,))
    quantised = [
        QActivation(f"quantized_bits({b},2,alpha=1)")(x) for b, x in ((6, jets), (8, energy))
    ]
    model = randomize(keras.Model([jets, energy], QDense(2, **W)(body(*quantised))), 0)
    graph = trigger.lower(model)
    assert [str(kind) for kind in graph.input.types] == ["fixed<6,3>"] * 8 + ["fixed<8,3>"] * 2
    x = np.random.default_rng(0).normal(size=(300, 10)) * 2
    np.testing.assert_array_equal(evaluate.predict(graph, x), Reference(model, graph).predict(x))


def test_an_output_that_is_read_again():
    """A score that another layer reads must be exact there, so that its head cannot be left out."""
    x = keras.Input((4,))
    first = QDense(3, **W, activation="sigmoid", name="first")(x)
    model = randomize(keras.Model(x, [first, QDense(2, **W, name="second")(first)]), 0)
    with pytest.raises(Inexact) as error:
        trigger.lower(model, TYPE)
    assert str(error.value.problems[0]) == (
        "first: the activation sigmoid has no exact fixed-point value. "
        "Remedy: use quantized_sigmoid(8, use_real_sigmoid=1)."
    )
    quantised = QActivation("quantized_relu(4,1)", name="q")(QDense(3, **W)(x))
    model = randomize(keras.Model(x, [quantised, QDense(2, **W)(quantised)]), 0)
    assert_itself(model, events()[:, :4])


def test_one_output_twice_and_an_input_that_passes():
    x = keras.Input((4,))
    y = QDense(2, **W)(x)
    assert_itself(randomize(keras.Model(x, [y, y]), 0), events()[:, :4])
    assert_itself(randomize(keras.Model(x, [y, layers.Flatten()(x)]), 0), events()[:, :4])


def test_verified_through_the_public_function(tmp_path):
    model = tagger()
    graph = trigger.lower(model, TYPE)
    csim = graph.to_hls4ml(tmp_path / "hls").compile()
    rtl = graph.to_rtl(tmp_path / "rtl").compile()
    verdict = trigger.verify(model, [graph, csim, rtl], events(500))
    assert verdict.equal, str(verdict)


def test_every_problem_of_every_branch_is_told():
    a, b = keras.Input((3,)), keras.Input((3,), name="b")
    model = keras.Model(
        [a, b],
        [
            layers.LSTM(2, name="lstm")(layers.Reshape((3, 1))(a)),
            layers.Dense(2, "gelu", name="g")(b),
        ],
    )
    with pytest.raises(Inexact) as error:
        trigger.lower(model, TYPE)
    assert {problem.layer for problem in error.value.problems} == {"lstm", "g"}


def shared(layer, second):
    """One layer at the end of two branches."""
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    return randomize(keras.Model([a, b], [layer(a), second(layer)(b)]), 0)


def test_one_softmax_at_two_ends():
    softmax = layers.Softmax()
    model = shared(softmax, lambda layer: lambda b: layer(QDense(3, **W)(b)))
    assert_itself(model, events()[:, :8])


@pytest.mark.parametrize(
    "second",
    [
        lambda sigmoid: sigmoid,
        lambda sigmoid: lambda b: QActivation("quantized_bits(6,0,alpha=1)")(sigmoid(b)),
    ],
    ids=["a table", "quantised"],
)
def test_one_sigmoid_left_out_at_one_end_alone(second):
    """The reference has one layer for both, which cannot be left out at one of them."""
    sigmoid = layers.Activation("sigmoid", name="s")
    types = ["fixed<24,3>"] * 4 + ["fixed<6,3>"] * 4
    with pytest.raises(Inexact) as error:
        trigger.lower(shared(sigmoid, second), types)
    assert str(error.value.problems[0]) == (
        "s: its sigmoid is left out at one place, for its input there is too wide for a table, "
        "and computed at another. Remedy: use a layer of its own at each place."
    )


def test_an_input_that_is_quantised_and_an_output():
    """The output has the values of the input, not those of the quantiser beside it."""
    x = keras.Input((4,))
    model = keras.Model(x, [QActivation("quantized_bits(6,2,alpha=1)")(x), x])
    with pytest.raises(Inexact) as error:
        trigger.lower(model)
    assert error.value.reason == "the features have no fixed-point type"
    assert_itself(model, events()[:, :4])


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (events(5)[:, :9], "verify: inputs have the shape (5, 9); the network takes (events, 10)"),
        ([events(5)] * 2, "verify: inputs have the shape (5, 20); the network takes (events, 10)"),
        (events(5) * np.nan, "verify: event 0, feature 0 is not a number"),
    ],
    ids=["too few features", "an array for each input", "not a number"],
)
def test_events_that_do_not_fit(x, message):
    model = tagger(None)
    with pytest.raises(TriggerError) as error:
        trigger.verify(model, [trigger.lower(model, TYPE)], x)
    assert str(error.value) == message


def test_a_dictionary_of_events_is_refused():
    model = tagger(None)
    with pytest.raises(TriggerError) as error:
        trigger.assert_bit_exact(model, trigger.lower(model, TYPE), {"jets": events(5)})
    assert str(error.value) == (
        "verify: the events are not an array of numbers: float() argument must be a string or a "
        "real number, not 'dict'"
    )


def test_an_input_that_is_listed_twice():
    """Keras gives its layers the second of the two arrays, and cannot copy the network."""
    x = keras.Input((4,), name="x")
    with pytest.raises(Inexact) as error:
        trigger.lower(keras.Model([x, x], QDense(2, **W)(x)), TYPE)
    assert str(error.value.problems[0]) == (
        "x: the input is listed twice. Remedy: list each input once."
    )


def two_equal_inputs():
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    joined = layers.Concatenate()([a, b])
    return with_dyadic_weights(keras.Model([a, b], layers.Dense(2)(joined)))


def test_verify_takes_an_array_for_each_input():
    model = two_equal_inputs()
    graph = trigger.lower(model, "fixed<6,2>")
    a = np.random.default_rng(0).integers(-32, 32, (2, 4)) / 16
    verdict = trigger.verify(model, [graph], [a, a / 2])
    assert verdict.equal
    assert {one.events for one in verdict.comparisons} == {2}
    side_by_side = trigger.verify(model, [graph], np.concatenate([a, a / 2], axis=1))
    assert str(side_by_side) == str(verdict)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((2, 3), "verify: the inputs have 2, 3 events; give the same number for each input"),
        ((2,), "verify: 1 arrays for the network's 2 inputs"),
        ((2, 2, 2), "verify: 3 arrays for the network's 2 inputs"),
    ],
)
def test_verify_refuses_other_arrays(arrays, message):
    model = two_equal_inputs()
    with pytest.raises(TriggerError) as error:
        trigger.verify(
            model, [trigger.lower(model, "fixed<6,2>")], [np.zeros((n, 4)) for n in arrays]
        )
    assert str(error.value) == message

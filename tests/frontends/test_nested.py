"""Networks in networks, TimeDistributed, and layers that are used several times."""

import keras
import numpy as np
import pytest
import qkeras
from as_called import assert_itself, with_dyadic_weights
from battery import WIDTHS, Battery, at_width, parametrize, randomize
from keras import layers, ops
from qkeras import QActivation, QConv1D, QDense

from trigger import Inexact
from trigger.fixedpoint import evaluate
from trigger.frontends.networks import Reference, lower, record
from trigger.verification.oracle import agreement

pytest_generate_tests = parametrize

W = "quantized_bits(4,0,alpha=1)"
KERNEL = {"kernel_quantizer": W, "bias_quantizer": W}
RELU = "quantized_relu(5,2)"


def encoder(features=4, name="encoder", bits="quantized_relu(5,2)"):
    return keras.Sequential(
        [keras.Input((features,)), QDense(3, name="d", **KERNEL), QActivation(bits, name="a")],
        name=name,
    )


def siamese(bits, inner, integer):
    """One network for each half of the features, and a network of networks around it."""
    half = encoder(3, "half", f"quantized_relu({inner},{integer})")
    pair = keras.Input((6,))
    both = keras.Model(pair, ops.maximum(half(pair[:, :3]), half(pair[:, 3:])), name="pair")
    x = inputs = keras.Input((6,))
    x = QActivation(f"quantized_bits({bits},{bits // 2 - 1},alpha=1)")(x)
    x = QDense(2, name="d", **KERNEL)(both(x))
    return with_dyadic_weights(keras.Model(inputs, x))


def over_time(bits, inner, integer):
    x = inputs = keras.Input((3, 4, 2))
    x = QActivation(f"quantized_bits({bits},{bits // 2 - 1},alpha=1)")(x)
    x = layers.TimeDistributed(QConv1D(2, 2, **KERNEL))(x)
    x = layers.TimeDistributed(QActivation(f"quantized_relu({inner},{integer})"))(x)
    x = layers.TimeDistributed(layers.Flatten())(x)
    x = layers.TimeDistributed(QDense(2, **KERNEL))(x)
    return randomize(keras.Model(inputs, layers.Flatten()(x)), 0)


class TestNested(Battery):
    cases = {
        f"{name} at {w[0]} bits": at_width(w[0], make, *w)
        for name, make in (("siamese", siamese), ("TimeDistributed", over_time))
        for w in WIDTHS
    }


def network(function, shape) -> keras.Model:
    inputs = keras.Input(shape)
    found = function(inputs)
    return keras.Model(inputs, layers.Flatten()(found) if len(found.shape) > 2 else found)


def assert_untouched(model: keras.Model, folder) -> None:
    """Lowering makes no new uses of the user's layers, and every layer has a reference."""
    before = [(layer.name, len(layer._inbound_nodes)) for layer in model._flatten_layers()]
    graph = assert_itself(with_dyadic_weights(model), "fixed<6,3>", 5, folder)
    assert before == [(layer.name, len(layer._inbound_nodes)) for layer in model._flatten_layers()]
    x = np.zeros((1, len(graph.input.types)))
    assert set(Reference(model, graph).layers(x))


def twice(x):
    shared = QDense(4, kernel_quantizer=W, bias_quantizer=W, activation=RELU)
    return shared(shared(x)) - shared(x)


def deep(x):
    inner = encoder(name="inner")
    middle = keras.Sequential([keras.Input((4,)), inner, QDense(4, **KERNEL)], name="middle")
    outer = keras.Sequential([keras.Input((4,)), middle, layers.ReLU()], name="outer")
    return outer(outer(x)) + x


def several(x):
    a, b = keras.Input((4,)), keras.Input((3,))
    inner = keras.Model([a, b], [layers.Concatenate()([a, b]), b * 2 - a[:, :3]], name="inner")
    left, right = inner([x, encoder()(x)])
    return layers.Concatenate()([right, left])


def equal_names(x):
    one, two = encoder(name="one"), encoder(name="two")
    return layers.Dense(3, name="d")(one(x) - two(x))


def difference(x):
    shared = encoder()
    return shared(x) - shared(-x)


def timed(layer):
    return layers.TimeDistributed(layer)


TAKEN = {
    "a layer used twice": (twice, (4,)),
    "a network": (encoder(), (4,)),
    "a network used twice": (difference, (4,)),
    "networks in networks": (deep, (4,)),
    "several inputs and outputs": (several, (4,)),
    "equal names": (equal_names, (4,)),
    "a network that ends in a network": (lambda x: encoder(3, "second")(encoder()(x)), (4,)),
    "a network of a matrix": (lambda x: encoder()(layers.Flatten()(x)), (2, 2)),
    "over time: Dense": (timed(layers.Dense(3)), (3, 4)),
    "over time: QDense": (timed(QDense(3, **KERNEL)), (3, 4)),
    "over time: QDense with an activation": (timed(QDense(3, activation=RELU, **KERNEL)), (3, 4)),
    "over time: QDense of matrices": (timed(QDense(3, **KERNEL)), (3, 2, 4)),
    "over time: QConv1D": (timed(QConv1D(2, 3, padding="same", **KERNEL)), (3, 4, 2)),
    "over time: QConv2D": (timed(qkeras.QConv2D(2, 2, **KERNEL)), (2, 3, 3, 2)),
    "over time: DepthwiseConv1D": (timed(layers.DepthwiseConv1D(2)), (2, 4, 2)),
    "over time: QActivation": (timed(QActivation(RELU)), (3, 4)),
    "over time: Activation": (timed(layers.Activation("relu")), (3, 4)),
    "over time: ReLU": (timed(layers.ReLU()), (3, 4)),
    "over time: MaxPooling1D": (timed(layers.MaxPooling1D(2)), (2, 4, 2)),
    "over time: GlobalAveragePooling1D": (timed(layers.GlobalAveragePooling1D()), (2, 4, 2)),
    "over time: Flatten": (timed(layers.Flatten()), (2, 4, 2)),
    "over time: Dropout": (timed(layers.Dropout(0.5)), (3, 4)),
    "over time: Reshape": (timed(layers.Reshape((2, 2))), (3, 4)),
    "over time: a network": (timed(encoder()), (3, 4)),
    "over time, twice": (timed(layers.TimeDistributed(QConv1D(2, 2, **KERNEL))), (2, 2, 3, 2)),
    "a network over time in a network": (
        keras.Sequential(
            [keras.Input((3, 4)), layers.TimeDistributed(encoder()), layers.Flatten()], name="n"
        ),
        (3, 4),
    ),
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_taken(name, tmp_path):
    function, shape = TAKEN[name]
    assert_untouched(network(function, shape), tmp_path)


class Doubling(keras.Model):
    def call(self, x):
        return 2 * x


class Own(keras.Sequential):
    def call(self, x, training=None, mask=None):
        return 2 * super().call(x)


REFUSED = {
    "a network of one's own": (
        Doubling(name="d"),
        (4,),
        "d: Doubling overrides call, so there are no layers to read. Remedy: build the network with "
        "keras.Model(inputs, outputs) or keras.Sequential.",
    ),
    "a Sequential of one's own": (
        Own([keras.Input((4,)), layers.ReLU()], name="d"),
        (4,),
        "d: Own overrides call and may compute anything. Remedy: build the network only from "
        "layers, with keras.Model(inputs, outputs) or keras.Sequential.",
    ),
    "a network in training": (
        lambda x: keras.Sequential([keras.Input((4,)), layers.Dropout(0.5)], name="d")(
            x, training=True
        ),
        (4,),
        "d: it is called with training=True, which changes what it computes. "
        "Remedy: call it with its input only.",
    ),
    "another rank": (
        keras.Sequential([keras.Input((4, 1)), layers.Flatten()], name="d"),
        (4,),
        "d: it is called with the shape (4,), but its Input has the shape (4, 1). "
        "Remedy: give both the same shape.",
    ),
    "what is inside": (
        keras.Sequential([keras.Input((4,)), layers.ELU(name="e")], name="d"),
        (4,),
        None,
    ),
    "a sigmoid at each step": (
        layers.TimeDistributed(layers.Activation("sigmoid", name="s")),
        (3, 4),
        "s: the activation sigmoid has no exact fixed-point value. "
        "Remedy: use quantized_sigmoid(8, use_real_sigmoid=1).",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    function, shape, message = REFUSED[name]
    with pytest.raises(Inexact) as error:
        lower(network(function, shape), "fixed<6,3>")
    if message is None:
        assert error.value.layer == "e"
    else:
        assert str(error.value.problems[0]) == message


@pytest.mark.parametrize("kind", ["sigmoid", "softmax"])
def test_a_head_in_a_network_is_the_head(kind):
    inner = keras.Sequential(
        [keras.Input((4,)), QDense(2, name="d", activation=kind, **KERNEL)], name="inner"
    )
    x = inputs = keras.Input((4,))
    model = with_dyadic_weights(keras.Model(inputs, inner(QDense(4, name="d", **KERNEL)(x))))
    graph = lower(model, "fixed<6,3>")
    assert [note for note in graph.notes if note.startswith(f"d: the {kind} is ")]
    x = np.random.default_rng(0).integers(-32, 32, (300, 4)) / 8
    np.testing.assert_array_equal(Reference(model, graph).predict(x), evaluate.predict(graph, x))
    found = agreement(graph, record(model, x)).comparison
    assert found.equal, str(found.witness)


def test_batch_normalization_over_time():
    model = with_dyadic_weights(network(timed(layers.BatchNormalization()), (3, 4)))
    graph = lower(model, "fixed<6,3>")
    x = np.random.default_rng(0).integers(-32, 32, (300, 12)) / 8
    np.testing.assert_array_equal(Reference(model, graph).predict(x), evaluate.predict(graph, x))
    found = agreement(graph, record(model, x)).comparison
    assert found.equal, str(found.witness)


BATCHES = {
    "operators": lambda x: 2 * x[:, :2] + 0.5,
    "sums": lambda x: keras.ops.sum(x, axis=1),
    "TimeDistributed": layers.TimeDistributed(layers.Dense(3)),
    "layers": lambda x: layers.ReLU()(layers.Conv1D(2, 2)(x)),
}


@pytest.mark.parametrize("name", BATCHES)
def test_an_input_for_one_number_of_events(name):
    inputs = keras.Input(batch_shape=(40, 4, 2))
    y = BATCHES[name](inputs)
    model = keras.Model(inputs, layers.Flatten()(y) if len(y.shape) > 2 else y)
    assert_itself(with_dyadic_weights(model), "fixed<6,3>")


def test_events_that_are_combined_are_refused_for_one_number_of_them():
    inputs = keras.Input(batch_shape=(40, 4, 2))
    total = keras.ops.sum(inputs, axis=0, keepdims=True)
    with pytest.raises(Inexact) as error:
        lower(keras.Model(inputs, inputs - total), "fixed<6,3>")
    assert error.value.reason == "it combines different events (axis 0)"

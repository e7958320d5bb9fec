"""What post-training quantisation makes of each layer and option: the same function but for rounding, told, or refused."""

import keras
import numpy as np
import pytest
from battery import randomize
from keras import layers

from trigger import TriggerError
from trigger.fixedpoint import evaluate
from trigger.frontends.networks import Reference, lower
from trigger.training import float_layers, replacement
from trigger.training.fit import outputs
from trigger.training.post_training import quantise

EVENTS = np.random.default_rng(2).normal(size=(1000, 6)) * 1.5


def network(join, shape=(6,), seed=3):
    first = keras.Input(shape)
    return randomize(keras.Model(first, join(first), name="whole"), seed)


def chain(*many):
    def join(x):
        for layer in many:
            x = layer(x)
        return x

    return join


def nested(x):
    inner = keras.Sequential([keras.Input((6,)), layers.Dense(4, "relu"), layers.Dense(3)])
    deeper = keras.Sequential([keras.Input((3,)), inner_of(inner.name)], name="deeper")
    return layers.Dense(2)(layers.ReLU()(deeper(inner(x))))


def inner_of(name):
    """A model inside a model, with a layer of its parent's name."""
    first = keras.Input((3,))
    return keras.Model(first, layers.Dense(5, name=name)(first), name="inside")


def nested_head(x):
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(2, "softmax")])
    return inner(layers.Dense(4, "relu")(x))


def twice(x):
    """One normalisation behind a Dense layer, where it is folded, and behind something else, where it is not."""
    normalization = layers.BatchNormalization()
    y = normalization(layers.Dense(6)(x))
    return layers.Dense(2)(normalization(layers.ReLU()(y)))


def shared_dense(x):
    """Normalised behind one of its two uses."""
    dense = layers.Dense(6)
    y = layers.ReLU()(dense(x))
    return layers.Dense(2)(layers.ReLU()(layers.BatchNormalization()(dense(y))))


def branches(x):
    h, i = layers.Dense(5, "relu")(x), layers.Dense(5)(x)
    return layers.Dense(2)(layers.Concatenate()([h + i, h - i, h, h]))


def names(x):
    x = layers.Dense(5, "relu", name="a")(x)
    x = layers.Dense(5, "tanh", name="a_quantized")(x)
    x = layers.ReLU(2.0, 0.5, name="a_quantized_2")(x)
    x = layers.BatchNormalization(name="a_input")(x)
    return layers.Dense(2, name="a_rounded")(x)


def two_ranks(x):
    x = layers.Dense(4, "relu")(layers.Reshape((2, 3))(x))
    x = layers.BatchNormalization()(layers.Dense(3)(x))
    return layers.Dense(2)(layers.Flatten()(layers.Permute((2, 1))(x)))


SAME = {
    "one layer": chain(layers.Dense(3)),
    "logistic regression": chain(layers.Dense(1)),
    "no bias": chain(layers.Dense(4, "relu", use_bias=False), layers.Dense(2, use_bias=False)),
    "an inverted normalisation": chain(
        layers.Normalization(mean=0.3, variance=5.0, invert=True), layers.Dense(2)
    ),
    "one scale for all": chain(
        layers.Normalization(axis=None, mean=0.3, variance=5.0), layers.Dense(2)
    ),
    "a scale for each": chain(
        layers.Normalization(mean=range(6), variance=range(1, 7)), layers.Dense(2)
    ),
    "options of a normalisation": chain(
        layers.BatchNormalization(1, epsilon=0.5, center=False),
        layers.Dense(4),
        layers.BatchNormalization(scale=False, epsilon=0.1),
        layers.ReLU(),
        layers.Dense(2),
    ),
    "a slope of a half": chain(layers.Dense(4), layers.LeakyReLU(0.5), layers.Dense(2)),
    "a bound": chain(layers.Dense(4), layers.ReLU(max_value=0.75), layers.Dense(2)),
    "nothing passes": chain(layers.Dense(4), layers.ReLU(max_value=0), layers.Dense(2)),
    "squares": lambda x: layers.Dense(2)(
        layers.Dot(1)([layers.ReLU()(layers.Dense(4)(x))] * 2)
    ),
    "nested": nested,
    "a normalisation used twice": twice,
    "a Dense layer used twice": shared_dense,
    "branches": branches,
    "names": names,
    "two ranks": two_ranks,
    "what does nothing": chain(
        layers.Dropout(0.3), layers.Dense(4, "tanh"), layers.GaussianNoise(1.0), layers.Dense(2)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_the_same_function_but_for_rounding(name):
    model = network(SAME[name])
    found = replacement.replaced(model, EVENTS, 14)
    assert found.notes == ()
    wanted = outputs(model, EVENTS)
    error = np.abs(outputs(found.network, EVENTS) - wanted).max()
    assert error <= 0.01 * np.abs(wanted).max() > 0
    assert len({layer.name for layer in found.network.layers}) == len(found.network.layers)


def test_a_difference_is_a_sum_that_is_compiled_exactly():
    found = quantise(network(branches), EVENTS, 6)
    x = np.round(EVENTS * 32) / 32
    graph = lower(found, "fixed<9,4>")
    np.testing.assert_array_equal(evaluate.predict(graph, x), Reference(found, graph).predict(x))


def test_a_softmax_at_the_end_of_a_nested_model_stays():
    model = network(nested_head)
    wanted = outputs(model, EVENTS)
    error = np.abs(outputs(quantise(model, EVENTS, 14), EVENTS) - wanted).max()
    assert error < 0.01


def test_small_values_can_be_computed():
    """Unsigned values below a half have negative integer bits, which quantized_relu cannot raise 2 to."""
    model = network(chain(layers.Dense(4, "relu"), layers.Dense(2)))
    model.layers[1].set_weights([part * 2**-6 for part in model.layers[1].get_weights()])
    wanted = outputs(model, EVENTS)
    found = quantise(model, EVENTS, 10)
    assert "quantized_bits(10,-" in str(found.layers[2].activation)
    assert np.abs(outputs(found, EVENTS) - wanted).max() < 0.01 * np.abs(wanted).max()


@pytest.mark.parametrize(
    ("join", "notes"),
    [
        (
            chain(layers.Dense(4), layers.LeakyReLU(0.3, name="leaky"), layers.Dense(2)),
            ("leaky: the negative slope 0.3 becomes 0.25",),
        ),
        (
            chain(layers.Dense(4, "leaky_relu", name="leaky"), layers.Dense(2)),
            ("leaky: the negative slope 0.2 becomes 0.25",),
        ),
        (
            chain(layers.Dense(1, "sigmoid", name="head")),
            ("head: the sigmoid at the end is left out; this does not change the order of the scores",),
        ),
    ],
)  # fmt: skip
def test_what_changes_beyond_rounding_is_told(join, notes):
    assert replacement.replaced(network(join), EVENTS, 8).notes == notes


def relu(x):
    """A function of the user's own, named as Keras' own."""
    return keras.ops.where(x > 0, x, x / 2)


class Monte(layers.Dropout):
    def call(self, inputs, training=None):
        return super().call(inputs, training=True)


class Mine(keras.Model):
    def call(self, x):
        return 2 * super().call(x)


def of_own_class(x):
    return Mine(x, layers.Dense(2)(x), name="mine")(x)


def normalised_along_a_row(x):
    x = layers.BatchNormalization(1, name="it")(layers.Reshape((2, 3))(x))
    return layers.Dense(2)(layers.Flatten()(x))


NO_FORM = (
    "has no quantised form; use Dense, BatchNormalization, Normalization, ReLU, LeakyReLU, Activation, Add, Concatenate, "
    "Flatten or Reshape, or train with QKeras quantisers"
)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            lambda: layers.ReLU(threshold=1.0, name="it"),
            "ReLU jumps at its threshold of 1; use threshold=0",
        ),
        (lambda: layers.PReLU(name="it"), f"PReLU {NO_FORM}"),
        (lambda: layers.ELU(name="it"), f"ELU {NO_FORM}"),
        (lambda: Monte(0.1, name="it"), f"Monte {NO_FORM}"),
        (
            lambda: layers.Activation(relu, name="it"),
            f"the activation {__name__}.relu has no quantised form; use relu, relu6, leaky_relu, tanh, sigmoid or linear, or "
            "softmax at the end",
        ),
        (
            lambda: layers.Dense(6, relu, name="it"),
            f"the activation {__name__}.relu has no quantised form; use relu, relu6, leaky_relu, tanh, sigmoid or linear, or "
            "softmax at the end",
        ),
        (
            lambda: layers.Softmax(name="it"),
            "a softmax inside the network has no quantised form; use softmax only at the end",
        ),
        (
            lambda: layers.Dense(6, dtype="mixed_float16", name="it"),
            "it computes in float16, which no quantised form repeats; make the network with dtype='float32' and give it the "
            "same weights",
        ),
        (lambda: layers.LayerNormalization(name="it"), f"LayerNormalization {NO_FORM}"),
    ],
)  # fmt: skip
def test_what_has_no_quantised_form_is_refused(layer, message):
    model = network(chain(layer(), layers.Dense(2)))
    with pytest.raises(TriggerError) as error:
        quantise(model, EVENTS, 8)
    assert str(error.value) == f"quantization: layer 'it': {message}"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: network(lambda x: [layers.Dense(2)(x), layers.Dense(1)(x)]),
            "'whole' has 2 outputs; quantise a network of one, or train with QKeras quantisers",
        ),
        (
            lambda: network(of_own_class),
            "layer 'mine': Mine is a subclassed model and may compute anything; use the functional API or Sequential",
        ),
        (
            lambda: network(lambda x: layers.Dense(2)(layers.Dropout(0.1, name="it")(x, training=True))),
            "layer 'it': it is called with training=True; remove training= from the call",
        ),
        (
            lambda: network(lambda x: layers.Dense(2)(keras.ops.exp(x))),
            "layer 'exp': the operation Exp of Keras has no quantised form; use a layer that computes the same",
        ),
        (
            lambda: network(
                chain(
                    layers.Reshape((2, 3)), layers.Masking(), layers.GlobalAveragePooling1D(name="it")
                )
            ),
            "layer 'it': its input has a mask, with which GlobalAveragePooling1D computes something else; use no Masking "
            "and mask_zero=False, and set what is absent to zero by a multiplication",
        ),
        (
            lambda: network(normalised_along_a_row),
            "layer 'it': it normalises along axis 1 of the shape (2, 3); use axis=-1",
        ),
        (
            lambda: network(chain(layers.Reshape((2, 3)), layers.Softmax(1, name="it"))),
            "layer 'it': the softmax is along axis 1; use axis=-1",
        ),
        (
            lambda: keras.Sequential([keras.Input((6,), dtype="int32"), layers.Dense(2)]),
            "the input has the dtype int32, to which Keras rounds the events; remove dtype from Input",
        ),
        (
            lambda: Mine(*[keras.Input((6,))] * 2),
            "Mine is a subclassed model and may compute anything: use the functional API or Sequential",
        ),
    ],
)  # fmt: skip
def test_networks_that_cannot_be_quantised(make, message):
    with pytest.raises(TriggerError) as error:
        quantise(make(), EVENTS, 8)
    assert str(error.value) == f"quantization: {message}"


def test_a_replacement_that_is_another_function_is_found(monkeypatch):
    """The check that every quantisation makes first, on a fault planted here."""
    model = network(SAME["an inverted normalisation"])
    layer = model.layers[1].name
    monkeypatch.setattr(float_layers, "normalization", lambda layer: (np.ones(1), np.zeros(1)))
    with pytest.raises(TriggerError) as error:
        quantise(model, EVENTS, 8)
    start = f"quantization: layer {layer!r}: its quantised form differs by "
    end = " before rounding; train with QKeras quantisers, and report this"
    assert str(error.value).startswith(start) and str(error.value).endswith(end)

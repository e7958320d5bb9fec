"""The object decides, not its name; weights are real numbers."""

import h5py
import keras
import numpy as np
import pytest
import qkeras
from keras import layers
from qkeras import QActivation, QDense

from trigger.errors import TriggerError
from trigger.frontends.inexact import Inexact
from trigger.frontends.loading import load
from trigger.frontends.networks import head
from trigger.frontends.qkeras.lowering import lower
from trigger.training.float_baseline import float_baseline

INPUT = "fixed<6,3>"
W = "quantized_bits(4,0,alpha=1)"


def sigmoid(x):
    return keras.ops.sigmoid(-x)


def softmax(x):
    return keras.ops.softmax(-x)


def my_relu_of_tanh(x):
    return x


def ending(*stages):
    x = inputs = keras.Input((4,))
    for stage in stages:
        x = stage(x)
    return keras.Model(inputs, x)


@pytest.mark.parametrize(
    ("last", "kind"),
    [
        (lambda: layers.Dense(2, "softmax"), "softmax"),
        (layers.Softmax, "softmax"),
        (lambda: layers.Dense(2, softmax), "linear"),
        (lambda: layers.Dense(1, "sigmoid"), "sigmoid"),
        (lambda: layers.Dense(1, "hard_sigmoid"), "sigmoid"),
        (lambda: layers.Dense(1, sigmoid), "linear"),
        (lambda: layers.Dense(1, "log_sigmoid"), "linear"),
        (lambda: QActivation("quantized_sigmoid(8)"), "sigmoid"),
        (lambda: QActivation("hard_sigmoid"), "sigmoid"),
        (lambda: QActivation("stochastic_binary"), "linear"),
        (lambda: layers.Dense(2, "log_softmax"), "linear"),
    ],
)
def test_the_head_of_a_network(last, kind):
    assert head(ending(last())) == kind


@pytest.mark.parametrize(
    ("activation", "kind"),
    [
        ("quantized_relu(6,2,use_sigmoid=1)", keras.activations.relu),
        ("quantized_relu_po2(4)", keras.activations.relu),
        ("quantized_tanh(6)", keras.activations.tanh),
        ("quantized_sigmoid(6)", keras.activations.sigmoid),
        ("quantized_hswish(8)", keras.activations.hard_silu),
        ("stochastic_ternary", keras.activations.linear),
        ("bernoulli", keras.activations.linear),
        (qkeras.bernoulli(use_real_sigmoid=False), keras.activations.linear),
        ("binary", keras.activations.linear),
        (my_relu_of_tanh, my_relu_of_tanh),
    ],
)
def test_the_float_form_of_an_activation(activation, kind):
    baseline = float_baseline(ending(QActivation(activation)))
    assert baseline.layers[-1].activation is kind


@pytest.mark.parametrize(
    ("bias", "kind"),
    [
        (np.array([1 + 2j, 0, 0]), "complex128"),
        (np.array([1, 0, 0], dtype=object), "object"),
        (np.array(["1", "0", "0"]), "str32"),
    ],
)
def test_weights_that_are_no_real_numbers(bias, kind):
    layer = QDense(3, kernel_quantizer=W, name="d")
    model = ending(layer)
    layer.bias = bias
    with pytest.raises(Inexact) as refusal:
        lower(model, INPUT)
    assert str(refusal.value.problems[0]) == (
        f"d: its bias is of the type {kind}, which is not real. Remedy: make the layer in float32, and "
        "retrain it or load other weights."
    )


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file:UserWarning")
@pytest.mark.parametrize(("kind", "name"), [("c8", "complex64"), ("O", "object"), ("S4", "|S4")])
def test_files_with_weights_that_are_no_real_numbers(tmp_path, kind, name):
    path = tmp_path / "network.h5"
    ending(layers.Dense(2, use_bias=False, name="d")).save(path)
    with h5py.File(path, "a") as file:
        values = file["model_weights/d/d/kernel"][()]
        del file["model_weights/d/d/kernel"]
        given = values.astype(str).astype(object) if kind == "O" else values.astype(kind)
        file["model_weights/d/d/kernel"] = given
    with pytest.raises(TriggerError) as error:
        load(path)
    assert str(error.value) == (
        f"{path}: the dataset 'model_weights/d/d/kernel' is of the type {name}, but weights must be "
        "real; save the network in float32"
    )

"""QKeras' average pooling: the battery, and every option against the network itself."""

import keras
import numpy as np
import pytest
from as_called import assert_itself, stacked
from battery import WIDTHS, Battery, at_width, parametrize, randomize
from keras import layers
from qkeras import QActivation, QAveragePooling2D, QDense, QGlobalAveragePooling2D

import trigger
from trigger import Inexact
from trigger.fixedpoint import evaluate
from trigger.frontends.networks import Reference, lower, record
from trigger.verification.oracle import agreement

pytest_generate_tests = parametrize

W = "quantized_bits(4,0,alpha=1)"
MEAN = "quantized_bits(8,0,alpha=1)"


def deep(layer, bits, inner, integer):
    x = inputs = keras.Input((3, 3, 2))
    x = QActivation(f"quantized_bits({bits},{bits // 2 - 1},alpha=1)")(x)
    x = layer(f"quantized_relu({inner},{integer})")(x)
    x = QDense(2, kernel_quantizer=W, bias_quantizer=W)(layers.Flatten()(x))
    return randomize(keras.Model(inputs, x), 0)


KINDS = {
    "QAveragePooling2D": lambda a: QAveragePooling2D(
        (2, 3), strides=1, average_quantizer=MEAN, activation=a
    ),
    "QGlobalAveragePooling2D": lambda a: QGlobalAveragePooling2D(
        average_quantizer=MEAN, activation=a
    ),
}


class TestPooling(Battery):
    cases = {
        f"{name} at {w[0]} bits": at_width(w[0], deep, kind, *w)
        for name, kind in KINDS.items()
        for w in WIDTHS
    }


SHAPE = (5, 4, 2)

OPTIONS = {
    "windows": lambda: [QAveragePooling2D((2, 3), average_quantizer=MEAN)],
    "strides": lambda: [QAveragePooling2D(3, strides=1, average_quantizer=MEAN)],
    "same": lambda: [QAveragePooling2D(2, padding="same", average_quantizer=MEAN)],
    "channels first": lambda: [
        QAveragePooling2D((2, 1), data_format="channels_first", average_quantizer=MEAN)
    ],
    "an activation": lambda: [
        QAveragePooling2D(2, average_quantizer=MEAN, activation="quantized_relu(6,3)")
    ],
    "no quantiser": lambda: [QAveragePooling2D(2)],
    "no quantiser, an activation": lambda: [QAveragePooling2D(2, activation="quantized_relu(6,3)")],
    "same, of nine": lambda: [
        QAveragePooling2D(3, padding="same", strides=1, average_quantizer=MEAN)
    ],
    "no quantiser, nine rounded by the activation": lambda: [
        QAveragePooling2D(3, strides=1, activation="quantized_bits(8,5,alpha=1)")
    ],
    "no quantiser, nine rounded after it": lambda: [
        QAveragePooling2D(3, strides=1),
        QActivation("quantized_bits(8,5,alpha=1)"),
    ],
    "power of two": lambda: [QAveragePooling2D(3, average_quantizer="quantized_po2(4)")],
    "all": lambda: [QGlobalAveragePooling2D(average_quantizer=MEAN)],
    "all, channels first": lambda: [
        QGlobalAveragePooling2D(data_format="channels_first", average_quantizer=MEAN)
    ],
    "all, keepdims": lambda: [QGlobalAveragePooling2D(average_quantizer=MEAN, keepdims=True)],
    "all, an activation": lambda: [
        QGlobalAveragePooling2D(average_quantizer=MEAN, activation="quantized_bits(6,3,alpha=1)")
    ],
    "all, no quantiser": lambda: [layers.Cropping2D(((1, 0), 0)), QGlobalAveragePooling2D()],
    "over time": lambda: [
        layers.Reshape((2, 5, 4, 1)),
        layers.TimeDistributed(QAveragePooling2D((2, 3), average_quantizer=MEAN)),
    ],
}


@pytest.mark.parametrize("option", OPTIONS)
def test_options(option):
    assert_itself(stacked(SHAPE, *OPTIONS[option]()), "fixed<9,6>")


def test_values_beyond_float32():
    """QKeras casts the events to float32; the graph and its reference do not."""
    model = stacked(SHAPE, QAveragePooling2D(2, average_quantizer=MEAN))
    graph = lower(model, "fixed<40,6>")
    x = np.random.default_rng(0).integers(-(2**39), 2**39, (300, 40)) / 2**34
    np.testing.assert_array_equal(Reference(model, graph).predict(x), evaluate.predict(graph, x))
    found = agreement(graph, record(model, x)).comparison
    assert found.equal, str(found.witness)


REFUSED = {
    "same, with windows of three elements": (
        QAveragePooling2D((5, 1), padding="same", strides=1, average_quantizer=MEAN, name="p"),
        "p: it divides by 3 at some places, and multiplies by 5. "
        'Remedy: use padding="valid", with ZeroPadding2D before it.',
    ),
    "no quantiser, and relu": (
        QAveragePooling2D(3, name="p", activation="relu"),
        "p: it divides by 9, which is not a power of two. Remedy: put a quantiser after it, such as "
        'QActivation("quantized_bits(8,3,alpha=1)"), or average 2, 4, 8 … values.',
    ),
    "no quantiser": (
        QAveragePooling2D(3, name="p"),
        "p: it divides by 9, which is not a power of two. Remedy: put a quantiser after it, such as "
        'QActivation("quantized_bits(8,3,alpha=1)"), or average 2, 4, 8 … values.',
    ),
}


@pytest.mark.parametrize("seed", range(4))
def test_a_random_reciprocal_is_refused_whatever_is_drawn(seed):
    """Three calls of bernoulli give the same number every fourth time."""
    keras.utils.set_random_seed(seed)
    layer = QAveragePooling2D(3, average_quantizer="bernoulli()", name="p")
    x = keras.Input((3, 3, 1))
    with pytest.raises(Inexact) as error:
        trigger.lower(keras.Model(x, layer(x)), "fixed<6,3>")
    assert str(error.value.problems[0]) == (
        "p: its average_quantizer is random. Remedy: use quantized_bits with alpha=1."
    )


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    layer, message = REFUSED[name]
    with pytest.raises(Inexact) as error:
        lower(stacked(SHAPE, layer), "fixed<6,3>")
    assert str(error.value.problems[0]) == message

"""A second witness: alkaid converts HGQ2's layers by a plug-in of its own; our graphs give the same
integers (`make test-hgq`).
"""

import keras
import numpy as np
import pytest

pytest.importorskip("hgq", reason="the extra [hgq] is not installed; `make test-hgq` has it")

from alkaid.converter import trace_model
from alkaid.trace import trace
from hgq.config import QuantizerConfig
from hgq.layers import (
    QAdd,
    QAveragePow2,
    QAvgPool1D,
    QBatchNormalization,
    QBatchNormDense,
    QConv1D,
    QConv2D,
    QDense,
    QEinsumDense,
    QGlobalMaxPool1D,
    QMaximum,
    QMaxPool2D,
    QMeanPow2,
    QMinimum,
    QMultiply,
    QSoftmax,
    QSubtract,
    QSum,
    Quantizer,
    QUnaryFunctionLUT,
)
from hgq_networks import INPUT, randomise

from trigger.fixedpoint import evaluate
from trigger.fixedpoint.evaluate import quantize_inputs
from trigger.frontends.networks import lower
from trigger.verification.compare import to_integers

# The sign, integer and fractional bits of INPUT, as alkaid counts them.
KIF = (1, 3, 6)


def network(inputs, outputs):
    """With widths at which alkaid converts every one of these networks as HGQ2 computes it; with
    some others it adds wrong constants, or fails where a whole vector has no bits.
    """
    return randomise(keras.Model(inputs, outputs), 6)


def image():
    x = inputs = keras.Input((7, 6, 2))
    x = QConv2D(3, (2, 3), padding="same", strides=(2, 1), activation="relu")(x)
    x = QMaxPool2D(2)(QBatchNormalization()(x))
    return network(inputs, QDense(3)(keras.layers.Flatten()(x)))


def line():
    x = inputs = keras.Input((9, 4))
    x = QConv1D(6, 3, dilation_rate=2, activation="relu")(x)
    x = QAvgPool1D(2)(QConv1D(4, 2, strides=2, enable_oq=True)(x))
    return network(inputs, QDense(2)(QGlobalMaxPool1D()(x)))


def particles():
    x = inputs = keras.Input((4, 3))
    x = QBatchNormDense(5, activation="relu")(x)
    x = QEinsumDense("abc,bd->adc", (2, 5), bias_axes="dc")(x)
    return network(inputs, QDense(2)(QMeanPow2(axes=1)(Quantizer()(x))))


def merged():
    x = inputs = keras.Input((4, 3))
    a, b = QDense(3, activation="relu")(x), QDense(3)(x)
    gated = QMultiply()([a, b])
    ends = QSubtract()([QMaximum()([a, gated]), QMinimum()([b, gated])])
    return network(inputs, QSum(axes=1, scale=0.5)(QAveragePow2()([ends, gated, a])))


def several():
    objects, event = keras.Input((3, 2)), keras.Input((2,))
    x = keras.layers.Concatenate()([QSum(axes=1)(QDense(4, activation="relu")(objects)), event])
    hidden = QDense(4, activation="relu")(x)
    return network([objects, event], [QDense(2)(hidden), QDense(1)(QAdd()([hidden, QDense(4)(x)]))])


def values():
    return QuantizerConfig("kif", "table", i0=1, f0=6, overflow_mode="SAT")


def addresses():
    return QuantizerConfig("kif", "datalane", i0=2, f0=3)


def tables():
    """A softmax with values other than 0 and 1, and a function that decreases."""
    inputs = keras.Input((4,))
    x = QUnaryFunctionLUT("gelu", iq_conf=addresses(), oq_conf=values())(inputs)
    x = QSoftmax(
        exp_iq_conf=addresses(),
        exp_oq_conf=values(),
        inv_iq_conf=addresses(),
        inv_oq_conf=values(),
    )(x)
    return keras.Model(inputs, x)


@pytest.mark.parametrize("make", [image, line, particles, merged, several, tables])
def test_alkaid_gives_the_same_integers(make):
    model = make()
    graph = lower(model, INPUT)
    logic = trace(*trace_model(model, inputs_kif=KIF))
    x = np.random.default_rng(0).integers(-512, 512, (2000, len(graph.input.types))) / 64
    expected, off_grid = to_integers(graph, logic.predict(x))
    found = evaluate.run(graph, quantize_inputs(graph, x))
    assert not off_grid.any()
    assert len(np.unique(found)) > 3
    np.testing.assert_array_equal(found, expected)

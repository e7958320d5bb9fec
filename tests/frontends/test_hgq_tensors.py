"""HGQ2's layers on tensors, with every option: graph = reference = the network itself, or refused
(`make test-hgq`).
"""

import keras
import pytest
from battery import Battery, parametrize

pytest.importorskip("hgq", reason="the extra [hgq] is not installed; `make test-hgq` has it")

from hgq.config import QuantizerConfig
from hgq.layers import (
    QBatchNormDense,
    QConv1D,
    QConv2D,
    QDense,
    QEinsumDense,
    QEinsumDenseBatchnorm,
)
from hgq_networks import INPUT, alone, assert_exact, randomise, refusal

from trigger.frontends.networks import lower

pytest_generate_tests = parametrize


def by_channel():
    """Types for each channel, the same at every position."""
    return QuantizerConfig("kif", "datalane", heterogeneous_axis=(2,), homogeneous_axis=None)


def einsum(equation, output, bias):
    return QEinsumDense(equation, output, bias_axes=bias)


LINE = (7, 4)
PLANE = (6, 5, 2)
MATRIX = (3, 4)
EXACT = {
    "dense on a matrix": (MATRIX, lambda: QDense(3, activation="relu")),
    "dense on a tensor": ((2, 3, 4), lambda: QDense(3, enable_oq=True)),
    "dense with a type for each feature": (MATRIX, lambda: QDense(3, iq_conf=by_channel())),
    "batch norm dense on a matrix": (MATRIX, lambda: QBatchNormDense(3)),
    "conv1d": (LINE, lambda: QConv1D(6, 3)),
    "conv1d strides": (LINE, lambda: QConv1D(6, 3, strides=2)),
    "conv1d same": (LINE, lambda: QConv1D(6, 3, padding="same")),
    "conv1d same strides": (LINE, lambda: QConv1D(6, 4, padding="same", strides=3)),
    "conv1d dilation": (LINE, lambda: QConv1D(6, 3, dilation_rate=2)),
    "conv1d causal": (LINE, lambda: QConv1D(6, 3, padding="causal", iq_conf=by_channel())),
    "conv1d causal strides": (
        LINE,
        lambda: QConv1D(6, 3, padding="causal", strides=2, enable_iq=False, enable_ebops=False),
    ),
    "conv1d causal of one position": (LINE, lambda: QConv1D(6, 1, padding="causal")),
    "conv1d groups": (LINE, lambda: QConv1D(6, 3, groups=2)),
    "conv1d without bias": (LINE, lambda: QConv1D(6, 3, use_bias=False)),
    "conv1d relu and output quantiser": (
        LINE, lambda: QConv1D(6, 3, activation="relu", enable_oq=True)
    ),
    "conv2d": (PLANE, lambda: QConv2D(4, (3, 2))),
    "conv2d strides": (PLANE, lambda: QConv2D(4, 2, strides=(2, 1))),
    "conv2d same": (PLANE, lambda: QConv2D(4, (3, 2), padding="same")),
    "conv2d same strides": (PLANE, lambda: QConv2D(4, 3, padding="same", strides=2)),
    "conv2d dilation": (PLANE, lambda: QConv2D(4, 2, dilation_rate=(2, 3))),
    "conv2d groups": (PLANE, lambda: QConv2D(4, 2, groups=2)),
    "einsum on a vector": ((4,), lambda: einsum("ab,bc->ac", (3,), "c")),
    "einsum of any rank": (MATRIX, lambda: einsum("...x,xy->...y", (3, 5), "y")),
    "einsum before any rank": (MATRIX, lambda: einsum("ab...,bc->ac...", (5, 4), "c")),
    "einsum": (MATRIX, lambda: einsum("abc,cd->abd", (3, 5), "d")),
    "einsum without bias": (MATRIX, lambda: einsum("abc,cd->abd", (3, 5), None)),
    "einsum with a transposed kernel": (MATRIX, lambda: einsum("abc,dc->abd", (3, 5), None)),
    "einsum with a bias for each element": (MATRIX, lambda: einsum("abc,cd->abd", (3, 5), "bd")),
    "einsum with a bias for each position": (MATRIX, lambda: einsum("abc,cd->abd", (3, 5), "b")),
    "einsum with a bias for each position of a square": (
        (2, 2),
        lambda: einsum("abc,cd->abd", (2, 2), "b"),
    ),
    "einsum with a bias for one element alone": ((3, 4), lambda: einsum("abc,cd->abd", (3, 1), "b")),
    "einsum to one number": (MATRIX, lambda: einsum("abc,c->ab", (3,), None)),
    "einsum over positions": (MATRIX, lambda: einsum("abc,bd->acd", (4, 5), "d")),
    "einsum in another order": (MATRIX, lambda: einsum("abc,bd->adc", (5, 4), "d")),
    "einsum with two new axes": (MATRIX, lambda: einsum("abc,cde->abde", (3, 2, 5), "de")),
    "einsum over both axes": (MATRIX, lambda: einsum("abc,bcd->ad", (5,), "d")),
    "einsum with a sum": (MATRIX, lambda: einsum("abc,cd->ad", (5,), "d")),
    "einsum batch norm": (
        MATRIX,
        lambda: QEinsumDenseBatchnorm("abc,cd->adb", (5, 3), bias_axes="d", activation="relu"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("option", EXACT)
def test_every_option_is_that_of_hgq2(option):
    shape, make = EXACT[option]
    assert_exact(alone(shape, make()))


REFUSED = {
    "types for positions that causal padding adds to": (
        LINE,
        lambda: QConv1D(6, 3, padding="causal", dilation_rate=2),
        "HGQ2 pads its input to 11 positions and then quantises it by types for 7, which fails. "
        'Remedy: use ZeroPadding1D((4, 0)) before it and padding="valid".',
    ),
    "channels first": (
        LINE,
        lambda: QConv1D(6, 3, data_format="channels_first"),
        'data_format="channels_first", which TensorFlow cannot compute on a CPU in float64. Remedy: '
        'use data_format="channels_last", with a Permute before and after it.',
    ),
    "an activation": (
        LINE,
        lambda: QConv1D(6, 3, activation="tanh"),
        "the activation tanh has no exact fixed-point form. Remedy: use relu, or a "
        "QUnaryFunctionLUT after the layer.",
    ),
    "a kernel for each position": (
        MATRIX,
        lambda: einsum("abc,bcd->abd", (3, 5), "d"),
        "its equation abc,bcd->abd has another kernel at each place of the axis b. Remedy: use an "
        "equation whose kernel has no axis b, such as abc,cd->abd, or slices of the input and a "
        "QDense for each.",
    ),
    "a diagonal": (
        (4, 4),
        lambda: einsum("abb,bc->ac", (5,), "c"),
        "its equation abb,bc->ac has one axis twice. Remedy: use each axis once, as in "
        "abc,cd->abd.",
    ),
}


@pytest.mark.parametrize("option", REFUSED)
def test_what_cannot_be_exact_is_refused(option):
    shape, make, message = REFUSED[option]
    x = inputs = keras.Input(shape)
    # A layer of its own after it, so that no activation is that of a head.
    model = keras.Model(inputs, QDense(2)(make()(x)))
    assert refusal(model) == message


def test_a_convolution_is_one_matrix_at_many_positions():
    graph = lower(alone((20, 3), QConv1D(4, 3, name="conv")), INPUT)
    (dense,) = (node for node in graph.nodes if node.name == "conv")
    assert dense.positions == 18
    assert dense.weights.values.shape == (9, 4)


def image():
    """Two convolutions, then a Dense layer."""
    x = inputs = keras.Input((5, 4, 2))
    x = QConv2D(3, (2, 3), padding="same", activation="relu")(x)
    x = QConv2D(2, 2, strides=2)(x)
    x = QDense(2)(keras.layers.Flatten()(x))
    return randomise(keras.Model(inputs, x), 5)


def particles():
    """One network for each of four particles, then one for all."""
    x = inputs = keras.Input((4, 3))
    x = QDense(5, activation="relu")(x)
    x = QEinsumDense("abc,bd->adc", (2, 5), bias_axes="dc")(x)
    x = QConv1D(3, 2, padding="causal", iq_conf=by_channel())(x)
    x = QDense(2)(keras.layers.Flatten()(x))
    return randomise(keras.Model(inputs, x), 6)


class TestTensors(Battery):
    inputs = INPUT
    cases = {"image": image, "particles": particles}

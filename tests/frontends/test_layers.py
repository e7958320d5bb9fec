"""Every layer the frontend knows: the battery at three widths."""

from functools import partial

import keras
import numpy as np
import qkeras
from battery import FEATURES, WIDTHS, Battery, around, at_width, parametrize, randomize
from keras import layers
from qkeras import QActivation, QDense
from qkeras.qdense_batchnorm import QDenseBatchnorm

from trigger.layers import LookupLayer, PopCount, TableDense, Thermometer

pytest_generate_tests = parametrize

W = "quantized_bits(5,1,alpha=1)"
RELU = "quantized_relu(5,2)"


def at_all_widths(**middles) -> dict:
    """A case for each layer and input width. A fresh layer for each: Keras layers remember where they were used."""
    return {
        f"{name} on {bits[0]} bits": at_width(bits[0], _network, make, bits[0])
        for name, make in middles.items()
        for bits in WIDTHS
    }


def _network(make, inputs):
    return around(make(), inputs)


def _dense(**options):
    return lambda: QDense(5, **{"kernel_quantizer": W, "bias_quantizer": W, **options})


def _then_quantize(layer):
    return lambda x: QActivation("quantized_bits(8,3,alpha=1)")(layer(x))


def _skip(x):
    return layers.Add()(
        [
            QDense(7, kernel_quantizer=W, bias_quantizer=W)(QActivation(RELU)(x)),
            QActivation("quantized_tanh(6)")(x),
        ]
    )


def _three_branches(x):
    branches = [
        QActivation(text)(x)
        for text in (RELU, "quantized_bits(4,1,alpha=1)", "quantized_bits(7,-1,alpha=1)")
    ]
    return layers.Concatenate()([layers.Add()(branches), branches[1]])


def _weightless(x):
    """Neurons that read comparators, neurons and a quantiser of one bit, beside a Dense and tables
    on edges.
    """
    first = LookupLayer(6, n=4, seed=1)(Thermometer(3)(x))
    sign = QActivation("quantized_relu(1,1)")(x)
    second = LookupLayer(4, n=3, seed=2)(layers.Concatenate()([first, sign]))
    dense = QActivation(RELU)(QDense(2, kernel_quantizer=W, bias_quantizer=W)(first))
    edges = TableDense(2, seed=2)(TableDense(3, bits=4, seed=1)(x))
    return layers.Concatenate()([PopCount(2)(second), dense, edges])


def _shared(x):
    dense = QDense(7, kernel_quantizer=W, bias_quantizer=W)
    return QActivation(RELU)(dense(QActivation(RELU)(dense(QActivation(RELU)(x)))))


def _reshapes(x):
    return layers.Flatten()(QActivation(RELU)(layers.Reshape((7, 1))(layers.Dropout(0.5)(x))))


class TestDense(Battery):
    cases = at_all_widths(
        plain=_dense(),
        no_bias=_dense(use_bias=False),
        bias_not_quantised=_dense(bias_quantizer=None),
        default_alpha=_dense(kernel_quantizer="quantized_bits(4,0)"),
        auto_po2=_dense(kernel_quantizer="quantized_bits(4,0,alpha='auto_po2')"),
        alpha_quarter=_dense(kernel_quantizer="quantized_bits(4,0,alpha=0.25)"),
        one_bit=_dense(kernel_quantizer="quantized_bits(1,0,alpha=1)"),
        unsigned=_dense(kernel_quantizer="quantized_bits(4,0,keep_negative=False,alpha=1)"),
        linear=_dense(kernel_quantizer="quantized_linear(4,0)"),
        po2=_dense(
            kernel_quantizer="quantized_po2(4,max_value=1)", bias_quantizer="quantized_po2(4)"
        ),
        binary=_dense(kernel_quantizer="binary(alpha=1)"),
        binary_auto_po2=_dense(kernel_quantizer="binary(alpha='auto_po2')"),
        ternary=_dense(kernel_quantizer="ternary(alpha=1)"),
        ternary_auto_po2=_dense(kernel_quantizer="ternary(alpha='auto_po2')"),
        stochastic_ternary=_dense(kernel_quantizer="stochastic_ternary(alpha='auto_po2')"),
        stochastic_binary=_dense(kernel_quantizer="stochastic_binary(alpha=1)"),
        with_quantised_activation=_dense(activation=RELU),
        with_relu=_dense(activation="relu"),
        with_tanh=_dense(activation="quantized_tanh(5)"),
        dense_batchnorm=lambda: QDenseBatchnorm(5, kernel_quantizer=W, bias_quantizer=W),
        dense_batchnorm_relu=lambda: QDenseBatchnorm(
            5, kernel_quantizer=W, bias_quantizer=W, activation=RELU
        ),
    )


class TestActivations(Battery):
    cases = at_all_widths(
        relu=layers.ReLU,
        relu6=partial(layers.ReLU, 6.0),
        relu_leaky=partial(layers.ReLU, negative_slope=0.25),
        relu_leaky_bounded=partial(layers.ReLU, 2.0, negative_slope=0.5),
        leaky_relu=partial(layers.LeakyReLU, 0.125),
        activation_relu=partial(layers.Activation, "relu"),
        activation_relu6=partial(layers.Activation, "relu6"),
        activation_hard_tanh=partial(layers.Activation, "hard_tanh"),
        activation_linear=partial(layers.Activation, "linear"),
    )


class TestNormalizations(Battery):
    cases = at_all_widths(
        batch_normalization=lambda: _then_quantize(layers.BatchNormalization()),
        batch_normalization_bare=lambda: _then_quantize(
            layers.BatchNormalization(scale=False, center=False)
        ),
        q_batch_normalization=lambda: _then_quantize(qkeras.QBatchNormalization()),
        q_batch_normalization_inverse=lambda: _then_quantize(
            qkeras.QBatchNormalization(
                gamma_quantizer=None,
                variance_quantizer=None,
                inverse_quantizer="quantized_bits(6,2,alpha=1)",
            )
        ),
        normalization=lambda: _then_quantize(
            layers.Normalization(
                mean=[0.5, -1, 0, 2, 0.25, 1, -3], variance=[4, 1, 0.25, 16, 1, 4, 64]
            )
        ),
    )


def _squares(x):
    x = QDense(3, kernel_quantizer=W, bias_quantizer=W)(x)
    signed = QActivation("quantized_bits(5,1,alpha=1)")(x)
    unsigned = QActivation("quantized_relu(4,1)")(x)
    return layers.Concatenate()(
        [layers.Dot(axes=1)([signed, signed]), layers.Dot(axes=-1)([unsigned, unsigned])]
    )


def _wide_squares(x):
    """Of sums of 14 bits and of values of 12."""
    x = QDense(2, kernel_quantizer=W, bias_quantizer=W)(x)
    unsigned = QActivation("quantized_relu(12,4)")(x)
    return layers.Concatenate()(
        [layers.Dot(axes=1)([x, x]), layers.Dot(axes=1)([unsigned, unsigned])]
    )


class TestStructure(Battery):
    cases = at_all_widths(
        skip=lambda: _skip,
        three_branches=lambda: _three_branches,
        shared_layer=lambda: _shared,
        twice=lambda: _twice,
        reshapes=lambda: _reshapes,
        squares=lambda: _squares,
        two_quantisers=lambda: (
            lambda x: QActivation("quantized_bits(4,1,alpha=1)")(
                QActivation("quantized_bits(9,2,alpha=1)")(x)
            )
        ),
    ) | {
        "wide squares": partial(around, _wide_squares, 5),
        "weightless": partial(around, _weightless, 5),
    }


def _twice(x):
    """One value joined and added to itself, on steps so coarse that the bound lies between two of them."""
    x = QDense(4, kernel_quantizer="quantized_bits(5,7,alpha=1)", use_bias=False)(x)
    x = layers.ReLU(6)(x)
    return layers.Concatenate()([x, layers.Add()([x, x, x]), x])


def _awkward_names(x):
    names = (
        "float",
        "1st layer",
        "a-b",
        "a.b",
        "input",
        "inputs",
        "out",
        "nnet",
        "Out",
        "ap_fixed",
        "é",
    )
    for name in names:
        x = QActivation(RELU, name=f"{name}")(
            QDense(4, kernel_quantizer=W, bias_quantizer=W, name=f"{name} sum")(x)
        )
    return x


class TestNames(Battery):
    """Names of layers that C++ or hls4ml would stumble over."""

    cases = at_all_widths(awkward=lambda: _awkward_names)


def _head(activation, bits):
    x = inputs = keras.Input((FEATURES,))
    x = QActivation(f"quantized_bits({bits},{bits // 2},alpha=1)")(x)
    x = QDense(4, kernel_quantizer=W, bias_quantizer=W)(x)
    x = QActivation("quantized_bits(10,3,alpha=1)")(x)
    return randomize(keras.Model(inputs, layers.Activation(activation)(x)), 3)


def _wide_head(activation):
    x = inputs = keras.Input((FEATURES,))
    x = QActivation("quantized_bits(14,4,alpha=1)")(x)
    x = QDense(2, kernel_quantizer="quantized_bits(9,1,alpha=1)", bias_quantizer=W)(x)
    return randomize(keras.Model(inputs, layers.Activation(activation)(x)), 3)


class TestHeads(Battery):
    cases = {
        f"{name} on {bits[0]} bits": at_width(bits[0], _head, name, bits[0])
        for name in ("softmax", "sigmoid", "tanh", "hard_sigmoid", "hard_tanh", "linear")
        for bits in WIDTHS
    } | {f"wide {name}": partial(_wide_head, name) for name in ("sigmoid", "tanh", "hard_sigmoid")}


def _input_quantizer(text):
    x = inputs = keras.Input((FEATURES,))
    return keras.Model(inputs, QActivation(text)(x))


class TestInputQuantizers(Battery):
    """The quantiser of the inputs alone, on numbers off its grid and out of its range."""

    cases = {
        text: partial(_input_quantizer, text)
        for text in (
            "quantized_bits(8,2,alpha=1)",
            "quantized_bits(8,2,symmetric=1,alpha=1)",
            "quantized_bits(8,2,keep_negative=False,alpha=1)",
            "quantized_relu(6,3)",
        )
    }


def _typed_inputs():
    x = inputs = keras.Input((2, 3))
    x = layers.Flatten()(layers.Normalization(mean=[1, 0, -2], variance=[4, 1, 1 / 16])(x))
    x = QDense(4, kernel_quantizer=W, bias_quantizer=W, activation=RELU)(x)
    return randomize(keras.Model(inputs, QDense(2, kernel_quantizer=W, bias_quantizer=W)(x)), 1)


class TestTypedInputs(Battery):
    """Networks that do not quantise their inputs: the hardware type is given."""

    inputs = "fixed<9,4>"
    cases = {
        "normalization": _typed_inputs,
        "its own input": lambda: keras.Sequential([keras.Input((5,)), layers.Dropout(0.5)]),
        "sequential": lambda: randomize(
            keras.Sequential(
                [
                    keras.Input((5,)),
                    QDense(3, kernel_quantizer=W, bias_quantizer=W),
                    QActivation(RELU),
                ]
            ),
            2,
        ),
    }


def test_normalization_keeps_its_statistics():
    model = _typed_inputs()
    layer = model.layers[1]
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(layer.mean).ravel(), [1, 0, -2])

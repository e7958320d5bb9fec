"""docs/reference/refused.md: every network in it is refused, with the reason and the remedy that the page gives.

Run as a script, this file writes the page.
"""

import textwrap

import keras
import numpy as np
import pytest
import qkeras
from as_called import assert_itself
from keras import layers, ops
from qkeras import QLSTM, QActivation, QAveragePooling2D, QConv1D, QConv2D, QDense, QSimpleRNN
from refused_page import (
    IMAGE,
    PAGE,
    STEPS,
    VECTOR,
    Refused,
    assert_own,
    cases,
    one,
    others,
    parts,
    without_a_form,
)

import trigger
from trigger.frontends.inexact import Inexact
from trigger.layers import PopCount, Thermometer

W = "quantized_bits(4,0,alpha=1)"
KERNEL = {"kernel_quantizer": W, "bias_quantizer": W}
GATES = {"activation": "quantized_tanh(4)", "recurrent_quantizer": W, **KERNEL}
BITS = "quantized_bits(8,3,alpha=1)"

CASES = {
    "Kernels, sums and averages": {
        "`Dense` without a quantiser": one(VECTOR, layers.Dense(3)),
        "`Conv1D` without a quantiser": one(STEPS, layers.Conv1D(3, 2)),
        "`Conv2D` without a quantiser": one(IMAGE, layers.Conv2D(3, 2)),
        "`DepthwiseConv2D` without one": one(IMAGE, layers.DepthwiseConv2D(2)),
        "`SeparableConv1D` without one": one(STEPS, layers.SeparableConv1D(3, 2)),
        "`SeparableConv2D` without one": one(IMAGE, layers.SeparableConv2D(3, 2)),
        '`QConv2D(…, data_format="channels_first")`': one(
            IMAGE, QConv2D(3, 2, data_format="channels_first", **KERNEL)
        ),
        '`QConv1D(…, padding="causal", dilation_rate=2)`': one(
            STEPS, QConv1D(3, 2, padding="causal", dilation_rate=2, **KERNEL)
        ),
        "`QDense` with `alpha=0.3`": one(
            VECTOR, QDense(3, kernel_quantizer="quantized_bits(4,0,alpha=0.3)")
        ),
        "`QDense` of 16 bits, four times": Refused(
            VECTOR,
            tuple(QDense(4, kernel_quantizer="quantized_bits(16,0,alpha=1)") for _ in range(4)),
        ),
        "`AveragePooling1D(3)`": one(STEPS, layers.AveragePooling1D(3)),
        '`AveragePooling2D(4, padding="same")`': one(
            (5, 6, 2), layers.AveragePooling2D(4, 4, padding="same")
        ),
        "`QAveragePooling2D(3)` without a quantiser": one((6, 6, 1), QAveragePooling2D(3)),
        "`GlobalAveragePooling1D` of five steps": one(STEPS, layers.GlobalAveragePooling1D()),
        "`Average` of three": one(VECTOR, lambda x: layers.Average()([x, -x, ops.relu(x)])),
        '`UpSampling2D(2, interpolation="bilinear")`': one(
            IMAGE, layers.UpSampling2D(2, interpolation="bilinear")
        ),
        "`Dot(1, normalize=True)`": one(VECTOR, lambda x: layers.Dot(1, normalize=True)([x, x])),
        "`Normalization` with any deviation": one(
            VECTOR, layers.Normalization(mean=[0.0] * 4, variance=[3.0] * 4)
        ),
        "`Rescaling(1 / 255)`": one(VECTOR, layers.Rescaling(1 / 255)),
    },
    "Activations and quantisers": {
        **{
            f"`{name}`, without a quantiser after it": one(VECTOR, layers.Activation(name))
            for name in ("elu", "selu", "silu", "gelu", "softplus", "exponential", "hard_silu")
        },
        "`tanh` with a layer after it": Refused(
            VECTOR, (layers.Activation("tanh"), QDense(2, **KERNEL))
        ),
        "`sigmoid` with a layer after it": Refused(
            VECTOR, (layers.Activation("sigmoid"), QDense(2, **KERNEL))
        ),
        "`softmax` with a layer after it": Refused(VECTOR, (layers.Softmax(), QDense(2, **KERNEL))),
        "`LeakyReLU(0.3)`": one(VECTOR, layers.LeakyReLU(0.3)),
        "`ReLU(threshold=1)`": one(VECTOR, layers.ReLU(threshold=1.0)),
        '`quantized_bits` with `alpha="auto"`': one(
            VECTOR, QActivation("quantized_bits(8,2,alpha='auto')")
        ),
        "`quantized_bits` with `alpha=0.3`": one(
            VECTOR, QActivation("quantized_bits(8,2,alpha=0.3)")
        ),
        "`quantized_ulaw`": one(VECTOR, QActivation("quantized_ulaw(6)")),
        "`exponential` of a wide range, quantised": Refused(
            VECTOR, (layers.Activation("exponential"), QActivation(BITS)), "fixed<12,6>"
        ),
        "`gelu` of 18 bits, quantised": Refused(
            VECTOR, (layers.Activation("gelu"), QActivation(BITS)), "fixed<18,4>"
        ),
    },
    "Functions of `keras.ops` and operators": {
        "`ops.exp(x)`, without a quantiser": one(VECTOR, ops.exp),
        "`1 / x`, where x may be 0": Refused(VECTOR, (lambda x: 1 / x, QActivation(BITS))),
        "`ops.mean(x, 1)` of five": one(STEPS, lambda x: ops.mean(x, 1)),
        "`x * 0.1`": one(VECTOR, lambda x: x * 0.1),
        "`x + c`, c of a shape (n, 1) for (n, n)": one(
            STEPS, lambda x: ops.matmul(x, ops.swapaxes(x, 1, 2)) + np.ones((5, 1), np.float32)
        ),
        "`ops.sum(x)`, over the events": one(VECTOR, lambda x: x * ops.sum(x)),
        "`x[:2, :]`, of the events": one(VECTOR, lambda x: x[:2, :]),
        "`ops.cumsum(x, 1)`": one(VECTOR, lambda x: ops.cumsum(x, 1)),
        "`ops.where(x, x, 1.0)`": one(VECTOR, lambda x: ops.where(x, x, 1.0)),
        '`ops.cast(x, "int32")`': one(VECTOR, lambda x: ops.cast(x, "int32") * x),
        "`ops.einsum` of three values": one(
            STEPS, lambda x: ops.einsum("eij,eik,eil->ejkl", x, x, x)
        ),
    },
    "Recurrent layers, indices and masks": {
        "`LSTM` without quantisers": one(STEPS, layers.LSTM(3)),
        "`GRU` without quantisers": one(STEPS, layers.GRU(3)),
        "`SimpleRNN` without quantisers": one(STEPS, layers.SimpleRNN(3)),
        '`QSimpleRNN` with `activation="tanh"`': one(
            STEPS, QSimpleRNN(3, **{**GATES, "activation": "tanh"})
        ),
        "`QLSTM` of a state without a quantiser, 12 steps": one(
            (12, 2),
            QLSTM(
                3,
                **{**GATES, "activation": BITS, "recurrent_activation": "quantized_sigmoid(4)"},
            ),
        ),
        "`Embedding(10, 2)` of indices up to 15": one(
            VECTOR, layers.Embedding(10, 2), "ufixed<4,4>"
        ),
        "`Masking`, then a mean": Refused(
            (4, 2), (layers.Masking(), layers.GlobalAveragePooling1D())
        ),
        "`Masking`, then `QSimpleRNN`": Refused((4, 2), (layers.Masking(), QSimpleRNN(3, **GATES))),
    },
    "Inputs": {
        "an input of an open shape": one((None, 4), layers.ReLU()),
        "an input without a type": one(VECTOR, layers.ReLU(), None),
    },
}

EXACT = """
Dense Conv1D Conv2D DepthwiseConv1D DepthwiseConv2D SeparableConv1D SeparableConv2D QDense
QDenseBatchnorm QConv1D QConv2D QConv2DBatchnorm QDepthwiseConv2D QDepthwiseConv2DBatchnorm
QSeparableConv1D QSeparableConv2D AveragePooling1D AveragePooling2D GlobalAveragePooling1D
GlobalAveragePooling2D QAveragePooling2D QGlobalAveragePooling2D MaxPooling1D MaxPooling2D
GlobalMaxPooling1D GlobalMaxPooling2D BatchNormalization QBatchNormalization Normalization SimpleRNN
GRU LSTM QSimpleRNN QGRU QLSTM Bidirectional QBidirectional Activation QActivation ReLU LeakyReLU
PReLU ELU Softmax Embedding Add Subtract Multiply Average Maximum Minimum Concatenate Dot Rescaling
Flatten Reshape Permute RepeatVector Cropping1D Cropping2D ZeroPadding1D ZeroPadding2D UpSampling1D
UpSampling2D Masking TimeDistributed Identity ActivityRegularization Dropout AlphaDropout
GaussianDropout GaussianNoise SpatialDropout1D SpatialDropout2D SpatialDropout3D
"""
# Base classes, parts of layers, and a subclass of Embedding, which is refused as such.
NO_LAYERS = {"InputLayer", "Layer", "Wrapper", "GRUCell", "LSTMCell", "SimpleRNNCell"}
NO_LAYERS |= {"QGRUCell", "QLSTMCell", "QSimpleRNNCell", "Model", "ReversibleEmbedding"}


def layers_without_a_form() -> dict[str, list[str]]:
    """The layers of Keras and QKeras that have no exact form, by their remedy."""
    return without_a_form((layers, qkeras), NO_LAYERS.union(EXACT.split()))


HEAD = """# What is refused, and what to write instead

A network is compiled exactly, or refused with the layer, the reason and the remedy. `trigger build`
refuses a network before it trains it; `trigger.lower` and `trigger build --network` refuse it when
they read it. The message lists all problems of the network. The tables below quote these messages:
a test makes each of the networks and compares.

These layers of Keras and QKeras have an exact form:

{exact}.

Layers that learn a kernel need a quantiser for it; `ELU` needs a quantiser after it. The layers of
HGQ2 [follow at the end](#networks-of-hgq2).
"""


def page() -> str:
    exact = ", ".join(f"`{name}`" for name in sorted(EXACT.split()))
    text = HEAD.replace("{exact}.", textwrap.fill(f"{exact}.", 100))
    text += "".join(cases(f"## {title}", refused) for title, refused in CASES.items())
    return text + others("## Layers without an exact form", layers_without_a_form())


def test_the_page_is_what_the_program_says():
    assert page() == parts()[0], "write it again: python tests/frontends/test_refused_page.py"


def test_every_other_layer_has_a_remedy_of_its_own():
    assert_own(layers_without_a_form())


@pytest.mark.parametrize("name", ["Attention", "Discretization", "MaxPooling3D", "ZeroPadding3D"])
def test_they_are_refused(name):
    x = keras.Input((4, 4, 4, 4) if name.endswith("3D") else (4, 4), name="x")
    options = {"Discretization": ([0.0, 1.0],)}.get(name, ())
    layer = getattr(layers, name)(*options, name="d")
    with pytest.raises(Inexact) as error:
        trigger.lower(keras.Model(x, layer([x, x] if name == "Attention" else x)), "fixed<8,4>")
    problem = error.value.problems[0]
    assert (problem.layer, problem.reason) == (
        "d",
        f"a layer of the type {name} has no exact lowering",
    )
    assert name in layers_without_a_form()[problem.remedy]


def one_hot():
    layer = layers.Embedding(16, 16)
    layer.build()
    layer.set_weights([np.eye(16)])
    return layer


def bins(x):
    comparators = Thermometer(3)
    comparators.build((None, 4))
    comparators.adapt(np.arange(32).reshape(8, 4) / 4, 1 / 16)
    return PopCount(1)(comparators(x))


def attended(x):
    query, key = (QDense(2, **KERNEL)(x) for _ in range(2))
    weights = QActivation("quantized_relu(4,1)")(ops.matmul(query, ops.transpose(key, (0, 2, 1))))
    return ops.matmul(weights, x)


REMEDIES = {
    "MaxPooling3D": one((4, 4, 4), lambda x: ops.max(ops.reshape(x, (-1, 2, 2, 4, 4)), (2,))),
    "Cropping3D": one((4, 4, 4, 2), lambda x: x[:, 1:-1, 1:-1, 1:-1]),
    "ZeroPadding3D": one((2, 2, 2, 2), lambda x: ops.pad(x, ((0, 0), *((1, 1),) * 3, (0, 0)))),
    "UpSampling3D": one((2, 2, 2, 2), lambda x: ops.repeat(ops.repeat(x, 2, 1), 2, 2)),
    "Discretization": one(VECTOR, bins),
    "CategoryEncoding": one(VECTOR, one_hot(), "ufixed<4,4>"),
    "Attention": one(STEPS, attended, "fixed<5,3>"),
    "QScaleShift": one(VECTOR, lambda x: x * 0.75 + 0.5),
}


@pytest.mark.parametrize("name", REMEDIES)
def test_the_remedies_are_exact(name):
    shape, stages, inputs = REMEDIES[name]
    x = keras.Input(shape)
    few = name in ("CategoryEncoding", "Discretization")
    assert_itself(keras.Model(x, stages[0](x)), inputs, distinct=1 if few else 10)


if __name__ == "__main__":
    PAGE.write_text(page() + parts()[1])

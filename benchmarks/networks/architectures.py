"""Networks after those that are public for level-1 triggers: their layers and sizes, with random weights.

The widths of values and weights are typical ones of 4 to 12 bits; three of four weights are zero.
Sources are named by architecture; none of their code or weights is used.
"""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
from keras import layers, ops
from qkeras import QActivation, QConv1D, QConv2D, QDense

ZEROS = 0.75


class Architecture(NamedTuple):
    """Where a network is used, the type of its inputs, and the function that makes it."""

    use: str
    inputs: str
    make: Callable[[], keras.Model]


def _weights(bits: int = 6, integer: int = 1) -> dict[str, str]:
    kernel = f"quantized_bits({bits},{integer},alpha=1)"
    return {"kernel_quantizer": kernel, "bias_quantizer": kernel}


def _dense(x, units: int, relu: str = "quantized_relu(7,3)"):
    return QActivation(relu)(QDense(units, **_weights())(x))


def anomaly_encoder():
    """57 values of objects to a latent space, of which the score is the sum of squares (CMS DP-2023/079)."""
    x = inputs = keras.Input((57,))
    for units in (32, 16):
        x = _dense(x, units)
    mean = QActivation("quantized_bits(8,3,alpha=1)")(QDense(8, **_weights())(x))
    return keras.Model(inputs, layers.Dot(1)([mean, mean]))


def calorimeter_student():
    """18 x 14 regions, one convolution and two Dense layers: a student of an autoencoder (CMS DP-2023/086)."""
    x = inputs = keras.Input((252,))
    x = layers.Reshape((18, 14, 1))(x)
    x = QConv2D(4, 2, strides=2, use_bias=False, kernel_quantizer="quantized_bits(12,3,alpha=1)")(x)
    x = layers.Flatten()(QActivation("quantized_relu(10,6)")(x))
    x = _dense(x, 16, "quantized_relu(10,6)")
    return keras.Model(inputs, QActivation("quantized_relu(16,8)")(QDense(1, **_weights(12, 3))(x)))


def jets_deep_sets():
    """8 particles x 3 features, a network for each, their mean, and 5 classes (arXiv:2402.01876)."""
    x = inputs = keras.Input((8, 3))
    for units in (32, 32, 32):
        x = _dense(x, units)
    x = QActivation("quantized_bits(8,3,alpha=1)")(layers.GlobalAveragePooling1D()(x))
    x = _dense(x, 32)
    return keras.Model(inputs, layers.Softmax()(QDense(5, **_weights())(x)))


def jets_mlp():
    """The same jets in one Dense network (arXiv:2402.01876)."""
    x = inputs = keras.Input((8, 3))
    x = layers.Flatten()(x)
    for units in (64, 32, 32, 32):
        x = _dense(x, units)
    return keras.Model(inputs, layers.Softmax()(QDense(5, **_weights())(x)))


def jets_two_heads():
    """16 particles x 8 features, pointwise convolutions, their mean; flavour and a correction of pT."""
    x = inputs = keras.Input((16, 8))
    for filters in (10, 10):
        x = QActivation("quantized_relu(7,3)")(QConv1D(filters, 1, **_weights())(x))
    x = layers.GlobalAveragePooling1D()(x)
    x = QActivation("quantized_bits(9,3,alpha=1)")(x)
    flavour, energy = _dense(_dense(x, 32), 16), _dense(x, 10)
    heads = [
        layers.Softmax(name="flavour")(QDense(8, **_weights())(flavour)),
        QDense(1, **_weights(), name="correction")(energy),
    ]
    return keras.Model(inputs, heads)


def taus():
    """80 values of 10 particles, to a score and a correction of pT (CMS-TDR-021)."""
    x = inputs = keras.Input((80,))
    for units in (25, 25, 10):
        x = _dense(x, units)
    heads = [
        layers.Activation("sigmoid")(QDense(1, **_weights())(x)),
        QDense(1, **_weights())(x),
    ]
    return keras.Model(inputs, heads)


def missing_energy():
    """A weight for each of 16 particles, and the weighted sums of px and py: four inputs."""
    features = keras.Input((16, 4), name="features")
    kind = keras.Input((16, 3), name="kind")
    px, py = keras.Input((16, 1), name="px"), keras.Input((16, 1), name="py")
    x = _dense(layers.Concatenate()([features, kind]), 12)
    weight = QActivation("quantized_relu(6,1)")(QDense(1, **_weights())(_dense(x, 8)))
    sums = [ops.sum(layers.Multiply()([weight, p]), axis=1) for p in (px, py)]
    return keras.Model([features, kind, px, py], sums)


def convolutional_encoder():
    """19 objects x 3 features, the convolutional encoder of arXiv:2108.03986, and the sum of squares."""
    x = inputs = keras.Input((19, 3, 1))
    x = QActivation("quantized_relu(6,2)")(QConv2D(16, 3, **_weights())(x))
    x = QActivation("quantized_relu(6,2)")(layers.AveragePooling2D((3, 1))(x))
    x = QActivation("quantized_relu(6,2)")(QConv2D(32, (3, 1), **_weights())(x))
    x = QActivation("quantized_relu(6,2)")(layers.AveragePooling2D((3, 1))(x))
    mean = QDense(8, **_weights())(layers.Flatten()(x))
    mean = QActivation("quantized_bits(8,3,alpha=1)")(mean)
    return keras.Model(inputs, layers.Dot(1)([mean, mean]))


def muons():
    """29 values of a muon track, to its transverse momentum and its distance from the beam."""
    x = inputs = keras.Input((29,))
    for units in (30, 25, 20):
        x = _dense(x, units)
    return keras.Model(inputs, QDense(2, **_weights())(x))


def topology():
    """Jets, leptons and missing energy to a score for Higgs pairs: a Dense network with a sigmoid."""
    x = inputs = keras.Input((40,))
    for units in (32, 32):
        x = _dense(x, units)
    return keras.Model(inputs, layers.Activation("sigmoid")(QDense(1, **_weights())(x)))


ARCHITECTURES = {
    "anomaly_encoder": Architecture("anomalies in objects", "fixed<10,6>", anomaly_encoder),
    "calorimeter_student": Architecture(
        "anomalies in a calorimeter", "ufixed<8,8>", calorimeter_student
    ),
    "jets_deep_sets": Architecture("flavour of jets", "fixed<8,4>", jets_deep_sets),
    "jets_mlp": Architecture("flavour of jets", "fixed<8,4>", jets_mlp),
    "jets_two_heads": Architecture("flavour and energy of jets", "fixed<8,4>", jets_two_heads),
    "taus": Architecture("tau leptons", "fixed<8,4>", taus),
    "missing_energy": Architecture("missing energy", "fixed<8,4>", missing_energy),
    "convolutional_encoder": Architecture(
        "anomalies in objects", "fixed<8,4>", convolutional_encoder
    ),
    "muons": Architecture("momentum of muons", "fixed<8,4>", muons),
    "topology": Architecture("pairs of Higgs bosons", "fixed<8,4>", topology),
}


def network(name: str, seed: int = 0) -> keras.Model:
    """The network with random weights, of which ``ZEROS`` are zero."""
    model = ARCHITECTURES[name].make()
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        values = rng.normal(size=weight.shape)
        if len(weight.shape) > 1:
            fan_in = np.prod(weight.shape[:-1])
            values *= ((1 - ZEROS) * fan_in) ** -0.5 * 1.5
            values[rng.random(weight.shape) < ZEROS] = 0
        else:
            values *= 0.2
        weight.assign(values)
    return model

"""The jet tagger: 16-64-32-32-5, the network of arXiv:1804.06913, quantised with QKeras."""

import keras
from qkeras import QActivation, QDense


def jet_tagger(features: int, classes: int, bits: int = 6) -> keras.Model:
    """Logits of shape (events, classes) from features of shape (events, features).

    Kernels and activations have ``bits`` bits. The Normalization layer learns a mean and a power-of-two deviation for each
    feature on the training events, so that in hardware it is an addition and a shift.
    """

    def dense(units: int, name: str) -> QDense:
        weights = f"quantized_bits({bits},0,alpha=1)"
        return QDense(units, kernel_quantizer=weights, bias_quantizer=f"quantized_bits({bits + 2},2,alpha=1)", name=name)

    x = inputs = keras.Input((features,), name="jet")
    x = keras.layers.Normalization(name="normalization")(x)
    x = QActivation("quantized_bits(8,2,alpha=1)", name="features")(x)
    for layer, units in enumerate((64, 32, 32), start=1):
        x = dense(units, f"dense_{layer}")(x)
        x = QActivation(f"quantized_relu({bits},2)", name=f"relu_{layer}")(x)
    return keras.Model(inputs, dense(classes, "scores")(x), name="jet_tagger")

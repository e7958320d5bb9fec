"""The level-1 topology trigger: a score for events with top quarks or a Higgs boson, quantised with
QKeras.
"""

import keras
from qkeras import QActivation, QDense


def topology(features: int, classes: int, bits: int = 6) -> keras.Model:
    """A score of shape (events, 1) from the hardware's integers of shape (events, features).

    The Normalization layer learns an integer offset and a shift for each feature, so that in
    hardware no scaler is left.
    """

    def dense(units: int, name: str) -> QDense:
        weights = f"quantized_bits({bits},0,alpha=1)"
        return QDense(
            units,
            kernel_quantizer=weights,
            bias_quantizer=f"quantized_bits({bits + 2},2,alpha=1)",
            name=name,
        )

    x = inputs = keras.Input((features,), name="objects")
    x = keras.layers.Normalization(name="normalization")(x)
    x = QActivation("quantized_bits(7,3,alpha=1)", name="features")(x)
    x = dense(48, "hidden")(x)
    x = QActivation(f"quantized_relu({bits},2)", name="relu")(x)
    return keras.Model(inputs, dense(classes, "score")(x), name="topology")

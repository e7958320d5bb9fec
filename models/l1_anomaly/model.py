"""The level-1 anomaly trigger: an encoder, quantised with QKeras, whose squared latent means say
how unusual an event is.
"""

import keras
from qkeras import QActivation, QDense


def encoder(features: int, _outputs: int, bits: int = 6, latent: int = 4) -> keras.Model:
    """A score of shape (events, 1) from the hardware's integers of shape (events, features).

    It ends in the sum of squares of ``latent`` values of 8 bits; training puts a decoder behind
    those, which is not kept.
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
    x = QActivation("quantized_bits(8,5,alpha=1)", name="features")(x)
    x = dense(28, "hidden")(x)
    x = QActivation(f"quantized_relu({bits + 1},5)", name="relu")(x)
    x = dense(latent, "means")(x)
    x = QActivation("quantized_bits(8,6,alpha=1)", name="latent")(x)
    return keras.Model(inputs, keras.layers.Dot(axes=1, name="score")([x, x]), name="encoder")

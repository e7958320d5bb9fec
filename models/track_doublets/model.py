"""The hit-pair filter: a score for pairs of stubs that one track left, quantised with QKeras."""

import keras
from qkeras import QActivation, QDense


def doublets(features: int, _outputs: int, units: str, bits: int) -> keras.Model:
    """A score of shape (pairs, 1) from the hardware's integers of shape (pairs, features).

    ``units`` has the neurons of each hidden layer; none leaves a linear classifier. The
    Normalization layer learns a shift for each feature, which costs nothing in hardware.
    """

    def dense(neurons: int, name: str) -> QDense:
        return QDense(
            neurons,
            kernel_quantizer=f"quantized_bits({bits},1,alpha=1)",
            bias_quantizer=f"quantized_bits({bits + 2},3,alpha=1)",
            name=name,
        )

    x = inputs = keras.Input((features,), name="pair")
    x = keras.layers.Normalization(name="normalization")(x)
    for layer, neurons in enumerate(map(int, filter(None, units.split("-"))), start=1):
        x = dense(neurons, f"dense_{layer}")(x)
        x = QActivation(f"quantized_relu({bits + 2},3)", name=f"relu_{layer}")(x)
    return keras.Model(inputs, dense(1, "score")(x), name="doublets")

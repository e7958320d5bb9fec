"""The jet tagger: 16-64-32-32-5, the network of arXiv:1804.06913, with bit widths that are learned weight by weight."""

import keras
from qkeras import QActivation, QDense

from trigger.quantizers import LearnedActivation, LearnedWeights


def jet_tagger(features: int, classes: int) -> keras.Model:
    """Logits of shape (events, classes) from features of shape (events, features).

    The Normalization layer learns a mean and a power-of-two deviation for each feature on the training events, so that in
    hardware it is an addition and a shift.
    """

    def dense(units: int, name: str) -> QDense:
        return QDense(units, kernel_quantizer=LearnedWeights(), bias_quantizer=LearnedWeights(), name=name)

    x = inputs = keras.Input((features,), name="jet")
    x = keras.layers.Normalization(name="normalization")(x)
    x = QActivation(LearnedActivation(), name="features")(x)
    for layer, units in enumerate((64, 32, 32), start=1):
        x = dense(units, f"dense_{layer}")(x)
        x = QActivation(LearnedActivation(relu=True), name=f"relu_{layer}")(x)
    return keras.Model(inputs, dense(classes, "scores")(x), name="jet_tagger")

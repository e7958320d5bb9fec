"""The contest's network of learned widths: that of the zoo's jet tagger without what normalises its inputs."""

import keras
from qkeras import QActivation, QDense

from trigger.quantizers import LearnedActivation, LearnedWeights

UNITS = (64, 32, 32)
FIRST_BITS = 3


def network(features: int, classes: int) -> keras.Model:
    def dense(units: int) -> QDense:
        return QDense(
            units,
            kernel_quantizer=LearnedWeights(FIRST_BITS),
            bias_quantizer=LearnedWeights(FIRST_BITS),
            kernel_initializer="glorot_uniform",
        )

    x = inputs = keras.Input((features,))
    x = QActivation(LearnedActivation(FIRST_BITS, rounding="TRN"))(x)
    for units in UNITS:
        x = QActivation(LearnedActivation(FIRST_BITS, relu=True, rounding="RND", overflow="WRAP"))(dense(units)(x))
    return keras.Model(inputs, dense(classes)(x))

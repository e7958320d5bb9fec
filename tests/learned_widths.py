"""Networks with learned widths, and a trigger that has one."""

import keras
import numpy as np
from qkeras import QActivation, QDense

from trigger.quantizers import LearnedActivation, LearnedWeights


def small_network(features="tensor", **weights):
    x = inputs = keras.Input((4,))
    x = QActivation(LearnedActivation(granularity=features), name="features")(x)
    x = QDense(
        3,
        kernel_quantizer=LearnedWeights(**weights),
        bias_quantizer=LearnedWeights(),
        name="hidden",
    )(x)
    x = QActivation(LearnedActivation(relu=True), name="relu")(x)
    x = QDense(2, kernel_quantizer=LearnedWeights(), use_bias=False, name="out")(x)
    model = keras.Model(inputs, x)
    model(np.zeros((1, 4)))
    return model

"""A jet tagger: 16-64-32-32-5, the network of arXiv:1804.06913, with bit widths that are learned
weight by weight.
"""

import keras
from qkeras import QActivation, QDense

from trigger.quantizers import LearnedActivation, LearnedWeights


def jet_mlp(
    features: int,
    classes: int,
    units: str = "64-32-32",
    granularity: str = "element",
    fraction: int = 6,
) -> keras.Model:
    """Logits of shape (events, classes) from features of shape (events, features).

    ``units`` has the neurons of each hidden layer; ``granularity`` is that of the weights' widths,
    ``fraction`` the fractional bits that all begin with. The Normalization layer learns a mean and
    a power-of-two deviation for each feature on the training events, so that in hardware it is an
    addition and a shift. What the features have more than training has seen saturates; sums inside
    wrap, as those of HGQ2 do.
    """

    def dense(units: int, name: str) -> QDense:
        kernel, bias = LearnedWeights(fraction, granularity), LearnedWeights(fraction)
        return QDense(
            units,
            kernel_quantizer=kernel,
            bias_quantizer=bias,
            kernel_initializer="glorot_uniform",
            name=name,
        )

    x = inputs = keras.Input((features,), name="jet")
    x = keras.layers.Normalization(name="normalization")(x)
    x = QActivation(LearnedActivation(fraction, rounding="TRN"), name="features")(x)
    for layer, neurons in enumerate(map(int, units.split("-")), start=1):
        x = dense(neurons, f"dense_{layer}")(x)
        x = QActivation(
            LearnedActivation(fraction, relu=True, rounding="RND", overflow="WRAP"),
            name=f"relu_{layer}",
        )(x)
    return keras.Model(inputs, dense(classes, "scores")(x), name="jet_mlp")

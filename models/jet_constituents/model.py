"""The kind of a jet and the correction of its pT from its particles: a DeepSets network
(arXiv:1810.05165).

One small network reads each particle. The mean of what it gives for the 16 particles, which does
not depend on their order, is read by a second network with two heads.
"""

import keras
from qkeras import QActivation, QDense

# What the largest integers of pT, distances and kind are divided by: powers of two cost nothing.
_SCALES = (2.0**-7, 2.0**-5, 2.0**-5, 2.0**-1)


def jet_constituents(
    features: int, heads: dict[str, int], each: int, together: int, bits: int
) -> keras.Model:
    """The scores of ``heads``, of shapes (events, flavours) and (events, 1), from the fields of the
    particles, of shape (events, features): four of each.

    ``each`` and ``together`` are the neurons of the layers before and behind the mean; ``bits`` is
    the width of weights and values.
    """

    def dense(units: int, name: str) -> QDense:
        quantizer = f"quantized_bits({bits},0,alpha=1)"
        return QDense(units, kernel_quantizer=quantizer, bias_quantizer=quantizer, name=name)

    def relu(name: str) -> QActivation:
        return QActivation(f"quantized_relu({bits},2)", name=name)

    inputs = keras.Input((features,), name="particles")
    particles = keras.layers.Reshape((features // 4, 4), name="by_particle")(inputs)
    # A missing particle is zero in all fields. This bit keeps it out of the mean, into which the
    # biases of the first layers would enter without it.
    present = keras.ops.minimum(particles[:, :, :1], 1.0)
    x = keras.layers.Rescaling(_SCALES, name="scaled")(particles)
    x = QActivation(f"quantized_bits({bits + 2},2,alpha=1)", name="fields")(x)
    x = relu("each_1_relu")(dense(each, "each_1")(x))
    x = relu("each_2_relu")(dense(each, "each_2")(x))
    x = keras.layers.Multiply(name="present_only")([x, present])
    x = keras.layers.GlobalAveragePooling1D(name="mean")(x)
    x = QActivation(f"quantized_relu({bits + 2},1)", name="mean_bits")(x)
    x = relu("together_relu")(dense(together, "together")(x))
    flavour = dense(heads["flavour"], "flavour")(x)
    correction = dense(heads["correction"], "correction")(x)
    return keras.Model(inputs, [flavour, correction], name="jet_constituents")

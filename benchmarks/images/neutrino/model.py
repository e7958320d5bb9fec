"""One convolution for all planes of wires, whose windows do not overlap, then two Dense layers."""

import keras
from keras import layers
from qkeras import QActivation, QConv2D, QDense

PLANES, PIXELS, WINDOW = 3, 16, 4


def network(features: int, classes: int, filters: int = 5, hidden: int = 12) -> keras.Model:
    """Scores from the charges: the planes lie one below the other, and no window is in two.

    No charge is negative: a filter that starts with negative weights only would stay zero.
    """
    x = inputs = keras.Input((features,), name="charges")
    x = layers.Reshape((PLANES * PIXELS, PIXELS, 1), name="planes")(x)
    x = QConv2D(
        filters,
        WINDOW,
        strides=WINDOW,
        kernel_quantizer="quantized_bits(4,0,alpha=1)",
        bias_quantizer="quantized_bits(6,2,alpha=1)",
        kernel_initializer=keras.initializers.RandomUniform(-0.2, 0.4),
        name="filters",
    )(x)
    x = QActivation("quantized_relu(6,4)", name="shapes")(x)
    windows = PIXELS // WINDOW
    x = layers.Reshape((PLANES, windows, windows, filters), name="views")(x)
    x = layers.Flatten(name="flat")(keras.ops.sum(x, axis=1))
    for units, name in ((hidden, "hidden"), (classes, "kinds")):
        x = QDense(
            units,
            kernel_quantizer="quantized_bits(5,0,alpha=1)",
            bias_quantizer="quantized_bits(7,2,alpha=1)",
            name=name,
        )(x)
        if name == "hidden":
            x = QActivation("quantized_relu(7,4)", name="relu")(x)
    return keras.Model(inputs, x, name="kinds")

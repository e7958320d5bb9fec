"""Classes of occupancy maps from one convolution, of which only the largest values count,
and from the means of blocks.
"""

import keras
from keras import layers
from qkeras import QActivation, QConv2D, QDense

SIZE, WINDOW = 16, 4


def network(features: int, outputs: int, filters: int = 4, hidden: int = 16) -> keras.Model:
    """Scores from counts: of each region less its mean, over a power of two, in 5 bits."""
    x = inputs = keras.Input((features,), name="counts")
    x = layers.Normalization(name="pulls")(x)
    x = QActivation("quantized_bits(5,2,alpha=1)", name="quantized")(x)
    x = layers.Reshape((SIZE, SIZE, 1), name="map")(x)
    local = QConv2D(
        filters,
        WINDOW,
        strides=2,
        padding="same",
        kernel_quantizer="quantized_bits(4,0,alpha=1)",
        bias_quantizer="quantized_bits(6,2,alpha=1)",
        name="filters",
    )(x)
    local = QActivation("quantized_relu(5,3)", name="shapes")(local)
    for step in range(3):
        local = layers.MaxPooling2D(2, name=f"largest{step}")(local)
    local = layers.Flatten(name="found")(local)
    wide = layers.AveragePooling2D(WINDOW, name="blocks")(x)
    wide = layers.Flatten(name="flat")(
        QActivation("quantized_bits(6,2,alpha=1)", name="wide")(wide)
    )
    x = layers.Concatenate(name="both")([local, wide])
    for units, name in ((hidden, "hidden"), (outputs, "scores")):
        x = QDense(
            units,
            kernel_quantizer="quantized_bits(5,0,alpha=1)",
            bias_quantizer="quantized_bits(8,3,alpha=1)",
            name=name,
        )(x)
        if name == "hidden":
            x = QActivation("quantized_relu(7,4)", name="relu")(x)
    return keras.Model(inputs, x, name="maps")


def autoencoder(features: int, hidden: int = 32, latent: int = 4) -> keras.Model:
    """The counts from the counts, through as many values as vary in good maps, and one more."""
    x = inputs = keras.Input((features,), name="counts")
    x = layers.Rescaling(1 / 16, offset=-2)(x)
    x = layers.Dense(hidden, "relu")(x)
    x = layers.Dense(latent)(x)
    x = layers.Dense(hidden, "relu")(x)
    x = layers.Dense(features)(x)
    return keras.Model(inputs, layers.Rescaling(16, offset=32)(x), name="autoencoder")

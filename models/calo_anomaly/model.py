"""The calorimeter's anomaly trigger: an autoencoder of its regions as teacher, in float, and the
network that learns the teacher's errors, quantised with QKeras.
"""

import keras
from keras import layers
from qkeras import QActivation, QConv2D, QDense

# Regions in phi and eta, and those under the kernel of the convolution, which do not overlap.
REGIONS = (18, 14)
KERNEL = (3, 2)


def autoencoder(features: int, filters: int = 8, latent: int = 20) -> keras.Model:
    """The regions' energies from their energies, through ``latent`` values."""
    x = inputs = keras.Input((features,), name="regions")
    x = layers.Rescaling(1 / 4)(x)
    x = layers.Reshape((*REGIONS, 1))(x)
    x = layers.Conv2D(filters, KERNEL, strides=KERNEL, activation="relu")(x)
    image = x.shape[1:]
    x = layers.Flatten()(x)
    x = layers.Dense(latent, "relu")(x)
    x = layers.Dense(image[0] * image[1] * image[2], "relu")(x)
    x = layers.Reshape(image)(x)
    x = layers.Conv2DTranspose(1, KERNEL, strides=KERNEL)(x)
    return keras.Model(inputs, layers.Rescaling(4)(layers.Flatten()(x)), name="autoencoder")


def student(features: int, _outputs: int, filters: int = 2, bits: int = 7) -> keras.Model:
    """A score of shape (events, 1) from the hardware's integers of shape (events, features).

    The detector looks the same in all directions of phi, so the filters' values are summed over it.
    No energy is negative: a filter that starts with negative weights only would stay zero.
    """

    def dense(units: int, name: str) -> QDense:
        return QDense(
            units,
            kernel_quantizer=f"quantized_bits({bits},0,alpha=1)",
            bias_quantizer=f"quantized_bits({bits + 4},5,alpha=1)",
            name=name,
        )

    x = inputs = keras.Input((features,), name="regions")
    x = layers.Reshape((*REGIONS, 1), name="image")(x)
    x = QConv2D(
        filters,
        KERNEL,
        strides=KERNEL,
        kernel_quantizer="quantized_bits(4,1,alpha=1)",
        bias_quantizer="quantized_bits(8,7,alpha=1)",
        kernel_initializer=keras.initializers.RandomUniform(0, 1),
        name="filters",
    )(x)
    x = QActivation("quantized_relu(9,9)", name="energies")(x)
    x = layers.Flatten(name="rings")(keras.ops.sum(x, axis=1))
    x = layers.Rescaling(1 / 16, name="scale")(x)
    x = dense(16, "hidden")(x)
    x = QActivation(f"quantized_relu({bits + 3},6)", name="relu")(x)
    return keras.Model(inputs, dense(1, "score")(x), name="student")

"""Wrote convolutions.* (with tf_keras 2.21) and qconvolutions.* (QKeras 0.9.0, in an environment of its own)."""

import os
import sys

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy as np
import tf_keras as keras
from tf_keras import layers

rng = np.random.default_rng(5)
SHAPE = (6, 5, 2)


def plain():
    x = inputs = keras.Input(SHAPE, name="image")
    x = layers.ZeroPadding2D(((1, 0), (0, 1)), name="pad")(x)
    x = layers.Conv2D(3, (3, 2), padding="same", activation="relu", name="plane")(x)
    x = layers.DepthwiseConv2D(2, depth_multiplier=2, name="depthwise")(x)
    x = layers.MaxPooling2D((2, 1), name="largest")(x)
    x = layers.SeparableConv2D(4, 2, name="separable")(x)
    x = layers.PReLU(shared_axes=[1, 2], name="slopes")(x)
    x = layers.UpSampling2D(2, name="larger")(x)
    x = layers.Cropping2D(((1, 1), (0, 2)), name="smaller")(x)
    x = layers.AveragePooling2D((1, 2), name="average")(x)
    x = layers.Reshape((-1, 4), name="line")(x)
    x = layers.Conv1D(4, 2, padding="causal", dilation_rate=2, name="causal")(x)
    y = layers.SeparableConv1D(4, 3, padding="same", name="separable_line")(x)
    x = layers.Maximum(name="both")([x, y])
    x = layers.Minimum(name="neither")([x, layers.Average(name="middle")([x, y])])
    x = layers.GlobalAveragePooling1D(name="mean")(x)
    return keras.Model(inputs, layers.Dense(2, name="scores")(x))


def quantised():
    from qkeras import (
        QActivation,
        QAveragePooling2D,
        QConv1D,
        QConv2D,
        QConv2DBatchnorm,
        QDense,
        QDepthwiseConv2D,
        QGlobalAveragePooling2D,
        quantized_bits,
    )

    kernel = {"kernel_quantizer": quantized_bits(4, 0, alpha=1)}
    deep = {"depthwise_quantizer": quantized_bits(4, 0, alpha=1)}
    bias = {"bias_quantizer": quantized_bits(5, 0, alpha=1)}
    x = inputs = keras.Input(SHAPE, name="image")
    x = QConv2D(3, (2, 3), padding="same", **kernel, **bias, name="plane")(x)
    x = QActivation("quantized_relu(6,2)", name="relu")(x)
    x = QDepthwiseConv2D(2, **deep, **bias, name="depthwise")(x)
    x = QActivation("quantized_bits(6,2,alpha=1)", name="narrow")(x)
    x = QAveragePooling2D(2, average_quantizer=quantized_bits(8, 0, alpha=1), name="average")(x)
    x = QActivation("quantized_bits(6,2,alpha=1)", name="again")(x)
    x = QConv2DBatchnorm(3, 1, **kernel, **bias, name="folded")(x)
    x = QActivation("quantized_bits(6,2,alpha=1)", name="short")(x)
    y = QGlobalAveragePooling2D(average_quantizer=quantized_bits(8, 0, alpha=1), name="mean")(x)
    x = layers.Reshape((-1, 3), name="line")(x)
    x = QConv1D(2, 2, **kernel, **bias, name="along")(x)
    x = layers.Concatenate(name="all")([layers.Flatten(name="flat")(x), y])
    return keras.Model(inputs, QDense(2, **kernel, **bias, name="scores")(x))


def values(weight):
    if "variance" in weight.name or "gamma" in weight.name:
        return rng.uniform(0.3, 2, weight.shape)
    if "iteration" in weight.name:
        return np.full(weight.shape, 5)
    return rng.normal(size=weight.shape) * 0.6


name, make = ("qconvolutions", quantised) if "quantised" in sys.argv else ("convolutions", plain)
model = make()
model.set_weights([values(w) for w in model.weights])
model.save(f"{name}.h5", save_format="h5")
model.save(f"{name}.keras")
x = np.round(rng.uniform(-4, 4, (100, *SHAPE)) * 8) / 8
np.savez_compressed(f"{name}.npz", x=x.astype(np.float32), y=model(x.astype(np.float32)))

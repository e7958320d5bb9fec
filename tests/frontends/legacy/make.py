"""Wrote the files of this folder, with QKeras 0.9.0, tf_keras 2.21 and "pyparsing<3.2", in an environment of their own."""

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"

from pathlib import Path

import numpy as np
import tf_keras as keras
from qkeras import QActivation, QDense, quantized_bits, quantized_relu, ternary

rng = np.random.default_rng(1)
B = {"bias_quantizer": quantized_bits(5, 0, alpha=1)}


def functional():
    x = inputs = keras.Input((4,), name="features")
    x = QActivation(quantized_bits(8, 3, alpha=1), name="quantised")(x)
    x = QDense(6, kernel_quantizer=quantized_bits(5, 0, alpha=1), **B, name="hidden")(x)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = QActivation("quantized_relu(6,2)", name="relu")(x)
    y = QDense(6, kernel_quantizer="quantized_po2(4,max_value=1)", **B, name="second")(x)
    y = keras.layers.LeakyReLU(0.25, name="leaky")(y)
    y = QActivation("quantized_tanh(6)", name="tanh")(y)
    x = keras.layers.Concatenate(name="both")([x, y])
    x = QDense(3, kernel_quantizer=ternary(alpha=1), **B, name="scores")(x)
    return keras.Model(inputs, keras.layers.Activation("softmax", name="softmax")(x))


def sequential():
    return keras.Sequential(
        [
            QDense(
                5, kernel_quantizer=quantized_bits(4, 0, alpha="auto_po2"), **B, input_shape=(4,)
            ),
            QActivation(quantized_relu(4, 1)),
            keras.layers.Dropout(0.2),
            QDense(1, kernel_quantizer=quantized_bits(4, 0, alpha=1), **B),
        ]
    )


for name, make in (("functional", functional), ("sequential", sequential)):
    model = make()
    model.set_weights(
        [
            rng.uniform(0.3, 2, w.shape)
            if "variance" in w.name or "gamma" in w.name
            else rng.normal(size=w.shape) * 0.6
            for w in model.weights
        ]
    )
    model.compile("adam", "mse")
    model.save(f"{name}.h5")
    Path(f"{name}.json").write_text(model.to_json())
    model.save_weights(f"{name}_weights.h5")
    x = np.round(rng.uniform(-8, 8, (500, 4)) * 16) / 16
    before_softmax = keras.Model(
        model.inputs, model.layers[-2].output if name == "functional" else model.output
    )
    np.savez_compressed(f"{name}.npz", x=x, y=before_softmax.predict(x, verbose=0))

"""Wrote operators.* and pruned.* of this folder, with tf_keras 2.21 and tensorflow-model-optimization 0.8.1."""

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy as np
import tf_keras as keras
from tensorflow_model_optimization.sparsity.keras import prune_low_magnitude
from tf_keras import layers

rng = np.random.default_rng(3)


def operators():
    """The sum and the difference of two tensors, which Keras 2 saves as operations of TensorFlow."""
    x = inputs = keras.Input((4,), name="features")
    a, b = layers.Dense(5, "relu", name="a")(x), layers.Dense(5, name="b")(x)
    x = layers.BatchNormalization(name="norm")(a + b)
    x = layers.LeakyReLU(0.25, name="leaky")(x - a)
    return keras.Model(inputs, layers.Dense(2, name="scores")(x))


def pruned():
    """Pruning wrappers whose masks are not in the kernels yet."""
    x = inputs = keras.Input((4,), name="features")
    x = layers.ReLU(name="relu")(layers.Dense(5, name="hidden")(x))
    model = keras.Model(inputs, layers.Dense(2, name="scores")(x))
    return prune_low_magnitude(model)


def values(weight):
    if "mask" in weight.name:
        return rng.integers(0, 2, weight.shape)
    if "variance" in weight.name or "gamma" in weight.name:
        return rng.uniform(0.3, 2, weight.shape)
    return rng.normal(size=weight.shape) * 0.6


for name, make in (("operators", operators), ("pruned", pruned)):
    model = make()
    model.set_weights([values(w) for w in model.weights])
    model.save(f"{name}.h5", save_format="h5")
    model.save(f"{name}.keras")
    x = rng.normal(size=(100, 4)).astype(np.float32)
    np.savez_compressed(f"{name}.npz", x=x, y=model(x))

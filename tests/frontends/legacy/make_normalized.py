"""Wrote normalized.* of this folder, with tf_keras 2.21: what Keras 2 gives is exact in float32."""

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy as np
import tf_keras as keras
from tf_keras import layers

rng = np.random.default_rng(5)
x = inputs = keras.Input((4,), name="features")
adapted = layers.Normalization(name="adapted")(x)
fixed = layers.Normalization(mean=[0.5, 0, -1, 0.25], variance=[1, 4, 0.25, 16], name="fixed")(x)
rows = layers.Reshape((2, 2), name="rows")(x)
rows = layers.Normalization(axis=1, mean=[1, 2], variance=[4, 1], name="of_rows")(rows)
whole = layers.Normalization(axis=None, mean=0.5, variance=4, name="whole")(x)
parts = [
    layers.Dot(axes=1, name="squares")([adapted, adapted]),
    layers.Dot(axes=(-1, 1), name="also_squares")([fixed, fixed]),
    layers.Flatten(name="flat")(rows),
    whole,
    adapted,
]
x = layers.Concatenate(name="joined")(parts)
model = keras.Model(inputs, layers.Dense(3, name="scores")(x))
model.get_layer("adapted").set_weights(
    [np.array([0.25, -1, 0, 2]), np.array([4, 1, 0.25, 0.0625]), np.array(7)]
)
model.get_layer("adapted").finalize_state()
scores = model.get_layer("scores")
scores.set_weights([rng.integers(-8, 8, w.shape) / 8 for w in scores.get_weights()])
model.save("normalized.h5", save_format="h5")
model.save("normalized.keras")
x = (rng.integers(-32, 32, (200, 4)) / 8).astype(np.float32)
np.savez_compressed("normalized.npz", x=x, y=model(x))

"""The layers of ``trigger.layers`` on JAX, in a process of its own: Keras cannot change backends."""

import os
import subprocess
import sys

import pytest

CODE = """
import keras
import numpy as np

import trigger
from trigger.fixedpoint import evaluate
from trigger.fixedpoint.types import Fixed
from pathlib import Path
from trigger.frontends.loading import load
from trigger.frontends.networks import outputs
from trigger.layers import LookupLayer, PopCount, TableDense, Thermometer
from trigger.training import weightless, widths
from trigger.training.fit import losses

assert keras.backend.backend() == "jax"
TYPES = (Fixed(True, 7, 4),) * 3
rng = np.random.default_rng(1)
x = rng.integers(-64, 64, (300, 3)) / 8
y = (abs(x[:, 0]) > x[:, 1]).astype(int)
inputs = keras.Input((3,))
bits = Thermometer(5, learned=True)(inputs)
counts = PopCount(2)(LookupLayer(6, n=4, seed=1)(bits))
edges = TableDense(2, seed=2)(TableDense(3, bits=4, seed=3)(inputs))
model = keras.Model(inputs, keras.layers.Add()([counts, edges]))
weightless.adapt(model, x, TYPES)
lut = widths.lut_of(model, TYPES)
before = float(lut())
steered = widths.Steered(model, lut)
steered.compile(keras.optimizers.Adam(0.02), losses(model), jit_compile=True)
steered.strength.assign(1e-3)
steered.fit(x, y, batch_size=30, epochs=6, verbose=0)
assert float(lut()) < before
made = outputs(model, x)
graph = trigger.lower(model, TYPES)
integers = np.rint(x * 8).astype(np.int64)
assert (np.ldexp(evaluate.run(graph, integers), -graph.output.fractions) == made).all()
assert (made.argmax(axis=1) == y).mean() > 0.75
model.save("network.keras")
assert (outputs(load(Path("network.keras")), x) == made).all()
np.save("made.npy", made)
"""
ON_TENSORFLOW = """
import numpy as np
from pathlib import Path
from trigger.frontends.loading import load
from trigger.frontends.networks import outputs

rng = np.random.default_rng(1)
x = rng.integers(-64, 64, (300, 3)) / 8
assert (outputs(load(Path("network.keras")), x) == np.load("made.npy")).all()
"""


def test_layers_of_tables_are_trained_on_jax_and_the_same_on_tensorflow(tmp_path):
    pytest.importorskip("jax", reason="the extra [jax] is not installed")
    for backend, code in (("jax", CODE), ("tensorflow", ON_TENSORFLOW)):
        start = f"from trigger.frontends import keras_backend\nkeras_backend.start({backend!r})\n"
        result = subprocess.run(
            [sys.executable, "-c", start + code],
            cwd=tmp_path,
            env={**os.environ, "KERAS_BACKEND": backend},
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr

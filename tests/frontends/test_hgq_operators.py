"""Operators, merges and networks in networks around layers of HGQ2 (`make test-hgq`)."""

import keras
import numpy as np
import pytest

hgq = pytest.importorskip("hgq", reason="the extra [hgq] is not installed; `make test-hgq` has it")

from hgq.layers import QDense  # noqa: E402
from keras import layers, ops  # noqa: E402

from trigger.fixedpoint import evaluate  # noqa: E402
from trigger.frontends.networks import Reference, lower, record  # noqa: E402
from trigger.verification.oracle import agreement  # noqa: E402


def inner():
    return keras.Sequential([keras.Input((4,)), QDense(3, name="d"), layers.ReLU()], name="inner")


def twice(x):
    shared = inner()
    return shared(x) - shared(-x)


FUNCTIONS = {
    "operators": lambda x: (2 * x[:, :2] - x[:, 2:]) / 4 + np.array([0.5, -1.0]),
    "functions": lambda x: ops.concatenate([ops.maximum(x, 0.25), ops.abs(x) * x], axis=1),
    "shapes": lambda x: layers.Subtract()([x, x[:, :1]]),
    "parts": lambda x: ops.split(x, 2, axis=1)[1],
    "a network used twice": twice,
    "PReLU": layers.PReLU("random_normal"),
    "Masking": lambda x: layers.Reshape((4,))(
        layers.Masking(0.5)(ops.clip(layers.Reshape((2, 2))(x), -1, 1))
    ),
    "Embedding": lambda x: layers.Reshape((12,))(layers.Embedding(4, 3)(ops.clip(x, 0, 3))),
}


@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_graph_reference_and_network_agree(name):
    keras.utils.set_random_seed(0)
    first = keras.Input((6,))
    x = FUNCTIONS[name](QDense(4)(first))
    model = keras.Model(first, QDense(2)(x))
    events = np.random.default_rng(0).normal(size=(500, 6)).astype(np.float32)
    model(events, training=True)
    graph = lower(model, "fixed<10,3>")
    x = evaluate.quantize_inputs(graph, events.astype(np.float64))
    real = np.ldexp(x.astype(np.float64), -graph.input.fractions)
    expected = Reference(model, graph).predict(real)
    assert len(np.unique(expected)) > 10
    np.testing.assert_array_equal(evaluate.predict(graph, real), expected)
    found = agreement(graph, record(model, real)).comparison
    assert found.equal, str(found.witness)

"""Small networks of HGQ2."""

import keras
import numpy as np
import pytest

hgq = pytest.importorskip("hgq", reason="the extra [hgq] is not installed; `make test-hgq` has it")

from hgq.config import QuantizerConfig  # noqa: E402
from hgq.layers import (  # noqa: E402
    QDense,
    QUnaryFunctionLUT,
)

from trigger import Inexact  # noqa: E402
from trigger.fixedpoint import evaluate  # noqa: E402
from trigger.frontends import tensors  # noqa: E402
from trigger.frontends.networks import Reference, lower  # noqa: E402

INPUT = "fixed<10,4>"


def randomise(model, seed=0):
    """Weights and widths of every element at random, none of them trained; some elements have no bits left."""
    rng = np.random.default_rng(seed)
    ranges = {"f": (-1, 5), "i": (-1, 4), "b": (-0.4, 6)}
    for weight in model.weights:
        name = weight.path.rpartition("/")[2]
        if name in ranges:
            weight.assign(rng.uniform(*ranges[name], weight.shape))
        elif name == "k":
            weight.assign(rng.integers(0, 2, weight.shape))
        elif "variance" in name or "gamma" in name:
            weight.assign(rng.uniform(0.3, 2, weight.shape))
        elif name in ("kernel", "bias", "bn_beta", "moving_mean"):
            weight.assign(rng.normal(size=weight.shape))
    return model


def around(*middle, seed=0):
    """6-7-3, with layers in between."""
    x = inputs = keras.Input((6,))
    for layer in (QDense(7, activation="relu"), *middle, QDense(3)):
        x = layer(x)
    return randomise(keras.Model(inputs, x), seed)


def table(function):
    return around(
        QUnaryFunctionLUT(
            function, oq_conf=QuantizerConfig("kif", "table", f0=5, i0=2, overflow_mode="SAT")
        ),
        seed=5,
    )


def kept(make):
    """Of a table the widths stay as they were: its steps must not decrease."""
    model = make()
    for layer in model.layers:
        if isinstance(layer, QUnaryFunctionLUT):
            for weight in layer.oq.weights:
                value = {"k": 1, "i": 2, "f": 5}.get(weight.path.rpartition("/")[2])
                if value is not None:
                    weight.assign(np.full(weight.shape, value))
    return model


def refusal(model, inputs=INPUT, kernels=None):
    with pytest.raises(Inexact) as error:
        lower(model, inputs, kernels)
    return f"{error.value.reason}. Remedy: {error.value.remedy}."


def alone(shape, layer, seed=3):
    """A network of one layer."""
    x = keras.Input(shape)
    return randomise(keras.Model(x, layer(x)), seed)


def assert_exact(model, events=300):
    """Graph, reference and the network itself, in float32 on small numbers, give the same outputs."""
    rng = np.random.default_rng(0)
    graph = lower(model, INPUT)
    x = rng.integers(-64, 64, (events, tensors.features(model))) / 8
    found = evaluate.predict(graph, x)
    assert len(np.unique(found)) > 3
    np.testing.assert_array_equal(found, Reference(model, graph).predict(x))
    given = keras.tree.map_structure(lambda part: part.astype("float32"), tensors.given(model, x))
    np.testing.assert_array_equal(found, tensors.called(model, given))

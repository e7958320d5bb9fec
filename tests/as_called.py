"""Networks against themselves as Keras calls them: in float32, on numbers for which that is exact."""

import keras
import numpy as np
from keras import layers

import trigger
from trigger.fixedpoint import evaluate
from trigger.fixedpoint.graph import Graph
from trigger.frontends.networks import Reference

EVENTS = 40


def stacked(shape, *stages) -> keras.Model:
    """Layers one after the other, flat at the end."""
    x = inputs = keras.Input(shape)
    for layer in stages:
        x = layer(x)
    return keras.Model(inputs, layers.Flatten()(x) if len(x.shape) > 2 else x)


def with_dyadic_weights(model: keras.Model) -> keras.Model:
    """Every weight a multiple of 1/16, small and random."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if weight.dtype == "float32":
            drawn = np.rint(rng.normal(size=weight.shape) * 8) / 16
            positive = "variance" in weight.path or "gamma" in weight.path
            weight.assign(np.abs(drawn) + 0.5 if positive else drawn)
    return model


def assert_itself(model: keras.Model, inputs: str, distinct: int = 10, folder=None) -> Graph:
    """The graph gives what the network gives when it is called, and what its reference gives.

    More than ``distinct`` different numbers come out. With a folder, the network is saved there and
    loaded, and its graph then gives the same.
    """
    graph = trigger.lower(model, inputs)
    kind = graph.input.types[0]
    features = len(graph.input.types)
    integers = np.random.default_rng(0).integers(
        kind.minimum, kind.maximum, (EVENTS, features), endpoint=True
    )
    x = np.ldexp(integers.astype(float), -kind.fraction)
    given = x.reshape(EVENTS, *model.input_shape[1:]).astype(np.float32)
    expected = np.asarray(model(given)).reshape(EVENTS, -1)
    assert len(np.unique(expected)) > distinct
    np.testing.assert_array_equal(evaluate.predict(graph, x), expected)
    np.testing.assert_array_equal(Reference(model, graph).predict(x), expected)
    if folder is not None:
        model.save(folder / "network.keras")
        again = trigger.lower(keras.models.load_model(folder / "network.keras"), inputs)
        np.testing.assert_array_equal(evaluate.predict(again, x), expected)
    return graph

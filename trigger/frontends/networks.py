"""Networks of the library in this environment: QKeras or HGQ2, which cannot be installed together.
``lower``, ``input_types`` and ``Reference`` are those of that library; see ``qkeras`` and ``hgq``.
"""

import math
from collections.abc import Callable
from typing import Any, TypeGuard

import keras
import numpy as np

from trigger.errors import TriggerError
from trigger.fixedpoint.graph import Graph
from trigger.frontends import heads, keras_backend, tensors
from trigger.frontends.floatx import in_batches
from trigger.frontends.heads import is_softmax, last_layers, leaves_out, left_out
from trigger.frontends.nested import every_layer
from trigger.verification.oracle import Recording

if keras_backend.NETWORKS == "qkeras":
    from trigger.frontends.qkeras.configs import mend
    from trigger.frontends.qkeras.float64 import float64
    from trigger.frontends.qkeras.functions import is_sigmoid
    from trigger.frontends.qkeras.lowering import input_types, lower
    from trigger.frontends.qkeras.reference import Reference

    mend()
else:
    from trigger.frontends.floatx import keras_float64 as float64
    from trigger.frontends.heads import is_sigmoid
    from trigger.frontends.hgq.lowering import input_types, lower
    from trigger.frontends.hgq.reference import Reference  # type: ignore[assignment]

__all__ = [
    "Reference",
    "ends",
    "head",
    "in_float64",
    "input_types",
    "is_float",
    "is_network",
    "left_out",
    "lower",
    "outputs",
    "record",
    "shaped",
]

_BATCH = 16384


def head(model: keras.Model, number: int = 0) -> str:
    """The head of an output of the network: "softmax", which reference and graph leave out,
    "sigmoid", or "linear".
    """
    last = last_layers(model)[number]
    if is_softmax(last):
        return "softmax"
    return "sigmoid" if is_sigmoid(getattr(last, "activation", None)) else "linear"


def ends(model: keras.Model, graph: Graph | None = None) -> list[tuple[str, int]]:
    """The head of each output of a network, and its number of scores. In the ``graph`` of the
    network a head that was left out is "linear".
    """
    functions = []
    for number, layer in enumerate(last_layers(model)):
        function = head(model, number)
        omitted = graph is not None and (function == "softmax" or leaves_out(layer, graph))
        scores = math.prod(model.outputs[number].shape[1:])
        functions.append(("linear" if omitted else function, scores))
    return functions


def is_network(given: Any) -> TypeGuard[keras.Model]:
    """Whether an object is a Keras network."""
    return isinstance(given, keras.Model)


def is_float(model: keras.Model) -> bool:
    """Whether no layer of the network is one of QKeras, HGQ2 or this package."""
    return not any(
        type(layer).__module__.startswith(("qkeras", "hgq", "trigger."))
        for layer in every_layer(model)
    )


def outputs(model: keras.Model, x: np.ndarray) -> np.ndarray:
    """The outputs (events, outputs) of the network for real inputs (events, features).

    Called layer by layer, in float32: tracing takes longer than it saves, and TensorFlow warns
    about every further network.
    """
    starts = range(_BATCH, len(x), _BATCH)
    parts = [tensors.called(model, shaped(model, part)) for part in np.split(x, starts)]
    return np.concatenate(parts)


def in_float64(model: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """The layers of the network, rebuilt in float64 with its weights: real inputs to outputs.

    Raises ValueError if Keras cannot make them.
    """

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        return type(layer).from_config({**layer.get_config(), "dtype": "float64"})

    with float64():
        try:
            copy = keras.models.clone_model(model, tensors.float64_inputs(model), clone)
            copy.set_weights(model.get_weights())
        except Exception as error:
            raise ValueError(str(error)) from error

    def predict(x: np.ndarray) -> np.ndarray:
        with float64():
            return in_batches(copy, x)

    return predict


def shaped(model: keras.Model, x: np.ndarray) -> Any:
    """Events (events, features) in float32, arranged as the network takes them: an array, a list or
    a dictionary.
    """
    given = tensors.given(model, x.astype(np.float32))
    if not hasattr(model, "input"):
        return given
    return keras.tree.pack_sequence_as(model.input, keras.tree.flatten(given))


def record(model: keras.Model, x: np.ndarray) -> Recording:
    """The outputs of this object itself for real inputs, float64 of shape (events, features).

    Raises TriggerError if Keras cannot run it.
    """
    try:
        given = outputs(model, x)
    except Exception as error:  # a user's layer may raise anything
        text = " ".join(str(error).split())
        raise TriggerError(
            f"{model.name}: Keras cannot run this network: {type(error).__name__}: {text}"
        ) from error
    return Recording(x, given, heads.recorded(model))

"""The network as Keras computes it, with events in float64: the reference.

The trained network is cloned layer by layer in float64. Its trained constants are the frozen ones
(see ``constants``), so that Keras and the graph start from the same numbers; every operation on
events is Keras' and QKeras' own.
"""

import math
from typing import Any

import keras
import numpy as np
import qkeras

from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.types import Fixed
from trigger.frontends import heads, kernels, tensors, weighted, weightless
from trigger.frontends.floatx import in_batches
from trigger.frontends.inexact import Inexact
from trigger.frontends.keras_private import again, read_by
from trigger.frontends.nested import inlined
from trigger.frontends.piecewise import round_to
from trigger.frontends.qkeras import constants, pooling, recurrent
from trigger.frontends.qkeras.float64 import float64, promoted
from trigger.frontends.qkeras.functions import known_as
from trigger.frontends.qkeras.lowering import input_types, lower
from trigger.frontends.walk import named_nodes


class Reference:
    """The float64 reference of a trained network.

    ``predict`` gives what the graph must give: the network's outputs, without a final softmax, and
    with a final sigmoid or tanh rounded to its output type, or left out, as in ``graph``. Without a
    graph, the network's own input types define it; without those, the head is rounded.
    """

    def __init__(self, model: keras.Model, graph: Graph | None = None) -> None:
        self.input_types: tuple[Fixed, ...] | None = input_types(model)
        model = inlined(model)
        left_out = _left_out(model, graph)
        self._rounded = _rounded(model, left_out)
        last = heads.last_layers(model)
        plain = _plain(model)
        constants = [
            _constants(layer) for layer in _layers(plain)
        ]  # in the network's own precision
        poolings = {
            id(layer): pooling.factors(layer, plain)
            for layer in _layers(plain)
            if isinstance(layer, pooling.KINDS)
        }
        with float64():
            # A float32 Input would round the events before the first quantiser sees them.
            self._model = keras.models.clone_model(
                plain,
                tensors.float64_inputs(model),
                lambda layer: (
                    pooling.Pooling(layer, _activation(layer), poolings[id(layer)])
                    if id(layer) in poolings
                    else _clone(layer, layer in last, layer in left_out)
                ),
            )
            for layer, values in zip(_layers(self._model), constants, strict=True):
                if isinstance(layer, keras.layers.Normalization):
                    layer.mean, layer.variance = (
                        keras.ops.cast(part, "float64") for part in values
                    )
                elif values:
                    layer.set_weights(values)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Real inputs, shape (events, features), to outputs, float64 of shape (events, outputs)."""
        with float64():
            y = in_batches(self._model, x)
        for elements, fixed in self._rounded:
            y[:, elements] = round_to(fixed, y[:, elements])
        return y

    def layers(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """The output of every layer, by the name of its node, for real inputs of shape (events,
        features).
        """
        x = np.asarray(x, dtype=np.float64)
        with float64():
            named = {name: node.outputs[0] for node, name in named_nodes(self._model)}
            probe = keras.Model(tensors.alone(self._model.inputs), named)
            outputs = probe(tensors.given(self._model, x), training=False)
        return {
            name: keras.ops.convert_to_numpy(y).reshape(len(x), -1) for name, y in outputs.items()
        }


def _plain(model: keras.Model) -> keras.Model:
    """The same layers without a final Softmax, and with single tensors instead of lists of one."""
    last = heads.last_layers(model)
    softmax = [isinstance(layer, keras.layers.Softmax) for layer in last]
    if isinstance(model, keras.Sequential) and not any(softmax):
        return model
    outputs = [
        read_by(heads.end(tensor))[0] if is_softmax else tensor
        for is_softmax, tensor in zip(softmax, model.outputs, strict=True)
    ]
    return keras.Model(tensors.alone(model.inputs), tensors.alone(outputs), name=model.name)


def _left_out(model: keras.Model, graph: Graph | None) -> list[Any]:
    """The layers whose sigmoid or tanh the network's graph leaves out."""
    last = heads.last_layers(model)
    if not any(heads.kind_of(getattr(layer, "activation", None)) for layer in last):
        return []
    try:
        graph = lower(model) if graph is None else graph
    except Inexact:
        return []
    return [layer for layer in last if heads.leaves_out(layer, graph)]


def _rounded(model: keras.Model, left_out: list[Any]) -> list[tuple[slice, Fixed]]:
    """The outputs that are rounded values of a sigmoid or tanh, and their types."""
    rounded = []
    start = 0
    for layer, tensor in zip(heads.last_layers(model), model.outputs, strict=True):
        stop = start + math.prod(tensor.shape[1:])
        function = heads.kind_of(getattr(layer, "activation", None))
        if function is not None and layer not in left_out:
            rounded.append((slice(start, stop), heads.TYPES[function]))
        start = stop
    return rounded


def _activation(layer: Any) -> Any:
    """A copy of the layer's activation in float64; None if it has none."""
    activation = getattr(layer, "activation", None)
    return None if activation is None else promoted(activation)


def _clone(layer: Any, is_head: bool, leaves_out: bool) -> Any:
    if not isinstance(layer, keras.layers.Layer):
        return again(layer)
    common = {"name": layer.name, "dtype": "float64"}
    activation = _activation(layer)
    if is_head and (leaves_out or known_as(activation) == "softmax"):
        activation = keras.activations.linear
    if isinstance(layer, constants.LINEAR):
        return kernels.as_keras(layer, activation, use_bias=True, dtype="float64")
    if isinstance(layer, recurrent.LAYERS):
        return recurrent.in_float64(layer)
    if isinstance(layer, qkeras.QActivation):
        return qkeras.QActivation(activation, **common)
    if isinstance(layer, keras.layers.Activation):
        return keras.layers.Activation(activation, **common)
    if isinstance(layer, keras.layers.BatchNormalization):
        return keras.layers.BatchNormalization(axis=layer.axis, epsilon=0, **common)
    return type(layer).from_config({**layer.get_config(), "dtype": "float64"})


def _layers(model: keras.Model) -> list[keras.layers.Layer]:
    return [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]


def _constants(layer: keras.layers.Layer) -> list[np.ndarray]:
    """The weights of the layer's clone."""
    if isinstance(layer, constants.LINEAR):
        frozen = constants.linear(layer)
        return [*frozen.kernels.values(), frozen.bias]
    if isinstance(layer, recurrent.LAYERS):
        frozen = constants.of_recurrent(layer)
        bias = [frozen.bias] if layer.cell.use_bias else []
        return [*frozen.kernels.values(), *bias]
    if isinstance(layer, keras.layers.BatchNormalization):
        scale, offset = constants.batch_normalization(layer)
        return [scale, offset, np.zeros_like(scale), np.ones_like(scale)]
    if isinstance(layer, weightless.LAYERS):
        return weightless.weights(layer)
    if isinstance(layer, weighted.LAYERS):
        return list(layer.get_weights())
    if isinstance(layer, keras.layers.Normalization):
        return [keras.ops.convert_to_numpy(part) for part in (layer.mean, layer.variance)]
    return []

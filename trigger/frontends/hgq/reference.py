"""HGQ2 networks as Keras and HGQ2 compute them, with events in float64: the reference.

Trained constants are the frozen ones (see ``constants``); every quantiser is HGQ2's own, rebuilt in
float64.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import hgq.layers
import keras
import numpy as np

from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.types import Fixed
from trigger.frontends import heads, tensors, weighted, weightless
from trigger.frontends.attributes import options_of
from trigger.frontends.floatx import in_batches, keras_float64
from trigger.frontends.hgq.constants import (
    TABLE_LAYERS,
    affine_constants,
    input_quantizers,
    is_left_out_head,
    kernel_constants,
)
from trigger.frontends.hgq_private import scale_of_average
from trigger.frontends.keras_private import again
from trigger.frontends.nested import inlined
from trigger.frontends.walk import named_nodes

# The number of events that test whether a function is elementwise.
_TOGETHER = 64
_ALONE = 16

_SPACE = (
    "filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate", "groups",
)  # fmt: skip


class _EinsumDense(keras.layers.EinsumDense):  # type: ignore[misc]
    """EinsumDense that adds its bias as HGQ2 does. Keras's own uses ``keras.ops.add``, which on
    TensorFlow adds some biases along another axis.
    """

    def call(self, inputs: Any) -> Any:
        sums = keras.ops.einsum(self.equation, inputs, self.kernel)
        if self.bias is not None:
            sums += keras.ops.convert_to_tensor(self.bias)
        return self.activation(sums)


# Layers with a kernel, that of Keras with the same arithmetic, and its options.
_KERNELS: dict[type, tuple[type, tuple[str, ...]]] = {
    hgq.layers.QDense: (keras.layers.Dense, ("units",)),
    hgq.layers.QConv1D: (keras.layers.Conv1D, _SPACE),
    hgq.layers.QConv2D: (keras.layers.Conv2D, _SPACE),
    hgq.layers.QEinsumDense: (_EinsumDense, ("equation", "output_shape", "bias_axes")),
}
_WINDOWS = ("pool_size", "strides", "padding", "data_format")
_WHOLE = ("data_format", "keepdims")
_WITHOUT_WEIGHTS: dict[type, tuple[type, tuple[str, ...]]] = {
    hgq.layers.QAdd: (keras.layers.Add, ()),
    hgq.layers.QSubtract: (keras.layers.Subtract, ()),
    hgq.layers.QMultiply: (keras.layers.Multiply, ()),
    hgq.layers.QMaximum: (keras.layers.Maximum, ()),
    hgq.layers.QMinimum: (keras.layers.Minimum, ()),
    hgq.layers.QDot: (keras.layers.Dot, ("axes",)),
    hgq.layers.QMaxPooling1D: (keras.layers.MaxPooling1D, _WINDOWS),
    hgq.layers.QMaxPooling2D: (keras.layers.MaxPooling2D, _WINDOWS),
    hgq.layers.QAveragePooling1D: (keras.layers.AveragePooling1D, _WINDOWS),
    hgq.layers.QAveragePooling2D: (keras.layers.AveragePooling2D, _WINDOWS),
    hgq.layers.QGlobalMaxPooling1D: (keras.layers.GlobalMaxPooling1D, _WHOLE),
    hgq.layers.QGlobalMaxPooling2D: (keras.layers.GlobalMaxPooling2D, _WHOLE),
    hgq.layers.QGlobalAveragePooling1D: (keras.layers.GlobalAveragePooling1D, _WHOLE),
    hgq.layers.QGlobalAveragePooling2D: (keras.layers.GlobalAveragePooling2D, _WHOLE),
}
# Options that a layer keeps under another name.
_KEPT_AS = {"output_shape": "partial_output_shape"}


class Reference:
    """The float64 reference of a trained HGQ2 network: its outputs, without a final softmax,
    sigmoid or tanh.
    """

    def __init__(self, model: keras.Model, graph: Graph | None = None) -> None:
        self.input_types: tuple[Fixed, ...] | None = None
        model = inlined(model)
        with keras_float64():
            inputs = tensors.float64_inputs(model)
            given = inputs if isinstance(inputs, list) else [inputs]
            values = dict(zip(map(id, model.inputs), given, strict=True))
            named: dict[str, Any] = {}
            ends = [heads.end(tensor) for tensor in model.outputs]
            for node, name in named_nodes(model):
                is_head = any(node.outputs[0] is tensor for tensor in ends)
                after = _after(node, values, is_head)
                values |= {id(tensor): y for tensor, y in zip(node.outputs, after, strict=True)}
                named[name] = after[0]
            outputs = [values[id(tensor)] for tensor in model.outputs]
            self._model = keras.Model(inputs, tensors.alone(outputs))
            self._probe = keras.Model(inputs, named)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Real inputs, shape (events, features), to outputs, float64 of shape (events, outputs)."""
        with keras_float64():
            return in_batches(self._model, x)

    def layers(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """The output of every layer, by its name, for real inputs of shape (events, features)."""
        x = np.asarray(x, dtype=np.float64)
        with keras_float64():
            outputs = self._probe(tensors.given(self._model, x), training=False)
        return {
            name: keras.ops.convert_to_numpy(y).reshape(len(x), -1) for name, y in outputs.items()
        }


def elementwise(
    layer: hgq.layers.QUnaryFunctionLUT, shape: tuple[int, ...]
) -> Callable[[np.ndarray], np.ndarray]:
    """The function and output quantiser of a table for a shape, in float64, on any vector."""
    return of_vectors(lambda x: quantised(layer, shape, layer.activation(x)), shape)


def quantised(layer: hgq.layers.QUnaryFunctionLUT, shape: tuple[int, ...], y: Any) -> Any:
    """The output quantiser of a table for a shape, in float64."""
    return in_float64(layer.oq, (None, *shape))(y)


def of_vectors(
    function: Callable[[Any], Any], shape: tuple[int, ...]
) -> Callable[[np.ndarray], np.ndarray]:
    """A function of tensors of a shape as one of vectors, in float64."""

    def run(x: np.ndarray) -> np.ndarray:
        events = np.resize(x, (math.ceil(len(x) / math.prod(shape)), *shape))
        with keras_float64():
            y = function(keras.ops.convert_to_tensor(events, dtype="float64"))
            outputs: np.ndarray = keras.ops.convert_to_numpy(y).ravel()[: len(x)]
            return outputs

    return run


def is_elementwise(
    function: Callable[[Any], Any], shape: tuple[int, ...], values: np.ndarray
) -> bool:
    """Whether a function maps each value to the same float64 bits, whatever the other values."""

    def ask(x: np.ndarray) -> np.ndarray:
        y = function(keras.ops.convert_to_tensor(x, "float64"))
        outputs: np.ndarray = keras.ops.convert_to_numpy(y)
        return outputs

    # Different sizes expose a division by the number of events. Both are full processor vectors.
    size = max(_TOGETHER, len(values)) * math.prod(shape)
    places = np.random.default_rng(0).permutation(np.resize(np.arange(len(values)), size))
    with keras_float64():
        together = ask(values[places].reshape(-1, *shape))
        alone = [ask(np.full((_ALONE, *shape), value)) for value in values]
    if together.shape[1:] != shape or any(y.shape != (_ALONE, *shape) for y in alone):
        return False
    one = np.array([y.flat[0] for y in alone])
    return np.array_equal(together.ravel(), one[places], equal_nan=True) and all(
        np.array_equal(y, np.full_like(y, y.flat[0]), equal_nan=True) for y in alone
    )


def _after(node: Any, values: dict[int, Any], is_head: bool) -> list[Any]:
    """The outputs of a node in float64, for the values of the tensors before it."""
    if not isinstance(node.operation, keras.layers.Layer):
        arguments, options = node.arguments.fill_in(values)
        return list(keras.tree.flatten(again(node.operation)(*arguments, **options)))
    before = [values[id(tensor)] for tensor in node.arguments.keras_tensors]
    return [_twin(node.operation, before, is_head)]


def _twin(layer: Any, inputs: list[Any], is_head: bool) -> Any:
    """The output of a layer for these tensors, in float64."""
    if isinstance(layer, hgq.layers.Quantizer):
        return in_float64(layer, inputs[0].shape)(inputs[0])
    if isinstance(layer, TABLE_LAYERS):
        return _of_tables(layer, inputs[0].shape, is_head)(inputs[0])
    quantizers = input_quantizers(layer)
    if quantizers:
        inputs = [in_float64(q, x.shape)(x) for q, x in zip(quantizers, inputs, strict=True)]
    output = _operation(layer, inputs[0].shape, is_head)(inputs if len(inputs) > 1 else inputs[0])
    return (
        in_float64(layer.oq, output.shape)(output) if getattr(layer, "enable_oq", False) else output
    )


def _of_tables(layer: Any, shape: tuple[int | None, ...], is_head: bool) -> Any:
    """A layer whose edges are tables with its quantisers, as HGQ2 calls it."""
    twin = type(layer)(**options_of(layer), dtype="float64")
    twin.build(shape)
    twin.set_weights(layer.get_weights())
    if is_left_out_head(layer, is_head):
        twin.activation = keras.activations.linear
    return twin


def _operation(layer: Any, shape: tuple[int | None, ...], is_head: bool) -> Any:
    """The layer's own arithmetic between its quantisers, on inputs of a shape."""
    activation = getattr(layer, "activation", None)
    if is_left_out_head(layer, is_head):
        activation = keras.activations.linear
    layer_class = next(
        (layer_class for layer_class in _KERNELS if isinstance(layer, layer_class)), None
    )
    if layer_class is not None:
        like, options = _KERNELS[layer_class]
        twin = like(**_read(layer, options), activation=activation)
        twin.build(shape)
        kernel, bias = kernel_constants(layer)
        twin.set_weights([kernel, bias][: len(twin.weights)])
        return twin
    if isinstance(layer, hgq.layers.QBatchNormalization):
        scale, offset = affine_constants(layer)
        normalization = keras.layers.BatchNormalization(axis=layer.axis, epsilon=0)
        normalization.build(shape)
        normalization.set_weights([scale, offset, np.zeros_like(scale), np.ones_like(scale)])
        return normalization
    if type(layer) in _WITHOUT_WEIGHTS:
        like, options = _WITHOUT_WEIGHTS[type(layer)]
        return like(**_read(layer, options))
    if isinstance(layer, hgq.layers.QAveragePow2):
        scaled = keras.layers.Rescaling(scale_of_average(layer))
        return lambda parts: scaled(keras.layers.Add()(parts))
    if isinstance(layer, hgq.layers.QEinsum):
        return lambda parts: keras.ops.einsum(layer.equation, *parts)
    if isinstance(layer, hgq.layers.QSum):
        scaled = keras.layers.Rescaling(layer.scale)
        return lambda x: scaled(keras.ops.sum(x, layer.axes, layer.keepdims))
    if isinstance(layer, hgq.layers.QSoftmax):
        return partial(_softmax, layer)
    if isinstance(layer, hgq.layers.QUnaryFunctionLUT | keras.layers.Softmax):
        return keras.layers.Activation(activation or "softmax")
    # A layer that is used twice becomes two, and names are unique.
    twin = type(layer).from_config({**layer.get_config(), "name": None, "dtype": "float64"})
    if isinstance(layer, weightless.LAYERS):
        twin.build(shape)
        twin.set_weights(weightless.weights(layer))
    if isinstance(layer, weighted.LAYERS):
        twin.build(shape)
        twin.set_weights(layer.get_weights())
    return twin


def _softmax(layer: hgq.layers.QSoftmax, x: Any) -> Any:
    if layer.stable:
        x = keras.ops.max(x, layer.axes, keepdims=True) - x
    exponentials = _twin(layer.exp_table, [x], is_head=False)
    total = keras.ops.sum(exponentials, layer.axes, keepdims=True)
    return exponentials * _twin(layer.inv_table, [total], is_head=False)


def _read(layer: Any, options: tuple[str, ...]) -> dict[str, Any]:
    """Options of a layer as it has them."""
    return {name: getattr(layer, _KEPT_AS.get(name, name)) for name in options}


def in_float64(
    quantizer: hgq.layers.Quantizer, shape: tuple[int | None, ...]
) -> hgq.layers.Quantizer:
    """The same quantiser in float64; to be used in ``keras_float64()``."""
    twin = hgq.layers.Quantizer(quantizer.config)
    twin.build(shape)
    twin.set_weights(quantizer.get_weights())
    return twin

"""QKeras' average pooling: the sum of each window, times the quantised reciprocal of its size."""

from typing import Any

import keras
import numpy as np
import qkeras
from qkeras.quantizers import bernoulli

from trigger.fixedpoint.build import Builder, constant
from trigger.frontends import merging, wiring
from trigger.frontends.calls import Call, Value
from trigger.frontends.constants import as_numpy, finite
from trigger.frontends.inexact import Refusal
from trigger.frontends.nested import nodes
from trigger.frontends.own import called
from trigger.frontends.qkeras.constants import MAX_KERNEL_BITS

KINDS = (qkeras.QAveragePooling2D, qkeras.QGlobalAveragePooling2D)


def lower(builder: Builder, name: str, call: Call) -> str | Value:
    """Append the pooling of a layer, without its activation."""
    (value,) = call.inputs
    layer = call.layer
    groups = wiring.pooled(layer, wiring.numbers_of(value.shape))
    if not layer.average_quantizer:
        return merging.averages(builder, call._replace(name=name), value.node, groups)
    size = groups.shape[1]
    counts = (groups >= 0).sum(axis=1)
    odd = [int(count) for count in counts if (size << MAX_KERNEL_BITS) % int(count)]
    if odd:
        raise Refusal(
            f"it divides by {odd[0]} at some places, and multiplies by {size}",
            'use padding="valid", with ZeroPadding2D before it',
        )
    total = merging.sums(builder, f"{name}_sum", value.node, groups)
    scale = size / counts * factor(layer, size)
    try:
        scales = constant(scale, MAX_KERNEL_BITS + size.bit_length())
    except ValueError as error:
        raise Refusal(
            f"the reciprocal of {size} quantised by its average_quantizer spans too many bits "
            f"({error})",
            "use an average_quantizer such as quantized_bits(8,0,alpha=1)",
        ) from error
    return builder.affine(name, total, scales, constant(np.zeros(len(counts))))


def factor(layer: Any, size: int) -> float:
    """The quantised reciprocal of a window's size, as QKeras computes it in the network's own
    precision.
    """
    quantizer = layer.average_quantizer_internal
    if isinstance(layer, qkeras.QGlobalAveragePooling2D):
        reciprocal: Any = 1.0 / size
    else:
        reciprocal = 1.0 / keras.ops.cast(size, "float32")
    factors = {
        float(finite("reciprocal", as_numpy(y, "reciprocal")).item())
        for y in (called("its average_quantizer", quantizer, reciprocal) for _ in range(3))
    }
    if isinstance(quantizer, bernoulli) or len(factors) > 1:
        raise Refusal("its average_quantizer is random", "use quantized_bits with alpha=1")
    return factors.pop()


class Pooling(keras.layers.Layer):  # type: ignore[misc]
    """The pooling of a layer of QKeras in float64; QKeras itself casts to float32.

    ``factors`` has the quantised reciprocals of the sizes of windows.
    """

    def __init__(self, layer: Any, activation: Any, factors: dict[int, float]) -> None:
        super().__init__(name=layer.name, dtype="float64")
        options = layer.get_config()
        known = ("pool_size", "strides", "padding", "data_format", "keepdims")
        given = {key: options[key] for key in known if key in options}
        self._average = type(layer).__mro__[1](**given, dtype="float64")
        self._is_quantised = bool(layer.average_quantizer)
        self._factors = factors
        self.activation = activation

    def call(self, x: Any) -> Any:
        if self._is_quantised:
            size = _size(self._average, x.shape)
            x = self._average(x * size) * self._factors[size]
        else:
            x = self._average(x)
        return x if self.activation is None else self.activation(x)


def factors(layer: Any, model: keras.Model) -> dict[int, float]:
    """The quantised reciprocals of the sizes of a layer's windows in a network."""
    if not layer.average_quantizer:
        return {}
    inputs = [node.input_tensors[0] for node in nodes(model) if node.operation is layer]
    sizes = {_size(layer, tensor.shape) for tensor in inputs}
    return {size: factor(layer, size) for size in sizes}


def _size(layer: Any, shape: Any) -> int:
    """The number of elements of a whole window."""
    if hasattr(layer, "pool_size"):
        return int(np.prod(layer.pool_size))
    spatial = shape[1:3] if layer.data_format == "channels_last" else shape[2:4]
    return int(np.prod(spatial))

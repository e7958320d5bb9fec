"""Layers that multiply by kernels, as matrices: Dense on any rank, and convolutions.

Each kernel is a ``Dense`` of the graph with one position for each place that it is applied to. The
meaning of each option is that of Keras 3.
"""

import inspect
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from trigger.fixedpoint.build import Builder
from trigger.fixedpoint.ops import Constant
from trigger.fixedpoint.types import Flags, Integers
from trigger.frontends import wiring
from trigger.frontends.calls import Value
from trigger.frontends.inexact import Refusal

_L = keras.layers
_SEPARABLE = (_L.SeparableConv1D, _L.SeparableConv2D)
_DEPTHWISE = (_L.DepthwiseConv1D, _L.DepthwiseConv2D)
CONVOLUTIONS = (_L.Conv1D, _L.Conv2D, *_DEPTHWISE, *_SEPARABLE)
# Those of QKeras are derived from these.
LAYERS = (_L.Dense, *CONVOLUTIONS)
# The options of a layer that its outputs depend on.
_SHAPE = (
    "units", "filters", "kernel_size", "strides", "padding", "dilation_rate", "groups",
    "depth_multiplier", "data_format",
)  # fmt: skip
KERNEL = "kernel"
DEPTHWISE = "depthwise"
POINTWISE = "pointwise"


def names(layer: Any) -> tuple[str, ...]:
    """The names of a layer's kernels, in the order in which they are applied."""
    if isinstance(layer, _SEPARABLE):
        return (DEPTHWISE, POINTWISE)
    return (DEPTHWISE,) if isinstance(layer, _DEPTHWISE) else (KERNEL,)


def weight(layer: Any, name: str) -> Any:
    """The variable of a kernel. Keras calls that of a depthwise layer ``kernel``, QKeras does
    not.
    """
    return getattr(layer, f"{name}_kernel") if hasattr(layer, f"{name}_kernel") else layer.kernel


def weights(layer: Any) -> list[Any]:
    """The variables of all kernels of a layer; none of other layers."""
    return [weight(layer, name) for name in names(layer)] if isinstance(layer, LAYERS) else []


def as_keras(layer: Any, activation: Any, **options: Any) -> keras.layers.Layer:
    """A layer of Keras that computes what this layer of QKeras does without quantisers."""
    layer_class = next(layer_class for layer_class in LAYERS if isinstance(layer, layer_class))
    config = layer.get_config()
    known = inspect.signature(layer_class.__init__).parameters
    shape = {name: config[name] for name in _SHAPE if name in known and name in config}
    return layer_class(**shape, activation=activation, name=layer.name, **options)


def lower(
    builder: Builder,
    name: str,
    layer: Any,
    value: Value,
    kernels: Mapping[str, Constant],
    bias: Constant,
) -> str:
    """Append a layer with these kernels, as Keras shapes them; returns the name of its last node.

    Raises Refusal for a data format and strides that Keras cannot compute in float64.
    """
    if getattr(layer, "data_format", None) == "channels_first":
        raise Refusal(
            'data_format="channels_first", which TensorFlow cannot compute on a CPU in float64',
            'use data_format="channels_last", with a Permute before and after it',
        )
    if isinstance(layer, (*_DEPTHWISE, *_SEPARABLE)) and len(set(layer.strides)) > 1:
        raise Refusal(
            f"its strides {tuple(layer.strides)} differ, which TensorFlow cannot compute on a CPU "
            "in float64",
            "use equal strides, or a Conv2D with these strides",
        )
    numbers = wiring.numbers_of(value.shape)
    windows = wiring.windows(layer, numbers) if hasattr(layer, "kernel_size") else numbers
    windows = windows.reshape(-1, windows.shape[-1])
    source = wiring.gather(builder, f"{name}_windows", value.node, windows)
    *before, last = kernels
    for part in before:
        matrix = _matrix(layer, part, kernels[part])
        zero = Constant(np.zeros(matrix.values.shape[1], dtype=np.int64), matrix.type)
        trained = _trained(layer, part, kernels[part], False)
        source = builder.dense(f"{name}_{part}", source, matrix, zero, len(windows), trained)
    trained = _trained(layer, last, kernels[last], has_bias(layer))
    matrix = _matrix(layer, last, kernels[last])
    return builder.dense(name, source, matrix, bias, len(windows), trained)


def has_bias(layer: Any) -> bool:
    """Whether training sets a bias: that of the layer, or of a batch normalisation folded into
    it.
    """
    return getattr(layer, "bias", None) is not None or hasattr(layer, "batchnorm")


def _trained(layer: Any, name: str, kernel: Constant, with_bias: bool) -> Flags:
    """Which weights of the matrix, and in a last row which biases, training sets."""
    weights = _matrix(layer, name, Constant(np.ones_like(kernel.values), kernel.type)).values > 0
    return np.concatenate([weights, np.full((1, weights.shape[1]), with_bias)])


def _matrix(layer: Any, name: str, kernel: Constant) -> Constant:
    """A kernel as (inputs, outputs), the inputs in the order of ``wiring.windows``."""
    if name == DEPTHWISE:
        return Constant(_by_channel(kernel.values), kernel.type)
    return Constant(_by_group(kernel.values, getattr(layer, "groups", 1)), kernel.type)


def _by_channel(kernel: Integers) -> Integers:
    """A depthwise kernel (..., channels, multiplier): each channel has outputs of its own."""
    *_, channels, multiplier = kernel.shape
    places = kernel.reshape(-1, channels, multiplier)
    matrix = np.zeros((*places.shape[:2], channels, multiplier), dtype=np.int64)
    every = np.arange(channels)
    matrix[:, every, every] = places
    return matrix.reshape(len(places) * channels, channels * multiplier)


def _by_group(kernel: Integers, groups: int) -> Integers:
    """A kernel (..., channels of a group, outputs): each group of outputs reads its own
    channels.
    """
    *_, channels, outputs = kernel.shape
    places = kernel.reshape(-1, channels, groups, outputs // groups)
    matrix = np.zeros((len(places), groups, channels, groups, outputs // groups), dtype=np.int64)
    for group in range(groups):
        matrix[:, group, :, group] = places[:, :, group]
    return matrix.reshape(-1, outputs)

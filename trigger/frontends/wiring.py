"""Layers that move elements, and the groups of elements that pooling compares: as numbers of
elements.

A layer is asked what it does with an array of the numbers of its input's elements; -1 stands for
zero. The meaning of each option is that of Keras 3.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from trigger.fixedpoint.build import Builder
from trigger.fixedpoint.types import Integers
from trigger.frontends.inexact import Refusal

_L = keras.layers
_ZERO = -1


def numbers_of(shape: tuple[int, ...]) -> Integers:
    """The numbers of the elements of a value, in its shape."""
    return np.arange(np.prod(shape, dtype=np.int64)).reshape(shape)


def _flatten(layer: Any, x: Integers) -> Integers:
    return np.moveaxis(x, 0, -1) if layer.data_format == "channels_first" and x.ndim > 1 else x


def _permute(layer: Any, x: Integers) -> Integers:
    return x.transpose([axis - 1 for axis in layer.dims])


def _repeat(layer: Any, x: Integers) -> Integers:
    return np.repeat(x[None], layer.n, axis=0)


def _crop(layer: Any, x: Integers) -> Integers:
    amounts = _by_axis(layer.cropping, x.ndim - 1)
    cut = tuple(
        slice(before, size - after) for (before, after), size in _spatial(layer, x, amounts)
    )
    return _in_space(layer, x, lambda channels_last: channels_last[cut])


def _pad(layer: Any, x: Integers) -> Integers:
    amounts = [*_by_axis(layer.padding, x.ndim - 1), (0, 0)]
    return _in_space(layer, x, lambda last: np.pad(last, amounts, constant_values=_ZERO))


def _upsample(layer: Any, x: Integers) -> Integers:
    if getattr(layer, "interpolation", "nearest") != "nearest":
        raise Refusal(
            f"it interpolates ({layer.interpolation}) between values", 'use interpolation="nearest"'
        )
    sizes = np.broadcast_to(layer.size, x.ndim - 1).tolist()

    def repeated(last: Integers) -> Integers:
        for axis, size in enumerate(sizes):
            last = np.repeat(last, size, axis=axis)
        return last

    return _in_space(layer, x, repeated)


# What a layer makes of the numbers of its input's elements.
MOVES: dict[type, Callable[[Any, Integers], Integers]] = {
    _L.Flatten: _flatten,
    _L.Permute: _permute,
    _L.RepeatVector: _repeat,
    _L.Cropping1D: _crop,
    _L.Cropping2D: _crop,
    _L.ZeroPadding1D: _pad,
    _L.ZeroPadding2D: _pad,
    _L.UpSampling1D: _upsample,
    _L.UpSampling2D: _upsample,
}
# Those that add zeros.
PADS = {_L.ZeroPadding1D, _L.ZeroPadding2D}
MAX_POOLING = (_L.MaxPooling1D, _L.MaxPooling2D, _L.GlobalMaxPooling1D, _L.GlobalMaxPooling2D)
AVERAGE_POOLING = (
    _L.AveragePooling1D,
    _L.AveragePooling2D,
    _L.GlobalAveragePooling1D,
    _L.GlobalAveragePooling2D,
)


def compared(layer: Any, x: Integers) -> Integers:
    """The elements that each output of a pooling layer compares: (outputs, members).

    A window at a border has fewer elements; one of them is then repeated.
    """
    groups = pooled(layer, x)
    return np.where(groups < 0, groups.max(axis=1, keepdims=True), groups)


def pooled(layer: Any, x: Integers) -> Integers:
    """The elements in the window of each output of a pooling layer, (outputs, members); -1 lies
    outside.
    """
    last = np.moveaxis(x, 0, -1) if _channels_first(layer) else x
    spatial = last.ndim - 1
    if hasattr(layer, "pool_size"):
        sizes, strides = layer.pool_size, layer.strides
        if layer.padding == "same":
            last = np.pad(last, [*_same(last, sizes, strides), (0, 0)], constant_values=_ZERO)
    else:
        sizes, strides = last.shape[:spatial], (1,) * spatial
    windows = np.lib.stride_tricks.sliding_window_view(last, sizes, tuple(range(spatial)))
    windows = windows[tuple(slice(None, None, step) for step in strides)]
    groups = windows.reshape(*windows.shape[: spatial + 1], -1)
    if _channels_first(layer):
        groups = np.moveaxis(groups, spatial, 0)
    return groups.reshape(-1, groups.shape[-1])


def windows(layer: Any, x: Integers) -> Integers:
    """The elements that a convolution with the channels last reads at each of its positions.

    The shape is (positions, inputs); a position's inputs are in the order of the kernel's first
    axes.
    """
    spatial = x.ndim - 1
    steps = layer.dilation_rate
    reach = [(size - 1) * step + 1 for size, step in zip(layer.kernel_size, steps, strict=True)]
    padding = [(0, 0)] * spatial
    if layer.padding == "same":
        padding = _same(x, reach, layer.strides)
    elif layer.padding == "causal":
        padding = [(reach[0] - 1, 0)]
    padded = np.pad(x, [*padding, (0, 0)], constant_values=_ZERO)
    views = np.lib.stride_tricks.sliding_window_view(padded, reach, tuple(range(spatial)))
    places = tuple(slice(None, None, stride) for stride in layer.strides)
    members = tuple(slice(None, None, step) for step in steps)
    views = views[(*places, slice(None), *members)]
    views = np.moveaxis(views, spatial, -1)  # the channels
    return views.reshape(int(np.prod(views.shape[:spatial])), -1)


def gather(builder: Builder, name: str, source: str, elements: Integers) -> str:
    """The elements of a node by number, in this order; the node itself where that is all."""
    elements = elements.ravel()
    if np.array_equal(elements, np.arange(len(builder[source].types))):
        return source
    return builder.select(name, source, elements)


def joined(shapes: list[tuple[int, ...]], axis: int) -> Integers:
    """The order in which Concatenate puts the elements of its inputs, numbered one input after the
    other.
    """
    sizes = [int(np.prod(shape)) for shape in shapes]
    starts = np.cumsum([0, *sizes[:-1]])
    parts = [numbers_of(shape) + start for shape, start in zip(shapes, starts, strict=True)]
    return np.concatenate(parts, axis=axis)


def _same(x: Integers, sizes: Any, strides: Any) -> list[tuple[int, int]]:
    """How far TensorFlow pads each spatial axis with padding="same": the odd element at the end."""
    pads = []
    for length, size, stride in zip(x.shape, sizes, strides, strict=False):
        total = max((-(-length // stride) - 1) * stride + size - length, 0)
        pads.append((total // 2, total - total // 2))
    return pads


def _by_axis(amounts: Any, axes: int) -> list[tuple[int, int]]:
    """Before and after, for each spatial axis: a 1D layer has two numbers, a 2D layer two pairs."""
    return [tuple(amounts)] if axes == 1 else [tuple(pair) for pair in amounts]


def _spatial(layer: Any, x: Integers, amounts: list[Any]) -> list[tuple[Any, int]]:
    shape = x.shape[1:] if _channels_first(layer) else x.shape[:-1]
    return list(zip(amounts, shape, strict=True))


def _in_space(layer: Any, x: Integers, change: Callable[[Integers], Integers]) -> Integers:
    """A change of the spatial axes, with the channels last meanwhile."""
    if not _channels_first(layer):
        return change(x)
    return np.moveaxis(change(np.moveaxis(x, 0, -1)), -1, 0)


def _channels_first(layer: Any) -> bool:
    return getattr(layer, "data_format", None) == "channels_first"

"""Convolution and pooling on many events at once, as executors compute them.

onnx's own evaluator takes one event after the other. Each place of the kernel is one shifted copy
of the input here; ``windows`` lists the elements under each window instead.
"""

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from trigger.frontends.onnx.reading import Node


class _Axis(NamedTuple):
    """One spatial axis: its kernel, and the padding before, after, and beyond that."""

    kernel: int
    stride: int
    dilation: int
    before: int
    after: int
    beyond: int
    outputs: int


def convolved(node: Node, x: Any, weights: Any, bias: Any = None) -> Any:
    """Conv of events (events, channels, spatial…) and weights (outputs, channels, kernel…)."""
    groups = int(node.get("group", 1))
    axes = _axes(node, x.shape[2:], weights.shape[2:])
    counts = [axis.outputs for axis in axes]
    events, channels = x.shape[:2]
    each = weights.reshape(groups, -1, *weights.shape[1:])
    total = np.zeros((events, groups, each.shape[1], math.prod(counts)), dtype=x.dtype)
    for place, part in _shifted(x, axes, 0.0):
        values = part.reshape(events, groups, channels // groups, -1)
        total += np.matmul(each[(..., *place)], values)
    made = total.reshape(events, -1, *counts)
    if bias is None:
        return made
    return made + bias.reshape(1, -1, *([1] * len(counts)))


def largest(node: Node, x: Any) -> Any:
    """MaxPool of real numbers or of integers."""
    least = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    axes = _axes(node, x.shape[2:], node.get("kernel_shape"))
    parts = [part for _, part in _shifted(x, axes, least)]
    return np.maximum.reduce(parts)


def mean(node: Node, x: Any) -> Any:
    """AveragePool."""
    axes = _axes(node, x.shape[2:], node.get("kernel_shape"))
    total = sum(part for _, part in _shifted(x, axes, 0.0))
    padding = float(node.get("count_include_pad", 0))
    ones = np.ones((1, 1, *x.shape[2:]), dtype=x.dtype)
    return total / sum(part for _, part in _shifted(ones, axes, padding, 0.0))


def _shifted(
    x: Any, axes: list[_Axis], fill: float, beyond: float | None = None
) -> Iterator[tuple[tuple[int, ...], Any]]:
    """For each place of the kernel, the elements that it reads, in the shape of the outputs."""
    outer = fill if beyond is None else beyond
    padded = np.pad(x, [(0, 0), (0, 0), *((a.before, a.after) for a in axes)], constant_values=fill)
    padded = np.pad(padded, [(0, 0), (0, 0), *((0, a.beyond) for a in axes)], constant_values=outer)
    for place in itertools.product(*(range(axis.kernel) for axis in axes)):
        cut = []
        for axis, number in zip(axes, place, strict=True):
            first = number * axis.dilation
            cut.append(slice(first, first + (axis.outputs - 1) * axis.stride + 1, axis.stride))
        yield place, padded[(slice(None), slice(None), *cut)]


def _axes(node: Node, lengths: Any, kernel: Any) -> list[_Axis]:
    number = len(lengths)
    strides = node.get("strides", [1] * number)
    dilations = node.get("dilations", [1] * number)
    pads = node.get("pads", [0] * (2 * number))
    auto = str(node.get("auto_pad", "NOTSET"))
    axes = []
    for k, length in enumerate(lengths):
        size = dilations[k] * (kernel[k] - 1) + 1
        before, after = pads[k], pads[k + number]
        if auto.startswith("SAME"):
            outputs = math.ceil(length / strides[k])
            total = max((outputs - 1) * strides[k] + size - length, 0)
            before = total // 2 if auto == "SAME_UPPER" else total - total // 2
            after = total - before
        elif auto == "VALID":
            before = after = 0
        room = (length + before + after - size) / strides[k]
        outputs = (math.ceil(room) if node.get("ceil_mode", 0) else math.floor(room)) + 1
        if (outputs - 1) * strides[
            k
        ] >= length + before:  # it would start in the padding at the end
            outputs -= 1
        beyond = max((outputs - 1) * strides[k] + size - (length + before + after), 0)
        axes.append(_Axis(kernel[k], strides[k], dilations[k], before, after, beyond, outputs))
    return axes

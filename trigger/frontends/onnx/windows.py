"""The elements under the windows of convolutions and pooling, the channels first as in ONNX."""

import math
from typing import NamedTuple

import numpy as np

from trigger.fixedpoint.types import Integers
from trigger.frontends.inexact import Refusal
from trigger.frontends.onnx.reading import MOST_ELEMENTS, Node

OUTSIDE = -1
_MOST_READS = 1 << 24


class Window(NamedTuple):
    """Where the windows of a node lie: for each spatial axis."""

    sizes: list[int]
    strides: list[int]
    dilations: list[int]
    pads: list[tuple[int, int]]
    # How far the last window may reach beyond the padding.
    beyond: list[int]


def window(node: Node, spatial: tuple[int, ...], sizes: list[int]) -> Window:
    """The window of Conv, MaxPool or AveragePool on an input of this size."""
    axes = len(spatial)
    strides = [int(n) for n in node.get("strides", [1] * axes)]
    dilations = [int(n) for n in node.get("dilations", [1] * axes)]
    reach = [(size - 1) * step + 1 for size, step in zip(sizes, dilations, strict=True)]
    if min(*strides, *dilations, *sizes) < 1:
        raise Refusal("its window has no size, or no stride", "export the network again")
    auto = str(node.get("auto_pad", "NOTSET"))
    if auto == "NOTSET":
        given = [int(n) for n in node.get("pads", [0] * (2 * axes))]
        pads = list(zip(given[:axes], given[axes:], strict=True))
    elif auto == "VALID":
        pads = [(0, 0)] * axes
    else:
        pads = []
        for length, extent, stride in zip(spatial, reach, strides, strict=True):
            total = max((-(-length // stride) - 1) * stride + extent - length, 0)
            less, more = total // 2, total - total // 2
            pads.append((less, more) if auto == "SAME_UPPER" else (more, less))
    if min(min(pair) for pair in pads) < 0:
        raise Refusal("its padding is negative", "cut the values with Slice instead")
    beyond = [0] * axes
    if node.get("ceil_mode", 0):
        for k, length in enumerate(spatial):
            rest = (length + sum(pads[k]) - reach[k]) % strides[k]
            more = strides[k] - rest if rest else 0
            # A window must start inside the input or the padding before it.
            starts = (length + sum(pads[k]) - reach[k] + more) // strides[k] * strides[k]
            beyond[k] = more if starts < length + pads[k][0] else 0
    return Window(sizes, strides, dilations, pads, beyond)


def under(numbers: Integers, made: Window, inner: int = OUTSIDE) -> tuple[Integers, list[int]]:
    """The elements under each window of an array (channels, spatial…): (channels, positions,
    members), -1 outside; and the number of positions on each axis.

    ``inner`` stands for the padding, if it must be told from what lies beyond.
    """
    wide = [
        n + sum(pad) + more
        for n, pad, more in zip(numbers.shape[1:], made.pads, made.beyond, strict=True)
    ]
    if numbers.shape[0] * math.prod(wide) > 4 * MOST_ELEMENTS:
        raise Refusal("its padding makes too many elements", "use less padding")
    padded = np.pad(numbers, [(0, 0), *made.pads], constant_values=inner)
    padded = np.pad(padded, [(0, 0), *((0, more) for more in made.beyond)], constant_values=OUTSIDE)
    pairs = zip(made.sizes, made.dilations, strict=True)
    reach = [(size - 1) * step + 1 for size, step in pairs]
    if any(n < extent for n, extent in zip(padded.shape[1:], reach, strict=True)):
        raise Refusal(f"its window {made.sizes} is larger than its input", "use a smaller one")
    axes = tuple(range(1, numbers.ndim))
    views = np.lib.stride_tricks.sliding_window_view(padded, reach, axes)
    places = tuple(slice(None, None, stride) for stride in made.strides)
    members = tuple(slice(None, None, step) for step in made.dilations)
    views = views[(slice(None), *places, *members)]
    counts = list(views.shape[1 : numbers.ndim])
    if views.size > _MOST_READS:
        raise Refusal(
            f"its windows read {views.size:,} elements", "use a smaller kernel, or strides"
        )
    return views.reshape(len(numbers), math.prod(counts), -1), counts

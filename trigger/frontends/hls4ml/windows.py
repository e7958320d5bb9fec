"""The elements under the windows of convolutions and pooling, the channels last as in C++."""

import math
from typing import NamedTuple

import numpy as np

from trigger.fixedpoint.types import Integers
from trigger.frontends.hls4ml.configs import Config
from trigger.frontends.hls4ml.headers import HeaderError
from trigger.frontends.inexact import Refusal

OUTSIDE = -1
_MOST_READS = 1 << 24
_HEIGHT = ("height", "top", "bottom")
_WIDTH = ("width", "left", "right")


class Axis(NamedTuple):
    """One axis of an image, and the windows on it."""

    length: int
    before: int
    after: int
    window: int
    stride: int
    outputs: int
    dilation: int = 1

    def places(self) -> Integers:
        """The places under each window, of shape (windows, members); -1 outside."""
        starts = np.arange(self.outputs) * self.stride - self.before
        places = starts[:, None] + np.arange(self.window) * self.dilation
        return np.where((places >= 0) & (places < self.length), places, OUTSIDE)


def axes(config: Config, dimensions: int, window: str) -> list[Axis]:
    """The axes of an image of one or two ``dimensions``, whose windows the struct calls so.

    Raises HeaderError if the struct does not define them, or differently from their outputs.
    """
    return [_axis(config, names, window) for names in (_HEIGHT, _WIDTH)[-dimensions:]]


def _axis(config: Config, names: tuple[str, str, str], window: str) -> Axis:
    side, before, after = names
    short = (window, side) == ("pool", "width") and not config.has("in_width")
    length, outputs = ("n_in", "n_out") if short else (f"in_{side}", f"out_{side}")
    axis = Axis(
        config.size(length),
        config.size(f"pad_{before}"),
        config.size(f"pad_{after}"),
        config.size(f"{window}_{side}"),
        config.size(f"stride_{side}"),
        config.size(outputs),
        config.size("dilation") if config.has("dilation") else 1,
    )
    reach = (axis.window - 1) * axis.dilation + 1
    room = axis.length + axis.before + axis.after - reach
    if min(axis) < 0 or min(axis.window, axis.stride, axis.dilation) < 1 or room < 0:
        raise HeaderError(f"the struct {config.name} has no windows on its {side}")
    if room // axis.stride + 1 != axis.outputs:
        raise HeaderError(
            f"the struct {config.name} has {outputs} = {axis.outputs}, but "
            f"{room // axis.stride + 1} windows fit"
        )
    return axis


def under(image: list[Axis], channels: int) -> Integers:
    """The elements of an image under each window, (windows, members, channels); -1 outside."""
    reads = channels * math.prod(axis.outputs * axis.window for axis in image)
    if reads > _MOST_READS:
        raise Refusal(f"its windows read {reads:,} elements", "use smaller windows, or strides")
    places = np.zeros((1, 1), dtype=np.int64)
    for axis in image:
        outer, inner = places[:, None, :, None], axis.places()[None, :, None, :]
        joined = np.where((outer < 0) | (inner < 0), OUTSIDE, outer * axis.length + inner)
        places = joined.reshape(len(places) * axis.outputs, -1)
    each = places[:, :, None]
    return np.where(each < 0, OUTSIDE, each * channels + np.arange(channels))

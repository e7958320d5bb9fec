"""Convolutions: one kernel at each window of an image."""

import math
from collections.abc import Callable

import numpy as np

from trigger.frontends.hls4ml import sums, windows
from trigger.frontends.hls4ml.configs import Config
from trigger.frontends.hls4ml.headers import HeaderError
from trigger.frontends.hls4ml.layer import Layer
from trigger.frontends.hls4ml.numbers import values
from trigger.frontends.inexact import Refusal

_SIZES = (("in_width",), ("in_height", "in_width"))


def convolution(dimensions: int) -> Callable[[Layer], str]:
    """Each window, times one kernel (window, channels, filters)."""

    def lowered(layer: Layer) -> str:
        members, positions = _gathered(layer, dimensions)
        inputs = len(layer.builder[members].types) // positions
        shape = inputs, layer.config.size("n_filt")
        products = _products(layer)
        reuse = products.size("reuse_factor")
        if sums.strategy(products) == "resource" and not layer.is_stream and reuse > inputs:
            raise Refusal(
                f"its reuse_factor is {reuse}, but hls4ml computes its {inputs} products a filter "
                f"in at most {inputs} steps",
                f"set its ReuseFactor to {inputs} or less",
            )
        return layer.given(sums.weighted(layer, products, members, shape))

    return lowered


def pointwise(dimensions: int) -> Callable[[Layer], str]:
    """Each pixel, times one kernel (channels, filters)."""

    def lowered(layer: Layer) -> str:
        image = windows.axes(layer.config, dimensions, "filt")
        if any((axis.window, axis.stride) != (1, 1) for axis in image):
            raise Refusal(
                "it skips pixels, in an order that differs from release to release",
                "use a convolution whose stride is 1",
            )
        return convolution(dimensions)(layer)

    return lowered


def depthwise(dimensions: int) -> Callable[[Layer], str]:
    """Each channel of a window, times its own kernel (window)."""

    def lowered(layer: Layer) -> str:
        config = _products(layer)
        if sums.strategy(config) == "resource" and not layer.is_stream:
            raise Refusal(
                "hls4ml does not compute it in parallel with the strategy resource",
                "set its Strategy to Latency, or use io_stream",
            )
        members, positions = _gathered(layer, dimensions)
        inputs = len(layer.builder[members].types) // positions
        channels = layer.config.size("n_chan")
        if layer.config.size("n_filt") != channels:
            raise Refusal("its depth multiplier is not 1", "use one filter for each channel")
        of_weights, accumulator = config.number("weight_t"), config.number("accum_t")
        weights = layer.constants(layer.stored[0], inputs, of_weights)
        sums.check_product(layer, config, of_weights, weights)
        own = np.tile(np.eye(channels), (inputs // channels, 1))
        kernel = values(weights, of_weights)[:, None] * own
        bias = sums.biases(layer, config, channels, accumulator)
        return layer.given(sums.summed(layer, members, kernel, bias, accumulator))

    return lowered


def _gathered(layer: Layer, dimensions: int) -> tuple[str, int]:
    """The elements under each window, one window after another; and the number of windows."""
    image = windows.axes(layer.config, dimensions, "filt")
    layer.check_size(*_SIZES[dimensions - 1], "n_chan")
    if layer.is_stream:
        _check_stream(layer.config, image)
    elements = windows.under(image, layer.config.size("n_chan"))
    source = layer.inputs[0].node
    read = layer.builder.select(f"{layer.name}_windows", source, elements.ravel())
    return read, math.prod(axis.outputs for axis in image)


def _check_stream(config: Config, image: list[windows.Axis]) -> None:
    """Refuse what the functions for streams do not compute."""
    if any(axis.before or axis.after or axis.dilation > 1 for axis in image):
        raise Refusal(
            "it reads a stream with padding or dilation, which hls4ml does not support",
            "pad the image with ZeroPadding, or use io_parallel",
        )
    if len(image) == 1:
        return
    height, width = image
    if config.option("implementation", "linebuffer") == "encoded":
        if height.window != width.window:
            raise Refusal(
                f"its window has {height.window} x {width.window} pixels, but hls4ml encodes only "
                f"those of equal height and width",
                "set its ConvImplementation to LineBuffer, or use io_parallel",
            )
    elif height.window == 1 and height.outputs != height.length:
        raise Refusal(
            f"its window is 1 pixel high, so that hls4ml does not skip rows of a stream, but its "
            f"stride is {height.stride}",
            "use a stride of 1 for the height, or io_parallel",
        )


def _products(layer: Layer) -> Config:
    """The struct with the types of the products, whose accumulator is that of the layer."""
    config = layer.project.struct(layer.config.struct("mult_config"))
    if config.number("accum_t") != layer.config.number("accum_t"):
        raise HeaderError(f"the structs {layer.config.name} and {config.name} differ in accum_t")
    return config

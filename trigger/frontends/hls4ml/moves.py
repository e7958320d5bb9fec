"""Elements in another order, between zeros, and chosen from two inputs."""

import math
import re
from collections.abc import Callable

import numpy as np

from trigger.fixedpoint.build import constant
from trigger.fixedpoint.types import Integers
from trigger.frontends.hls4ml.configs import Config
from trigger.frontends.hls4ml.headers import HeaderError
from trigger.frontends.hls4ml.layer import Layer
from trigger.frontends.inexact import Refusal

_SIDES = (("height", "top", "bottom"), ("width", "left", "right"))
_MOST_ELEMENTS = 1 << 20
_ZERO = -1


def zero_padded(dimensions: int) -> Callable[[Layer], str]:
    """An image with zeros around it."""

    def lowered(layer: Layer) -> str:
        config = layer.config
        shape = ("in_height", "in_width", "n_chan")[-dimensions - 1 :]
        layer.check_size(*shape)
        sides = [_padding(config, *names) for names in _SIDES[-dimensions:]]
        elements = config.size("n_chan") * math.prod(
            config.size(f"in_{side}") + sum(pads)
            for (side, *_), pads in zip(_SIDES[-dimensions:], sides, strict=True)
        )
        if elements > _MOST_ELEMENTS:
            raise Refusal(f"its result has {elements:,} elements", "use less padding")
        numbers = np.arange(layer.elements()).reshape([config.size(field) for field in shape])
        return _taken(layer, np.pad(numbers, [*sides, (0, 0)], constant_values=_ZERO))

    return lowered


def _padding(config: Config, side: str, before: str, after: str) -> tuple[int, int]:
    """The zeros at both ends of a side. Raises HeaderError if its length with them is another."""
    pads = config.size(f"pad_{before}"), config.size(f"pad_{after}")
    length, padded = config.size(f"in_{side}"), config.size(f"out_{side}")
    if min(pads) < 0 or length + sum(pads) != padded:
        raise HeaderError(
            f"the struct {config.name} has in_{side} = {length}, pad_{before} = {pads[0]}, "
            f"pad_{after} = {pads[1]}, but out_{side} = {padded}"
        )
    return pads


def transpose(layer: Layer) -> str:
    """The axes of an array in another order."""
    size, dimensions = layer.check_size("N"), layer.config.size("dims")
    shape, strides = (_integers(layer, field) for field in ("to_shape", "perm_strides"))
    places = np.zeros(1, dtype=np.int64)
    fits = len(shape) == len(strides) == dimensions and math.prod(shape) == size
    if fits and max(strides) <= size:
        for length, stride in zip(shape, strides, strict=True):
            places = (places[:, None] + np.arange(length) * stride).ravel()
    if len(places) != size or places.max() >= size:
        raise HeaderError(
            f"the struct {layer.config.name} has to_shape {shape}, perm_strides {strides}"
        )
    if layer.is_stream and dimensions == 2 and strides != [1, shape[0]]:
        raise Refusal(
            "it leaves both axes in their places, but hls4ml swaps the two axes of a stream",
            "leave it out of the network, or use io_parallel",
        )
    return _taken(layer, places)


def _integers(layer: Layer, field: str) -> list[int]:
    """The numbers of an array that is defined behind the struct."""
    config = layer.config
    found = re.search(
        rf"\b{config.name}_{field}\s*\[\d+\]\s*=\s*\{{([\d,\s]+)\}}", config.headers.text
    )
    if found is None:
        raise HeaderError(f"the struct {config.name} has no {field}")
    return [int(part) for part in found[1].split(",") if part.strip()]


def _taken(layer: Layer, elements: Integers) -> str:
    return layer.given(layer.builder.select(layer.name, layer.inputs[0].node, elements.ravel()))


def multiply(layer: Layer) -> str:
    """The product of two values, element by element."""
    first, second = _alike(layer)
    return layer.given(layer.builder.multiply(layer.name, first, second))


def average(layer: Layer) -> str:
    """Half the sum of two values, element by element."""
    if not layer.written("nnet_merge.h", "ap_ufixed<1, 0>(0.5)"):
        raise Refusal(
            "it divides by 2 in the type of its result, as hls4ml before 1.2 does",
            "write the project with hls4ml 1.2 or later",
        )
    total = layer.builder.add(f"{layer.name}_sum", _alike(layer))
    half, none = (constant(np.full(layer.elements(), value)) for value in (0.5, 0.0))
    return layer.given(layer.builder.affine(layer.name, total, half, none))


def greatest(layer: Layer) -> str:
    """The greater of two values, element by element."""
    return layer.given(layer.builder.maximum(layer.name, *_pairs(layer)))


def least(layer: Layer) -> str:
    """The smaller of two values, element by element."""
    return layer.given(layer.builder.minimum(layer.name, *_pairs(layer)))


def _pairs(layer: Layer) -> tuple[str, Integers]:
    both = layer.builder.concatenate(f"{layer.name}_both", _alike(layer))
    return both, np.arange(2 * layer.elements()).reshape(2, -1).T


def _alike(layer: Layer) -> tuple[str, str]:
    """Two inputs of one size."""
    if layer.elements(0) != layer.elements(1):
        raise Refusal(
            f"its inputs have {layer.elements(0)} and {layer.elements(1)} elements",
            "give it values of one size",
        )
    layer.check_size("n_elem")
    return layer.inputs[0].node, layer.inputs[1].node

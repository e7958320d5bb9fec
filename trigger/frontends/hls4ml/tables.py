"""Activations that C++ reads from a table: the address by its arithmetic, and the levels."""

from collections.abc import Callable

import numpy as np

from trigger.fixedpoint.build import constant
from trigger.fixedpoint.types import Fixed
from trigger.frontends.hls4ml.layer import Layer
from trigger.frontends.hls4ml.numbers import Number, cut, rounded
from trigger.frontends.inexact import Refusal

_HEADER = "nnet_activation.h"
_LAMBDA = "1.0507009873554804934193349852946"
# C++ keeps the address in an int.
_MOST = 2**31


def symmetric(span: int) -> Callable[[Layer], str]:
    """A table over the interval from -span/2 to span/2; inputs beyond it give its ends."""

    def lowered(layer: Layer) -> str:
        layer.check_size("n_in")
        levels = rounded(layer.table().tolist(), layer.result)
        size = len(levels)
        half = (span // 2) * size // span
        address = _address(layer, layer.inputs[0].node, size / span, (-half, size - 1 - half))
        return _looked_up(layer, layer.name, address, levels, -half)

    return lowered


def elu(layer: Layer) -> str:
    """Negative inputs by a table from 0 to -8, times a factor."""
    return _negative_by_table(layer, layer.table() * layer.factor(), 1.0)


def selu(layer: Layer) -> str:
    """Negative inputs by a table from 0 to -8, others times a constant in some type."""
    if layer.is_stream:
        kind = layer.inputs[0].type
    elif layer.written(_HEADER, "typedef ap_ufixed<16, 1> selu_const_t;"):
        kind = Number(Fixed(False, 16, 1))
    elif layer.written(_HEADER, f"res_T({_LAMBDA}) * datareg"):
        kind = layer.result
    else:
        raise Refusal("the type of its constant is not known", "use the headers that hls4ml wrote")
    (factor,) = rounded([float(_LAMBDA)], kind)
    return _negative_by_table(layer, layer.table(), float(factor))


def _negative_by_table(layer: Layer, levels: np.ndarray, factor: float) -> str:
    """Positive inputs times a factor, negative ones by a table from 0 to -8."""
    layer.check_size("n_in")
    builder, source = layer.builder, layer.inputs[0].node
    if levels[0] != 0:
        raise Refusal("its table does not start with 0", "use the headers that hls4ml wrote")
    positive = builder.clip(f"{layer.name}_positive", source, 0.0, None)
    if factor != 1:
        positive = layer.scaled("_linear", positive, factor)
    negative = builder.clip(f"{layer.name}_negative", source, None, 0.0)
    address = _address(layer, negative, len(levels) / -8, (0, len(levels) - 1))
    looked_up = _looked_up(layer, f"{layer.name}_table", address, levels, 0)
    return layer.given(builder.add(layer.name, (positive, looked_up)))


def _looked_up(layer: Layer, name: str, address: str, levels: np.ndarray, first: int) -> str:
    """The levels, of which the first is for this address, without those that are never read."""
    span = layer.builder.range(address)
    low, high = int(span.low.min()), int(span.high.max())
    read = constant(levels[low - first : high - first + 1])
    return layer.builder.lookup(name, address, low, read)


def _address(layer: Layer, source: str, scale: float, ends: tuple[int, int]) -> str:
    """The input times the scale, rounded towards zero and clipped, as an integer."""
    builder = layer.builder
    scaled = layer.scaled("_scaled", source, scale)
    span = builder.range(scaled)
    reach = np.maximum(np.abs(span.low), np.abs(span.high)) * 2.0 ** -builder[scaled].fractions
    if reach.max() >= _MOST:
        raise Refusal(
            "the address of its table can exceed 32 bits", "give its input a narrower type"
        )
    clipped = builder.clip(f"{layer.name}_clipped", scaled, *map(float, ends))
    return cut(builder, f"{layer.name}_address", clipped)

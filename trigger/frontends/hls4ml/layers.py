"""The functions of hls4ml as nodes of the graph, with the roundings of their C++."""

from collections.abc import Callable

import numpy as np

from trigger.fixedpoint.build import constant
from trigger.frontends.hls4ml import sums
from trigger.frontends.hls4ml.headers import HeaderError
from trigger.frontends.hls4ml.layer import Layer
from trigger.frontends.hls4ml.numbers import values
from trigger.frontends.inexact import Refusal


def dense(layer: Layer) -> str:
    """Products rounded to the type of the accumulator, and their sum in that type."""
    inputs, outputs = layer.check_size("n_in"), layer.config.size("n_out")
    source = layer.inputs[0].node
    return layer.given(sums.weighted(layer, layer.config, source, (inputs, outputs)))


def normalize(layer: Layer) -> str:
    """A scale and a bias for each element, without rounding before the result."""
    config = layer.config
    elements = layer.check_size("n_in")
    filters = config.size("n_filt")
    count = elements if filters in (-1, 2**32 - 1) else filters
    if count < 1 or elements % count:
        raise HeaderError(f"the struct {config.name} has n_in = {elements}, n_filt = {filters}")
    of_scale, of_bias = config.number("scale_t"), config.number("bias_t")
    scale = layer.constants(layer.stored[0], count, of_scale)
    bias = layer.constants(layer.stored[1], count, of_bias)
    sums.check_product(layer, config, of_scale, scale)
    place = np.arange(elements) % count
    factors, shifts = values(scale, of_scale)[place], values(bias, of_bias)[place]
    return layer.given(
        layer.builder.affine(layer.name, layer.inputs[0].node, constant(factors), constant(shifts))
    )


def linear(layer: Layer) -> str:
    """The input, assigned to the type of the result."""
    layer.check_size("n_in")
    return layer.given(layer.inputs[0].node)


def summed(signs: tuple[int, ...]) -> Callable[[Layer], str]:
    def lowered(layer: Layer) -> str:
        nodes = tuple(value.node for value in layer.inputs)
        if layer.elements(0) != layer.elements(1):
            raise Refusal(
                f"it adds {layer.elements(0)} and {layer.elements(1)} elements",
                "add values of one size",
            )
        layer.check_size("n_elem")
        return layer.given(layer.builder.add(layer.name, nodes, signs))

    return lowered


def concatenate(layer: Layer) -> str:
    """The elements of the first input, then those of the second."""
    nodes = tuple(value.node for value in layer.inputs)
    return layer.given(layer.builder.concatenate(layer.name, nodes))

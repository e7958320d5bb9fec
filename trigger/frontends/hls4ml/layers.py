"""The functions of hls4ml as nodes of the graph, with the roundings of their C++."""

from collections.abc import Callable

import numpy as np

from trigger.fixedpoint.build import constant
from trigger.fixedpoint.types import Integers, Overflow
from trigger.frontends.hls4ml.layer import Layer
from trigger.frontends.hls4ml.numbers import Number, assigned, rounded, values
from trigger.frontends.inexact import Refusal

_STRATEGIES = ("latency", "resource")
_PRODUCTS = ("mult", "weight_ternary")
# Products that are rounded each for itself are nodes of the graph.
_MOST_PRODUCTS = 1 << 14


def dense(layer: Layer) -> str:
    """Products rounded to the type of the accumulator, and their sum in that type."""
    config = layer.config
    strategy = config.option("strategy", "latency")
    if strategy not in _STRATEGIES:
        raise Refusal(
            f"its strategy is {strategy}, whose sums are of another order",
            f"set its Strategy to {' or '.join(name.title() for name in _STRATEGIES)}",
        )
    inputs, outputs = layer.check_size("n_in"), config.size("n_out")
    of_weights, of_bias = config.number("weight_t"), config.number("bias_t")
    accumulator = config.number("accum_t")
    weights = layer.constants(layer.stored[0], inputs * outputs, of_weights)
    _check_product(layer, of_weights, weights)
    shape = (inputs, outputs) if strategy == "latency" else (outputs, inputs)
    kernel = values(weights, of_weights).reshape(shape)
    if strategy == "resource":
        kernel = kernel.T
    bias = values(layer.constants(layer.stored[1], outputs, of_bias), of_bias)
    return layer.given(_summed(layer, kernel, rounded(bias.tolist(), accumulator), accumulator))


def _check_product(layer: Layer, of_weights: Number, weights: Integers) -> None:
    product = layer.config.option("product", "mult")
    data = layer.inputs[0].type
    if product not in _PRODUCTS or (data.is_bit and of_weights.is_bit):
        raise Refusal(
            f"its product is nnet::product::{product} of {data.fixed} and {of_weights.fixed}",
            "use weights and inputs of more than one bit",
        )
    if product == "weight_ternary" and not set(weights.tolist()) <= {-1, 0, 1}:
        raise Refusal(
            "its product is nnet::product::weight_ternary, but a weight is none of -1, 0 and 1",
            "use the weights that hls4ml wrote",
        )


def _summed(layer: Layer, kernel: np.ndarray, bias: np.ndarray, accumulator: Number) -> str:
    builder, source = layer.builder, layer.inputs[0].node
    steps = constant(kernel)
    finest = int(builder[source].fractions.max()) + steps.type.fraction
    if finest <= accumulator.fixed.fraction:
        node = builder.dense(layer.name, source, steps, constant(bias))
        span = builder.range(source)
        real = [np.ldexp(end, -builder[source].fractions)[:, None] * kernel for end in span]
        if accumulator.overflow is not Overflow.WRAP:
            _check_sums(np.minimum(*real), np.maximum(*real), bias, accumulator)
        return assigned(builder, f"{layer.name}_accum", node, accumulator)
    inputs, outputs = kernel.shape
    if kernel.size > _MOST_PRODUCTS:
        raise Refusal(
            f"its accumulator rounds each of its {kernel.size:,} products, and at most "
            f"{_MOST_PRODUCTS:,} are taken one by one",
            f"give accum_t {finest} fractional bits",
        )
    every = builder.select(f"{layer.name}_read", source, np.tile(np.arange(inputs), outputs))
    none = constant(np.zeros(kernel.size))
    products = builder.affine(f"{layer.name}_products", every, constant(kernel.T.ravel()), none)
    each = assigned(builder, f"{layer.name}_rounded", products, accumulator)
    if accumulator.overflow is not Overflow.WRAP:
        span = builder.range(each)
        low, high = (
            np.ldexp(end.astype(np.float64), -builder[each].fractions).reshape(outputs, inputs).T
            for end in span
        )
        _check_sums(low, high, bias, accumulator)
    ones = constant(np.ones((inputs, 1)))
    total = builder.dense(layer.name, each, ones, constant(np.zeros(1)), outputs)
    shifted = builder.affine(
        f"{layer.name}_bias", total, constant(np.ones(outputs)), constant(bias)
    )
    return assigned(builder, f"{layer.name}_accum", shifted, accumulator)


def _check_sums(low: np.ndarray, high: np.ndarray, bias: np.ndarray, kind: Number) -> None:
    """Refuse an accumulator that can saturate: then the sum depends on the order of additions."""
    least = bias + np.minimum(low, 0).sum(axis=0)
    most = bias + np.maximum(high, 0).sum(axis=0)
    step = 2.0**-kind.fixed.fraction
    if (least < kind.least * step).any() or (most > kind.fixed.maximum * step).any():
        raise Refusal(
            f"its accumulator {kind.fixed} can saturate between two additions, so the sum depends "
            f"on their order",
            "widen accum_t, or let it wrap (AP_WRAP)",
        )


def normalize(layer: Layer) -> str:
    """A scale and a bias for each element, without rounding before the result."""
    config = layer.config
    elements = layer.check_size("n_in")
    filters = config.size("n_filt")
    count = elements if filters in (-1, 2**32 - 1) else filters
    of_scale, of_bias = config.number("scale_t"), config.number("bias_t")
    scale = layer.constants(layer.stored[0], count, of_scale)
    bias = layer.constants(layer.stored[1], count, of_bias)
    _check_product(layer, of_scale, scale)
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
        return layer.given(layer.builder.add(layer.name, nodes, signs))

    return lowered


def concatenate(layer: Layer) -> str:
    """The elements of the first input, then those of the second."""
    nodes = tuple(value.node for value in layer.inputs)
    return layer.given(layer.builder.concatenate(layer.name, nodes))

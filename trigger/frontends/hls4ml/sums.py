"""Sums of products in the order and with the roundings of the accumulators of C++."""

import numpy as np

from trigger.fixedpoint.build import constant
from trigger.fixedpoint.types import Integers, Overflow
from trigger.frontends.hls4ml.configs import Config
from trigger.frontends.hls4ml.headers import HeaderError
from trigger.frontends.hls4ml.layer import Layer
from trigger.frontends.hls4ml.numbers import Number, assigned, rounded, values
from trigger.frontends.inexact import Refusal

_STRATEGIES = ("latency", "resource")
_PRODUCTS = ("mult", "weight_ternary")
# Products that are rounded each for itself are nodes of the graph.
_MOST_PRODUCTS = 1 << 14


def weighted(layer: Layer, config: Config, source: str, shape: tuple[int, int]) -> str:
    """The source, at one or more positions, times the layer's kernel (inputs, outputs), and its
    bias; ``config`` has the types.
    """
    inputs, outputs = shape
    of_weights, accumulator = config.number("weight_t"), config.number("accum_t")
    transposed = strategy(config) == "resource"
    weights = layer.constants(layer.stored[0], inputs * outputs, of_weights)
    check_product(layer, config, of_weights, weights)
    kernel = values(weights, of_weights).reshape((outputs, inputs) if transposed else shape)
    bias = biases(layer, config, outputs, accumulator)
    return summed(layer, source, kernel.T if transposed else kernel, bias, accumulator)


def biases(layer: Layer, config: Config, outputs: int, accumulator: Number) -> np.ndarray:
    """The biases, after their assignment to the accumulator."""
    kind = config.number("bias_t")
    bias = values(layer.constants(layer.stored[1], outputs, kind), kind)
    return rounded(bias.tolist(), accumulator)


def strategy(config: Config) -> str:
    """The order of a kernel's weights and sums. Raises Refusal for one that is not known."""
    found = config.option("strategy", "latency")
    if found not in _STRATEGIES:
        raise Refusal(
            f"its strategy is {found}, whose sums are of another order",
            f"set its Strategy to {' or '.join(name.title() for name in _STRATEGIES)}",
        )
    kernel = config.option("kernel", found.title())
    if found.title() not in kernel:
        raise HeaderError(f"the struct {config.name} has strategy = {found}, but kernel = {kernel}")
    return found


def check_product(layer: Layer, config: Config, of_weights: Number, weights: Integers) -> None:
    """Refuse products of single bits, and those of weights that are none of -1, 0 and 1."""
    product = config.option("product", "mult")
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


def summed(
    layer: Layer, source: str, kernel: np.ndarray, bias: np.ndarray, accumulator: Number
) -> str:
    """The source, at one or more positions, times a kernel (inputs, outputs), and the bias.

    Products are rounded to the type of the accumulator, and their sum is in that type.
    """
    builder = layer.builder
    inputs, outputs = kernel.shape
    positions = len(builder[source].types) // inputs
    steps = constant(kernel)
    finest = int(builder[source].fractions.max()) + steps.type.fraction
    if finest <= accumulator.fixed.fraction:
        node = builder.dense(layer.name, source, steps, constant(bias), positions)
        products = [end.reshape(positions, inputs, 1) * kernel for end in _ends(layer, source)]
        _check_sums(np.minimum(*products), np.maximum(*products), bias, accumulator)
        return assigned(builder, f"{layer.name}_accum", node, accumulator)
    if positions * kernel.size > _MOST_PRODUCTS:
        raise Refusal(
            f"its accumulator rounds each of its {positions * kernel.size:,} products, and at "
            f"most {_MOST_PRODUCTS:,} are taken one by one",
            f"give accum_t {finest} fractional bits",
        )
    shape = (positions, outputs, inputs)
    read = np.broadcast_to(np.arange(positions * inputs).reshape(positions, 1, inputs), shape)
    every = builder.select(f"{layer.name}_read", source, read.ravel())
    factors = constant(np.broadcast_to(kernel.T, shape).ravel())
    none = constant(np.zeros(read.size))
    made = builder.affine(f"{layer.name}_products", every, factors, none)
    each = assigned(builder, f"{layer.name}_rounded", made, accumulator)
    total = added(layer, each, np.arange(read.size).reshape(-1, inputs), accumulator, bias)
    ones = constant(np.ones(positions * outputs))
    biases = constant(np.tile(bias, positions))
    shifted = builder.affine(f"{layer.name}_bias", total, ones, biases)
    return assigned(builder, f"{layer.name}_accum", shifted, accumulator)


def added(
    layer: Layer, source: str, groups: Integers, accumulator: Number, bias: np.ndarray
) -> str:
    """The sum of each group (sums, members) of elements, before the bias; -1 is no element.

    Refused if the accumulator can saturate on the way, with a bias for each sum in turn.
    """
    low, high = (np.append(end, 0.0)[groups] for end in _ends(layer, source))
    _check_sums(low[..., None], high[..., None], np.resize(bias, (len(groups), 1)), accumulator)
    builder = layer.builder
    count, members = groups.shape
    read = source
    if not np.array_equal(groups.ravel(), np.arange(len(builder[source].types))):
        read = builder.select(f"{layer.name}_members", source, groups.ravel())
    ones, none = constant(np.ones((members, 1))), constant(np.zeros(1))
    return builder.dense(f"{layer.name}_sum", read, ones, none, count)


def check_each(layer: Layer, source: str, accumulator: Number) -> None:
    """Refuse an accumulator that can saturate at an element alone."""
    low, high = (end[:, None, None] for end in _ends(layer, source))
    _check_sums(low, high, np.zeros(1), accumulator)


def _ends(layer: Layer, source: str) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest real value of each element."""
    span, fractions = layer.builder.range(source), layer.builder[source].fractions
    low, high = (np.ldexp(end.astype(np.float64), -fractions) for end in span)
    return low, high


def _check_sums(low: np.ndarray, high: np.ndarray, bias: np.ndarray, kind: Number) -> None:
    """Refuse an accumulator that can saturate: then the sum depends on the order of additions.

    ``low`` and ``high`` are of shape (sums, members, outputs). Each product is assigned to the
    accumulator's type by itself, and the bias is added first or last.
    """
    if kind.overflow is Overflow.WRAP:
        return
    least = np.minimum(bias, 0) + np.minimum(low, 0).sum(axis=1)
    most = np.maximum(bias, 0) + np.maximum(high, 0).sum(axis=1)
    step = 2.0**-kind.fixed.fraction
    if (least < kind.least * step).any() or (most > kind.fixed.maximum * step).any():
        raise Refusal(
            f"its accumulator {kind.fixed} can saturate between two additions, so the sum depends "
            f"on their order",
            "widen accum_t, or let it wrap (AP_WRAP)",
        )

"""Activations that C++ computes with comparisons and products: ReLU and its kin, hard sigmoids."""

from collections.abc import Callable

import numpy as np

from trigger.fixedpoint.build import constant
from trigger.frontends.hls4ml.layer import Layer
from trigger.frontends.hls4ml.numbers import rounded, values
from trigger.frontends.inexact import Refusal


def relu(layer: Layer) -> str:
    """The greater of the input and 0."""
    layer.check_size("n_in")
    return layer.given(layer.builder.clip(layer.name, layer.inputs[0].node, 0.0, None))


def relu_max(most: float) -> Callable[[Layer], str]:
    """The input, not less than 0 and not more than the limit."""

    def lowered(layer: Layer) -> str:
        layer.check_size("n_in")
        whole = layer.scaled("_whole", layer.inputs[0].node, 1.0)
        return layer.given(layer.builder.clip(layer.name, whole, 0.0, most))

    return lowered


def leaky_relu(layer: Layer) -> str:
    """Negative inputs times one slope."""
    slope = layer.factor()
    return _with_slopes(layer, np.full(layer.check_size("n_in"), slope))


def prelu(layer: Layer) -> str:
    """Negative inputs times a slope for each element."""
    assert layer.parameter is not None
    name, kind = layer.parameter
    slopes = layer.constants(name, layer.check_size("n_in"), kind)
    return _with_slopes(layer, values(slopes, kind))


def _with_slopes(layer: Layer, slopes: np.ndarray) -> str:
    builder, source = layer.builder, layer.inputs[0].node
    positive = builder.clip(f"{layer.name}_positive", source, 0.0, None)
    negative = builder.clip(f"{layer.name}_negative", source, None, 0.0)
    none = constant(np.zeros(len(slopes)))
    sloped = builder.affine(f"{layer.name}_sloped", negative, constant(slopes), none)
    return layer.given(builder.add(layer.name, (positive, sloped)))


def thresholded_relu(layer: Layer) -> str:
    """The input where it exceeds a threshold, otherwise 0; hls4ml also writes ReLU so."""
    bound = layer.factor()
    if bound == 0:
        return relu(layer)
    builder, source = layer.builder, layer.inputs[0].node
    elements = np.arange(layer.check_size("n_in"))
    bounds = np.floor(np.ldexp(bound, builder[source].fractions)).astype(np.int64) + 1
    above = builder.threshold(f"{layer.name}_above", source, elements, bounds)
    return layer.given(builder.multiply(layer.name, source, above))


def hard_sigmoid(layer: Layer) -> str:
    """A slope and a shift, between 0 and 1."""
    return layer.given(_hard(layer))


def hard_tanh(layer: Layer) -> str:
    """Twice a hard sigmoid, less 1."""
    elements = layer.elements()
    twice = constant(np.full(elements, 2.0)), constant(np.full(elements, -1.0))
    return layer.given(layer.builder.affine(f"{layer.name}_twice", _hard(layer), *twice))


def _hard(layer: Layer) -> str:
    layer.check_size("n_in")
    slope, shift = layer.config.constant("slope"), layer.config.constant("shift")
    moved = layer.scaled("_moved", layer.inputs[0].node, slope, shift)
    return layer.builder.clip(layer.name, moved, 0.0, 1.0)


def binary_tanh(layer: Layer) -> str:
    """-1 below 0, otherwise 1."""
    layer.check_size("n_in")
    if layer.result.is_bit:
        raise Refusal("its result is a single bit, which stands for -1 or 1", "use ap_int<2>")
    return _steps(layer, layer.inputs[0].node, [0.0], [-1.0, 1.0])


def ternary_tanh(layer: Layer) -> str:
    """-1, 0 or 1; in parallel C++ doubles its input first, in the type of the input."""
    layer.check_size("n_in")
    value = layer.inputs[0]
    source = value.node
    if not layer.is_stream:
        source = layer.assigned("_doubled", layer.scaled("_twice", source, 2.0), value.type)
    step = 2.0 ** -max(value.type.fixed.fraction, 0)
    return _steps(layer, source, [step - 1, step + 1], [-1.0, 0.0, 1.0])


def _steps(layer: Layer, source: str, thresholds: list[float], levels: list[float]) -> str:
    held = rounded(levels, layer.result)
    if (np.diff(held) < 0).any():
        raise Refusal(
            f"its results overflow their type {layer.result.fixed}", "give it a type for -1 and 1"
        )
    return layer.builder.steps(layer.name, source, constant(np.array(thresholds)), constant(held))

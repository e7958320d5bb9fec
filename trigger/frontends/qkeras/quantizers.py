"""Quantisers as activations, lowered exactly or refused.

Rounding quantisers become ``Quantize``, some together with a piecewise linear function;
any other non-decreasing quantiser becomes a ``Staircase`` whose thresholds come from Keras itself,
in float64.
"""

import copy
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
import qkeras.quantizers as q

from trigger.fixedpoint.build import Builder
from trigger.fixedpoint.types import Fixed, Overflow, Rounding
from trigger.frontends import rules
from trigger.frontends.attributes import check_attributes
from trigger.frontends.inexact import Refusal
from trigger.frontends.methods import check_methods
from trigger.frontends.own import called
from trigger.frontends.piecewise import clip, is_power_of_two, scaled, slope_shift, staircase
from trigger.frontends.qkeras.float64 import evaluate
from trigger.frontends.qkeras.functions import name_of
from trigger.frontends.qkeras.qkeras_private import is_sigmoid_hard
from trigger.quantizers import FixedPoint, LearnedActivation, LearnedWeights


def lower_quantizer(builder: Builder, name: str, source: str, activation: Any) -> str:
    """Append a quantiser of ``QUANTIZERS`` to the graph; returns the name of its last node.

    Raises Refusal if it cannot be exact.
    """
    check_quantizer(activation)
    lowered = QUANTIZERS[type(activation)](builder, name, source, activation)
    if type(activation) not in (FixedPoint, LearnedActivation):
        _check_runs(activation, len(builder[source].types))
    return lowered


def check_quantizer(activation: Any) -> None:
    """Refuse a quantiser that was changed by hand, or whose options give no fixed-point values."""
    check_methods(f"{name_of(activation)}:", activation, "use the quantiser as it is")
    if type(activation) not in (FixedPoint, LearnedActivation):
        _check_options(activation)
    if not isinstance(getattr(activation, "alpha", None), str):  # refused next
        check_attributes(activation, f"{name_of(activation)}: its")
    _alpha(activation)


def _check_runs(activation: Any, elements: int) -> None:
    """Refuse options with which QKeras cannot compute, such as negative integer bits of
    quantized_relu.
    """
    called(name_of(activation), copy.copy(activation), keras.ops.zeros((1, elements)))


def _check_options(activation: Any) -> None:
    """Refuse options of a quantiser that no fixed-point type provides."""
    class_name = type(activation).__name__
    noise = float(getattr(activation, "qnoise_factor", 1.0))
    if noise != 1:
        raise Refusal(
            f"{name_of(activation)} has qnoise_factor {noise:g}, so its output is not quantised",
            "set qnoise_factor to 1",
        )
    for option in ("bits", "integer"):
        number = getattr(activation, option, 0)
        if not _is_whole(number):
            raise Refusal(
                f"{class_name} has {option}={number}, which is not one whole number",
                "use a whole number",
            )
    for option in ("symmetric", "keep_negative"):
        value = getattr(activation, option, 0)
        if value not in (0, 1):
            raise Refusal(
                f"{class_name} has {option}={value!r}, which is neither 0 nor 1", "use 0 or 1"
            )
    if getattr(activation, "bits", 1) < 1:
        raise Refusal(f"{class_name} has {activation.bits} bits", "use at least 1 bit")
    if getattr(activation, "training", False):
        raise Refusal(
            f"{class_name} has training=True: its values are random", "use training=False"
        )


def _is_whole(number: Any) -> bool:
    try:
        value = np.asarray(number, dtype=np.float64)
    except (TypeError, ValueError):  # a text, or None
        return False
    return value.size == 1 and float(value.ravel()[0]).is_integer()


def quantizer_types(activation: Any) -> tuple[Fixed, Rounding, Overflow] | None:
    """The type, rounding and overflow of a round-half-even, saturating quantiser; None for any
    other.
    """
    if type(activation) is FixedPoint:
        if activation.rounding != "RND_CONV" or activation.overflow == "WRAP":
            return None
        return activation.type, Rounding.RND_CONV, Overflow(activation.overflow)
    if type(activation) is q.quantized_bits and activation.bits - activation.keep_negative > 0:
        if isinstance(activation.alpha, str) or np.size(activation.alpha) > 1:
            return None
        signed = bool(activation.keep_negative)
        fixed = Fixed(signed, int(activation.bits), int(activation.integer) + signed)
        return (
            fixed,
            Rounding.RND_CONV,
            Overflow.SAT_SYM if activation.symmetric and signed else Overflow.SAT,
        )
    if (
        type(activation) is q.quantized_relu
        and not activation.negative_slope
        and not activation.use_sigmoid
    ):
        return (
            Fixed(False, int(activation.bits), int(activation.integer)),
            Rounding.RND_CONV,
            Overflow.SAT,
        )
    return None


def value_type(quantizer: Any) -> Fixed | None:
    """The type that holds all values that a quantiser of weights gives; None without one."""
    if type(quantizer) is LearnedWeights:
        return _learned_type(quantizer)
    fixed = _unscaled_type(quantizer)
    if fixed is None:
        return None
    try:
        scale = _alpha(quantizer)
    except Refusal:
        return None
    return fixed._replace(integer=fixed.integer + int(math.log2(scale)))


def _unscaled_type(quantizer: Any) -> Fixed | None:
    """The same with alpha=1."""
    if type(quantizer) in (q.quantized_bits, q.quantized_linear):
        signed = bool(quantizer.keep_negative)
        bits, integer = int(quantizer.bits), int(quantizer.integer) + signed
        if bits > signed:
            return Fixed(signed, bits, integer)
        # A single bit is a sign: of 1, or of half the range.
        return Fixed(True, 2, 2 if type(quantizer) is q.quantized_bits else integer)
    if type(quantizer) in (q.binary, q.ternary):
        return Fixed(True, 2, 2)
    rule = quantizer_types(quantizer)
    return None if rule is None else rule[0]


def _learned_type(quantizer: LearnedWeights) -> Fixed | None:
    """The type that encloses those of all elements; None if all are pruned."""
    integer, fraction = (
        np.rint(keras.ops.convert_to_numpy(bits)).astype(int)
        for bits in (quantizer.integer, quantizer.fraction)
    )
    kept = integer + fraction > 0
    if not kept.any():
        return None
    whole = 1 + int(integer[kept].max())
    return Fixed(True, whole + int(fraction[kept].max()), whole)


def keras_values(activation: Any, x: np.ndarray) -> np.ndarray:
    """What Keras computes for an activation, in float64."""
    values: np.ndarray = called(name_of(activation), evaluate, activation, x)
    return values


def _quantize(
    builder: Builder, name: str, source: str, rule: tuple[Fixed, Rounding, Overflow]
) -> str:
    fixed, rounding, overflow = rule
    if fixed.width > 32:
        raise Refusal(f"a quantiser of {fixed.width} bits is wider than 32", "use fewer bits")
    return builder.quantize(name, source, (fixed,) * len(builder[source].types), rounding, overflow)


def _quantized_bits(builder: Builder, name: str, source: str, activation: q.quantized_bits) -> str:
    scale = _alpha(activation)
    if activation.bits - activation.keep_negative == 0:
        return staircase(builder, name, source, partial(keras_values, activation), bisectable=True)
    rule = quantizer_types(activation)
    assert rule is not None
    if scale == 1:
        return _quantize(builder, name, source, rule)
    return scaled(builder, name, _quantize(builder, f"{name}_unscaled", source, rule), scale, 0.0)


def _quantized_linear(
    builder: Builder, name: str, source: str, activation: q.quantized_linear
) -> str:
    scale = _alpha(activation)
    if activation.use_sign_function:
        return staircase(builder, name, source, partial(keras_values, activation), bisectable=True)
    signed = bool(activation.keep_negative)
    # Unlike in quantized_bits, alpha scales the step for x, not only the result.
    integer = int(activation.integer) + signed + int(math.log2(scale))
    overflow = Overflow.SAT_SYM if signed and activation.symmetric else Overflow.SAT
    return _quantize(
        builder,
        name,
        source,
        (Fixed(signed, int(activation.bits), integer), Rounding.RND_CONV, overflow),
    )


def _quantized_relu(builder: Builder, name: str, source: str, activation: q.quantized_relu) -> str:
    slope = float(activation.negative_slope)
    bits = int(activation.bits)
    integer = int(activation.integer)
    upper = None if activation.is_quantized_clip else activation.relu_upper_bound
    if activation.use_sigmoid or slope * 2 ** (bits - 1) < (slope > 0) or slope > 1:
        return staircase(builder, name, source, partial(keras_values, activation), bisectable=True)
    if not slope:
        rule = quantizer_types(activation)
        assert rule is not None
    else:
        source = builder.leaky_relu(f"{name}_leaky", source, slope_shift(slope))
        rule = Fixed(True, bits, integer + 1), Rounding.RND_CONV, Overflow.SAT
    lower = -(2.0**integer) * slope if 0 < slope < 1 else None
    clipped = lower is not None or bool(upper)
    source = _quantize(builder, f"{name}_unclipped" if clipped else name, source, rule)
    if not clipped:
        return source
    return clip(builder, name, source, lower, upper or None, "relu_upper_bound")


def _quantized_tanh(builder: Builder, name: str, source: str, activation: q.quantized_tanh) -> str:
    if activation.use_real_tanh or not is_sigmoid_hard():
        return staircase(builder, name, source, partial(keras_values, activation), bisectable=True)
    # 2 * hard_sigmoid(x) - 1 is x clipped to ±1, which the quantiser's own saturation does.
    overflow = Overflow.SAT_SYM if activation.symmetric else Overflow.SAT
    return _quantize(
        builder, name, source, (Fixed(True, int(activation.bits), 1), Rounding.RND_CONV, overflow)
    )


def _quantized_sigmoid(
    builder: Builder, name: str, source: str, activation: q.quantized_sigmoid
) -> str:
    if activation.use_real_sigmoid or not is_sigmoid_hard():
        return staircase(builder, name, source, partial(keras_values, activation), bisectable=True)
    rule = Fixed(False, int(activation.bits), 0), Rounding.RND_CONV, Overflow.SAT
    half = scaled(builder, f"{name}_half", source, 0.5, 0.5)
    if not activation.symmetric:
        return _quantize(builder, name, half, rule)
    return builder.clip(
        name, _quantize(builder, f"{name}_unclipped", half, rule), 2.0**-activation.bits, None
    )


def _signs(builder: Builder, name: str, source: str, activation: Any) -> str:
    _alpha(activation)
    return staircase(builder, name, source, partial(keras_values, activation), bisectable=True)


def _powers(builder: Builder, name: str, source: str, activation: Any) -> str:
    """Refuse a quantiser if the last bit of a float32 logarithm decides, at powers of two."""
    ties = activation.quadratic_approximation and activation.log2_rounding == "rnd"
    ends = builder.range(source)
    fractions = builder[source].fractions
    largest = int(max(ends.high.max(), -ends.low.min(), 1)).bit_length()
    powers = np.exp2(np.arange(-int(fractions.max()), largest - int(fractions.min()) + 1))
    x = np.concatenate([powers, -powers])
    in_float32 = called(
        name_of(activation), activation, keras.ops.convert_to_tensor(x, dtype="float32")
    )
    if ties or (keras.ops.convert_to_numpy(in_float32) != evaluate(activation, x)).any():
        raise Refusal(
            f"{name_of(activation)} rounds some powers of two by the last bit of a "
            f"float32 logarithm",
            'use quadratic_approximation=False and log2_rounding="rnd"',
        )
    return staircase(builder, name, source, partial(keras_values, activation), bisectable=True)


def _learned(builder: Builder, name: str, source: str, activation: LearnedActivation) -> str:
    elements = len(builder[source].types)
    if not activation.built:
        raise Refusal(
            f"{name_of(activation)} has not been called yet", "train the network, or call it once"
        )
    signed, integer, fraction = (np.broadcast_to(part, elements) for part in activation.kif())
    rule = rules.rule(signed, integer, fraction, activation.rounding, activation.overflow)
    if activation.relu and activation.overflow == "WRAP":
        source = builder.clip(f"{name}_relu", source, 0, None)
    # A type with only a sign bit has no values here.
    return rules.lower_rule(builder, name, source, rule._replace(dead=integer + fraction <= 0))


def _fixed_point(builder: Builder, name: str, source: str, activation: FixedPoint) -> str:
    types = (activation.type,) * len(builder[source].types)
    rounding = Rounding(activation.rounding)
    overflow = Overflow(activation.overflow)
    return builder.quantize(name, source, types, rounding, overflow)


QUANTIZERS: dict[type, Callable[[Builder, str, str, Any], str]] = {
    FixedPoint: _fixed_point,
    LearnedActivation: _learned,
    q.quantized_bits: _quantized_bits,
    q.quantized_linear: _quantized_linear,
    q.quantized_relu: _quantized_relu,
    q.quantized_tanh: _quantized_tanh,
    q.quantized_sigmoid: _quantized_sigmoid,
    q.quantized_po2: _powers,
    q.quantized_relu_po2: _powers,
    q.binary: _signs,
    q.ternary: _signs,
    q.stochastic_binary: _signs,
    q.stochastic_ternary: _signs,
}


def _alpha(activation: Any) -> float:
    """The scale of a quantiser; refused unless it is a single power of two."""
    alpha = getattr(activation, "alpha", None)
    if isinstance(alpha, str):
        raise Refusal(
            f'{name_of(activation)} has alpha="{alpha}": as an activation its scale '
            f"changes with every batch of events",
            "give alpha=1 or another power of two",
        )
    if alpha is None:
        return 1.0
    if np.size(alpha) != 1 or not is_power_of_two(float(np.ravel(alpha)[0])):
        raise Refusal(
            f"{name_of(activation)} has an alpha that is not one power of two",
            "give alpha=1 or another power of two",
        )
    return float(np.ravel(alpha)[0])

"""Activations of Keras and QKeras, lowered exactly or refused.

Quantisers are lowered by their own module. Piecewise linear functions become ``Affine``,
``LeakyRelu`` and ``Clip``; binary functions become a ``Staircase``.
"""

from functools import partial
from typing import Any

import keras

from trigger.fixedpoint.build import Builder
from trigger.frontends import remedies
from trigger.frontends.inexact import Refusal
from trigger.frontends.libraries import is_library, module_of
from trigger.frontends.piecewise import clip, scaled, staircase
from trigger.frontends.qkeras.functions import FUNCTIONS, known_as, name_of
from trigger.frontends.qkeras.quantizers import QUANTIZERS, keras_values, lower_quantizer

SUPPORTED = (
    "linear, relu, relu6, leaky_relu, hard_tanh, softmax (as the last layer), sigmoid, "
    "tanh and hard_sigmoid (as the "
    "last layer), quantized_bits, quantized_linear, quantized_relu, quantized_po2, "
    "quantized_relu_po2, binary, ternary, "
    "stochastic_binary, stochastic_ternary, quantized_tanh, quantized_sigmoid, and "
    "QKeras' hard_ and smooth_ sigmoid and tanh"
)


def lower_activation(builder: Builder, name: str, source: str, activation: Any) -> str:
    """Append the activation to the graph; returns the name of its last node, or ``source`` if it is
    linear.

    Raises Refusal if it cannot be exact.
    """
    if type(activation) in QUANTIZERS:
        return lower_quantizer(builder, name, source, activation)
    function = known_as(activation)
    match function:
        case "linear":
            return source
        case "relu":
            return builder.clip(name, source, 0, None)
        case "relu6":
            return clip(builder, name, source, 0, 6, "the upper bound")
        case "hard_tanh":
            return clip(builder, name, source, -1, 1, "the bound")
        case (
            "qkeras.hard_sigmoid"
            | "qkeras.smooth_sigmoid"
            | "qkeras.hard_tanh"
            | "qkeras.smooth_tanh"
        ):
            return _piecewise_linear(builder, name, source, function.removeprefix("qkeras."))
        case "qkeras.binary_sigmoid" | "qkeras.binary_tanh":
            return staircase(
                builder, name, source, partial(keras_values, activation), bisectable=True
            )
        case "sigmoid" | "tanh" | "hard_sigmoid":
            quantized = "quantized_tanh" if function == "tanh" else "quantized_sigmoid"
            real = "use_real_tanh" if function == "tanh" else "use_real_sigmoid"
            raise Refusal(
                f"the activation {function} has no exact fixed-point value",
                f"use {quantized}(8, {real}=1)",
            )
    raise _unknown(activation)


def _unknown(activation: Any) -> Refusal:
    """Why an activation is refused: it is user code, or a library function without an exact
    form.
    """
    name = name_of(activation)
    class_ = type(activation)
    for base in class_.__mro__[1:]:
        if base in QUANTIZERS and not is_library(class_):
            return Refusal(
                f"{class_.__name__} is a subclass of {base.__name__} and may compute anything",
                f"use {base.__name__}",
            )
    if isinstance(activation, keras.Layer):
        return Refusal(
            f"its activation is the layer {class_.__name__}", "put that layer after this one"
        )
    if not is_library(activation):
        return Refusal(
            f"its activation {name} is code of {module_of(activation)}, not of Keras or "
            f"QKeras, and may compute anything",
            'use one of Keras by its name, as in activation="relu", or a quantiser of QKeras',
        )
    if name in FUNCTIONS:
        return Refusal(
            f"its activation {name} is from {module_of(activation)}, not from keras.activations",
            f'write activation="{name}"',
        )
    return Refusal(
        f"the activation {name} has no exact fixed-point form",
        remedies.of_activation(name, SUPPORTED),
    )


def _piecewise_linear(builder: Builder, name: str, source: str, function: str) -> str:
    slope = 0.1875 if function.startswith("smooth") else 0.5
    sigmoid = function.endswith("sigmoid")
    line = scaled(
        builder, f"{name}_line", source, slope if sigmoid else 2 * slope, 0.5 if sigmoid else 0.0
    )
    return builder.clip(name, line, 0 if sigmoid else -1, 1)

"""Activations by what they are: their names for messages, and the functions of Keras and QKeras."""

from typing import Any

import keras
import qkeras.quantizers as q

_SIGMOIDS = (
    "sigmoid", "hard_sigmoid", "qkeras.hard_sigmoid", "qkeras.smooth_sigmoid",
    "qkeras.binary_sigmoid",
)  # fmt: skip
# Functions of Keras and QKeras; hard_sigmoid and hard_tanh differ between the two.
FUNCTIONS: dict[str, Any] = {
    **{
        name: getattr(keras.activations, name)
        for name in (
            "linear", "relu", "relu6", "hard_tanh", "sigmoid", "tanh", "hard_sigmoid", "softmax"
        )
    },
    **{
        f"qkeras.{name}": getattr(q, name)
        for name in (
            "hard_sigmoid", "smooth_sigmoid", "hard_tanh", "smooth_tanh", "binary_sigmoid",
            "binary_tanh",
        )
    },
}  # fmt: skip


def name_of(activation: Any) -> str:
    """The user's text for messages: "relu", "quantized_relu(6,2)". It does not define the
    function.
    """
    if activation is None:
        return "linear"
    if isinstance(activation, q.base_quantizer.BaseQuantizer):
        try:
            return str(activation)
        except Exception:  # some quantisers of QKeras cannot print themselves
            return type(activation).__name__
    return getattr(activation, "__name__", type(activation).__name__)


def known_as(activation: Any) -> str | None:
    """The name of a function of Keras, "relu", or of QKeras, "qkeras.hard_tanh"; None for anything
    else.

    The function object decides, not its name: a user's function may have any name.
    """
    if activation is None:
        return "linear"
    return next((name for name, function in FUNCTIONS.items() if function is activation), None)


def is_sigmoid(activation: Any) -> bool:
    """Whether an activation is one of the sigmoids of Keras or QKeras, quantised or not: its values
    are probabilities.
    """
    return known_as(activation) in _SIGMOIDS or type(activation) is q.quantized_sigmoid

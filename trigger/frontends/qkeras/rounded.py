"""A real-valued function and the quantiser after it: together a table, made by asking Keras.

The function alone has values that no fixed-point type holds; rounded, they are few.
"""

from functools import partial
from typing import Any

import keras
import numpy as np

from trigger.fixedpoint.build import Builder, fraction_bits
from trigger.frontends import remedies
from trigger.frontends.calls import Unrounded
from trigger.frontends.constants import as_numpy
from trigger.frontends.inexact import Refusal
from trigger.frontends.own import called
from trigger.frontends.piecewise import MAX_TABLE_BITS, lookup, staircase
from trigger.frontends.qkeras.float64 import evaluate
from trigger.frontends.qkeras.functions import name_of
from trigger.frontends.qkeras.quantizers import QUANTIZERS, check_quantizer, keras_values
from trigger.quantizers import LearnedActivation
from trigger.verification.float32 import near_note, near_steps

# Elementwise functions of Keras with real values, and whether they never decrease.
_RISING = (
    "celu", "elu", "exponential", "hard_shrink", "hard_sigmoid", "leaky_relu", "log_sigmoid",
    "selu", "sigmoid", "soft_shrink", "softplus", "softsign", "sparse_plus", "sparse_sigmoid",
    "squareplus", "tanh", "tanh_shrink",
)  # fmt: skip
_BENT = ("gelu", "hard_silu", "mish", "silu")
_FUNCTIONS = {name: getattr(keras.activations, name) for name in (*_RISING, *_BENT)}
# A quantiser of QKeras computes x + (q(x) - x), in float32 exact for values of so many steps.
_EXACT = 2.0**23
_MOST_ENTRIES = 1 << MAX_TABLE_BITS


def unrounded(layer: str, activation: Any, refusal: Refusal) -> Unrounded | None:
    """A function of Keras as a value that must be rounded; None for anything else.

    ``refusal`` is the problem if nothing rounds it.
    """
    name = next((name for name, f in _FUNCTIONS.items() if f is activation), None)
    if name is None:
        return None
    return Unrounded(activation, name in _RISING, layer, refusal)


def elu(layer: keras.layers.ELU) -> Unrounded:
    """The layer ELU."""
    alpha = float(layer.alpha)
    refusal = Refusal(
        "the activation elu has no exact fixed-point form", remedies.of_activation("elu", "")
    )
    return Unrounded(
        lambda x: keras.activations.elu(x, alpha=alpha), alpha >= 0, layer.name, refusal
    )


def is_rounding(layer: Any) -> bool:
    """Whether a layer is a quantiser that a real-valued function can be joined with."""
    return type(getattr(layer, "activation", None)) in QUANTIZERS


def lower(
    builder: Builder, name: str, source: str, before: Unrounded, activation: Any
) -> tuple[str, tuple[str, ...]]:
    """Append a function and its quantiser as one table; returns the table's name, and notes.

    Raises Refusal if the two have no exact table.
    """
    check_quantizer(activation)
    if type(activation) is LearnedActivation:
        raise Refusal(
            "it has a type for each element, and reads a function that is not rounded",
            "use one quantiser for all elements after the function, such as FixedPoint",
        )

    def rounded(x: np.ndarray) -> np.ndarray:
        return keras_values(activation, called(before.layer, evaluate, before.function, x))

    x = _values(builder, source)
    y = rounded(x)
    _check_size(x, before, y, name_of(activation))
    if len(x) > _MOST_ENTRIES:
        return staircase(builder, name, source, rounded, bisectable=before.rises), ()
    in_float32 = before.function(keras.ops.convert_to_tensor(x, dtype="float32"))
    own = as_numpy(called(name_of(activation), activation, in_float32))
    if (np.diff(y) >= 0).all() and (own == y).all():
        return staircase(builder, name, source, rounded, bisectable=False), ()
    # Near the middle of two levels float32 may round to the other one. The oracle of the trained
    # network allows that of a table with this note.
    table = lookup(builder, name, source, rounded)
    near = near_steps(evaluate(before.function, x), partial(keras_values, activation))
    return table, (near_note(table, near, len(x)),) if near else ()


def _values(builder: Builder, source: str) -> np.ndarray:
    """All values of a node, on its finest grid; only some if they are more than a table holds."""
    fraction = int(builder[source].fractions.max())
    up = fraction - builder[source].fractions
    low, high = builder.range(source)
    least, most = int((low << up).min()), int((high << up).max())
    step = max(1, (most - least) // _MOST_ENTRIES)
    integers = np.append(np.arange(least, most + 1, step), most)
    return np.unique(np.ldexp(integers.astype(np.float64), -fraction))


def _check_size(x: np.ndarray, before: Unrounded, y: np.ndarray, quantizer: str) -> None:
    """Refuse values so large that Keras in float32 gives numbers between two steps."""
    before_it = evaluate(before.function, x)
    wrong = x[~np.isfinite(before_it)]
    if wrong.size:
        raise Refusal(
            f"the function before it has no finite value at {wrong[0]:g}",
            "keep what the function reads away from there, for example with keras.ops.maximum",
        )
    largest = np.abs(before_it).max()
    if largest > np.ldexp(_EXACT, -int(fraction_bits(y).max())):
        raise Refusal(
            f"the function before it reaches {largest:.3g}, from where Keras in float32 cannot "
            f"round to the steps of {quantizer}",
            "quantise what the function reads to a smaller range",
        )

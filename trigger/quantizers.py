"""Quantisers for QKeras layers: fixed-point types as in C++, and bit widths learned with the
weights.

The number of fractional bits of a tensor, channel or element is a trainable weight. Its gradient
balances the effect of rounding on the loss against the hardware cost of bits (HGQ,
arXiv:2405.00645). Integer bits follow the observed range. Without any bits left the value is zero:
a pruned weight, a dead neuron.
"""

import math
from typing import Any, Literal, get_args

import keras
import numpy as np
from keras import ops
from quantizers import get_fixed_quantizer

from trigger.support.spelling import read_type

Granularity = Literal["tensor", "channel", "element"]
Rounds = Literal["TRN", "RND", "RND_CONV"]
Overflows = Literal["SAT", "WRAP"]
# One number for all, or a nested list with one for each.
Widths = float | list[Any]

# Widths are learned between these; float32 holds 24 significant bits. At the minimum a value is
# permanently zero.
LEAST_FRACTION = -16.0
_MOST = 16.0
_LARGEST = 8.0
# The decay of the integer bits of an activation per step, after its range has shrunk.
_DECAY = 0.01


class _LearnedBits(keras.layers.Layer):
    """Holds ``fraction``, the real-valued numbers of fractional bits, in the shape of the
    granularity.

    Widths are also in the config, because the quantisers of a loaded QDense have other names, under
    which Keras does not find their weights.
    """

    def __init__(self, fraction: Widths, granularity: Granularity, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if granularity not in ("tensor", "channel", "element"):
            raise ValueError(
                f"granularity is {granularity!r}; it must be tensor, channel or element"
            )
        self.granularity = granularity
        self._first = {"fraction": fraction}

    def _add_fraction(self, shape: tuple[int, ...]) -> None:
        self.fraction = self._add("fraction", shape, constraint=_Between(LEAST_FRACTION, _MOST))

    def _add(self, name: str, shape: tuple[int, ...], **options: Any) -> Any:
        first = keras.initializers.Constant(np.asarray(self._first[name], dtype=np.float32))
        return self.add_weight(name=name, shape=shape, initializer=first, **options)

    def load_own_variables(self, store: Any) -> None:
        if len(store):
            super().load_own_variables(store)

    def get_config(self) -> dict[str, Any]:
        now = {variable.name: ops.convert_to_numpy(variable).tolist() for variable in self.weights}
        return {**super().get_config(), **self._first, **now, "granularity": self.granularity}


@keras.saving.register_keras_serializable(package="trigger")
class LearnedWeights(_LearnedBits):
    """For kernels and biases: rounded half to even to the learned step, saturated at the learned
    range, which is symmetric.

    ``fraction`` is the number of fractional bits to begin with, ``integer`` that of integer bits,
    without the sign; both are learned. A channel is a unit of the layer. Raises ValueError for an
    unknown granularity.
    """

    # QKeras reads this to initialise the weights.
    bits = 16

    def __init__(
        self,
        fraction: Widths = 6,
        granularity: Granularity = "element",
        integer: Widths = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(fraction, granularity, **kwargs)
        self._first["integer"] = integer
        self._fixed = get_fixed_quantizer("RND_CONV", "SAT_SYM")

    def build(self, shape: tuple[int, ...]) -> None:
        kept = {"tensor": 0, "channel": 1, "element": len(shape)}[self.granularity]
        self._add_fraction(
            tuple(int(n) if k >= len(shape) - kept else 1 for k, n in enumerate(shape))
        )
        self.integer = self._add(
            "integer", self.fraction.shape, constraint=_Between(LEAST_FRACTION, _MOST)
        )

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "LearnedWeights":
        """A quantiser saved without a learned range does not saturate below ``max()``."""
        made: LearnedWeights = super().from_config({"integer": math.log2(_LARGEST) + 1, **config})
        return made

    def max(self) -> float:
        """The largest magnitude, to which QKeras clips weights."""
        return _LARGEST

    def call(self, weights: Any) -> Any:
        integer = _rounded(self.integer)
        fraction = _rounded(self.fraction)
        return ops.where(integer + fraction > 0, self._fixed(weights, 1.0, integer, fraction), 0.0)

    def width(self) -> Any:
        """The bits that each magnitude may take, shaped as the widths; differentiable in fractional
        bits only.

        So the cost of bits enlarges the step of a weight but never reduces its range, which the
        loss determines.
        """
        return ops.relu(ops.stop_gradient(ops.round(self.integer)) + _rounded(self.fraction))

    def used(self, weights: Any) -> Any:
        """The bits that the magnitude of each weight takes, 0 for zero, shaped as ``weights``; no
        gradient.
        """
        integers = ops.abs(ops.round(self(weights) * 2.0 ** ops.round(self.fraction)))
        return ops.stop_gradient(
            ops.where(
                integers > 0, ops.floor(ops.log2(ops.maximum(integers, 1.0) + 0.5)) + 1.0, 0.0
            )
        )


@keras.saving.register_keras_serializable(package="trigger")
class LearnedActivation(_LearnedBits):
    """For activations: rounded to the learned step, saturated at the range observed in training.

    ``fraction`` is the number of fractional bits to begin with, ``integer`` that of integer bits,
    without the sign. With ``relu`` values are unsigned, and negative ones become zero. Channel and
    element mean the same here: one feature or neuron. ``rounding`` and ``overflow`` are those of
    fixed-point types; with WRAP, values outside the observed range give arbitrary results. Raises
    ValueError for an unknown granularity, rounding or overflow.
    """

    def __init__(
        self,
        fraction: Widths = 6,
        granularity: Granularity = "element",
        relu: bool = False,
        integer: Widths = LEAST_FRACTION,
        rounding: Rounds = "RND_CONV",
        overflow: Overflows = "SAT",
        **kwargs: Any,
    ) -> None:
        super().__init__(fraction, granularity, **kwargs)
        _check_modes(rounding, overflow, get_args(Overflows))
        self.relu = relu
        self.rounding = rounding
        self.overflow = overflow
        self._first["integer"] = integer
        self._fixed = get_fixed_quantizer(rounding, overflow)

    def build(self, shape: tuple[int | None, ...]) -> None:
        self._add_fraction((1,) if self.granularity == "tensor" else (int(shape[-1] or 1),))
        self.integer = self._add("integer", self.fraction.shape, trainable=False)

    def call(self, x: Any, training: bool | None = None) -> Any:
        x = ops.relu(x) if self.relu else ops.convert_to_tensor(x)
        if training:
            self.integer.assign(ops.maximum(self.integer - _DECAY, self._needed(x)))
        integer = ops.ceil(self.integer)
        fraction = _rounded(self.fraction)
        if training and self.overflow == "WRAP":
            rounded = self._fixed.round(x, fraction)  # within the range, which was just updated
        else:
            rounded = self._fixed(x, 0.0 if self.relu else 1.0, integer, fraction)
        if self.overflow == "SAT":
            rounded += _slope_of_last_step(x, integer, fraction)
        return ops.where(integer + fraction > 0, rounded, self._nothing(x))

    def _nothing(self, x: Any) -> Any:
        """Zero, with the gradient of rounding to zero, so that a value without bits can regain
        them.

        Permanently removed values have no gradient.
        """
        still = ops.stop_gradient(x)
        change = self.fraction - ops.stop_gradient(self.fraction)
        return ops.where(
            self.fraction > LEAST_FRACTION / 2, x - still + math.log(2) * still * change, 0.0
        )

    def width(self) -> Any:
        """The bits of each value without its sign, in the shape of the widths; differentiable."""
        return ops.relu(ops.ceil(self.integer) + _rounded(self.fraction))

    def kif(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Signedness, integer bits without the sign, and fractional bits, in the shape of the
        widths.
        """
        integer = np.ceil(ops.convert_to_numpy(self.integer))
        fraction = np.rint(ops.convert_to_numpy(self.fraction))
        return np.full(integer.shape, not self.relu), integer, fraction

    def promoted(self, dtype: str) -> "LearnedActivation":
        """A copy that computes in another precision, with the same widths."""
        twin: LearnedActivation = type(self).from_config({**self.get_config(), "dtype": dtype})
        twin.build((None, *self.fraction.shape))
        twin.set_weights(self.get_weights())
        return twin

    def _needed(self, x: Any) -> Any:
        """The fewest integer bits, without the sign, for every value of x; saturation may lose a
        step.
        """
        axes = tuple(range(len(x.shape) - (self.granularity != "tensor")))
        if self.overflow == "WRAP":
            # Half a step above the largest, so that no logarithm is a whole number; -n steps need
            # as many bits as n - 1.
            step = 2.0 ** -_rounded(self.fraction)
            x = self._fixed.round(x, _rounded(self.fraction))
            largest = ops.maximum(ops.max(x, axis=axes), -ops.min(x, axis=axes) - step) + step / 2
        else:
            largest = ops.max(ops.abs(x), axis=axes)
        bits = ops.ceil(ops.log2(ops.maximum(largest, 2.0**LEAST_FRACTION)))
        return ops.stop_gradient(ops.reshape(bits, self.integer.shape))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "relu": self.relu,
            "rounding": self.rounding,
            "overflow": self.overflow,
        }


@keras.saving.register_keras_serializable(package="trigger")
class FixedPoint(keras.layers.Layer):
    """For values: the type ``fixed<W,I>`` or ``ufixed<W,I>``, with the rounding and overflow of
    ``ap_fixed``.

    ``rounding`` is "TRN", "RND" or "RND_CONV", ``overflow`` "SAT", "SAT_SYM" or "WRAP": the C++
    default ``ap_fixed<18,13>`` is ``FixedPoint("fixed<18,13>", rounding="TRN", overflow="WRAP")``.
    The gradient is that of x, and zero for saturated values. Raises ValueError for an invalid type,
    rounding or overflow.
    """

    def __init__(
        self,
        type: str,  # noqa: A002 - what it is
        rounding: Rounds = "RND_CONV",
        overflow: Literal["SAT", "SAT_SYM", "WRAP"] = "SAT",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        _check_modes(rounding, overflow, ("SAT", "SAT_SYM", "WRAP"))
        self.type = read_type(type)
        self.rounding = rounding
        self.overflow = overflow
        self._fixed = get_fixed_quantizer(rounding, overflow)

    def call(self, x: Any) -> Any:
        x = ops.convert_to_tensor(x)
        fixed = self.type
        kif = (fixed.signed, fixed.integer - fixed.signed, fixed.fraction)
        return self._fixed(x, *(ops.convert_to_tensor(float(part), dtype=x.dtype) for part in kif))

    def promoted(self, dtype: str) -> "FixedPoint":
        """A copy that computes in another precision."""
        twin: FixedPoint = type(self).from_config({**self.get_config(), "dtype": dtype})
        return twin

    def get_config(self) -> dict[str, Any]:
        modes = {"rounding": self.rounding, "overflow": self.overflow}
        return {**super().get_config(), "type": str(self.type), **modes}


@keras.saving.register_keras_serializable(package="trigger")
class _Between(keras.constraints.Constraint):
    def __init__(self, low: float, high: float) -> None:
        self._low = low
        self._high = high

    def __call__(self, w: Any) -> Any:
        return ops.clip(w, self._low, self._high)

    def get_config(self) -> dict[str, Any]:
        return {"low": self._low, "high": self._high}


def _check_modes(rounding: str, overflow: str, overflows: tuple[str, ...]) -> None:
    for name, value, known in (
        ("rounding", rounding, get_args(Rounds)),
        ("overflow", overflow, overflows),
    ):
        if value not in known:
            raise ValueError(
                f"{name} is {value!r}; it must be {', '.join(known[:-1])} or {known[-1]}"
            )


def _slope_of_last_step(x: Any, integer: Any, fraction: Any) -> Any:
    """Zero, with the gradient of x if x exceeds the largest value by less than a step.

    Saturation has no gradient, and with few bits a step is a large part of the range, so large
    values would not learn.
    """
    x = ops.convert_to_tensor(x)
    end = ops.stop_gradient(2.0**integer)
    inside = (x > end - ops.stop_gradient(2.0**-fraction)) & (x < end)
    return ops.where(inside, x - ops.stop_gradient(x), 0.0)


def _rounded(x: Any) -> Any:
    """round(x), with the gradient of x."""
    x = ops.convert_to_tensor(x)
    return x + ops.stop_gradient(ops.round(x) - x)

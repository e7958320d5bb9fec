"""The constants of a trained layer, as Keras itself computes them in the network's own precision.

This is the rule that makes "exact" well defined: whatever depends on trained parameters alone
(quantised kernels, folded batch normalisation) is taken from Keras as the network was trained, in
float32; whatever depends on events is computed in float64. The graph and the float64 reference both
start from these constants.
"""

import math
from typing import Any, NamedTuple

import keras
import numpy as np
import qkeras
from qkeras.qconv2d_batchnorm import QConv2DBatchnorm
from qkeras.qdense_batchnorm import QDenseBatchnorm
from qkeras.qdepthwiseconv2d_batchnorm import QDepthwiseConv2DBatchnorm
from qkeras.quantizers import bernoulli

from trigger.fixedpoint.build import constant
from trigger.fixedpoint.ops import Constant, Operation
from trigger.fixedpoint.types import Fixed
from trigger.frontends import kernels
from trigger.frontends.constants import as_numpy, check_variance, exact, finite, within
from trigger.frontends.inexact import Refusal
from trigger.frontends.methods import check_methods
from trigger.frontends.own import called
from trigger.frontends.piecewise import is_power_of_two
from trigger.frontends.qkeras import recurrent
from trigger.frontends.qkeras.functions import name_of
from trigger.frontends.qkeras.qkeras_private import kernel_mask
from trigger.frontends.qkeras.quantizers import value_type

# Layers with a batch normalisation folded into their kernel.
FOLDED = (QDenseBatchnorm, QConv2DBatchnorm, QDepthwiseConv2DBatchnorm)
# All layers with kernels.
LINEAR = (
    keras.layers.Dense,
    qkeras.QDense,
    *kernels.CONVOLUTIONS,
    qkeras.QConv1D,
    qkeras.QConv2D,
    qkeras.QDepthwiseConv2D,
    qkeras.QSeparableConv1D,
    qkeras.QSeparableConv2D,
    *FOLDED,
)
# Wider kernels are not quantised: float32 has 24 significant bits.
MAX_KERNEL_BITS = 24
# Calls of a quantiser that must agree, to detect random ones.
_CALLS = 3
AFFINE_REMEDY = "use QDenseBatchnorm, which folds it into quantised weights"
_BIAS_REMEDY = "give it a bias_quantizer such as quantized_bits(16,5,alpha=1)"


class LinearConstants(NamedTuple):
    """``kernels`` by name, as Keras shapes them, and ``bias`` (units,), float64."""

    kernels: dict[str, np.ndarray]
    bias: np.ndarray


class AffineConstants(NamedTuple):
    """``scale`` and ``offset``, one for each element of the last axis, float64."""

    scale: np.ndarray
    offset: np.ndarray


def linear(layer: keras.layers.Layer) -> LinearConstants:
    """The kernels and bias that a Dense layer or a convolution applies in inference.

    Raises Refusal if they differ between calls or are not finite.
    """
    if isinstance(layer, qkeras.QConv1D) and layer.padding == "causal":
        before = (layer.kernel_size[0] - 1) * layer.dilation_rate[0]
        raise Refusal(
            'QKeras cannot compute QConv1D with padding="causal"',
            f'use padding="valid", with ZeroPadding1D(({before}, 0)) before it',
        )
    if isinstance(layer, FOLDED):
        if not (layer.batchnorm.scale and layer.batchnorm.center):
            class_name = type(layer).__name__
            raise Refusal(
                f"QKeras cannot compute {class_name} without scale or center",
                "use scale=True and center=True",
            )
        folded, bias = layer.get_folded_weights()
        weights = {kernels.names(layer)[0]: folded}
    else:
        weights = {name: kernels.weight(layer, name) for name in kernels.names(layer)}
        bias = layer.bias if layer.use_bias else None
    constants = {name: _kernel(layer, name, value) for name, value in weights.items()}
    units = _units(layer, constants)
    if bias is None:
        return LinearConstants(constants, np.zeros(units))
    bias = as_numpy(_call(layer, "bias", bias), "bias")
    if bias.ndim > 2:  # the outputs would have one more axis
        raise _misshapen("bias", bias.shape, (units,))
    return LinearConstants(constants, _one_each("bias", bias, units))


def of_recurrent(layer: Any) -> LinearConstants:
    """The kernels and bias that a recurrent layer applies at each step; the bias is shaped as in
    Keras.
    """
    recurrent.check(layer)
    _quantizer(layer, "state")
    cell = layer.cell
    weights = {kernels.KERNEL: cell.kernel, recurrent.RECURRENT: cell.recurrent_kernel}
    constants = {name: _kernel(layer, name, value) for name, value in weights.items()}
    if not cell.use_bias:
        return LinearConstants(constants, np.zeros(constants[kernels.KERNEL].shape[1]))
    bias = finite("bias", as_numpy(_call(layer, "bias", cell.bias), "bias"))
    if bias.shape != tuple(cell.bias.shape):
        raise _misshapen("bias", bias.shape, tuple(cell.bias.shape))
    return LinearConstants(constants, bias)


def _kernel(layer: Any, name: str, value: Any) -> np.ndarray:
    shape = tuple(value.shape)
    # QSeparableConv1D quantises its kernels as those of a layer with one more axis.
    flat = isinstance(layer, qkeras.QSeparableConv1D)
    quantized = _call(layer, name, value[None] if flat else value)
    values = finite(name, as_numpy(quantized, name))
    values = values[0] if flat and values.ndim else values
    mask = kernel_mask(layer)
    if mask is not None:
        values = values * as_numpy(mask)
    if values.shape != shape:
        raise _misshapen(name, values.shape, shape)
    return values


def _units(layer: Any, constants: dict[str, np.ndarray]) -> int:
    *_, last = constants.values()
    return (
        math.prod(last.shape[-2:])
        if kernels.names(layer)[-1] == kernels.DEPTHWISE
        else last.shape[-1]
    )


def kernel_constant(layer: keras.layers.Layer, name: str, kernel: np.ndarray) -> Constant:
    """A kernel as integers; refused if no fixed-point type of 24 bits holds it."""
    quantizer = getattr(layer, f"{name}_quantizer_internal", None)
    try:
        return constant(kernel, MAX_KERNEL_BITS)
    except ValueError as error:
        if quantizer is None:
            raise Refusal(
                f"the {kernel_name(name)} is not quantised ({error})",
                f"use {_quantized_kind(layer)} with a {name}_quantizer such as "
                f"quantized_bits(6,0,alpha=1)",
            ) from error
        raise Refusal(
            f"the {kernel_name(name)} quantised by {name_of(quantizer)} spans too many bits "
            f"({error})",
            "use fewer bits, a max_value, or quantized_bits with alpha=1",
        ) from error


def kernel_name(name: str) -> str:
    """A kernel in a message."""
    return name if name == kernels.KERNEL else f"{name} kernel"


def _quantized_kind(layer: Any) -> str:
    """The layer of QKeras for a layer of Keras."""
    class_name = f"Q{type(layer).__name__.removeprefix('Q')}"
    return class_name if hasattr(qkeras, class_name) else "QDepthwiseConv2D"


def bias_constant(bias: np.ndarray) -> Constant:
    """The bias as integers; refused if it needs more than 53 bits."""
    return exact("bias", bias, _BIAS_REMEDY)


def in_its_range(layer: Any, name: str, constant: Constant, built: Fixed | None = None) -> Constant:
    """A kernel or bias in the type that holds all that its quantiser gives, or in that of a
    ``built`` network; refused without one, or if that does not hold it.
    """
    what = "bias" if name == "bias" else kernel_name(name)
    if built is not None:
        same = within(constant, built)
        if same.type != built:
            raise Refusal(
                f"the {what} has values that {built}, the type of the build, does not hold",
                "train it with a quantiser of this range, or build the firmware anew",
            )
        return same
    quantizer = _quantizer(layer, name)
    fixed = None if quantizer is None else value_type(quantizer)
    if fixed is None:
        rounds = f"quantised by {name_of(quantizer)}" if quantizer else "not quantised"
        raise Refusal(
            f"the {what} is {rounds}, so its values have no fixed range and cannot be loaded anew",
            f"give it a {name}_quantizer such as quantized_bits(8,2,alpha=1)",
        )
    return within(constant, fixed)


def check_bias_step(bias: Constant, kernel: Constant, source: Operation) -> None:
    """Attribute a sum that is too wide to a bias with a finer step than all products."""
    if bias.type.fraction > int(source.fractions.max()) + kernel.type.fraction:
        raise Refusal(
            "with its bias a value needs more than the 53 "
            f"bits of float64: the smallest bit of the bias is 2^{-bias.type.fraction}",
            _BIAS_REMEDY,
        )


def batch_normalization(layer: Any) -> AffineConstants:
    """y = x * scale + offset, for BatchNormalization and QBatchNormalization in inference."""

    def quantized(name: str, value: Any) -> Any:
        return None if value is None else _as_applied(layer, _call(layer, name, value))

    variance = quantized("variance", layer.moving_variance)
    mean = quantized("mean", layer.moving_mean)
    gamma = quantized("gamma", layer.gamma if layer.scale else None)
    beta = quantized("beta", layer.beta if layer.center else None)
    ops = keras.ops
    if isinstance(layer, qkeras.QBatchNormalization):
        scale = 1 / ops.sqrt(variance + layer.epsilon)
    else:
        scale = ops.rsqrt(ops.convert_to_tensor(variance) + layer.epsilon)
    if gamma is not None:
        scale = scale * gamma
    scale = _call(layer, "inverse", scale)
    offset = -mean * scale if beta is None else beta - mean * scale
    size = layer.moving_variance.shape[0]
    return AffineConstants(
        _one_each("scale", as_numpy(scale), size), _one_each("offset", as_numpy(offset), size)
    )


def _as_applied(layer: Any, value: Any) -> Any:
    """The value in the shape in which QBatchNormalization passes it to the quantiser of the
    inverse.
    """
    if not isinstance(layer, qkeras.QBatchNormalization):
        return value
    rank = layer.input_spec.ndim
    (axis,) = layer.axis if isinstance(layer.axis, list | tuple) else (layer.axis,)
    if len(value.shape) == rank or axis == rank - 1:
        return value
    shape = [1] * rank
    shape[axis] = layer.moving_variance.shape[0]
    return called("QBatchNormalization", keras.ops.broadcast_to, value, tuple(shape))


def normalization(layer: keras.layers.Normalization) -> AffineConstants:
    """y = (x - mean) / deviation, for one event; refused unless every deviation is a power of
    two.
    """
    if layer.invert:
        raise Refusal("Normalization(invert=True) multiplies by a real number", "use invert=False")
    if layer.mean is None:
        raise Refusal("it has no mean and variance yet", "call its adapt() on training events")
    mean = finite("mean", as_numpy(layer.mean))
    variance = finite("variance", as_numpy(layer.variance))
    check_variance(variance)
    deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
    if not all(is_power_of_two(d) for d in deviation.ravel()):
        raise Refusal(
            "it divides by a deviation that is not a power of two",
            "round the learned statistics with trigger.training.network.power_of_two_normalization",
        )
    if mean.ndim and len(mean) != 1:
        raise Refusal("it normalises over the event axis (axis 0)", "use axis=-1")
    shape = mean.shape[1:]
    return AffineConstants((1 / deviation).reshape(shape), (-mean / deviation).reshape(shape))


def _one_each(name: str, values: np.ndarray, size: int) -> np.ndarray:
    """The values (size,), broadcast along the last axis; refused if they do not fit it."""
    along = (*(1 for _ in values.shape[:-1]), size)
    try:
        return np.broadcast_to(finite(name, values), along).ravel()
    except ValueError:
        raise _misshapen(name, values.shape, (size,)) from None


def _misshapen(name: str, shape: tuple[int, ...], wanted: tuple[int, ...]) -> Refusal:
    return Refusal(
        f"its quantiser gives a {name} of the shape {shape}, not {wanted}",
        "give the quantiser one alpha, or one for each element of the last axis",
    )


def _call(layer: Any, name: str, value: Any) -> Any:
    """The quantised value; the quantiser must give the same result each time."""
    quantizer = _quantizer(layer, name)
    if quantizer is None:
        return value
    check_methods(f"{name_of(quantizer)}:", quantizer, "use the quantiser as it is")
    if name in (*kernels.names(layer), recurrent.RECURRENT, "bias"):
        _check_scale(quantizer)
    results = [called(name_of(quantizer), quantizer, value) for _ in range(_CALLS)]
    first, *others = (as_numpy(result) for result in results)
    if isinstance(quantizer, bernoulli) or any(
        not np.array_equal(first, other, equal_nan=True) for other in others
    ):
        raise Refusal(
            f"its {name} is random at each call, by {name_of(quantizer)}",
            "use a deterministic quantiser, such as quantized_bits(6,0,alpha=1)",
        )
    return results[0]


def _quantizer(layer: Any, name: str) -> Any:
    """The quantiser of a part of a layer, or None; refused if the layer holds only half of it."""
    quantizer = getattr(layer, f"{name}_quantizer_internal", None)
    given = getattr(layer, f"{name}_quantizer", None)
    # The bias of QDenseBatchnorm and the inverse also use quantisers that were set afterwards.
    ignores = name == "inverse" or (isinstance(layer, FOLDED) and name == "bias")
    if bool(given) != (quantizer is not None) and not ignores:
        raise _halved(type(layer).__name__, f"{name}_quantizer", quantizer is None)
    return quantizer


def _halved(class_name: str, option: str, is_given: bool) -> Refusal:
    """QKeras stores an option and its quantiser separately; here one exists without the other."""
    if is_given:
        reason = (
            f"it has a {option} and no {option}_internal, so that {class_name} cannot be called"
        )
    else:
        reason = f"its {option}_internal was set by hand, and {class_name} never uses it"
    return Refusal(reason, f"make the layer with {option}=... and give it the same weights")


def _check_scale(quantizer: Any) -> None:
    alpha = getattr(quantizer, "alpha", None)
    if alpha is None or (isinstance(alpha, str) and alpha == "auto_po2"):
        return
    if isinstance(alpha, str) or not all(is_power_of_two(float(a)) for a in np.ravel(alpha)):
        raise Refusal(
            f"{name_of(quantizer)} multiplies by a scale that is not a power of two",
            'give alpha=1, another power of two, or "auto_po2"',
        )

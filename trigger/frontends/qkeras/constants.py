"""The constants of a trained layer, as Keras itself computes them in the network's own precision.

This is the rule that makes "exact" well defined: whatever depends on trained parameters alone
(quantised kernels, folded batch normalisation) is taken from Keras as the network was trained, in
float32; whatever depends on events is computed in float64. The graph and the float64 reference both
start from these constants.
"""

from typing import Any, NamedTuple

import keras
import numpy as np
import qkeras
from qkeras.qdense_batchnorm import QDenseBatchnorm
from qkeras.quantizers import bernoulli

from trigger.fixedpoint.build import constant
from trigger.fixedpoint.ops import Constant, Operation
from trigger.frontends.constants import as_numpy, check_variance, exact, finite
from trigger.frontends.inexact import Refusal
from trigger.frontends.methods import check_methods
from trigger.frontends.own import called
from trigger.frontends.piecewise import is_power_of_two
from trigger.frontends.qkeras.functions import name_of

# Wider kernels are not quantised: float32 has 24 significant bits.
MAX_KERNEL_BITS = 24
# Calls of a quantiser that must agree, to detect random ones.
_CALLS = 3
AFFINE_REMEDY = "use QDenseBatchnorm, which folds it into quantised weights"
_BIAS_REMEDY = "give it a bias_quantizer such as quantized_bits(16,5,alpha=1)"


class DenseConstants(NamedTuple):
    """``kernel`` (inputs, units) and ``bias`` (units,), float64."""

    kernel: np.ndarray
    bias: np.ndarray


class AffineConstants(NamedTuple):
    """``scale`` and ``offset``, one for each element of the last axis, float64."""

    scale: np.ndarray
    offset: np.ndarray


def dense(layer: keras.layers.Dense) -> DenseConstants:
    """The kernel and bias that Dense, QDense and QDenseBatchnorm apply in inference.

    Raises Refusal if they differ between calls or are not finite.
    """
    if isinstance(layer, QDenseBatchnorm):
        if not (layer.batchnorm.scale and layer.batchnorm.center):
            raise Refusal(
                "QKeras cannot compute QDenseBatchnorm without scale or center",
                "use scale=True and center=True",
            )
        kernel, bias = layer.get_folded_weights()
    else:
        kernel, bias = layer.kernel, layer.bias if layer.use_bias else None
    shape = tuple(kernel.shape)
    kernel = finite("kernel", as_numpy(_call(layer, "kernel", kernel), "kernel"))
    if kernel.shape != shape:
        raise _misshapen("kernel", kernel.shape, shape)
    if bias is None:
        return DenseConstants(kernel, np.zeros(shape[-1]))
    bias = as_numpy(_call(layer, "bias", bias), "bias")
    if bias.ndim > 2:  # the outputs would have one more axis
        raise _misshapen("bias", bias.shape, shape[-1:])
    return DenseConstants(kernel, _one_each("bias", bias, shape[-1]))


def kernel_constant(layer: keras.layers.Dense, kernel: np.ndarray) -> Constant:
    """The kernel as integers; refused if no fixed-point type of 24 bits holds it."""
    quantizer = getattr(layer, "kernel_quantizer_internal", None)
    try:
        return constant(kernel, MAX_KERNEL_BITS)
    except ValueError as error:
        if quantizer is None:
            raise Refusal(
                f"the kernel is not quantised ({error})",
                "use QDense with a kernel_quantizer such as quantized_bits(6,0,alpha=1)",
            ) from error
        raise Refusal(
            f"the kernel quantised by {name_of(quantizer)} spans too many bits ({error})",
            "use fewer bits, a max_value, or quantized_bits with alpha=1",
        ) from error


def bias_constant(bias: np.ndarray) -> Constant:
    """The bias as integers; refused if it needs more than 53 bits."""
    return exact("bias", bias, _BIAS_REMEDY)


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

    variance, mean = (
        quantized("variance", layer.moving_variance),
        quantized("mean", layer.moving_mean),
    )
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


def _misshapen(name: str, found: tuple[int, ...], wanted: tuple[int, ...]) -> Refusal:
    return Refusal(
        f"its quantiser gives a {name} of the shape {found}, not {wanted}",
        "give the quantiser one alpha, or one for each element of the last axis",
    )


def _call(layer: Any, name: str, value: Any) -> Any:
    """The quantised value; the quantiser must give the same result each time."""
    quantizer = getattr(layer, f"{name}_quantizer_internal", None)
    given = getattr(layer, f"{name}_quantizer", None)
    # The bias of QDenseBatchnorm and the inverse also use quantisers that were set afterwards.
    ignores = name == "inverse" or (isinstance(layer, QDenseBatchnorm) and name == "bias")
    if bool(given) != (quantizer is not None) and not ignores:
        raise _halved(type(layer).__name__, f"{name}_quantizer", quantizer is None)
    if quantizer is None:
        return value
    check_methods(f"{name_of(quantizer)}:", quantizer, "use the quantiser as it is")
    if name in ("kernel", "bias"):
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


def _halved(kind: str, option: str, is_given: bool) -> Refusal:
    """QKeras stores an option and its quantiser separately; here one exists without the other."""
    if is_given:
        reason = f"it has a {option} and no {option}_internal, so that {kind} cannot be called"
    else:
        reason = f"its {option}_internal was set by hand, and {kind} never uses it"
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

"""The constants of a trained layer, as Keras itself computes them in the network's own precision.

This is the rule that makes "exact" well defined: whatever depends on trained parameters alone (quantised kernels,
folded batch normalisation) is taken from Keras as the network was trained, in float32; whatever depends on events is
computed in float64. The graph and the float64 reference both start from these constants.
"""

from typing import Any, NamedTuple

import keras
import numpy as np
import qkeras
from qkeras.qdense_batchnorm import QDenseBatchnorm

from trigger.fixedpoint.build import constant
from trigger.fixedpoint.graph import Constant
from trigger.frontends.activations import name_of
from trigger.frontends.inexact import Refusal
from trigger.frontends.piecewise import is_power_of_two

# Wider kernels are not quantised at all: float32 has 24 significant bits.
MAX_KERNEL_BITS = 24


class DenseConstants(NamedTuple):
    """``kernel`` (inputs, units) and ``bias`` (units,), float64."""

    kernel: np.ndarray
    bias: np.ndarray


class AffineConstants(NamedTuple):
    """``scale`` and ``offset``, one for each element of the last axis, float64."""

    scale: np.ndarray
    offset: np.ndarray


def dense(layer: keras.layers.Dense) -> DenseConstants:
    """The kernel and bias that Dense, QDense and QDenseBatchnorm apply in inference."""
    if isinstance(layer, QDenseBatchnorm):
        if not (layer.batchnorm.scale and layer.batchnorm.center):
            raise Refusal(
                "QKeras cannot compute QDenseBatchnorm without scale or center",
                "use scale=True and center=True",
            )
        kernel, bias = layer.get_folded_weights()
    else:
        kernel, bias = layer.kernel, layer.bias if layer.use_bias else None
    kernel_quantizer = getattr(layer, "kernel_quantizer_internal", None)
    bias_quantizer = getattr(layer, "bias_quantizer_internal", None)
    for quantizer in (kernel_quantizer, bias_quantizer):
        _check_scale(quantizer)
    kernel = _numpy(kernel_quantizer(kernel) if kernel_quantizer else kernel)
    if bias is None:
        return DenseConstants(kernel, np.zeros(kernel.shape[-1]))
    return DenseConstants(kernel, _numpy(bias_quantizer(bias) if bias_quantizer else bias))


def kernel_constant(layer: keras.layers.Dense, kernel: np.ndarray) -> Constant:
    """The kernel as integers; refused where it is not on a grid that a fixed-point type of 24 bits can hold."""
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


def batch_normalization(layer: Any) -> AffineConstants:
    """y = x * scale + offset, for BatchNormalization and QBatchNormalization in inference."""

    def quantized(name: str, value: Any) -> Any:
        quantizer = getattr(layer, f"{name}_quantizer_internal", None)
        return value if quantizer is None or value is None else quantizer(value)

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
    scale = quantized("inverse", scale)
    offset = -mean * scale if beta is None else beta - mean * scale
    return AffineConstants(_numpy(scale), _numpy(offset))


def normalization(layer: keras.layers.Normalization) -> AffineConstants:
    """y = (x - mean) / deviation; refused unless every deviation is a power of two."""
    if layer.invert:
        raise Refusal("Normalization(invert=True) multiplies by a real number", "use invert=False")
    deviation = np.maximum(np.sqrt(_numpy(layer.variance).ravel()), keras.config.epsilon())
    if not all(is_power_of_two(d) for d in deviation):
        raise Refusal(
            "it divides by a deviation that is not a power of two",
            "round the learned statistics with trigger.training.network.power_of_two_normalization",
        )
    return AffineConstants(1 / deviation, -_numpy(layer.mean).ravel() / deviation)


def _check_scale(quantizer: Any) -> None:
    alpha = getattr(quantizer, "alpha", None)
    if alpha is None or (isinstance(alpha, str) and alpha == "auto_po2"):
        return
    if isinstance(alpha, str) or not all(is_power_of_two(float(a)) for a in np.ravel(alpha)):
        raise Refusal(
            f"{name_of(quantizer)} multiplies by a scale that is not a power of two",
            'give alpha=1, another power of two, or "auto_po2"',
        )


def _numpy(value: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(value), dtype=np.float64)

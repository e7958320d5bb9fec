"""Dense on any rank, convolutions and average pooling: the battery, and every option against the network itself."""

import keras
import numpy as np
import pytest
import qkeras
from as_called import assert_itself, stacked, with_dyadic_weights
from battery import WIDTHS, Battery, at_width, parametrize, randomize
from keras import layers
from qkeras import QActivation, QConv1D, QConv2D, QDense, QDepthwiseConv2D
from qkeras.qconv2d_batchnorm import QConv2DBatchnorm
from qkeras.qdepthwiseconv2d_batchnorm import QDepthwiseConv2DBatchnorm

import trigger
from trigger import Inexact

pytest_generate_tests = parametrize

W = "quantized_bits(4,0,alpha=1)"
KERNEL = {"kernel_quantizer": W, "bias_quantizer": W}
DEPTHWISE = {"depthwise_quantizer": W, "bias_quantizer": W}
SEPARABLE = {**DEPTHWISE, "pointwise_quantizer": W}
IN_1D, IN_2D = (9, 4), (6, 5, 4)


def deep(shape, layer, bits, inner, integer):
    """A layer between quantisers, and a Dense layer after it."""
    return randomize(
        stacked(
            shape,
            QActivation(f"quantized_bits({bits},{bits // 2 - 1},alpha=1)"),
            layer(),
            QActivation(f"quantized_relu({inner},{integer})"),
            layers.Flatten(),
            QDense(2, **KERNEL),
        ),
        0,
    )


def at_widths(name, shape, layer):
    return {f"{name} at {w[0]} bits": at_width(w[0], deep, shape, layer, *w) for w in WIDTHS}


class TestKernels(Battery):
    cases = (
        at_widths("QDense on rank 2", (4, 3), lambda: QDense(2, **KERNEL))
        | at_widths("QConv1D", (5, 2), lambda: QConv1D(2, 3, padding="same", **KERNEL))
        | at_widths("QConv2D", (3, 4, 2), lambda: QConv2D(2, 2, **KERNEL))
        | at_widths(
            "QDepthwiseConv2D",
            (4, 3, 2),
            lambda: QDepthwiseConv2D(2, strides=(1, 1), padding="same", **DEPTHWISE),
        )
        | at_widths("QSeparableConv1D", (4, 2), lambda: qkeras.QSeparableConv1D(2, 2, **SEPARABLE))
        | at_widths("AveragePooling2D", (4, 4, 1), lambda: layers.AveragePooling2D(2))
    )


OPTIONS = {
    "QDense on rank 2": (IN_1D, lambda: QDense(3, **KERNEL)),
    "QDense on rank 3": (IN_2D, lambda: QDense(3, **KERNEL)),
    "Dense on rank 3": (IN_2D, lambda: layers.Dense(3)),
    "QConv1D": (IN_1D, lambda: QConv1D(3, 3, **KERNEL)),
    "QConv1D with an activation": (
        IN_1D,
        lambda: QConv1D(3, 3, activation="quantized_relu(5,2)", **KERNEL),
    ),
    "QConv1D same, of an even kernel": (
        IN_1D,
        lambda: QConv1D(3, 4, strides=2, padding="same", **KERNEL),
    ),
    "QConv1D same, strides beyond the kernel": (
        IN_1D,
        lambda: QConv1D(2, 2, strides=3, padding="same", **KERNEL),
    ),
    "QConv1D in groups": (IN_1D, lambda: QConv1D(6, 3, groups=2, **KERNEL)),
    "QConv1D dilated, same": (
        IN_1D,
        lambda: QConv1D(2, 3, dilation_rate=2, padding="same", **KERNEL),
    ),
    "Conv1D causal": (IN_1D, lambda: layers.Conv1D(3, 3, padding="causal")),
    "Conv1D causal, dilated": (
        IN_1D,
        lambda: layers.Conv1D(2, 3, dilation_rate=2, padding="causal"),
    ),
    "Conv1D causal, strides": (IN_1D, lambda: layers.Conv1D(2, 3, strides=2, padding="causal")),
    "QConv2D": (IN_2D, lambda: QConv2D(3, (2, 3), **KERNEL)),
    "QConv2D same, strides": (IN_2D, lambda: QConv2D(3, 3, strides=2, padding="same", **KERNEL)),
    "QConv2D dilated": (IN_2D, lambda: QConv2D(3, 2, dilation_rate=(1, 2), **KERNEL)),
    "QConv2D with a mask": (
        IN_2D,
        lambda: QConv2D(3, 2, mask=np.eye(2, dtype=np.float32), **KERNEL),
    ),
    "QConv2D in groups": (IN_2D, lambda: QConv2D(8, 2, groups=4, **KERNEL)),
    "QConv2D without a bias": (IN_2D, lambda: QConv2D(3, 2, kernel_quantizer=W, use_bias=False)),
    "QConv2D with scales per filter": (
        IN_2D,
        lambda: QConv2D(3, 2, kernel_quantizer="quantized_bits(4,0,alpha='auto_po2')"),
    ),
    "QConv2DBatchnorm": (IN_2D, lambda: QConv2DBatchnorm(3, 2, **KERNEL)),
    "QDepthwiseConv2D": (IN_2D, lambda: QDepthwiseConv2D((2, 3), **DEPTHWISE)),
    "QDepthwiseConv2D, several outputs a channel": (
        IN_2D,
        lambda: QDepthwiseConv2D(2, depth_multiplier=3, padding="same", **DEPTHWISE),
    ),
    "QDepthwiseConv2DBatchnorm": (IN_2D, lambda: QDepthwiseConv2DBatchnorm(2, **DEPTHWISE)),
    "DepthwiseConv1D": (IN_1D, lambda: layers.DepthwiseConv1D(3, depth_multiplier=2, strides=2)),
    "QSeparableConv1D": (IN_1D, lambda: qkeras.QSeparableConv1D(3, 3, **SEPARABLE)),
    "SeparableConv1D": (IN_1D, lambda: layers.SeparableConv1D(3, 3, strides=2)),
    "QSeparableConv2D": (
        IN_2D,
        lambda: qkeras.QSeparableConv2D(3, 2, depth_multiplier=2, padding="same", **SEPARABLE),
    ),
    "AveragePooling1D": (IN_1D, lambda: layers.AveragePooling1D(2)),
    "AveragePooling1D same": ((8, 4), lambda: layers.AveragePooling1D(2, 3, padding="same")),
    "AveragePooling2D": (IN_2D, lambda: layers.AveragePooling2D((2, 4), 1)),
    "AveragePooling2D channels first": (
        (2, 4, 4),
        lambda: layers.AveragePooling2D(2, data_format="channels_first"),
    ),
    "GlobalAveragePooling1D": ((8, 4), layers.GlobalAveragePooling1D),
    "GlobalAveragePooling1D channels first": (
        (3, 8),
        lambda: layers.GlobalAveragePooling1D("channels_first"),
    ),
    "GlobalAveragePooling2D": ((4, 2, 3), lambda: layers.GlobalAveragePooling2D(keepdims=True)),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_options(option):
    shape, layer = OPTIONS[option]
    assert_itself(with_dyadic_weights(stacked(shape, layer())), "fixed<6,3>")


@pytest.mark.parametrize(
    ("shape", "layer", "reason", "remedy"),
    [
        (
            (4, 5, 6),
            lambda: QConv2D(3, 2, data_format="channels_first", name="c", **KERNEL),
            'data_format="channels_first", which TensorFlow cannot compute on a CPU in float64',
            'use data_format="channels_last", with a Permute before and after it',
        ),
        (
            IN_2D,
            lambda: QDepthwiseConv2D(2, strides=(1, 2), name="c", **DEPTHWISE),
            "its strides (1, 2) differ, which TensorFlow cannot compute on a CPU in float64",
            "use equal strides, or a Conv2D with these strides",
        ),
        (
            IN_2D,
            lambda: qkeras.QSeparableConv2D(2, 2, strides=(2, 1), name="c", **SEPARABLE),
            "its strides (2, 1) differ, which TensorFlow cannot compute on a CPU in float64",
            "use equal strides, or a Conv2D with these strides",
        ),
        (
            IN_2D,
            lambda: QConv2D(2, 2, strides=(1.0, 2.0), name="c", **KERNEL),
            "its strides is (1.0, 2.0), not of whole numbers",
            "use whole numbers",
        ),
        (
            IN_1D,
            lambda: QConv1D(3, 3, padding="causal", dilation_rate=2, name="c", **KERNEL),
            'QKeras cannot compute QConv1D with padding="causal"',
            'use padding="valid", with ZeroPadding1D((4, 0)) before it',
        ),
        (
            IN_1D,
            lambda: layers.AveragePooling1D(3, name="c"),
            "it divides by 3, which is not a power of two",
            'put a quantiser after it, such as QActivation("quantized_bits(8,3,alpha=1)"), or '
            "average 2, 4, 8 … values",
        ),
        (
            IN_2D,
            lambda: layers.AveragePooling2D(4, 4, padding="same", name="c"),
            "it divides by 9 at some places, which is not a power of two",
            'use padding="valid", or average 2, 4, 8 … values',
        ),
        (
            IN_1D,
            lambda: layers.Conv1DTranspose(3, 2, name="c"),
            "a layer of the type Conv1DTranspose has no exact lowering",
            "use Flatten and a QDense whose kernel holds the same products at every position",
        ),
    ],
)
def test_what_is_refused(shape, layer, reason, remedy):
    with pytest.raises(Inexact) as error:
        trigger.lower(stacked(shape, layer()), "fixed<6,3>")
    (problem,) = error.value.problems
    assert (problem.layer, problem.reason, problem.remedy) == ("c", reason, remedy)


@pytest.mark.parametrize(
    ("layer", "reason", "remedy"),
    [
        (
            lambda: layers.Conv1D(3, 2, name="c"),
            "the kernel is not quantised (the values need ",
            "use QConv1D with a kernel_quantizer such as quantized_bits(6,0,alpha=1)",
        ),
        (
            lambda: layers.SeparableConv1D(3, 2, name="c"),
            "the depthwise kernel is not quantised (the values need ",
            "use QSeparableConv1D with a depthwise_quantizer such as quantized_bits(6,0,alpha=1)",
        ),
        (
            lambda: layers.DepthwiseConv1D(2, name="c"),
            "the depthwise kernel is not quantised (the values need ",
            "use QDepthwiseConv2D with a depthwise_quantizer such as quantized_bits(6,0,alpha=1)",
        ),
    ],
)
def test_kernels_that_are_not_quantised(layer, reason, remedy):
    keras.utils.set_random_seed(0)
    with pytest.raises(Inexact) as error:
        trigger.lower(stacked(IN_1D, layer()), "fixed<6,3>")
    (problem,) = error.value.problems
    assert problem.reason.startswith(reason)
    assert problem.remedy == remedy


def test_names_of_positions():
    graph = trigger.lower(stacked((3, 2), QConv1D(2, 2, name="conv", **KERNEL)), "fixed<6,3>")
    assert [node.name for node in graph.nodes] == ["inputs", "conv_windows", "conv"]
    assert graph["conv"].positions == 2


CHANGED = {
    "strides": (lambda: QConv2D(4, 2, name="c", **KERNEL), (2, 2), (5, 4, 4)),
    "padding": (lambda: layers.DepthwiseConv2D(2, name="c"), "same", (5, 4, 4)),
    "dilation_rate": (lambda: layers.SeparableConv2D(4, 2, name="c"), (2, 2), (5, 4, 4)),
    "pool_size": (lambda: layers.MaxPooling2D(2, name="c"), (3, 3), (3, 2, 4)),
    "data_format": (lambda: layers.AveragePooling2D(2, name="c"), "channels_first", (3, 2, 4)),
    "keepdims": (lambda: layers.GlobalMaxPooling2D(name="c"), True, (4,)),
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_shape_that_was_changed_by_hand_is_refused(name):
    """Layers after it, such as Permute, would take its elements in the order of the old shape."""
    make, value, shape = CHANGED[name]
    layer = make()
    model = stacked(IN_2D, layer)
    for weight in model.weights:
        weight.assign(np.ones(weight.shape))
    setattr(layer, name, value)
    with pytest.raises(Inexact) as error:
        trigger.lower(model, "fixed<6,3>")
    assert str(error.value.problems[0]) == (
        f"c: its options were changed: its output no longer has the shape {shape}. "
        "Remedy: make the network again."
    )

"""Layers without weights, the same in every kind of network, lowered to the graph."""

import math
from collections.abc import Callable

import keras
import numpy as np

from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.ops import Constant
from trigger.fixedpoint.types import Fixed, Integers
from trigger.frontends import wiring
from trigger.frontends.calls import Call
from trigger.frontends.inexact import Refusal
from trigger.frontends.piecewise import is_power_of_two, lower_relu
from trigger.frontends.products import sum_of_squares

# Layers that do nothing in inference.
TRAINING_ONLY = (
    keras.layers.Dropout,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
    keras.layers.AlphaDropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.ActivityRegularization,
    keras.layers.Identity,
)
NAMES = (
    "ReLU, LeakyReLU, Softmax (last), Add, Subtract, Maximum, Minimum, Concatenate, Dot (squares), "
    "MaxPooling, AveragePooling, Flatten, Reshape, Permute, RepeatVector, Cropping, ZeroPadding, "
    "UpSampling and the Dropout layers"
)


def _same(builder: Builder, call: Call) -> str:  # noqa: ARG001
    return call.inputs[0].node


def _relu(builder: Builder, call: Call) -> str:
    layer = call.layer
    if layer.threshold:
        raise Refusal(
            f"ReLU with a threshold of {float(layer.threshold):g} jumps", "use threshold=0"
        )
    upper = None if layer.max_value is None else float(layer.max_value)
    return lower_relu(builder, call.name, call.inputs[0].node, float(layer.negative_slope), upper)


def _leaky_relu(builder: Builder, call: Call) -> str:
    return lower_relu(
        builder, call.name, call.inputs[0].node, float(call.layer.negative_slope), None
    )


def add(builder: Builder, call: Call) -> str:
    if len({value.shape for value in call.inputs}) != 1:
        raise Refusal("it adds tensors of different shapes", "give all inputs the same shape")
    return builder.add(call.name, tuple(value.node for value in call.inputs))


def _moved(builder: Builder, call: Call) -> str:
    (value,) = call.inputs
    numbers = wiring.numbers_of(value.shape)
    moved = wiring.MOVES[type(call.layer)](call.layer, numbers)
    return wiring.gather(builder, call.name, value.node, moved)


def _largest_of_window(builder: Builder, call: Call) -> str:
    (value,) = call.inputs
    groups = wiring.compared(call.layer, wiring.numbers_of(value.shape))
    return builder.maximum(call.name, value.node, groups)


def _averaged(builder: Builder, call: Call) -> str:
    (value,) = call.inputs
    groups = wiring.pooled(call.layer, wiring.numbers_of(value.shape))
    counts = (groups >= 0).sum(axis=1)
    if not all(is_power_of_two(count) for count in counts):
        raise Refusal(
            f"it divides by {next(c for c in counts if not is_power_of_two(c))}, "
            "which is not a power of two",
            "use windows of 2, 4, 8 … elements, or sum with QDense",
        )
    total = _sums(builder, f"{call.name}_sum", value.node, groups)
    return builder.affine(call.name, total, constant(1 / counts), constant(np.zeros(len(counts))))


def _sums(builder: Builder, name: str, source: str, groups: Integers) -> str:
    """The sum of each group of elements, (outputs, members)."""
    outputs, members = groups.shape
    ones = Constant(np.ones((members, 1), dtype=np.int64), Fixed(False, 1, 1))
    zero = Constant(np.zeros(1, dtype=np.int64), Fixed(False, 1, 1))
    windows = wiring.gather(builder, f"{name}_windows", source, groups)
    return builder.dense(name, windows, ones, zero, outputs)


def _largest(builder: Builder, call: Call) -> str:
    return builder.maximum(call.name, *_side_by_side(builder, call))


def _smallest(builder: Builder, call: Call) -> str:
    return builder.minimum(call.name, *_side_by_side(builder, call))


def _side_by_side(builder: Builder, call: Call) -> tuple[str, Integers]:
    """The inputs one after the other, and which of their elements belong together."""
    if len({value.shape for value in call.inputs}) != 1:
        raise Refusal("it compares tensors of different shapes", "give all inputs the same shape")
    source = _joined(builder, call)
    count = len(builder[source].types)
    return source, np.arange(count).reshape(len(call.inputs), -1).T


def _joined(builder: Builder, call: Call) -> str:
    return builder.concatenate(f"{call.name}_inputs", tuple(value.node for value in call.inputs))


def _subtract(builder: Builder, call: Call) -> str:
    a, b = call.inputs
    if a.shape != b.shape:
        raise Refusal("it subtracts tensors of different shapes", "give both the same shape")
    count = len(builder[b.node].types)
    minus, zero = np.full(count, -1), np.zeros(count, dtype=np.int64)
    negated = builder.affine(
        f"{call.name}_negated",
        b.node,
        Constant(minus, Fixed(True, 1, 1)),
        Constant(zero, Fixed(False, 1, 1)),
    )
    return builder.add(call.name, (a.node, negated))


def _concatenate(builder: Builder, call: Call) -> str:
    shape = call.output_shape
    axis = call.layer.axis % (len(shape) + 1)
    if axis == 0:
        raise Refusal("it concatenates events, not features (axis 0)", "use axis=1")
    if math.prod(shape[: axis - 1]) == 1:
        return builder.concatenate(call.name, tuple(value.node for value in call.inputs))
    order = wiring.joined([value.shape for value in call.inputs], axis - 1)
    return wiring.gather(builder, call.name, _joined(builder, call), order)


def _sum_of_squares(builder: Builder, call: Call) -> str:
    """The product of a vector with itself."""
    value, other = call.inputs
    if len(value.shape) != 1:
        raise Refusal(
            f"it multiplies values of the shape {value.shape}", "give it one vector twice"
        )
    if value != other or call.layer.normalize:
        raise Refusal(
            "it multiplies two different vectors or normalises them",
            "give it one vector twice",
        )
    return sum_of_squares(builder, call.name, value.node)


# Each layer without weights, and what lowers a use of it.
LAYERS: dict[type, Callable[[Builder, Call], str]] = {
    **dict.fromkeys(TRAINING_ONLY, _same),
    keras.layers.Reshape: _same,
    keras.layers.ReLU: _relu,
    keras.layers.LeakyReLU: _leaky_relu,
    keras.layers.Add: add,
    keras.layers.Subtract: _subtract,
    keras.layers.Maximum: _largest,
    keras.layers.Minimum: _smallest,
    keras.layers.Concatenate: _concatenate,
    keras.layers.Dot: _sum_of_squares,
    **dict.fromkeys(wiring.MOVES, _moved),
    **dict.fromkeys(wiring.MAX_POOLING, _largest_of_window),
    **dict.fromkeys(wiring.AVERAGE_POOLING, _averaged),
}

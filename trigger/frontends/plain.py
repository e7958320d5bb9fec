"""Layers without weights, the same in every kind of network, lowered to the graph."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from trigger.fixedpoint.build import Builder
from trigger.frontends import merging, numbered, wiring
from trigger.frontends.calls import Call, Value
from trigger.frontends.inexact import Refusal
from trigger.frontends.piecewise import is_power_of_two, lower_relu, scaled

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
    "ReLU, LeakyReLU, Softmax (last), Add, Subtract, Multiply, Average, Maximum, Minimum, "
    "Concatenate, Dot, Rescaling, MaxPooling, AveragePooling, Flatten, Reshape, Permute, "
    "RepeatVector, Cropping, ZeroPadding, UpSampling, Masking, the Dropout layers"
)


Lower = Callable[[Builder, Call], str | Value]


def keeps_elements(layer: Any) -> bool:
    """Whether a layer gives elements of its input as they are, and nothing else."""
    return LAYERS.get(type(layer)) is _same or type(layer) in wiring.MOVES.keys() - wiring.PADS


def moves_elements(layer: Any) -> bool:
    """Whether a layer gives elements of its inputs as they are, and perhaps zeros."""
    return keeps_elements(layer) or type(layer) in (*wiring.PADS, keras.layers.Concatenate)


def _same(builder: Builder, call: Call) -> Value:  # noqa: ARG001
    return call.inputs[0]


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


def _operands(builder: Builder, call: Call) -> list[str]:
    """The inputs of a layer that merges them, in one shape."""
    nodes, _ = merging.broadcast(builder, call.name, merging.aligned(call.inputs))
    return nodes


def add(builder: Builder, call: Call) -> str:
    return builder.add(call.name, tuple(_operands(builder, call)))


def _subtract(builder: Builder, call: Call) -> str:
    return merging.difference(builder, call.name, *_operands(builder, call))


def _multiply(builder: Builder, call: Call) -> str:
    return merging.product(builder, call.name, _operands(builder, call))


def _average(builder: Builder, call: Call) -> str | Value:
    count = len(call.inputs)
    total = builder.add(f"{call.name}_sum", tuple(_operands(builder, call)))
    if not is_power_of_two(count):
        return merging.divided(call, total, count)
    return scaled(builder, call.name, total, 1 / count)


def _largest(builder: Builder, call: Call) -> str:
    return merging.extreme(builder, call.name, _operands(builder, call), builder.maximum)


def _smallest(builder: Builder, call: Call) -> str:
    return merging.extreme(builder, call.name, _operands(builder, call), builder.minimum)


def _moved(builder: Builder, call: Call) -> Value:
    (value,) = call.inputs
    numbers = wiring.numbers_of(value.shape)
    moved = wiring.MOVES[type(call.layer)](call.layer, numbers)
    return value._replace(node=wiring.gather(builder, call.name, value.node, moved))


def _largest_of_window(builder: Builder, call: Call) -> str:
    (value,) = call.inputs
    groups = wiring.compared(call.layer, wiring.numbers_of(value.shape))
    return builder.maximum(call.name, value.node, groups)


def _averaged(builder: Builder, call: Call) -> str | Value:
    (value,) = call.inputs
    groups = wiring.pooled(call.layer, wiring.numbers_of(value.shape))
    return merging.averages(builder, call, value.node, groups)


def _concatenate(builder: Builder, call: Call) -> str:
    shape = call.output_shape
    axis = call.layer.axis % (len(shape) + 1)
    if axis == 0:
        raise Refusal("it concatenates events, not features (axis 0)", "use axis=1")
    if math.prod(shape[: axis - 1]) == 1:
        return builder.concatenate(call.name, tuple(value.node for value in call.inputs))
    order = wiring.joined([value.shape for value in call.inputs], axis - 1)
    every = numbered.side_by_side(builder, call.name, call.inputs)
    return wiring.gather(builder, call.name, every, order)


def _dot(builder: Builder, call: Call) -> str:
    """Sums of products along one axis of each of two values."""
    value, other = call.inputs
    if call.layer.normalize:
        raise Refusal("it normalises its inputs", "use normalize=False, and quantised inputs")
    axes = np.broadcast_to(call.layer.axes, 2)
    first, second = (
        numbered.along(v.shape, [int(axis)]) for v, axis in zip(call.inputs, axes, strict=True)
    )
    return merging.contraction(builder, call.name, value.node, other.node, (first, second))


# Each layer without weights, and what lowers a use of it.
LAYERS: dict[type, Lower] = {
    **dict.fromkeys(TRAINING_ONLY, _same),
    keras.layers.Reshape: _same,
    keras.layers.ReLU: _relu,
    keras.layers.LeakyReLU: _leaky_relu,
    keras.layers.Add: add,
    keras.layers.Subtract: _subtract,
    keras.layers.Multiply: _multiply,
    keras.layers.Average: _average,
    keras.layers.Maximum: _largest,
    keras.layers.Minimum: _smallest,
    keras.layers.Concatenate: _concatenate,
    keras.layers.Dot: _dot,
    **dict.fromkeys(wiring.MOVES, _moved),
    **dict.fromkeys(wiring.MAX_POOLING, _largest_of_window),
    **dict.fromkeys(wiring.AVERAGE_POOLING, _averaged),
}

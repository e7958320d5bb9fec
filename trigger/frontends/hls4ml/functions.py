"""The functions of hls4ml that have an exact lowering."""

from collections.abc import Callable
from typing import NamedTuple

from trigger.frontends.hls4ml import activations, convolutions, layers, moves, pooling, tables
from trigger.frontends.hls4ml.layer import Layer


class Function(NamedTuple):
    """How a function of hls4ml is lowered, and its number of inputs and of stored arguments.

    ``parameters`` stand between input and result. ``table`` names the function that fills its
    table.
    """

    lower: Callable[[Layer], str]
    inputs: int = 1
    stored: int = 0
    parameters: int = 0
    table: str = ""


FUNCTIONS = {
    "add": Function(layers.summed((1, 1)), 2),
    "average": Function(moves.average, 2),
    "binary_tanh": Function(activations.binary_tanh),
    "concatenate1d": Function(layers.concatenate, 2),
    "conv_1d_cl": Function(convolutions.convolution(1), 1, 2),
    "conv_2d_cl": Function(convolutions.convolution(2), 1, 2),
    "dense": Function(layers.dense, 1, 2),
    "depthwise_conv_1d_cl": Function(convolutions.depthwise(1), 1, 2),
    "depthwise_conv_2d_cl": Function(convolutions.depthwise(2), 1, 2),
    "elu": Function(tables.elu, parameters=1, table="elu"),
    "global_pooling1d_cl": Function(pooling.global_pooling(1)),
    "global_pooling2d_cl": Function(pooling.global_pooling(2)),
    "hard_sigmoid": Function(activations.hard_sigmoid),
    "hard_tanh": Function(activations.hard_tanh),
    "leaky_relu": Function(activations.leaky_relu, parameters=1),
    "linear": Function(layers.linear),
    "maximum": Function(moves.greatest, 2),
    "minimum": Function(moves.least, 2),
    "multiply": Function(moves.multiply, 2),
    "normalize": Function(layers.normalize, 1, 2),
    "pointwise_conv_1d_cl": Function(convolutions.pointwise(1), 1, 2),
    "pointwise_conv_2d_cl": Function(convolutions.pointwise(2), 1, 2),
    "pooling1d_cl": Function(pooling.pooling(1)),
    "pooling2d_cl": Function(pooling.pooling(2)),
    "prelu": Function(activations.prelu, parameters=1),
    "relu": Function(activations.relu),
    "relu1": Function(activations.relu_max(1.0)),
    "relu6": Function(activations.relu_max(6.0)),
    "selu": Function(tables.selu, table="selu"),
    "sigmoid": Function(tables.symmetric(16), table="sigmoid"),
    "softplus": Function(tables.symmetric(16), table="softplus"),
    "softsign": Function(tables.symmetric(16), table="softsign"),
    "subtract": Function(layers.summed((1, -1)), 2),
    "tanh": Function(tables.symmetric(8), table="tanh"),
    "ternary_tanh": Function(activations.ternary_tanh),
    "thresholded_relu": Function(activations.thresholded_relu, parameters=1),
    "transpose": Function(moves.transpose),
    "zeropad1d_cl": Function(moves.zero_padded(1)),
    "zeropad2d_cl": Function(moves.zero_padded(2)),
}

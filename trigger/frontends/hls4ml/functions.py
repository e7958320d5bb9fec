"""The functions of hls4ml that have an exact lowering."""

from collections.abc import Callable
from typing import NamedTuple

from trigger.frontends.hls4ml import activations, layers, tables
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
    "binary_tanh": Function(activations.binary_tanh),
    "concatenate1d": Function(layers.concatenate, 2),
    "dense": Function(layers.dense, 1, 2),
    "elu": Function(tables.elu, parameters=1, table="elu"),
    "hard_sigmoid": Function(activations.hard_sigmoid),
    "hard_tanh": Function(activations.hard_tanh),
    "leaky_relu": Function(activations.leaky_relu, parameters=1),
    "linear": Function(layers.linear),
    "normalize": Function(layers.normalize, 1, 2),
    "prelu": Function(activations.prelu, parameters=1),
    "relu": Function(activations.relu),
    "relu1": Function(activations.relu_max(1.0)),
    "relu6": Function(activations.relu_max(6.0)),
    "sigmoid": Function(tables.symmetric(16), table="sigmoid"),
    "softplus": Function(tables.symmetric(16), table="softplus"),
    "softsign": Function(tables.symmetric(16), table="softsign"),
    "subtract": Function(layers.summed((1, -1)), 2),
    "tanh": Function(tables.symmetric(8), table="tanh"),
    "ternary_tanh": Function(activations.ternary_tanh),
    "thresholded_relu": Function(activations.thresholded_relu, parameters=1),
}

"""The float baseline of a quantised network: the same layers without quantisers."""

from typing import Any

import keras
import qkeras

from trigger.frontends import kernels
from trigger.layers import LookupLayer, PopCount, TableDense, Thermometer
from trigger.quantizers import FixedPoint, LearnedActivation

# The hidden neurons for each unit of a TableDense.
_HIDDEN = 4
# The float functions of quantisers other than the identity.
_FLOAT: dict[type, str] = {
    qkeras.quantized_relu: "relu",
    qkeras.quantized_relu_po2: "relu",
    qkeras.quantized_tanh: "tanh",
    qkeras.quantized_sigmoid: "sigmoid",
    qkeras.quantized_hswish: "hard_silu",
}


def float_baseline(model: keras.Model) -> keras.Model:
    """The same network without quantisers, to which the quantised one is compared."""
    return keras.models.clone_model(model, clone_function=_float_layer)


def _float_layer(layer: keras.layers.Layer) -> keras.layers.Layer:
    if isinstance(layer, kernels.LAYERS):
        activation = _float_activation(layer.activation)
        return kernels.as_keras(layer, activation, use_bias=layer.use_bias)
    if isinstance(layer, qkeras.QActivation):
        return keras.layers.Activation(_float_activation(layer.activation), name=layer.name)
    if isinstance(layer, qkeras.QBatchNormalization):
        return keras.layers.BatchNormalization(
            axis=layer.axis, momentum=layer.momentum, epsilon=layer.epsilon, name=layer.name
        )
    if isinstance(layer, Thermometer):  # features of one size, as the thresholds make them
        return keras.layers.BatchNormalization(name=layer.name)
    if isinstance(layer, LookupLayer):
        return keras.layers.Dense(layer.units, "relu", name=layer.name)
    if isinstance(layer, PopCount):
        return keras.layers.Dense(layer.groups, name=layer.name)
    if isinstance(layer, TableDense):
        return _functions_of_inputs(layer)
    return type(layer).from_config(layer.get_config())


def _functions_of_inputs(layer: TableDense) -> keras.layers.Layer:
    """About as many numbers as the tables have, and as little of a straight line."""
    hidden = keras.layers.Dense(_HIDDEN * layer.units, "relu")
    stages = [keras.layers.BatchNormalization(), hidden, keras.layers.Dense(layer.units)]
    return keras.Sequential(stages, name=layer.name)


def _float_activation(activation: Any) -> Any:
    if isinstance(activation, LearnedActivation):
        return "relu" if activation.relu else "linear"
    if isinstance(activation, FixedPoint):
        return "linear" if activation.type.signed else "relu"
    if not isinstance(activation, qkeras.base_quantizer.BaseQuantizer):
        return activation
    return _FLOAT.get(type(activation), "linear")

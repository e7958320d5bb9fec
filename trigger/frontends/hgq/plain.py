"""Layers of HGQ2 without weights, lowered to the graph: what they do between their quantisers."""

import hgq.layers
import keras

from trigger.fixedpoint.build import Builder
from trigger.frontends import einsum, merging, numbered, plain
from trigger.frontends.calls import Call
from trigger.frontends.hgq_private import scale_of_average
from trigger.frontends.piecewise import scaled

NAMES = (
    "QAdd, QSubtract, QMultiply, QMaximum, QMinimum, QAveragePow2, QDot, QEinsum, QSum, QMeanPow2, "
    "QMaxPooling, QAveragePooling"
)
_H = hgq.layers
_K = keras.layers
# Layers that are those of Keras between quantisers.
_LIKE = {
    _H.QAdd: _K.Add,
    _H.QSubtract: _K.Subtract,
    _H.QMultiply: _K.Multiply,
    _H.QMaximum: _K.Maximum,
    _H.QMinimum: _K.Minimum,
    _H.QDot: _K.Dot,
    _H.QMaxPooling1D: _K.MaxPooling1D,
    _H.QMaxPooling2D: _K.MaxPooling2D,
    _H.QGlobalMaxPooling1D: _K.GlobalMaxPooling1D,
    _H.QGlobalMaxPooling2D: _K.GlobalMaxPooling2D,
    _H.QAveragePooling1D: _K.AveragePooling1D,
    _H.QAveragePooling2D: _K.AveragePooling2D,
    _H.QGlobalAveragePooling1D: _K.GlobalAveragePooling1D,
    _H.QGlobalAveragePooling2D: _K.GlobalAveragePooling2D,
}


def _average(builder: Builder, call: Call) -> str:
    scale = scale_of_average(call.layer)
    total = plain.add(builder, call._replace(name=f"{call.name}_sum"))
    return scaled(builder, call.name, total, scale)


def _sum(builder: Builder, call: Call) -> str:
    (value,) = call.inputs
    groups = numbered.along(value.shape, call.layer.axes)
    if call.layer.scale == 1:
        return merging.sums(builder, call.name, value.node, groups)
    total = merging.sums(builder, f"{call.name}_sum", value.node, groups)
    return scaled(builder, call.name, total, call.layer.scale)


def _einsum(builder: Builder, call: Call) -> str:
    return einsum.product(builder, call.name, call.inputs, call.layer.equation)


# Each layer, and what lowers a use of it whose inputs are quantised.
LAYERS: dict[type, plain.Lower] = {
    **{layer_class: plain.LAYERS[like] for layer_class, like in _LIKE.items()},
    _H.QAveragePow2: _average,
    _H.QEinsum: _einsum,
    _H.QSum: _sum,
    _H.QMeanPow2: _sum,
}

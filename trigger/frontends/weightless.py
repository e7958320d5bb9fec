"""The layers of ``trigger.layers``: comparators, truth tables and counts of ones."""

from typing import Any

import numpy as np

from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.ops import Constant
from trigger.fixedpoint.types import Fixed, Overflow, Rounding
from trigger.frontends.calls import Call
from trigger.frontends.constants import as_numpy
from trigger.frontends.inexact import Refusal
from trigger.layers import LookupLayer, PopCount, Thermometer

NAMES = "Thermometer, LookupLayer, PopCount"
LAYERS = (Thermometer, LookupLayer, PopCount)
# The layers whose outputs are of the type ``BIT``.
MAKING_BITS = (Thermometer, LookupLayer)
BIT = Fixed(False, 1, 1)


def weights(layer: Any) -> list[np.ndarray]:
    """The weights of a layer's twin in float64: its thresholds are those of float32."""
    if isinstance(layer, Thermometer):
        moved = [np.zeros_like(layer.places)] if layer.learned else []
        return [as_numpy(layer.values()), as_numpy(layer.spacing), *moved]
    return [as_numpy(weight) for weight in layer.weights]


def thermometer(builder: Builder, call: Call) -> str:
    """Append a comparator for each threshold; its bound is that in steps of x, rounded up."""
    (value,) = call.inputs
    thresholds = as_numpy(call.layer.values(), "thresholds")
    features, count = thresholds.shape
    low, high = builder.range(value.node)
    bounds = np.ceil(np.ldexp(thresholds, builder[value.node].fractions[:, None]))
    # Beyond the range a comparator is constant.
    bounds = np.clip(bounds, low[:, None], high[:, None] + 1)
    elements = np.repeat(np.arange(features), count)
    return builder.threshold(call.name, value.node, elements, bounds.astype(np.int64).ravel())


def lookup_layer(builder: Builder, call: Call) -> str:
    """Append a truth table for each neuron."""
    layer = call.layer
    wires = as_numpy(layer.wiring, "wiring").argmax(axis=0).reshape(layer.units, layer.n)
    ones = as_numpy(layer.tables, "tables") > 0
    return builder.truth_table(
        call.name, _bits(builder, call), wires, Constant(ones.astype(np.int64), BIT)
    )


def pop_count(builder: Builder, call: Call) -> str:
    """Append the sum of each group."""
    bits = _bits(builder, call)
    groups = call.layer.groups
    members = len(builder[bits].types) // groups
    ones = constant(np.kron(np.eye(groups), np.ones((members, 1))))
    return builder.dense(call.name, bits, ones, constant(np.zeros(groups)))


def _bits(builder: Builder, call: Call) -> str:
    """What a layer reads, one bit each; refused if it is not 0 or 1."""
    (value,) = call.inputs
    source = builder[value.node]
    low, high = builder.range(value.node)
    wrong = np.flatnonzero((low < 0) | (high > 1) | ((source.fractions != 0) & (high > 0)))
    if wrong.size:
        first = wrong[0]
        ends = (float(np.ldexp(float(end[first]), -source.fractions[first])) for end in (low, high))
        raise Refusal(
            "it reads bits, 0 or 1, but its input {} has values from {:g} to {:g}".format(
                first, *ends
            ),
            'put a Thermometer or QActivation("quantized_relu(1,1)") before it',
        )
    types = (BIT,) * len(source.types)
    return builder.quantize(f"{call.name}_bits", value.node, types, Rounding.TRN, Overflow.WRAP)

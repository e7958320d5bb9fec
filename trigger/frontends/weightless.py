"""The layers of ``trigger.layers``: comparators, truth tables, counts of ones, tables of edges."""

from typing import Any

import numpy as np

from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.ops import Constant
from trigger.fixedpoint.types import Fixed, Overflow, Rounding, smallest
from trigger.frontends import loaded_tables
from trigger.frontends.calls import Call
from trigger.frontends.constants import as_numpy, exact
from trigger.frontends.inexact import Refusal
from trigger.layers import LookupLayer, PopCount, TableDense, Thermometer

NAMES = "Thermometer, LookupLayer, PopCount, TableDense"
LAYERS = (Thermometer, LookupLayer, PopCount, TableDense)
# The layers whose outputs are of the type ``BIT``.
MAKING_BITS = (Thermometer, LookupLayer)
BIT = loaded_tables.BIT
_ENTRIES = "use entries between -8 and 8, and a fraction of at most 16"


def weights(layer: Any) -> list[np.ndarray]:
    """The weights of a layer's twin in float64: its thresholds are those of float32."""
    if isinstance(layer, Thermometer):
        # Keras puts weights that are trained first.
        moved = [np.zeros_like(layer.places)] if layer.learned else []
        return [*moved, as_numpy(layer.values()), as_numpy(layer.spacing)]
    if isinstance(layer, TableDense):
        knots, fraction, _, *others = map(as_numpy, layer.weights)
        return [np.zeros_like(knots), fraction, as_numpy(layer.entries()), *others]
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
    append = loaded_tables.threshold if builder.reloadable else Builder.threshold
    return append(builder, call.name, value.node, elements, bounds.astype(np.int64).ravel())


def lookup_layer(builder: Builder, call: Call) -> str:
    """Append a truth table for each neuron."""
    layer = call.layer
    wires = as_numpy(layer.wiring, "wiring").argmax(axis=0).reshape(layer.units, layer.n)
    ones = (as_numpy(layer.tables, "tables") > 0).astype(np.int64)
    bits = _bits(builder, call)
    if builder.reloadable:
        return loaded_tables.truth_table(builder, call.name, bits, wires, ones)
    return builder.truth_table(call.name, bits, wires, Constant(ones, BIT))


def pop_count(builder: Builder, call: Call) -> str:
    """Append the sum of each group."""
    bits = _bits(builder, call)
    groups = call.layer.groups
    members = len(builder[bits].types) // groups
    ones = constant(np.kron(np.eye(groups), np.ones((members, 1))))
    return builder.dense(call.name, bits, ones, constant(np.zeros(groups)))


def table_dense(builder: Builder, call: Call) -> str:
    """Append a table for each edge that is not constant, and the sums of their values."""
    layer = call.layer
    addresses = _addresses(builder, call)
    entries = exact("table", as_numpy(layer.entries(), "tables"), _ENTRIES)
    # A table begins at zero, with no zero bit at the end; the sum of what it loses is one constant.
    least = entries.values.min(axis=2)
    lost = least.sum(axis=0)
    bias = Constant(lost, smallest(int(lost.min()), int(lost.max()), entries.type.fraction))
    levels = entries.values - least[..., None]
    inputs, units = np.nonzero(levels.any(axis=2))
    if not len(inputs):
        return builder.dense(call.name, addresses, constant(np.zeros(least.shape)), bias)
    levels = levels[inputs, units]
    used = np.bitwise_or.reduce(levels, axis=1)
    last = used & -used
    levels //= last[:, None]
    # Negative addresses are the upper half in two's complement.
    signed = np.array([t.signed for t in builder[addresses].types])[inputs]
    levels[signed] = np.roll(levels[signed], 1 << layer.bits - 1, axis=1)
    tables = builder.truth_table(
        f"{call.name}_tables",
        addresses,
        inputs[:, None],
        Constant(levels, smallest(0, int(levels.max()), 0)),
        np.full((len(inputs), 1), layer.bits),
    )
    sums = np.zeros((len(inputs), layer.units))
    sums[np.arange(len(inputs)), units] = np.ldexp(last.astype(np.float64), -entries.type.fraction)
    return builder.dense(call.name, tables, constant(sums), bias)


def _addresses(builder: Builder, call: Call) -> str:
    """What the tables are read with: each input rounded down to its step, and saturated."""
    (value,) = call.inputs
    layer = call.layer
    fractions = np.rint(as_numpy(layer.address_fraction())).astype(np.int64)
    signed = as_numpy(layer.is_signed()) > 0
    types = tuple(
        Fixed(bool(sign), layer.bits, layer.bits - int(fraction))
        for sign, fraction in zip(signed, fractions, strict=True)
    )
    return builder.quantize(f"{call.name}_address", value.node, types, Rounding.TRN, Overflow.SAT)


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

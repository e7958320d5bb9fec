"""Thresholds and truth tables of a reloadable graph: their numbers are values, like weights.

The graph reads a loaded threshold by a subtraction, and a loaded table by a tree of multiplexers.
Both consist of operations that any graph has, with the numbers as biases of kernels without inputs.
"""

import numpy as np

from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.ops import Constant
from trigger.fixedpoint.types import Fixed, Integers, smallest

BIT = Fixed(False, 1, 1)
# A multiplexer of four bits has six inputs, as a table of an FPGA has.
_WIDEST = 2


def threshold(
    builder: Builder, name: str, source: str, elements: Integers, bounds: Integers
) -> str:
    """A bit for each entry of ``elements``: 1 if it reaches its bound, which may be loaded.

    A bound has the fractional bits of its element, and is one of its values or the next one.
    """
    low, high = builder.range(source)
    fractions = builder[source].fractions
    finest = int(fractions.max())
    up = finest - fractions
    read = np.unique(elements)
    ends = int((low << up)[read].min()), int((high + 1 << up)[read].max())
    numbers = Constant(bounds << up[elements], smallest(*ends, finest))
    loaded = _loaded(builder, f"{name}_bounds", source, numbers)
    values = builder.select(f"{name}_read", source, elements)
    above = builder.add(f"{name}_above", (values, loaded), (1, -1))
    every = np.arange(len(elements))
    return builder.threshold(name, above, every, np.zeros(len(elements), dtype=np.int64))


def truth_table(builder: Builder, name: str, source: str, wires: Integers, ones: Integers) -> str:
    """A table of bits, which may be loaded, for each row of ``wires`` (outputs, n): its address has
    these elements of a source of bits, the first one lowest. ``ones`` (outputs, 2^n) are 0 or 1.
    """
    bits = wires.shape[1]
    made = _loaded(builder, f"{name}_tables", source, Constant(ones.ravel(), BIT))
    for first in range(0, bits, _WIDEST):
        chosen = wires[:, first : first + _WIDEST]
        last = first + _WIDEST >= bits
        stage = name if last else f"{name}_wires_{first}"
        made = _multiplexed(builder, stage, made, source, chosen)
    return made


def _multiplexed(builder: Builder, name: str, data: str, source: str, wires: Integers) -> str:
    """One of every 2^k elements of the data, by the k elements of the source that each output of
    ``wires`` (outputs, k) reads.
    """
    count = 1 << wires.shape[1]
    elements = np.arange(len(builder[data].types)).reshape(-1, count)
    select = np.repeat(wires, len(elements) // len(wires), axis=0) + elements.size
    address = np.arange(1 << count + wires.shape[1])
    levels = address >> (address >> count) & 1
    both = builder.concatenate(f"{name}_read", (data, source))
    return builder.truth_table(
        name,
        both,
        np.concatenate([elements, select], axis=1),
        Constant(np.tile(levels, (len(elements), 1)), BIT),
    )


def _loaded(builder: Builder, name: str, source: str, numbers: Constant) -> str:
    """Numbers that may be loaded, as a kernel that reads nothing of the source."""
    inputs, outputs = len(builder[source].types), len(numbers.values)
    none = constant(np.zeros((inputs, outputs)))
    trained = np.zeros((inputs + 1, outputs), dtype=bool)
    trained[-1] = True
    return builder.dense(name, source, none, numbers, trained=trained)

"""Products on the graph: the sum of squares of a vector, by tables.

A narrow value is looked up in a table of its squares. A wide one is its magnitude in two parts, h *
2^k + l, and

    x² = (2^2k - 2^k) h² + (1 - 2^k) l² + 2^k (h + l)²

contains only squares of parts with half the bits, each of which is split in the same way until the
parts are narrow. The sums are taken over the whole vector first.
"""

import numpy as np

from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.ops import Constant
from trigger.fixedpoint.types import Fixed, Overflow, Rounding, enclosing
from trigger.frontends.piecewise import scaled

# Up to this many bits, sign included, two tables hold all squares: for positive values, and for the
# rest.
_WIDEST_TABLE = 10
# A table with this many address bits takes one LUT per output bit.
_NARROW = 6


def sum_of_squares(builder: Builder, name: str, source: str) -> str:
    """Append the exact sum of squares of all elements of ``source``; returns the name of its
    node.
    """
    kind = enclosing(builder[source].types)
    negated = scaled(builder, f"{name}_negated", source, -1.0) if kind.signed else None
    if kind.width <= _WIDEST_TABLE:
        parts = [_table(builder, f"{name}_positive", source, kind)]
        parts += [_table(builder, f"{name}_negative", negated, kind)] if negated else []
        every = builder.concatenate(f"{name}_squares", tuple(parts))
        return _sum(builder, name, every)
    if negated is None:
        return _of_magnitudes(builder, name, source)
    positive, negative = (
        builder.clip(f"{name}_{what}", node, 0, None)
        for what, node in (("positive", source), ("negative", negated))
    )
    return _of_magnitudes(builder, name, builder.add(f"{name}_magnitude", (positive, negative)))


def _of_magnitudes(builder: Builder, name: str, source: str) -> str:
    """The sum of squares of non-negative elements."""
    kind = enclosing(builder[source].types)
    elements = len(builder[source].types)
    if kind.width <= _NARROW:
        return _sum(builder, name, _table(builder, f"{name}_squares", source, kind))
    bits = kind.width // 2
    types = [
        Fixed(False, kind.width - bits, kind.integer),
        Fixed(False, bits, bits - kind.fraction),
    ]
    upper, low = (
        builder.quantize(f"{name}_{what}", source, (part,) * elements, Rounding.TRN, Overflow.WRAP)
        for what, part in zip(("upper", "low"), types, strict=True)
    )
    high = scaled(builder, f"{name}_high", upper, 2.0**-bits)
    parts = {"high": high, "low": low, "both": builder.add(f"{name}_both", (high, low))}
    sums = [_of_magnitudes(builder, f"{name}_{part}_sum", node) for part, node in parts.items()]
    weights = np.array([4.0**bits - 2.0**bits, 1 - 2.0**bits, 2.0**bits])
    every = builder.concatenate(f"{name}_sums", tuple(sums))
    return builder.dense(name, every, constant(weights[:, None]), constant(np.zeros(1)))


def _table(builder: Builder, name: str, source: str, kind: Fixed) -> str:
    """The squares of positive values, and 0 for the rest."""
    largest = np.arange(max(kind.maximum, -kind.minimum) + 1)
    roots = Constant(largest[1:], Fixed(False, kind.width, kind.integer))
    squares = Constant(largest**2, Fixed(False, 2 * kind.width, 2 * kind.integer))
    return builder.steps(name, source, roots, squares)


def _sum(builder: Builder, name: str, source: str) -> str:
    ones = constant(np.ones((len(builder[source].types), 1)))
    return builder.dense(name, source, ones, constant(np.zeros(1)))

"""Nodes of the graph as exact arithmetic on alkaid's symbolic variables.

Rounding and saturation are composed of alkaid's exact operations: one addition of the rounding
constant, which merges with the preceding bias, and a test of the bits above the type. Values that
alkaid would silently round never reach it.
"""

from collections.abc import Callable, Sequence
from typing import Any, assert_never

import numpy as np
from alkaid.trace import FVariable

from trigger.backends.rtl.choices import accepts, larger, maximum, minimum, smaller
from trigger.backends.rtl.matrix import product
from trigger.backends.rtl.products import multiplied
from trigger.backends.rtl.rounding import quantize
from trigger.backends.rtl.sums import fresh, plus, times, variable
from trigger.backends.rtl.tables import lookup, staircase, truth_table
from trigger.fixedpoint.arithmetic import requantize
from trigger.fixedpoint.ops import (
    Add,
    Affine,
    Clip,
    Concatenate,
    Dense,
    Input,
    LeakyRelu,
    Lookup,
    Maximum,
    Minimum,
    Multiply,
    Operation,
    Quantize,
    Select,
    Staircase,
    Threshold,
    TruthTable,
)
from trigger.fixedpoint.ranges import Interval
from trigger.fixedpoint.types import Fixed, Overflow, bounds


def lower(
    node: Operation,
    source: Operation,
    reach: Interval,
    read: Sequence[list[FVariable]],
    dsp: bool,
) -> list[Any]:
    """The elements of a node from those of the nodes it reads, the first being ``source``.

    A constant may be a number. ``reach`` is the source's interval, tighter than that of alkaid.
    Products of two variables are for DSP blocks if ``dsp``.
    Raises ValueError, or alkaid's AssertionError, if there is no exact form.
    """
    assert not isinstance(node, Input)  # it is given, not computed
    x = read[0]
    match node:
        case Dense():
            inputs = len(node.weights.values)
            return [
                plus(v, b)
                for start in range(0, len(x), inputs)
                for v, b in zip(
                    product(x[start : start + inputs], node), node.bias.real, strict=True
                )
            ]
        case Affine():
            scaled = [
                times(v, int(s), node.scale.type.fraction)
                for v, s in zip(x, node.scale.values, strict=True)
            ]
            return [plus(v, b) for v, b in zip(scaled, node.bias.real, strict=True)]
        case Quantize():
            return [
                quantize(v, fixed_type, node.rounding, overflow)
                for v, fixed_type, overflow in zip(
                    x, node.types, _needed(node, source, reach), strict=True
                )
            ]
        case Clip():
            low, high = (
                np.ldexp(bound.astype(float), -node.fractions) for bound in (node.low, node.high)
            )
            return [minimum(maximum(v, a), b) for v, a, b in zip(x, low, high, strict=True)]
        case LeakyRelu():
            return [_leaky(v, 2.0**-node.shift) for v in x]
        case Staircase():
            return [staircase(v, node) for v in x]
        case Lookup():
            ends = (np.ldexp(end.astype(np.float64), -source.fractions) for end in reach)
            return [
                lookup(v, node, source.types[0].fraction, low, high)
                for v, low, high in zip(x, *ends, strict=True)
            ]
        case TruthTable():
            return truth_table(x, node, source)
        case Threshold():
            bounds = np.ldexp(node.bounds.astype(np.float64), -source.fractions[node.elements])
            return [accepts(x[e], float(b)) for e, b in zip(node.elements, bounds, strict=True)]
        case Add():
            signed = [
                [fresh(v) if sign > 0 else -fresh(v) for v in part]
                for sign, part in zip(node.factors, read, strict=True)
            ]
            return [sum(rest, start=first) for first, *rest in zip(*signed, strict=True)]
        case Multiply():
            return [multiplied(a, b, dsp) for a, b in zip(*read, strict=True)]
        case Concatenate():
            return [v for part in read for v in part]
        case Select():
            return [x[e] if e >= 0 else variable(0.0) for e in node.elements]
        case Maximum():
            return [_in_pairs(larger, [x[m] for m in group]) for group in node.groups]
        case Minimum():
            return [_in_pairs(smaller, [x[m] for m in group]) for group in node.groups]
        case _:
            assert_never(node)


def _leaky(x: FVariable, slope: float) -> FVariable:
    if x.low >= 0:
        return x
    if x.high < 0:  # also constants, of which alkaid mistakes the sign of some
        return x * slope
    return x.msb_mux(x * slope, x)


def _in_pairs(
    combine: Callable[[FVariable, FVariable], FVariable], values: Sequence[FVariable]
) -> FVariable:
    """All values as one, through a tree: its depth is the logarithm of their number."""
    while len(values) > 1:
        pairs = [combine(a, b) for a, b in zip(values[::2], values[1::2], strict=False)]
        values = [*pairs, *values[2 * len(pairs) :]]
    return values[0]


def _needed(node: Quantize, source: Operation, reach: Interval) -> list[Overflow]:
    """The overflow of each element; WRAP, which drops the upper bits, if the source cannot leave
    the type.
    """
    low, high = bounds(node.types, node.overflow)
    wide = tuple(Fixed(True, 62, 62 - fixed.fraction) for fixed in node.types)
    least, most = (
        requantize(end[None], source.fractions, wide, node.rounding, Overflow.SAT)[0]
        for end in reach
    )
    fits = (least >= low) & (most <= high)
    return [Overflow.WRAP if fit else node.overflow for fit in fits]

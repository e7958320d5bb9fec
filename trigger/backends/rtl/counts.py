"""Weighted sums of single bits as compressor trees.

Bits of equal weight form a column. A counter takes six of them, or five and one of the next column,
and gives their number in three bits: one LUT for each bit, so that each LUT removes one bit. Two
bits in each column are left for one addition.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from alkaid.trace import FVariable

from trigger.backends.rtl.sums import LUT_INPUTS, joined, lowest_bit, plus, variable
from trigger.fixedpoint.types import Integers


class _Bit(NamedTuple):
    """A bit of a column, or its inverse."""

    value: FVariable
    inverted: bool


def weighted(x: Sequence[FVariable], weights: Integers) -> FVariable:
    """The sum of bits, each times a weight; ``weights`` (bits,) are integers.

    A bit is 0 or any power of two. A negative weight is the positive one of the inverted bit, less
    the weight.
    """
    columns: dict[int, list[_Bit]] = defaultdict(list)
    removed = 0.0
    for bit, weight in zip(x, weights.tolist(), strict=True):
        lowest = lowest_bit(bit.high)
        one = bit * 2.0**-lowest
        removed += min(weight, 0) * bit.high
        for place in range(abs(weight).bit_length()):
            if abs(weight) >> place & 1:
                columns[lowest + place].append(_Bit(one, weight < 0))
    place = min(columns, default=0)
    while place <= max(columns, default=-1):
        while len(columns[place]) > 2:
            _count(columns, place)
        place += 1
    first, second = _row(columns, 0), _row(columns, 1)
    total = first + second if second.high > 0 else first
    return plus(total, removed)


def _count(columns: dict[int, list[_Bit]], place: int) -> None:
    """Replace bits of a column, and perhaps one of the next, by their number."""
    column, above = columns[place], columns[place + 1]
    taken = _first(column, LUT_INPUTS)
    steps = [1] * len(taken)
    if len(taken) == LUT_INPUTS - 1 and above:
        taken += _first(above, 1)
        steps.append(2)
    address = variable(0.0)
    entries = np.arange(1 << len(taken))
    number = np.zeros_like(entries)
    for k, (bit, step) in enumerate(zip(taken, steps, strict=True)):
        address = joined(bit.value * 2.0**k, address)
        number += ((entries >> k & 1) ^ bit.inverted) * step
    for k in range(int(number.max()).bit_length()):
        digit = address.lookup((number >> k & 1).astype(np.float64))
        columns[place + k].append(_Bit(digit, inverted=False))


def _first(column: list[_Bit], count: int) -> list[_Bit]:
    """Take up to ``count`` bits out of a column, those that arrive first."""
    column.sort(key=lambda bit: bit.value.latency)
    taken = column[:count]
    del column[:count]
    return taken


def _row(columns: dict[int, list[_Bit]], number: int) -> FVariable:
    """One bit of each column that has as many, side by side."""
    total = variable(0.0)
    for place in sorted(columns):
        if len(columns[place]) > number:
            bit = columns[place][number]
            total = joined((1 - bit.value if bit.inverted else bit.value) * 2.0**place, total)
    return total

"""Bits that are tables of other bits, collected until all of them are known.

A signal is the number of a bit: first those of the splits, then those of tables. A table of up to
six bits is one LUT.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from trigger.fixedpoint.types import Flags, Integers

LUT_BITS = 6


class Mux(NamedTuple):
    """``one`` where the signal ``select`` is 1, ``zero`` elsewhere."""

    select: int
    zero: "Expression"
    one: "Expression"


Expression = int | Mux


class Row(NamedTuple):
    """A table: ``levels[address]``, the address being the signals ``members``, the first lowest."""

    members: tuple[int, ...]
    levels: tuple[int, ...]


class Tables:
    """One-bit tables of signals, each distinct one once."""

    def __init__(self, splits: int) -> None:
        self.splits = splits
        self.rows: list[Row] = []
        self._depths = [0] * splits
        self._signals: dict[Row, int] = {}

    def signal(self, members: Sequence[int], levels: Flags) -> int:
        """The signal of a table."""
        row = Row(tuple(members), tuple(int(level) for level in levels))
        if row not in self._signals:
            self._signals[row] = self.splits + len(self.rows)
            self._depths.append(1 + max(self._depths[member] for member in members))
            self.rows.append(row)
        return self._signals[row]

    def row(self, signal: int) -> Row:
        """The table of a signal."""
        return self.rows[signal - self.splits]

    def selected(self, expression: Expression) -> int:
        """The signal of an expression, in tables that each fill as much of a LUT as they can."""
        if isinstance(expression, int):
            return expression
        zero, one = (self._inside(part) for part in (expression.zero, expression.one))
        expression = Mux(expression.select, zero, one)
        members = sorted(set(_signals(expression)))
        while len(members) > LUT_BITS:  # the larger part becomes a table of its own
            sizes = [len(set(_signals(part))) for part in (expression.zero, expression.one)]
            if sizes[0] >= sizes[1]:
                expression = expression._replace(zero=self._table(expression.zero))
            else:
                expression = expression._replace(one=self._table(expression.one))
            members = sorted(set(_signals(expression)))
        return self._table(expression)

    def rounds(self) -> Iterator[list[int]]:
        """The signals of tables, those of each round after the signals that they read."""
        for depth in range(1, max(self._depths, default=0) + 1):
            yield [signal for signal, own in enumerate(self._depths) if own == depth]

    def _inside(self, expression: Expression) -> Expression:
        """The expression with tables where it needs more than one LUT."""
        if isinstance(expression, int) or len(set(_signals(expression))) <= LUT_BITS:
            return expression
        return self.selected(expression)

    def _table(self, expression: Expression) -> int:
        if isinstance(expression, int):
            return expression
        members = sorted(set(_signals(expression)))
        bits = dict(zip(members, address_bits(len(members)).T, strict=True))
        return self.signal(members, _evaluated(expression, bits.__getitem__))


def of_one_width(rows: Sequence[Row], places: Integers) -> tuple[Integers, Integers]:
    """The elements and levels of a ``TruthTable``: a narrower table ignores its last members."""
    width = max(len(row.members) for row in rows)
    elements = [[*row.members, *[row.members[-1]] * (width - len(row.members))] for row in rows]
    levels = [np.tile(row.levels, 1 << (width - len(row.members))) for row in rows]
    return places[np.array(elements)], np.array(levels, dtype=np.int64)


def address_bits(bits: int) -> Integers:
    """The bits of each address, shape (addresses, bits), the lowest first."""
    found: Integers = np.arange(1 << bits)[:, None] >> np.arange(bits) & 1
    return found


def _signals(expression: Expression) -> Iterator[int]:
    if isinstance(expression, int):
        yield expression
    else:
        yield expression.select
        yield from _signals(expression.zero)
        yield from _signals(expression.one)


def _evaluated(expression: Expression, bits: Callable[[int], Integers]) -> Flags:
    if isinstance(expression, int):
        is_set: Flags = bits(expression) != 0
        return is_set
    zero, one = (_evaluated(part, bits) for part in (expression.zero, expression.one))
    found: Flags = np.where(bits(expression.select), one, zero)
    return found

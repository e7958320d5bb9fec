"""A product with a constant matrix as few additions: common subexpressions, found greedily.

Every weight is a sum of signed powers of two, so every output is a sum of terms: an input, shifted,
added or subtracted. A pair of terms that occurs in several outputs, or several times in one, is
computed once. The most frequent pair is replaced first, until none occurs twice. This is what
alkaid's ``cmvm_solve`` does. A pair becomes rarer from its creation on, so its frequency is counted
again only when it is the next one: the time grows with the number of terms, not with its square.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

Codes = np.ndarray | int
# The number of places counted at once; they fit the processor's cache.
_BATCH = 1 << 17
# A code holds the value above bit 7, then the shift, then the sign; a pair holds its first value
# above a code of its second one.
_VALUE_AT, _FIRST_AT, _SHIFT = 7, 35, 63
_VALUE = (1 << (_FIRST_AT - _VALUE_AT)) - 1


class Addition(NamedTuple):
    """A new value: value ``first`` plus (or minus) value ``second`` times 2^``shift``."""

    first: int
    second: int
    shift: int
    minus: bool


class Term(NamedTuple):
    """A value times 2^``shift``, added or subtracted."""

    value: int
    shift: int
    minus: bool


class Sums(NamedTuple):
    """Inputs are values 0 to n - 1, and each addition makes the next one; each output is a sum."""

    additions: list[Addition]
    outputs: list[list[Term]]


def shared(matrix: np.ndarray) -> Sums:
    """The outputs ``x @ matrix``, integers of shape (inputs, outputs), with shared additions."""
    search = _Search(_signed_digits(matrix))
    search.run()
    return Sums(search.additions, [search.terms(row) for row in range(matrix.shape[1])])


def digits(matrix: np.ndarray) -> int:
    """The number of powers of two whose signed sums are the weights."""
    return int(np.count_nonzero(_signed_digits(matrix)))


def _signed_digits(matrix: np.ndarray) -> np.ndarray:
    """Canonical signed digits -1, 0 and 1, int8 of shape (inputs, outputs, positions)."""
    rest = np.abs(matrix.astype(np.int64))
    sign = np.sign(matrix).astype(np.int8)
    digits = []
    while rest.any():
        odd = rest & 1
        digit = odd * (2 - (rest & 3))
        digits.append(digit.astype(np.int8) * sign)
        rest = (rest - digit) >> 1
    return np.stack(digits or [np.zeros_like(sign)], axis=2)


class _Search:
    """``_bits[s, v, o]`` has a bit for each position of value v with sign s in output o.

    ``_terms[o]`` holds the terms of output o as codes, the first ``_lengths[o]`` of its row.
    """

    def __init__(self, digits: np.ndarray) -> None:
        self.additions: list[Addition] = []
        self._count, outputs, positions = digits.shape
        self._kind = np.min_scalar_type((1 << positions) - 1)
        self._weights = (1 << np.arange(positions)).astype(self._kind)
        signs = np.stack([digits > 0, digits < 0])
        self._bits = (signs * self._weights).sum(axis=3, dtype=self._kind)
        self._lengths = np.count_nonzero(digits, axis=(0, 2))
        self._terms = np.full((outputs, max(self._lengths, default=0)), -1, dtype=np.int64)
        for output, length in enumerate(self._lengths):
            values, places = np.nonzero(digits[:, output])
            minus = digits[values, output, places] < 0
            self._terms[output, :length] = _code(values, places, minus)
        # The pairs by the upper bound of their frequency.
        self._waiting: dict[int, list[np.ndarray]] = defaultdict(list)
        for pairs, frequencies in _pairs(digits):
            self._wait(pairs, frequencies)

    def terms(self, output: int) -> list[Term]:
        codes = self._terms[output, : self._lengths[output]].tolist()
        return [Term(code >> _VALUE_AT, code >> 1 & _SHIFT, bool(code & 1)) for code in codes]

    def run(self) -> None:
        """Replace pairs until none occurs twice."""
        while self._waiting:
            frequency = max(self._waiting)
            pairs = np.sort(np.concatenate(self._waiting.pop(frequency)))
            now = self._frequencies(pairs)
            rarer = now < frequency
            self._wait(pairs[rarer], now[rarer])
            for pair in pairs[~rarer][::-1]:  # this order gave the fewest additions
                self._replace(pair, frequency)

    def _frequencies(self, pairs: np.ndarray) -> np.ndarray:
        count = max(_BATCH // len(self._lengths), 1)
        starts = range(0, len(pairs), count)
        parts = (self._places(pairs[start : start + count]) for start in starts)
        return np.concatenate([np.bitwise_count(part).sum(axis=1, dtype=int) for part in parts])

    def _wait(self, pairs: np.ndarray, frequencies: np.ndarray) -> None:
        """Keep the pairs that occur at least twice, by frequency."""
        order = np.argsort(frequencies, kind="stable")
        order = order[np.searchsorted(frequencies[order], 2) :]
        for group in np.split(order, np.flatnonzero(np.diff(frequencies[order])) + 1):
            if len(group):
                self._waiting[int(frequencies[group[0]])].append(pairs[group])

    def _places(self, pairs: np.ndarray) -> np.ndarray:
        """Where each pair occurs: the positions of its first term, (pairs, outputs)."""
        first, second, shift, differ = _parts(pairs)
        by = shift.astype(self._kind)[:, None]
        places: np.ndarray = self._bits[0, first] & self._bits[differ, second] >> by
        places |= self._bits[1, first] & self._bits[1 - differ, second] >> by
        own = np.flatnonzero(first == second)
        if len(own):
            places[own] = _apart(places[own], by[own])
        return places

    def _replace(self, pair: np.int64, frequency: int) -> None:
        """Make a pair a value, if it still occurs ``frequency`` times."""
        one = np.array([pair])
        (places,) = self._places(one)
        rows, positions = np.nonzero(places[:, None] & self._weights)
        if len(rows) < frequency:
            self._wait(one, np.array([len(rows)]))
            return
        first, second, shift, differ = (int(part[0]) for part in _parts(one))
        value = self._new_value()
        self.additions.append(Addition(first, second, shift, bool(differ)))
        self._bits[:, value] = self._bits[:, first] & places
        self._bits[:, first] &= ~places
        self._bits[:, second] &= ~(places << self._kind.type(shift))
        signs = (self._bits[1, value, rows] & self._weights[positions] > 0).astype(np.int64)
        olds = _code(first, positions, signs), _code(second, positions + shift, signs ^ differ)
        news = _code(value, positions, signs)
        # An output with several such pairs has one of them replaced at a time.
        turn = np.arange(len(rows)) - np.searchsorted(rows, rows)
        for now in range(int(turn.max()) + 1):
            chosen = turn == now
            self._join(rows[chosen], olds[0][chosen], olds[1][chosen], news[chosen])
        self._wait(*_with_others(self._terms[rows, : self._lengths[rows].max()], news))

    def _join(
        self, rows: np.ndarray, first: np.ndarray, second: np.ndarray, new: np.ndarray
    ) -> None:
        """Replace two terms by one in each of the rows, all different."""
        terms = self._terms[rows, : self._lengths[rows].max()]
        self._terms[rows, (terms == first[:, None]).argmax(axis=1)] = new
        self._lengths[rows] -= 1
        last = self._lengths[rows]
        self._terms[rows, (terms == second[:, None]).argmax(axis=1)] = self._terms[rows, last]
        self._terms[rows, last] = -1

    def _new_value(self) -> int:
        if self._count == self._bits.shape[1]:
            self._bits = np.concatenate([self._bits, np.zeros_like(self._bits)], axis=1)
        self._count += 1
        return int(self._count) - 1


def _pairs(digits: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All pairs of inputs, and how often each occurs at most."""
    inputs, _, positions = digits.shape
    real = digits.astype(np.float32)
    for shift in range(positions):
        sums = np.zeros((2, inputs, inputs), dtype=np.float32)
        for at in range(positions - shift):
            lower, upper = real[:, :, at], real[:, :, at + shift]
            sums += np.abs(lower) @ np.abs(upper).T, lower @ upper.T
        both, signed = np.triu(sums, 1) if shift == 0 else sums
        for differ, counts in enumerate(((both + signed) / 2, (both - signed) / 2)):
            first, second = np.nonzero(counts >= 2)
            yield _pair(first, second, shift, differ), counts[first, second].astype(np.int64)


def _with_others(terms: np.ndarray, news: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of new terms, codes of one value, with the other terms of their rows, and how often
    each occurs at most.
    """
    where, _ = np.nonzero(terms >= 0)
    other, new = terms[terms >= 0], news[where]
    value = news[0] >> _VALUE_AT
    after = (other >> 1 & _SHIFT) - (new >> 1 & _SHIFT)
    kept = (other >> _VALUE_AT != value) | (after > 0)
    other, new, after = other[kept], new[kept], after[kept]
    first = np.where(after > 0, value, other >> _VALUE_AT)
    second = np.where(after > 0, other >> _VALUE_AT, value)
    pairs, counts = np.unique(
        _pair(first, second, np.abs(after), (other ^ new) & 1), return_counts=True
    )
    return pairs, counts


def _apart(places: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Of pairs of a value with itself, those without a common term, from the lowest place up."""
    rest = places
    chosen = np.zeros_like(places)
    while rest.any():
        lowest = rest & ~(rest << shift)
        chosen |= lowest
        rest = rest & ~(lowest | lowest << shift)
    return chosen


def _code(value: Codes, shift: Codes, minus: Codes) -> np.ndarray:
    return np.asarray(value << _VALUE_AT | shift << 1 | minus)


def _pair(first: Codes, second: Codes, shift: Codes, differ: Codes) -> np.ndarray:
    return np.asarray(first << _FIRST_AT | second << _VALUE_AT | shift << 1 | differ)


def _parts(pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    return pairs >> _FIRST_AT, pairs >> _VALUE_AT & _VALUE, pairs >> 1 & _SHIFT, pairs & 1

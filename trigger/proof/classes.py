"""Tables over classes of values: the classes of a variable that a function tells apart."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from trigger.fixedpoint.types import Integers


class Classes(NamedTuple):
    """The class of each value of a variable, and the place of the first value of each class.

    Classes are numbered in the order of their first values, so that equal classes are equal arrays.
    """

    of: Integers
    first: Integers


def ordered(labels: Integers) -> Classes:
    """The classes of values with equal labels."""
    low, high = int(labels.min()), int(labels.max())
    if high - low < 4 * len(labels):  # without sorting
        labels = labels.astype(np.int64) - low
        first = np.full(high - low + 1, -1)
        first[labels[::-1]] = np.arange(len(labels))[::-1]
        starts = np.sort(first[first >= 0])
        rank = np.empty_like(first)
        rank[labels[starts]] = np.arange(len(starts))
        return Classes(rank[labels], starts)
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return Classes(rank[inverse.ravel()], first[order])


def joined(labels: Sequence[Integers | None], count: int) -> Classes:
    """The classes of ``count`` values that all labels together tell apart; None tells all apart."""
    if any(own is None for own in labels):
        every = np.arange(count)
        return Classes(every, every)
    known = [own for own in labels if own is not None]
    if not known:
        return Classes(np.zeros(count, dtype=np.int64), np.zeros(1, dtype=np.int64))
    together = ordered(known[0])
    for own in known[1:]:
        together = ordered(together.of * (int(own.max()) + 1) + own)
    return together


def fewest(labels: Integers, values: Integers, axis: int) -> tuple[Integers, Integers]:
    """The labels of one variable, and a table, with classes joined where the table is equal."""
    rows = np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)
    if rows.shape[1] > 1:
        rows = np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1, 1)
    own = ordered(rows[:, 0])
    kind = np.min_scalar_type(len(own.first))
    return own.of[labels].astype(kind), np.take(values, own.first, axis=axis)


def separate(values: Integers, modulus: int) -> list[Integers] | None:
    """The parts of a sum of functions of one variable each, if a table is one; each starts at zero.

    With a modulus the sum need only agree with the table modulo that number.
    """
    origin, axes = values.flat[0], range(values.ndim)
    parts = [
        values[tuple(slice(None) if own == axis else 0 for own in axes)] - origin for axis in axes
    ]
    if sum(int(abs(part).max()) for part in parts) >= 1 << 62:
        return None  # sums of them may be more than int64 holds
    rest = values - origin - sum(along(part, k, values.ndim) for k, part in enumerate(parts))
    return None if (rest % modulus if modulus else rest).any() else parts


def along(values: Integers, axis: int, axes: int) -> Integers:
    """Values along one of several axes."""
    return values.reshape([-1 if own == axis else 1 for own in range(axes)])


def digest(values: Integers) -> bytes:
    """Equal for equal arrays of one type."""
    text = repr((values.shape, values.dtype.str)).encode()
    return blake2b(text + values.tobytes(), digest_size=16).digest()

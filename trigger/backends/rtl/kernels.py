"""Products of alkaid's variables with a constant matrix. Equal matrices are solved once."""

import heapq
import math
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from alkaid.cmvm import kernel_decompose
from alkaid.trace import FVariable

from trigger.backends.rtl.subexpressions import Sums, Term, digits, shared

# The differences of columns, inputs times outputs squared, that alkaid may compute. Their number
# grows faster than the weights: for 256 times 256 they take a fifth of the time, and 40 bytes each.
_DIFFERENCES = 1 << 22
# Two factors are tried if they have at most this fraction of the kernel's digits. Factors with more
# digits may save additions, but need wider adders and more stages.
_DIGITS_KEPT = 0.9
# The solutions that a process keeps.
_KEPT = 16


def products(x: Sequence[FVariable], kernel: np.ndarray) -> list[FVariable]:
    """``x @ kernel`` for at least one variable and integers of shape (inputs, outputs)."""
    values = list(x)
    for sums in _solved(kernel.tobytes(), kernel.shape, kernel.dtype.str):
        values = _evaluated(sums, values)
    return values


@lru_cache(_KEPT)
def _solved(content: bytes, shape: tuple[int, ...], dtype: str) -> tuple[Sums, ...]:
    """The sums of a kernel, one after the other: the smallest of some decompositions."""
    kernel = np.frombuffer(content, dtype=dtype).reshape(shape)
    solutions = [tuple(map(shared, factors)) for factors in [(kernel,), *_factors(kernel)]]
    return min(solutions, key=lambda stages: sum(map(_additions, stages)))


def _factors(kernel: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """Pairs of matrices whose product is the kernel: its columns as sums of their differences.

    alkaid finds a tree of similar columns; the deeper it may be, the fewer digits it leaves.
    """
    inputs, outputs = kernel.shape
    if not kernel.any() or inputs * outputs**2 > _DIFFERENCES:
        return
    most = _DIGITS_KEPT * digits(kernel)
    for depth in reversed(range(outputs.bit_length())):
        pair = kernel_decompose(kernel.astype(np.float32), depth)
        factors = tuple(np.rint(factor).astype(np.int64) for factor in pair)
        if sum(map(digits, factors)) > most:
            return
        yield factors


def _additions(sums: Sums) -> int:
    return len(sums.additions) + sum(max(len(terms) - 1, 0) for terms in sums.outputs)


def _evaluated(sums: Sums, x: Sequence[FVariable]) -> list[FVariable]:
    values = list(x)
    zero = FVariable.from_const(0.0, x[0].hwconf)
    for first, second, shift, minus in sums.additions:
        shifted = values[second] * 2.0**shift
        values.append(values[first] - shifted if minus else values[first] + shifted)
    return [_sum(terms, values) if terms else zero for terms in sums.outputs]


def _sum(terms: Sequence[Term], values: Sequence[FVariable]) -> FVariable:
    """A tree of at least one term: those that arrive first are joined first, the lowest of them
    before the others.
    """
    waiting = [
        _place(number, values[value] * 2.0**shift, minus)
        for number, (value, shift, minus) in enumerate(terms)
    ]
    heapq.heapify(waiting)
    while len(waiting) > 1:
        *_, number, minus, a = heapq.heappop(waiting)
        *_, other, b = heapq.heappop(waiting)
        both = a + b if minus == other else b - a if minus else a - b
        heapq.heappush(waiting, _place(number, both, minus and other))
    *_, minus, total = waiting[0]
    return -total if minus else total


def _place(number: int, x: FVariable, minus: bool) -> tuple[int, bool, int, int, bool, FVariable]:
    """The order of a term in the tree; ``number`` is its own."""
    top = math.frexp(max(-x.low, x.high))[1]
    return round(x.latency), minus, top, number, minus, x

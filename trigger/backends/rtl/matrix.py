"""A vector of alkaid's variables times a constant matrix."""

import numpy as np
from alkaid.trace import FVariable

from trigger.backends.rtl.counts import weighted
from trigger.backends.rtl.kernels import products
from trigger.backends.rtl.sums import chunks, fresh, plus, variable
from trigger.fixedpoint.ops import Dense
from trigger.fixedpoint.types import Integers


def product(x: list[FVariable], node: Dense) -> list[FVariable]:
    """x @ weights, the integers of the weights taken in chunks that alkaid's matrices hold
    exactly.
    """
    total = [variable(0.0)] * node.weights.values.shape[1]
    moving = [i for i, v in enumerate(x) if v.low != v.high]
    bits = [i for i in moving if x[i].low == 0 and sum(x[i].kif) == 1]
    rest = sorted(set(moving) - set(bits))
    for chunk, shift in chunks(node.weights.values):
        scale = 2.0 ** (shift - node.weights.type.fraction)
        for chosen, multiply in ((rest, products), (bits, _bit_products)):
            if chosen:
                part = multiply([x[i] for i in chosen], chunk[chosen])
                total = [
                    a + (fresh(b) if shift else b) * scale for a, b in zip(total, part, strict=True)
                ]
    for i in set(range(len(x))) - set(moving):
        weights = node.weights.real[i]
        total = [plus(v, x[i].low * float(w)) for v, w in zip(total, weights, strict=True)]
    return total


def _bit_products(x: list[FVariable], kernel: Integers) -> list[FVariable]:
    """x @ kernel for x of 0 or a power of two."""
    columns = ((column, np.flatnonzero(column)) for column in kernel.T)
    return [weighted([x[i] for i in read], column[read]) for column, read in columns]

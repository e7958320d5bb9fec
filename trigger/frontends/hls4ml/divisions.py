"""Division by whole numbers, rounded towards zero as in C++."""

from fractions import Fraction

import numpy as np

from trigger.fixedpoint.build import constant
from trigger.fixedpoint.types import MAX_WIDTH, Fixed, Integers
from trigger.frontends.hls4ml.layer import Layer
from trigger.frontends.hls4ml.numbers import Number
from trigger.frontends.inexact import Refusal

_WIDEST = 64


def divided(layer: Layer, source: str, counts: Integers, fraction: int) -> str:
    """Each element, which has at most so many fractional bits, divided by its count.

    The quotient has as many. It is the floor of a product with the inverse, which is rounded up by
    so little that no integer in the element's range gets over a whole number.
    """
    builder = layer.builder
    span, fractions = builder.range(source), builder[source].fractions
    reach = np.maximum(np.abs(span.low), np.abs(span.high)).tolist()
    inverses = [
        _inverse(int(most * Fraction(2) ** (fraction - own)), count)
        for most, own, count in zip(reach, fractions.tolist(), counts.tolist(), strict=True)
    ]
    below = builder.clip(f"{layer.name}_below", source, None, 0.0)
    above = builder.clip(f"{layer.name}_above", source, 0.0, None)
    downwards = Number(Fixed(True, _WIDEST, _WIDEST - fraction))
    none = constant(np.zeros(len(counts)))
    parts = []
    for part, sign in ((above, 1.0), (below, -1.0)):
        factors = constant(sign * np.array(inverses))
        product = builder.affine(f"{part}_times", part, factors, none)
        parts.append(layer.assigned("_floor", product, downwards))
    return builder.add(f"{layer.name}_quotient", (parts[0], parts[1]), (1, -1))


def _inverse(most: int, count: int) -> float:
    """A number not less than 1/count: k times it has the floor of k/count, for 0 <= k <= most."""
    for shift in range(2 * MAX_WIDTH):
        above = -(-(1 << shift) // count)
        if (above * count - (1 << shift)) * most < 1 << shift:
            if above.bit_length() > MAX_WIDTH:
                break
            return float(Fraction(above, 1 << shift))
    raise Refusal(
        f"it divides a sum of {most.bit_length() + 1} bits by {count}", "use fewer bits before it"
    )

"""The quantised sum of two values with different scales, with short factors in place of the scales.

The exact sum of the two has as many bits as the scales. A quantiser after it makes few integers of
it, and the two values are integers of a few bits: all pairs of them are tried.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.types import Integers
from trigger.frontends.onnx.exactly import Exact
from trigger.frontends.onnx.multiplier import simplest

_MOST_PAIRS = 1 << 17
_LONGEST = 26


class Sum(NamedTuple):
    """Two nodes of as many elements, and the scales of their elements in the sum."""

    nodes: tuple[str, str]
    scales: tuple[Exact, Exact]


@dataclass(frozen=True, eq=False)
class Stairs:
    """A level ``first + k`` is reached from ``places[k]`` on, in integers of the exact sum, or of
    its negative; ``slope`` is the number of levels for 1.
    """

    places: Integers
    first: int
    falls: bool
    slope: Fraction


class _Factors(NamedTuple):
    """floor((n * first + m * second + offset) / 2^shift)."""

    first: int
    second: int
    offset: int
    shift: int


def shortened(
    builder: Builder, name: str, of: Sum, stairs: Sequence[Stairs | None], fraction: int
) -> str | None:
    """A node of the sums in steps of the levels, to be rounded down and limited; ``stairs`` are
    those of each element, and ``fraction`` that of the exact sum. None if there is none.
    """
    fractions = [builder[node].fractions for node in of.nodes]
    groups: dict[tuple[Stairs | None, tuple[Fraction, ...]], list[int]] = {}
    for element, one in enumerate(stairs):
        weights = tuple(
            scale[element] / Fraction(2) ** int(points[element])
            for scale, points in zip(of.scales, fractions, strict=True)
        )
        groups.setdefault((one, weights), []).append(element)
    of_element: dict[int, _Factors] = {}
    for (one, weights), members in groups.items():
        found = None if one is None else _factors(builder, of, one, weights, members, fraction)
        if found is None:
            return None
        of_element |= dict.fromkeys(members, found)
    chosen = [of_element[element] for element in range(len(stairs))]
    shifts = np.array([one.shift for one in chosen])
    offsets = np.ldexp(np.array([one.offset for one in chosen], dtype=np.float64), -shifts)
    parts = []
    for k, (node, points) in enumerate(zip(of.nodes, fractions, strict=True)):
        scale = np.ldexp(np.array([one[k] for one in chosen], dtype=np.float64), points - shifts)
        bias = offsets if k else np.zeros(len(chosen))
        parts.append(builder.affine(f"{name}_{k + 1}", node, constant(scale), constant(bias)))
    return builder.add(f"{name}_sum", tuple(parts))


def _factors(
    builder: Builder,
    of: Sum,
    stairs: Stairs,
    weights: Sequence[Fraction],
    members: Sequence[int],
    fraction: int,
) -> _Factors | None:
    """The shortest factors that give every pair of integers its level."""
    ranges = [builder.range(node) for node in of.nodes]
    ends = [(int(r.low[members].min()), int(r.high[members].max())) for r in ranges]
    pairs = (ends[0][1] - ends[0][0] + 1) * (ends[1][1] - ends[1][0] + 1)
    whole = [weight * Fraction(2) ** fraction for weight in weights]
    if pairs > _MOST_PAIRS or any(one.denominator != 1 for one in whole):
        return None
    n, m = (np.arange(low, high + 1) for low, high in ends)
    exact = n[:, None] * int(whole[0]) + m[None, :] * int(whole[1])
    reached = np.searchsorted(stairs.places, -exact if stairs.falls else exact, side="right")
    above, below = reached > 0, reached < len(stairs.places)
    levels = stairs.first - 1 + reached
    for shift in range(_LONGEST):
        first, second = (round(weight * stairs.slope * 2**shift) for weight in weights)
        sums = n[:, None] * first + m[None, :] * second
        low = int(((levels << shift) - sums)[above].max())
        high = int((((levels + 1) << shift) - sums)[below].min()) - 1
        if low <= high:
            return _Factors(first, second, simplest(low, high), shift)
    return None

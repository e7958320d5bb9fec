"""Quantisers with a type for each element, as represented in the graph."""

from typing import NamedTuple

import numpy as np

from trigger.fixedpoint.build import Builder
from trigger.fixedpoint.types import Fixed, Overflow, Rounding


class Rule(NamedTuple):
    """The effect of a quantiser on each element; zero if ``dead``."""

    types: tuple[Fixed, ...]
    rounding: Rounding
    overflow: Overflow
    dead: np.ndarray


def rule(
    signed: np.ndarray, integer: np.ndarray, fraction: np.ndarray, rounding: str, overflow: str
) -> Rule:
    """The rule of a quantiser with these bits per element; ``integer`` excludes the sign."""
    k, i, f = (np.ravel(part).astype(np.int64) for part in (signed, integer, fraction))
    dead = k + i + f <= 0
    i = np.where(dead, 1, i)
    f = np.where(dead, 0, f)
    types = tuple(
        Fixed(bool(a), int(a + b + c), int(a + b)) for a, b, c in zip(k, i, f, strict=True)
    )
    return Rule(types, Rounding(rounding), Overflow(overflow), dead)


def lower_rule(builder: Builder, name: str, source: str, rule: Rule) -> str:
    """Append the quantiser; returns the name of its last node."""
    if not rule.dead.any():
        return builder.quantize(name, source, rule.types, rule.rounding, rule.overflow)
    alive = builder.quantize(f"{name}_alive", source, rule.types, rule.rounding, rule.overflow)
    low, high = (
        np.where(rule.dead, 0, np.ldexp(end.astype(float), -builder[alive].fractions))
        for end in builder.range(alive)
    )
    return builder.clip(name, alive, low, high)

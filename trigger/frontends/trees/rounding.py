"""Leaves and base scores rounded to a step, a power of two, that the hardware adds exactly."""

import dataclasses

import numpy as np

from trigger.fixedpoint.build import fraction_bits
from trigger.fixedpoint.types import MAX_WIDTH, Fixed, Reals
from trigger.frontends.inexact import Inexact, Problem
from trigger.frontends.trees import integers
from trigger.frontends.trees.forest import Forest

# XGBoost adds up in float32, in which all sums of so many bits are exact.
_EXACT_BITS = 25
_MOST_STEPS = 2.0 ** (MAX_WIDTH - 1)
_FARTHEST_POINT = 300


def rounded(forest: Forest, types: tuple[Fixed, ...], bits: int) -> Forest:
    """The forest with leaves of ``bits`` bits: those of each tree differ by at most 2^bits - 1
    steps, and the step is the smallest power of two for which they do.

    Only leaves that some integers of the ``types`` reach count. Raises Inexact if the scores have
    too many steps.
    """
    values = _reached(forest, types)
    fraction = _fraction(values, forest.base, bits)
    steps = _largest(values, forest.base, fraction)
    if steps >= _MOST_STEPS:
        reason = f"the scores have {steps:.3g} steps of 2^{-fraction}, which exceeds 53 bits"
        remedy = "train again with values of one order of magnitude, or with more bits"
        raise Inexact([Problem("leaves", reason, remedy)])
    note = f"leaves of {bits} bits, in steps of 2^{-fraction}"
    return dataclasses.replace(
        forest,
        base=_to_step(forest.base, fraction),
        trees=tuple(
            dataclasses.replace(tree, value=_to_step(tree.leaf_values, fraction))
            for tree in forest.trees
        ),
        notes=(*forest.notes, note),
    )


def check_exact(forest: Forest, types: tuple[Fixed, ...]) -> int:
    """The fractional bits of the leaves, as they are. Raises Inexact if their library may round
    the sums.
    """
    values = _reached(forest, types)
    every = np.concatenate([forest.base, *values])
    fraction = int(fraction_bits(every[every != 0]).max()) if every.any() else 0
    if abs(fraction) > _FARTHEST_POINT:
        reason = f"their steps of 2^{-fraction} are too far from 1"
        remedy = "train again on labels of another unit, so that the scores are nearer to 1"
        raise Inexact([Problem("leaves", reason, remedy)])
    needed = int(np.frexp(_largest(values, forest.base, fraction))[1]) + 1
    if needed > _EXACT_BITS:
        reason = (
            f"the scores need {needed} bits to be exact, and {forest.library} may round its sums"
        )
        remedy = "round the leaves: set bits = 8 in [quantization] of trigger.toml"
        raise Inexact([Problem("leaves", reason, remedy)])
    return fraction


def _reached(forest: Forest, types: tuple[Fixed, ...]) -> list[Reals]:
    """The values of the leaves that some integers reach, for each tree."""
    return [
        tree.value[list(integers.leaves(branch))]
        for tree, branch in zip(forest.trees, integers.branches(forest, types), strict=True)
    ]


def _largest(values: list[Reals], base: Reals, fraction: int) -> float:
    """A bound on the size of all scores, in steps."""
    real = np.abs(base).max() + sum(np.abs(of_tree).max() for of_tree in values)
    return float(np.ldexp(real, fraction))


def _fraction(values: list[Reals], base: Reals, bits: int) -> int:
    """The most fractional bits with which the leaves of each tree take ``bits`` bits."""
    low = np.array([of_tree.min() for of_tree in values])
    high = np.array([of_tree.max() for of_tree in values])
    spread = float((high - low).max())
    if spread == 0:  # only the sums differ from zero
        spread = float(np.abs([*low, *base]).max())
    fraction = min(bits + 1 - int(np.frexp(spread)[1]), _FARTHEST_POINT)
    while (np.rint(np.ldexp(high, fraction)) - np.rint(np.ldexp(low, fraction))).max() >= 2**bits:
        fraction -= 1
    return fraction


def _to_step(values: Reals, fraction: int) -> Reals:
    return np.ldexp(np.rint(np.ldexp(values, fraction)), -fraction)

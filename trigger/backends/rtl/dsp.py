"""Products of two variables in DSP blocks, which take no LUTs.

A block has registers before and behind its multiplier, and one within it, which faster clocks need.
Vendor tools take them from the pipeline, so that nothing else is in the stage of such a product.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from alkaid.types import CombLogic, QInterval

from trigger.backends.rtl.area import lut
from trigger.backends.rtl.hardware import copies
from trigger.backends.rtl.operations import DSP, PRODUCT, Logic

# Signed operands that the DSP blocks of all families take: 25 x 18 bits in AMD's 7 series, 27 x 18
# and more in later ones, 27 x 27 in Intel's.
_WIDE, _NARROW = 25, 18
# A product of fewer LUTs stays in logic.
_LEAST_LUT = 20.0
# The time of a multiplier in UltraScale+ of speed grade -2, without the register within it and with
# it: 544 and 775 MHz in AMD's data sheet DS923.
_ONE_STAGE_NS, _TWO_STAGES_NS = 1.84, 1.29


class Timing(NamedTuple):
    """The stages of a product in a DSP block, and the nanoseconds of the longest."""

    stages: int
    ns: float


def timing(budget_ns: float) -> Timing:
    """The stages of a product with ``budget_ns`` in each."""
    if budget_ns >= _ONE_STAGE_NS:
        return Timing(1, _ONE_STAGE_NS)
    return Timing(2, _TWO_STAGES_NS)


def fits(a: QInterval, b: QInterval) -> bool:
    """Whether a DSP block multiplies two variables."""
    narrow, wide = sorted(_signed_bits(x) for x in (a, b))
    return narrow <= _NARROW and wide <= _WIDE


def _signed_bits(x: QInterval) -> int:
    _, integer, fraction = x.kif
    return int(integer + fraction) + 1


def placed(logic: CombLogic) -> CombLogic:
    """The same logic with those products in DSP blocks that fit them and take LUTs otherwise."""
    ops = [
        op._replace(opcode=DSP)
        if op.opcode == PRODUCT
        and lut(op) >= _LEAST_LUT
        and fits(*(logic.ops[i].qint for i in op.addr))
        else op
        for op in logic.ops
    ]
    return logic._replace(ops=ops)


def blocks(logic: Logic) -> int:
    """The number of DSP blocks."""
    return sum(count for _, count, _ in _products(logic))


def within(logic: Logic, most: int) -> frozenset[str]:
    """The layers of which at most so many DSP blocks save the most LUTs, each with all of its own
    or none.
    """
    counts: dict[str, int] = {}
    saved: dict[str, float] = {}
    for layer, count, luts in _products(logic):
        counts[layer] = counts.get(layer, 0) + count
        saved[layer] = saved.get(layer, 0.0) + count * luts
    chosen: list[str] = []
    for layer in sorted(counts, key=lambda name: (-saved[name] / counts[name], name)):
        if counts[layer] <= most:
            chosen.append(layer)
            most -= counts[layer]
    return frozenset(chosen)


def _products(logic: Logic) -> Iterator[tuple[str, int, float]]:
    """The layer of each product in DSP blocks, the number of its copies, and the LUTs of one in
    logic.
    """
    for group, op in zip(logic.groups, logic.ops, strict=True):
        if op.opcode == DSP:
            yield group, 1, lut(op._replace(opcode=PRODUCT))
    for shared in logic.shared:
        kernel = shared.kernel
        times = np.sum([count * kept for count, kept in copies(shared)], axis=0)
        for group, op, count in zip(kernel.groups, kernel.ops, times.tolist(), strict=True):
            if op.opcode == DSP:
                yield group, count, lut(op._replace(opcode=PRODUCT))

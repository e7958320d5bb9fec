"""Graphs at the corners of fixed-point arithmetic, most of them found with random graphs."""

import numpy as np
from random_graphs import random_graph

from trigger.fixedpoint.build import Builder
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import Constant
from trigger.fixedpoint.types import Fixed, Overflow, Rounding

# Integers of an input of 9 bits: its ends, those of a byte, and the middle of both.
AROUND_BYTES = np.array([0, 1, 2, 3, 127, 128, 254, 255])[:, None]
FAR_UP, FAR_DOWN = Fixed(True, 40, 40), Fixed(True, 8, -32)


def integers(*values: int, fraction: int = 0) -> Constant:
    return Constant(np.array(values), Fixed(True, 53, 53 - fraction))


def staircase() -> Graph:
    """Thresholds between the values of two inputs whose binary points lie 80 bits apart."""
    builder = Builder((FAR_UP, FAR_DOWN))
    thresholds = integers(-(1 << 52), -3, 0, 1, 1 << 50, fraction=41)
    builder.steps("out", "inputs", thresholds, integers(-5, -1, 0, 2, 3, 9))
    return builder.graph("out")


def requantized(source: Fixed, target: Fixed, rounding: Rounding, overflow: Overflow) -> Graph:
    builder = Builder((source,))
    return builder.graph(builder.quantize("out", "inputs", (target,), rounding, overflow))


def far_shifts() -> list[Graph]:
    """Quantisers that shift by 53 to 80 bits, in either direction."""
    return [
        requantized(Fixed(signed, 9, 9 + up), Fixed(signed, 53, 53 - down), rounding, overflow)
        for signed in (True, False)
        for up, down in ((53, 0), (10, 53), (0, 62), (0, 63), (40, 24), (40, 40), (-53, -20), (-40, -40))
        for rounding in Rounding
        for overflow in Overflow
    ]  # fmt: skip


def far_elements() -> Graph:
    """Elements far apart through every exact operation; what no weight reads would not fit 64 bits beside the rest."""
    builder = Builder((FAR_UP, FAR_DOWN))
    builder.affine("scaled", "inputs", integers(3, -5), integers(0, 0))
    builder.leaky_relu("leaky", "scaled", 2)
    weights = Constant(np.array([[0, 0], [7, -2]]), Fixed(True, 4, 4))
    builder.dense("sums", "leaky", weights, integers(1, -3, fraction=40))
    builder.clip("clipped", "leaky", np.array([-(2.0**30), -(2.0**-38)]), np.array([0, 2.0**-37]))
    return builder.graph(builder.concatenate("out", ("clipped", "sums")))


def wide_bias() -> Graph:
    """A bias of 37 bits on a small sum: the upper part of what is added is a constant in the logic."""
    builder = Builder((Fixed(True, 11, -1),))
    scale = Constant(np.array([47659]), Fixed(False, 16, 16))
    bias = Constant(np.array([-48075305903]), Fixed(True, 37, 34))
    return builder.graph(builder.affine("out", "inputs", scale, bias))


def wide_end() -> Graph:
    """Saturation at a number of 40 bits."""
    return requantized(Fixed(False, 29, 10), Fixed(False, 40, -26), Rounding.TRN, Overflow.SAT_SYM)


def twice() -> Graph:
    """A value beside itself, and added to itself."""
    builder = Builder((Fixed(True, 5, 3), Fixed(True, 40, 40)))
    builder.concatenate("beside", ("inputs", "inputs"))
    return builder.graph(builder.add("out", ("beside", "beside")))


CORNERS = {
    "a value twice": twice(),
    "staircase": staircase(),
    "elements far apart": far_elements(),
    "a wide bias": wide_bias(),
    "a wide end": wide_end(),
    "a constant that wraps": random_graph(761),
}

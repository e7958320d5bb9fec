"""In which inputs the outputs of a graph never decrease: a proof for every possible input.

Each value may rise, fall, or not change when one input rises and the others stay. The signs of
weights, the order of tables and the intervals of factors say which. The proof is sound: what it
calls non-decreasing is. It is not complete: rises and falls that cancel count as both.
"""

from collections.abc import Mapping, Sequence
from typing import assert_never

import numpy as np

from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import (
    Add,
    Affine,
    Clip,
    Concatenate,
    Dense,
    Input,
    LeakyRelu,
    Lookup,
    Maximum,
    Minimum,
    Multiply,
    Operation,
    Quantize,
    Select,
    Staircase,
    Threshold,
    TruthTable,
)
from trigger.fixedpoint.ranges import Interval, ranges, wraps
from trigger.fixedpoint.types import Flags


class Changes:
    """Whether each element may rise and may fall where an input rises: arrays of shape (elements,
    inputs).
    """

    def __init__(self, rises: Flags, falls: Flags) -> None:
        self.rises = rises
        self.falls = falls

    def times(self, signs: np.ndarray) -> "Changes":
        """Those of each element times a number of this sign; ``signs`` (elements,)."""
        up, down = (signs > 0)[:, None], (signs < 0)[:, None]
        return Changes(
            self.rises & up | self.falls & down,
            self.falls & up | self.rises & down,
        )

    def any_way(self, elements: Flags) -> "Changes":
        """The same, but these elements may do both wherever they change."""
        either = (self.rises | self.falls) & elements[:, None]
        return Changes(self.rises | either, self.falls | either)

    def take(self, elements: np.ndarray) -> "Changes":
        """Those of some elements; -1 is zero, which never changes."""
        present = (elements >= 0)[:, None]
        return Changes(self.rises[elements] & present, self.falls[elements] & present)

    def grouped(self, groups: np.ndarray) -> "Changes":
        """Those of a value that each group determines and that never decreases in its members."""
        return Changes(self.rises[groups].any(axis=1), self.falls[groups].any(axis=1))


def changes(graph: Graph) -> Changes:
    """How the outputs may change where an input rises."""
    found: dict[str, Changes] = {}
    intervals = ranges(graph)
    for node in graph.nodes:
        sources = [graph[name] for name in node.inputs]
        reads = [found[name] for name in node.inputs]
        found[node.name] = _changes(node, sources, reads, intervals)
    return found[graph.output.name]


def _changes(
    node: Operation,
    sources: Sequence[Operation],
    reads: Sequence[Changes],
    intervals: Mapping[str, Interval],
) -> Changes:
    match node:
        case Input():
            size = len(node.types)
            return Changes(np.eye(size, dtype=bool), np.zeros((size, size), dtype=bool))
        case Dense():
            return _dense(node, reads[0])
        case Affine():
            return reads[0].times(np.broadcast_to(node.scale.values, len(node.types)))
        case Quantize():
            return reads[0].any_way(wraps(node, intervals[node.inputs[0]], sources[0]))
        case Clip() | LeakyRelu():
            return reads[0]
        case Staircase() | Lookup():
            return _table(node.levels.values, reads[0])
        case TruthTable():
            return _truth_table(node, reads[0], intervals[node.inputs[0]])
        case Threshold():
            return reads[0].take(node.elements)
        case Add():
            signed = [
                read.times(np.full(len(node.types), sign))
                for read, sign in zip(reads, node.factors, strict=True)
            ]
            return _union(signed)
        case Multiply():
            first, second = (intervals[name] for name in node.inputs)
            return _union([_scaled(reads[0], second), _scaled(reads[1], first)])
        case Concatenate():
            return Changes(
                np.concatenate([read.rises for read in reads]),
                np.concatenate([read.falls for read in reads]),
            )
        case Select():
            return reads[0].take(node.elements)
        case Maximum() | Minimum():
            return reads[0].grouped(node.groups)
        case _:
            assert_never(node)


def _dense(node: Dense, read: Changes) -> Changes:
    """Each output rises with what rises by a positive weight, and with what falls by a negative."""
    positive = (node.weights.values > 0).T
    negative = (node.weights.values < 0).T
    shape = (node.positions, len(positive[0]), read.rises.shape[1])
    rises, falls = read.rises.reshape(shape), read.falls.reshape(shape)
    inputs = shape[2]
    return Changes(
        (positive @ rises | negative @ falls).reshape(-1, inputs),
        (positive @ falls | negative @ rises).reshape(-1, inputs),
    )


def _table(levels: np.ndarray, read: Changes) -> Changes:
    steps = np.diff(levels)
    sign = int((steps > 0).any()) - int((steps < 0).any())
    elements = len(read.rises)
    if (steps > 0).any() and (steps < 0).any():
        return read.any_way(np.ones(elements, dtype=bool))
    return read.times(np.full(elements, sign))


def _truth_table(node: TruthTable, read: Changes, x: Interval) -> Changes:
    """Each output as a function of one member at a time, whatever the others are."""
    entries = np.arange(node.levels.values.shape[1])
    parts = []
    members = zip(node.elements.T, node.widths.T, node.offsets.T, strict=True)
    for elements, widths, offsets in members:
        steps, masks = (1 << offsets)[:, None], ((1 << widths) - 1)[:, None]
        rising = ((entries >> offsets[:, None]) & masks) < masks
        above = np.where(rising, entries + steps, entries)
        change = np.take_along_axis(node.levels.values, above, axis=1) - node.levels.values
        rises, falls = (change > 0).any(axis=1), (change < 0).any(axis=1)
        # In two's complement, negative integers are the upper addresses.
        ordered = (x.low[elements] >= 0) & (x.high[elements] < 1 << widths)
        mixed = (rises & falls) | (~ordered & (rises | falls))
        one = read.take(elements).times(np.where(mixed | rises, 1, -falls.astype(int)))
        parts.append(one.any_way(mixed))
    return _union(parts)


def _scaled(read: Changes, factor: Interval) -> Changes:
    """Those of a value times another one that lies in an interval."""
    sign = (factor.high > 0).astype(int) - (factor.low < 0).astype(int)
    mixed = (factor.high > 0) & (factor.low < 0)
    one = read.times(np.where(mixed, 1, sign))
    return one.any_way(mixed)


def _union(parts: Sequence[Changes]) -> Changes:
    return Changes(
        np.logical_or.reduce([part.rises for part in parts]),
        np.logical_or.reduce([part.falls for part in parts]),
    )

"""Don't-cares: a table ignores each member that only tells apart addresses that no event reaches.

Comparators of one value with several bounds are ordered, so tables over them have many such
addresses. Their entries may have any value.
"""

import dataclasses
import itertools
from collections import Counter
from typing import NamedTuple

import numpy as np

from trigger.fixedpoint.arithmetic import depends, occurring
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import Concatenate, Constant, Operation, Select, Threshold, TruthTable
from trigger.fixedpoint.ranges import Interval, ranges
from trigger.fixedpoint.types import Flags, Integers


class Compared(NamedTuple):
    """What an element of a comparator is: the node and element it compares, its bound. Any other
    element is taken as itself, which no comparator is ordered with.
    """

    is_comparator: bool
    source: str
    element: int
    bound: int


def ignore_unreached(graph: Graph) -> Graph:
    """Make tables independent of as many members as the reached addresses allow."""
    intervals = ranges(graph)
    readers = _readers(graph)
    return Graph(
        tuple(
            _simplified(node, graph, intervals[node.inputs[0]], readers)
            if isinstance(node, TruthTable)
            else node
            for node in graph.nodes
        ),
        graph.notes,
    )


def _readers(graph: Graph) -> Counter[tuple[str, int]]:
    """How many tables depend on each element of each node."""
    found: Counter[tuple[str, int]] = Counter()
    for node in graph.nodes:
        if isinstance(node, TruthTable):
            read = node.elements[depends(node)]
            found.update((node.inputs[0], int(element)) for element in read)
    return found


def _simplified(
    node: TruthTable, graph: Graph, x: Interval, readers: Counter[tuple[str, int]]
) -> TruthTable:
    reached = occurring(node, *x) & _ordered(node, graph)
    if reached.all():
        return node
    levels = node.levels.values.copy()
    needed = depends(node)
    for row in np.flatnonzero(~reached.all(axis=1)):
        # Members of no effect first, or they would replace others. Then those that the fewest
        # tables read: what only they need is not computed.
        reads = [readers[node.inputs[0], element] for element in node.elements[row].tolist()]
        members = np.lexsort((reads, needed[row]))
        for member in members:
            width, offset = int(node.widths[row, member]), int(node.offsets[row, member])
            _ignore(levels[row], reached[row], width, offset)
    return dataclasses.replace(node, levels=Constant(levels, node.levels.type))


def _ignore(levels: Integers, reached: Flags, width: int, offset: int) -> None:
    """Make a table independent of a member, in place, if all reached addresses allow it."""
    shape = (-1, 1 << width, 1 << offset)
    values, known = levels.reshape(shape), reached.reshape(shape)
    first = np.take_along_axis(values, known.argmax(axis=1)[:, None], axis=1)
    if ((values != first) & known).any():
        return
    values[:] = first
    known[:] = known.any(axis=1, keepdims=True)


def _ordered(node: TruthTable, graph: Graph) -> Flags:
    """Which addresses agree with the order of the comparators, shape (outputs, entries)."""
    source = graph[node.inputs[0]]
    compared = {int(e): _compared(graph, source, int(e)) for e in np.unique(node.elements)}
    entries = np.arange(node.levels.values.shape[1])
    possible = np.ones(node.levels.values.shape, dtype=bool)
    for row, (elements, offsets) in enumerate(zip(node.elements, node.offsets, strict=True)):
        members = [(compared[e], o) for e, o in zip(elements.tolist(), offsets, strict=True)]
        for (low, below), (high, above) in itertools.permutations(members, 2):
            if low[:3] == high[:3] and low.bound <= high.bound:
                possible[row] &= (entries >> below & 1) >= (entries >> above & 1)
    return possible


def _compared(graph: Graph, node: Operation, element: int) -> Compared:
    """What an element is, through what only moves it."""
    match node:
        case Threshold():
            read, bound = int(node.elements[element]), int(node.bounds[element])
            return Compared(True, node.inputs[0], read, bound)
        case Select() if node.elements[element] >= 0:
            return _compared(graph, graph[node.inputs[0]], int(node.elements[element]))
        case Concatenate():
            for name in node.inputs:
                if element < len(graph[name].types):
                    return _compared(graph, graph[name], element)
                element -= len(graph[name].types)
    return Compared(False, node.name, element, 0)

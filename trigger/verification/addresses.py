"""Inputs that reach the table entries which random inputs miss."""

import numpy as np

from trigger.fixedpoint.evaluate import run
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import Lookup
from trigger.fixedpoint.ranges import ranges
from trigger.fixedpoint.types import Integers, bounds

# Elements of one node are tried in turn, until every entry is reached.
_ELEMENTS = 8


def rarer_entries(
    graph: Graph, node: Lookup, reached: Integers, directions: np.ndarray
) -> Integers:
    """Inputs, shape (events, features), whose addresses are none of ``reached``, as far as they are
    found.

    ``directions`` (features, elements) are the slopes of what the node reads. Along a path from the
    lowest corner of the inputs to the highest one, in single steps, an element takes nearly all its
    values; each one is found by bisection.
    """
    source = node.inputs[0]
    end = next(k for k, other in enumerate(graph.nodes) if other.name == source)
    before = Graph(graph.nodes[: end + 1])
    low, high = ranges(before)[source]
    missing = np.setdiff1d(np.arange(low.min(), high.max() + 1), reached)
    chosen = [np.empty((0, len(graph.input.types)), dtype=np.int64)]
    for element in range(min(len(low), _ELEMENTS)):
        inside = missing[(missing >= low[element]) & (missing <= high[element])]
        if len(inside):
            events = _along_path(before, element, inside, directions[:, element])
            addresses = run(before, events)[:, element]
            chosen.append(events[addresses == inside])
            missing = np.setdiff1d(missing, addresses)
    return np.concatenate(chosen)


def _along_path(graph: Graph, element: int, wanted: Integers, slopes: np.ndarray) -> Integers:
    """The first events of the path, one for each wanted value, that give it or more."""
    low, high = bounds(graph.input.types)
    order = np.argsort(-np.abs(slopes), kind="stable")  # the finest steps last
    spans = (high - low)[order]
    # Only far wider inputs than any network's would make a longer path.
    spans = np.minimum(spans, (1 << 62) // len(spans))
    starts = np.cumsum(spans) - spans
    rises = slopes[order] >= 0
    origin = np.where(rises, low[order], high[order])
    sign = np.where(rises, 1, -1)

    def at(positions: Integers) -> Integers:
        events = np.empty((len(positions), len(order)), dtype=np.int64)
        events[:, order] = origin + sign * np.clip(positions[:, None] - starts, 0, spans)
        return events

    first = np.zeros_like(wanted)
    last = np.full_like(wanted, spans.sum())
    while (first < last).any():
        middle = (first + last) >> 1
        enough = run(graph, at(middle))[:, element] >= wanted
        first = np.where(enough, first, middle + 1)
        last = np.where(enough, middle, last)
        first = np.minimum(first, last)
    return at(first)

"""Range narrowing: each type becomes as narrow as the interval of its node."""

import dataclasses

import numpy as np

from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import (
    Add,
    Affine,
    Clip,
    Concatenate,
    Constant,
    Dense,
    LeakyRelu,
    Lookup,
    Maximum,
    Minimum,
    Multiply,
    Operation,
    Quantize,
    Select,
    TruthTable,
)
from trigger.fixedpoint.ranges import Interval, interval
from trigger.fixedpoint.types import Fixed, Overflow, smallest

_EXACT = (
    Dense,
    Affine,
    Clip,
    LeakyRelu,
    Add,
    Concatenate,
    Select,
    Maximum,
    Minimum,
    Lookup,
    TruthTable,
    Multiply,
)


def narrow(graph: Graph) -> Graph:
    """Drop upper bits that are copies of the sign or always zero, and table entries that no input
    reaches.
    """
    nodes: dict[str, Operation] = {}
    intervals: dict[str, Interval] = {}
    for node in graph.nodes:
        reach = interval(node, {name: (nodes[name], intervals[name]) for name in node.inputs})
        if isinstance(node, (*_EXACT, Quantize)):
            node = dataclasses.replace(node, types=_narrowed(node, reach))  # noqa: PLW2901
        if isinstance(node, Lookup):
            node = _shortened(node, intervals[node.inputs[0]])  # noqa: PLW2901
        nodes[node.name], intervals[node.name] = node, reach
    return Graph(tuple(nodes.values()), graph.notes)


def _shortened(node: Lookup, x: Interval) -> Lookup:
    first = int(x.low.min())
    levels = node.levels.values[first - node.first : int(x.high.max()) - node.first + 1]
    level_type = smallest(int(levels.min()), int(levels.max()), node.levels.type.fraction)
    return dataclasses.replace(node, first=first, levels=Constant(levels, level_type))


def _narrowed(node: Operation, reach: Interval) -> tuple[Fixed, ...]:
    needed = [
        smallest(a, b, fraction)
        for a, b, fraction in zip(
            reach.low.tolist(), reach.high.tolist(), node.fractions.tolist(), strict=True
        )
    ]
    if isinstance(node, Quantize):
        # A saturating quantiser has an interval that ends where the old type ends, and so does the
        # new type. Only a wrapping quantiser, and a symmetric one whose new type has no spare
        # value, would change meaning.
        if node.overflow is Overflow.WRAP:
            return node.types
        if node.overflow is Overflow.SAT_SYM:
            minimum = np.array([t.minimum for t in needed])
            return tuple(
                t if low <= least else n
                for t, n, low, least in zip(node.types, needed, reach.low, minimum, strict=True)
            )
    return tuple(n if n.width < t.width else t for n, t in zip(needed, node.types, strict=True))

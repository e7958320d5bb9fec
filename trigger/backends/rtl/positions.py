"""One kernel at several positions: those that compute the same are traced once."""

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import (
    Affine,
    Clip,
    Constant,
    Dense,
    Input,
    LeakyRelu,
    Lookup,
    Operation,
    Quantize,
    Staircase,
)
from trigger.fixedpoint.ranges import Interval

_ELEMENTWISE = (Quantize, Affine, Clip, LeakyRelu, Staircase, Lookup)
# The constants of a node that have one value for each element.
_EACH = ("scale", "low", "high")


class Position(NamedTuple):
    """The nodes of one position as a graph of its own, after an input in the place of the source.

    ``found`` are their intervals.
    """

    graph: Graph
    found: Mapping[str, Interval]

    @property
    def key(self) -> Hashable:
        """Equal for positions that compute the same."""
        return tuple(
            (node.types, *_constants(node), *(end.tobytes() for end in self.found[node.name]))
            for node in self.graph.nodes
        )


def parts(nodes: Sequence[Operation]) -> list[Sequence[Operation]]:
    """The nodes of a layer, cut behind those that compute the same at each of several positions."""
    first = nodes[0]
    if not isinstance(first, Dense) or first.positions == 1:
        return [nodes]
    count = 1
    while (
        count < len(nodes)
        and isinstance(nodes[count], _ELEMENTWISE)
        and nodes[count].inputs == (nodes[count - 1].name,)
    ):
        count += 1
    return [part for part in (nodes[:count], nodes[count:]) if part]


def position(
    graph: Graph,
    found: Mapping[str, Interval],
    nodes: Sequence[Operation],
    number: int,
) -> Position:
    """The first part of a layer from ``parts``, at one of its positions."""
    dense = nodes[0]
    assert isinstance(dense, Dense)
    source = graph[dense.inputs[0]]
    own = [Input(source.name, (), source.types), *nodes]
    cut = {node.name: _slice(node, number, dense.positions) for node in own}
    small = [_at(node, cut[node.name]) for node in own]
    reach = {
        node.name: Interval(*(end[cut[node.name]] for end in found[node.name])) for node in own
    }
    return Position(Graph(tuple(small)), reach)


def _slice(node: Operation, number: int, positions: int) -> slice:
    size = len(node.types) // positions
    return slice(number * size, (number + 1) * size)


def _at(node: Operation, elements: slice) -> Operation:
    types = node.types[elements]
    if isinstance(node, Dense):
        return dataclasses.replace(node, types=types, positions=1)
    each = (*_EACH, "bias") if isinstance(node, Affine) else _EACH
    sliced: dict[str, Any] = {
        name: _sliced(value, elements) for name, value in vars(node).items() if name in each
    }
    return dataclasses.replace(node, types=types, **sliced)


def _sliced(value: Constant | np.ndarray, elements: slice) -> Constant | np.ndarray:
    if isinstance(value, Constant):
        return Constant(value.values[elements], value.type)
    return value[elements]


def _constants(node: Operation) -> list[Hashable]:
    """What else a node depends on, the kernel of a ``Dense`` aside, which all positions share."""
    if isinstance(node, Dense):
        return []
    found: list[Hashable] = []
    for value in vars(node).values():
        if isinstance(value, Constant):
            found += [value.values.tobytes(), value.type]
        elif isinstance(value, np.ndarray):
            found.append(value.tobytes())
    return found

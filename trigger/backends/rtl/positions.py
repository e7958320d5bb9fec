"""One kernel at several positions: those that compute the same are traced once."""

import dataclasses
from collections.abc import Mapping, Sequence
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
from trigger.fixedpoint.types import Fixed, Integers

_ELEMENTWISE = (Quantize, Affine, Clip, LeakyRelu, Staircase, Lookup)


class Position(NamedTuple):
    """The nodes of one position as a graph of its own, after an input in the place of the source.

    ``intervals`` are theirs.
    """

    graph: Graph
    intervals: Mapping[str, Interval]


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


def facts(graph: Graph, intervals: Mapping[str, Interval], nodes: Sequence[Operation]) -> Integers:
    """A row of integers for each position; equal rows are of positions that compute the same of
    equal values.

    ``nodes`` are the first part of a layer from ``parts``.
    """
    dense = nodes[0]
    assert isinstance(dense, Dense)
    codes: dict[Fixed, int] = {}
    columns: list[Integers] = []
    for node in (graph[dense.inputs[0]], *nodes):
        columns.append(np.array([codes.setdefault(fixed, len(codes)) for fixed in node.types]))
        columns += intervals[node.name]
        columns += [
            value.values if isinstance(value, Constant) else value for value in _each(node).values()
        ]
    return np.concatenate([column.reshape(dense.positions, -1) for column in columns], axis=1)


def equal_rows(table: Integers) -> list[list[int]]:
    """The numbers of the rows that are equal, in the order of the first of each."""
    groups: dict[bytes, list[int]] = {}
    for number, row in enumerate(table):
        groups.setdefault(row.tobytes(), []).append(number)
    return list(groups.values())


def position(
    graph: Graph,
    intervals: Mapping[str, Interval],
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
        node.name: Interval(*(end[cut[node.name]] for end in intervals[node.name])) for node in own
    }
    return Position(Graph(tuple(small)), reach)


def _slice(node: Operation, number: int, positions: int) -> slice:
    size = len(node.types) // positions
    return slice(number * size, (number + 1) * size)


def _at(node: Operation, elements: slice) -> Operation:
    types = node.types[elements]
    if isinstance(node, Dense):
        return dataclasses.replace(node, types=types, positions=1)
    each: dict[str, Any] = {name: _sliced(value, elements) for name, value in _each(node).items()}
    return dataclasses.replace(node, types=types, **each)


def _each(node: Operation) -> dict[str, Constant | Integers]:
    """The constants of a node that have one value for each element; all positions share others."""
    if isinstance(node, Affine):
        return {"scale": node.scale, "bias": node.bias}
    return {"low": node.low, "high": node.high} if isinstance(node, Clip) else {}


def _sliced(value: Constant | Integers, elements: slice) -> Constant | Integers:
    if isinstance(value, Constant):
        return Constant(value.values[elements], value.type)
    return value[elements]

"""One kernel at several positions: those that compute the same are traced once."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
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
from trigger.fixedpoint.types import Fixed, Flags, Integers, Overflow, bounds

# Positions that read zeros, at the edges of a padded convolution, use the kernel of the others as
# long as at most this part of the layer's products is with zeros. Synthesis simplifies it there;
# kernels of their own would be smaller still, but take as long to trace and to write: so more is
# allowed where all kernels of their own would have so many weights, which take a second.
_WITH_ZEROS, _WITH_ZEROS_IF_SLOW = 0.01, 0.15
_SLOW = 5_000
# They keep every value: their types are only wide enough.
_EXACT = (Dense, Affine, Clip, LeakyRelu)
_ELEMENTWISE = (Quantize, Affine, Clip, LeakyRelu, Staircase, Lookup)


class Position(NamedTuple):
    """The nodes of one position as a graph of its own, after an input in the place of the source.

    ``intervals`` are theirs.
    """

    graph: Graph
    intervals: Mapping[str, Interval]


class Read(NamedTuple):
    """What the positions of a layer read: numbers that tell intervals, what is always zero, and
    what is never zero: above or below it.
    """

    kinds: Integers
    zero: Flags
    above: Flags
    below: Flags


class _Facts(NamedTuple):
    """A row for each position: positions compute the same if their rows are equal.

    The kernel of one also serves another one whose intervals, from ``low`` to ``high``, are as wide
    at most, and which is ``equal`` except for what is ``free`` there: inputs that are zero, and
    ends of types that no value reaches.
    """

    equal: Integers
    free: Flags
    low: Integers
    high: Integers


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


def members(
    graph: Graph, intervals: Mapping[str, Interval], nodes: Sequence[Operation], read: Read
) -> list[list[int]]:
    """The positions of each kernel, the first of which is the one that it is made for.

    ``nodes`` are the first part of a layer from ``parts``.
    """
    dense = nodes[0]
    assert isinstance(dense, Dense)
    facts = _facts(graph, intervals, nodes, read)
    own = equal_rows(np.concatenate([facts.equal, facts.low, facts.high], axis=1))
    weights = np.count_nonzero(dense.weights.values, axis=1)
    products = np.where(read.zero, 0, weights).sum(axis=1)
    slow = sum(products[rows[0]] for rows in own) > _SLOW
    left = (_WITH_ZEROS_IF_SLOW if slow else _WITH_ZEROS) * products.sum()
    # Those with the most products first: no other kernel serves them.
    own.sort(key=lambda rows: (-products[rows[0]], -len(rows)))
    host_of = _hosts(facts, np.array([rows[0] for rows in own]))
    served = {k: list(own[k]) for k, host in enumerate(host_of) if k == host}
    zeros = [
        len(rows) * int(products[own[host][0]] - products[rows[0]])
        for rows, host in zip(own, host_of, strict=True)
    ]
    for k in sorted(set(range(len(own))) - set(served), key=lambda k: zeros[k]):
        if zeros[k] <= left:
            served[host_of[k]] += own[k]
            left -= zeros[k]
        else:
            served[k] = own[k]
    return list(served.values())


def _hosts(facts: _Facts, firsts: Integers) -> list[int]:
    """The number of the first position whose kernel is also right for each one: maybe its own."""
    host_of = np.full(len(firsts), -1)
    for k, host in enumerate(firsts):
        waiting = np.flatnonzero(host_of < 0)
        if host_of[k] >= 0:
            continue
        others = firsts[waiting]
        right = (
            ((facts.equal[host] == facts.equal[others]) | facts.free[others]).all(axis=1)
            & (facts.low[host] <= facts.low[others]).all(axis=1)
            & (facts.high[host] >= facts.high[others]).all(axis=1)
        )
        host_of[waiting[right]] = k
    numbers: list[int] = host_of.tolist()
    return numbers


def _facts(
    graph: Graph, intervals: Mapping[str, Interval], nodes: Sequence[Operation], read: Read
) -> _Facts:
    source = graph[nodes[0].inputs[0]]
    codes: dict[Fixed, int] = {}
    columns = [(read.kinds, read.zero), (source.fractions, read.zero)]
    for node in nodes:
        columns += _columns(node, intervals[node.name], codes)
    equal, free = zip(*columns, strict=True)
    low, high = zip(*(intervals[node.name] for node in (source, *nodes)), strict=True)
    # The intervals of the logic may be narrower than the graph's, and leave out the zero.
    low, high = (*low, read.above.astype(np.int64)), (*high, -read.below.astype(np.int64))
    count = len(read.kinds)
    return _Facts(*(_by_position(part, count) for part in (equal, free, low, high)))


def _columns(
    node: Operation, reach: Interval, codes: dict[Fixed, int]
) -> Iterator[tuple[Integers, Flags]]:
    """What must be equal to make the same of equal values, and where it need not be."""
    nowhere = np.zeros(len(node.types), dtype=bool)
    if isinstance(node, _EXACT):
        yield node.fractions, nowhere
    elif isinstance(node, Quantize) and node.overflow is not Overflow.WRAP:
        low, high = bounds(node.types, node.overflow)
        yield node.fractions, nowhere
        yield low, reach.low > low
        yield high, reach.high < high
    else:
        yield _codes(node, codes), nowhere
    for value in _each(node).values():
        yield value.values if isinstance(value, Constant) else value, nowhere


def _by_position(columns: Sequence[np.ndarray], positions: int) -> np.ndarray:
    return np.concatenate([column.reshape(positions, -1) for column in columns], axis=1)


def _codes(node: Operation, codes: dict[Fixed, int]) -> Integers:
    return np.array([codes.setdefault(fixed, len(codes)) for fixed in node.types])


def equal_rows(table: Integers | Flags) -> list[list[int]]:
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

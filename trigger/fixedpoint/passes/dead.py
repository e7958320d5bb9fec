"""Dead-value removal: elements that no output depends on are not computed."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeGuard, assert_never

import numpy as np

from trigger.fixedpoint.arithmetic import depends
from trigger.fixedpoint.build import free_name
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import (
    Add,
    Affine,
    Clip,
    Concatenate,
    Constant,
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
from trigger.fixedpoint.types import Flags, Integers


def remove_dead(graph: Graph) -> Graph:
    """Drop every element that reaches no output, such as pruned neurons. The inputs are kept."""
    live = _live(graph)
    nodes: list[Operation] = []
    for node in graph.nodes:
        if isinstance(node, Input):
            nodes.append(node)
        elif len(live[node.name]):
            nodes += _kept_dense(node, graph, live) if _shared(node) else [_kept(node, live)]
    return Graph(tuple(nodes), graph.notes)


def _live(graph: Graph) -> dict[str, Integers]:
    """The elements of each node that are kept, ascending.

    An elementwise operation reads all kept elements of its inputs, so an element that only another
    reader needs is kept in it too.
    """
    marks = {node.name: np.zeros(len(node.types), dtype=bool) for node in graph.nodes}
    marks[graph.output.name][:] = True
    marks[graph.input.name][:] = True
    before = -1
    while (total := sum(int(mark.sum()) for mark in marks.values())) != before:
        before = total
        for node in reversed(graph.nodes):
            _mark(node, graph, marks)
    return {name: np.flatnonzero(mark) for name, mark in marks.items()}


def _mark(node: Operation, graph: Graph, marks: Mapping[str, np.ndarray]) -> None:
    own = marks[node.name]
    if not own.any():
        return
    match node:
        case Dense():
            kept = _needed(node, own)
            # One kernel for all positions: an output that one of them needs is kept at each.
            own |= np.outer(kept.positions, kept.outputs).ravel()
            marks[node.inputs[0]] |= np.outer(kept.positions, kept.inputs).ravel()
        case Threshold():
            marks[node.inputs[0]][node.elements[own]] = True
        case TruthTable():
            read = node.elements[own][depends(node)[own]]
            # Tables of one level still need something to read.
            marks[node.inputs[0]][read if len(read) else 0] = True
        case Select():
            read = node.elements[own]
            # One that only gives zeros still needs something to read.
            marks[node.inputs[0]][read[read >= 0] if (read >= 0).any() else 0] = True
        case Maximum() | Minimum():
            marks[node.inputs[0]][node.groups[own]] = True
        case Concatenate():
            ends = np.cumsum([len(graph[name].types) for name in node.inputs])[:-1]
            for name, part in zip(node.inputs, np.split(own, ends), strict=True):
                marks[name] |= part
                part |= marks[name]  # noqa: PLW2901 - a view of own
        case Input():
            pass
        case (
            Affine()
            | Quantize()
            | Clip()
            | LeakyRelu()
            | Staircase()
            | Lookup()
            | Add()
            | Multiply()
        ):
            for name in (*node.inputs, *node.inputs):
                marks[name] |= own
                own |= marks[name]
        case _:
            assert_never(node)


class _Kernel(NamedTuple):
    """The positions, inputs and outputs of a ``Dense`` that are kept."""

    positions: Flags
    inputs: Flags
    outputs: Flags


def _needed(node: Dense, own: Flags) -> _Kernel:
    """What a ``Dense`` needs for its elements ``own``."""
    elements = own.reshape(node.positions, -1)
    positions = np.asarray(elements.any(axis=1))
    outputs = np.asarray(elements.any(axis=0))
    small = dataclasses.replace(node, **_part(node, slice(None), outputs))
    inputs = small.reads.copy()
    if not inputs.any():
        inputs[0] = True  # a layer that only outputs its bias still needs an input
    return _Kernel(positions, inputs, outputs)


def _shared(node: Operation) -> TypeGuard[Dense]:
    """Whether a node has one kernel for several positions."""
    return isinstance(node, Dense) and node.positions > 1


def _kept_dense(node: Dense, graph: Graph, live: Mapping[str, Integers]) -> list[Operation]:
    """A ``Dense`` of several positions, after a ``Select`` where more of its source is kept than
    it needs: it cannot skip elements.
    """
    own, source = live[node.name], graph[node.inputs[0]]
    kept = _needed(node, np.isin(np.arange(len(node.types)), own))
    small = dataclasses.replace(
        node,
        types=tuple(node.types[i] for i in own),
        positions=int(kept.positions.sum()),
        **_part(node, kept.inputs, kept.outputs),
    )
    read = np.flatnonzero(np.outer(kept.positions, kept.inputs))
    if len(read) == len(live[source.name]):
        return [small]
    name = free_name(f"{node.name}_read", {other.name.casefold() for other in graph.nodes})
    types = tuple(source.types[i] for i in read)
    elements = np.searchsorted(live[source.name], read)
    chosen = Select(name, node.inputs, types, elements)
    return [chosen, dataclasses.replace(small, inputs=(name,))]


def _kept(node: Operation, live: Mapping[str, Integers]) -> Operation:
    own = live[node.name]
    types = tuple(node.types[i] for i in own)
    source = live[node.inputs[0]]
    match node:
        case Dense():
            return dataclasses.replace(node, types=types, **_part(node, source, own))
        case Affine():
            return dataclasses.replace(
                node, types=types, scale=_chosen(node.scale, own), bias=_chosen(node.bias, own)
            )
        case Clip():
            return dataclasses.replace(node, types=types, low=node.low[own], high=node.high[own])
        case Threshold():
            return dataclasses.replace(
                node,
                types=types,
                elements=np.searchsorted(source, node.elements[own]),
                bounds=node.bounds[own],
            )
        case TruthTable():
            # A member that an output does not depend on may be any element.
            places = np.searchsorted(source, node.elements[own])
            return dataclasses.replace(
                node,
                types=types,
                elements=np.minimum(places, len(source) - 1),
                widths=node.widths[own],
                levels=_chosen(node.levels, own),
            )
        case Select():
            elements = node.elements[own]
            places = np.where(elements < 0, -1, np.searchsorted(source, elements))
            return dataclasses.replace(node, types=types, elements=places)
        case Maximum() | Minimum():
            groups = np.searchsorted(source, node.groups[own])
            return dataclasses.replace(node, types=types, groups=groups)
        case Concatenate():
            return dataclasses.replace(
                node, types=types, inputs=tuple(name for name in node.inputs if len(live[name]))
            )
        case Input() | Quantize() | LeakyRelu() | Staircase() | Lookup() | Add() | Multiply():
            return dataclasses.replace(node, types=types)
        case _:
            assert_never(node)


def _part(node: Dense, inputs: Any, outputs: Any) -> dict[str, Any]:
    """What a ``Dense`` holds for some of its inputs and outputs."""
    parameters = node.parameters
    if parameters is not None:
        parameters = np.concatenate([parameters[:-1][inputs], parameters[-1:]])[:, outputs]
    weights = Constant(node.weights.values[inputs][:, outputs], node.weights.type)
    return {"weights": weights, "bias": _chosen(node.bias, outputs), "parameters": parameters}


def _chosen(constant: Constant, elements: Any) -> Constant:
    return Constant(constant.values[elements], constant.type)

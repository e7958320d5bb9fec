"""The parameters of a reloadable graph: trained numbers that hardware may load anew.

They are numbered as the layers are, from 0: all graphs of one structure number them alike.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import Constant, Dense, GraphError, Operation
from trigger.fixedpoint.serialize import fingerprint
from trigger.fixedpoint.types import Fixed, Integers


class Parameters(NamedTuple):
    """The types and the integers of all parameters, by their number."""

    types: tuple[Fixed, ...]
    values: Integers


def parameters(graph: Graph) -> Parameters:
    """The parameters of a graph as a frontend made it; none of one that is not reloadable.

    Raises GraphError if they are not numbered from 0 on.
    """
    types: dict[int, Fixed] = {}
    values: dict[int, int] = {}
    for _, constant, numbers in _kernels(graph):
        loaded = numbers >= 0
        own = numbers[loaded].tolist()
        types |= dict.fromkeys(own, constant.type)
        values |= zip(own, constant.values[loaded].tolist(), strict=True)
    every = range(len(types))
    if set(types) != set(every):
        raise GraphError(f"{len(types)} parameters have other numbers than 0 to {len(types) - 1}")
    return Parameters(
        tuple(types[k] for k in every), np.array([values[k] for k in every], dtype=np.int64)
    )


def types_by_number(graph: Graph) -> dict[int, tuple[str, Fixed]]:
    """The layer and the type of each parameter that a graph still reads."""
    return {
        number: (name, constant.type)
        for name, constant, numbers in _kernels(graph)
        for number in numbers[numbers >= 0].tolist()
    }


def loaded_types(graph: Graph) -> list[tuple[Fixed, Fixed]]:
    """The types of the weights and the bias of each kernel that can be loaded, in their order."""
    return [
        (node.weights.type, node.bias.type)
        for node in graph.nodes
        if isinstance(node, Dense) and node.parameters is not None
    ]


def replaced(graph: Graph, values: Integers) -> Graph:
    """The same graph with other values of its parameters, in the order of ``parameters``."""
    return Graph(tuple(_replaced(node, values) for node in graph.nodes), graph.notes)


def structure(graph: Graph) -> Graph:
    """The graph with zeros as parameters and without notes and names: equal for networks that can
    be loaded into the same hardware.
    """
    numbers = {node.name: f"n{number}" for number, node in enumerate(graph.nodes)}
    zeros = np.zeros(len(parameters(graph).values), dtype=np.int64)
    return Graph(
        tuple(
            dataclasses.replace(
                node, name=numbers[node.name], inputs=tuple(numbers[name] for name in node.inputs)
            )
            for node in replaced(graph, zeros).nodes
        )
    )


def structure_id(graph: Graph) -> int:
    """32 bits that tell this structure from others."""
    return int(fingerprint(structure(graph)), 16)


def difference(built: Graph, other: Graph) -> str | None:
    """What keeps the parameters of another graph from being loaded into hardware of ``built``; None
    if nothing does.
    """
    ours, theirs = structure(built).nodes, structure(other).nodes
    for mine, its, node, old in zip(ours, theirs, other.nodes, built.nodes, strict=False):
        if mine.op != its.op:
            return f"{node.name} is the {its.op} where the build has the {mine.op} {old.name}"
        # Constants and options first: types follow from them.
        for part in sorted(vars(its), key=lambda part: part == "types"):
            fault = _fault(part, getattr(mine, part), getattr(its, part))
            if fault:
                return f"{node.name}: {fault}"
    if len(theirs) > len(ours):
        return f"{other.nodes[len(ours)].name} comes after the last node of the build"
    if len(ours) > len(theirs):
        return f"it ends before {built.nodes[len(theirs)].name} of the build"
    return None


def _fault(part: str, built: Any, other: Any) -> str | None:
    """How a part of a node differs; None if it does not."""
    if isinstance(built, Constant) and isinstance(other, Constant):
        if built.type != other.type:
            return f"{part} of the type {other.type}, in the build {built.type}"
        built, other = built.values, other.values
    if (built is None) != (other is None):  # parameters
        where = "the build" if other is None else "the network"
        return f"other values can be loaded in {where} alone"
    if isinstance(built, np.ndarray) and isinstance(other, np.ndarray):
        if built.shape != other.shape:
            return f"{part} of the shape {other.shape}, in the build {built.shape}"
        constants = (
            "its wires read other elements" if part == "elements" else f"{part}: other constants"
        )
        return f"{constants} than in the build" if (built != other).any() else None
    if part == "types" and len(built) != len(other):
        return f"{len(other)} elements, in the build {len(built)}"
    if part == "types":
        pairs = ((b, o) for b, o in zip(built, other, strict=True) if b != o)
        return next((f"values of the type {o}, in the build {b}" for b, o in pairs), None)
    if part == "inputs":
        return "reads other nodes than in the build" if built != other else None
    return f"{part} {other}, in the build {built}" if built != other else None


def _replaced(node: Operation, values: Integers) -> Operation:
    if not isinstance(node, Dense) or node.parameters is None:
        return node
    weights, bias = (
        Constant(np.where(numbers >= 0, values[numbers], constant.values), constant.type)
        for constant, numbers in _halves(node, node.parameters)
    )
    return dataclasses.replace(node, weights=weights, bias=bias)


def _kernels(graph: Graph) -> Iterator[tuple[str, Constant, Integers]]:
    for node in graph.nodes:
        if isinstance(node, Dense) and node.parameters is not None:
            for half in _halves(node, node.parameters):
                yield node.name, *half


def _halves(node: Dense, numbers: Integers) -> tuple[tuple[Constant, Integers], ...]:
    return (node.weights, numbers[:-1]), (node.bias, numbers[-1])

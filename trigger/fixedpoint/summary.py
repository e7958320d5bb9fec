"""The layers of a graph in a few words and numbers each."""

from typing import NamedTuple

import numpy as np

from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import Constant, Dense, Operation


class Row(NamedTuple):
    """One layer. ``weights`` counts its constants, 0 if it has none, ``zeros`` those that are 0,
    and ``bits`` the bits of all.
    """

    name: str
    op: str
    shape: str
    types: str
    weights: int
    zeros: int
    bits: int


def rows(graph: Graph) -> list[Row]:
    """The layers in the order of evaluation."""
    return [_row(node) for node in graph.nodes]


def _row(node: Operation) -> Row:
    constants = [value for value in vars(node).values() if isinstance(value, Constant)]
    return Row(
        node.name,
        node.op,
        _shape(node),
        types(node),
        sum(constant.values.size for constant in constants),
        sum(int(np.count_nonzero(constant.values == 0)) for constant in constants),
        sum(constant.values.size * constant.type.width for constant in constants),
    )


def types(node: Operation) -> str:
    """The type of all elements, or how many there are and how wide."""
    kinds = sorted(set(node.types), key=lambda t: t.width)
    if len(kinds) == 1:
        return str(kinds[0])
    return f"{len(kinds)} types of {kinds[0].width} to {kinds[-1].width} bits"


def _shape(node: Operation) -> str:
    if isinstance(node, Dense) and node.positions > 1:
        return f"{node.positions} × {len(node.types) // node.positions}"
    return str(len(node.types))

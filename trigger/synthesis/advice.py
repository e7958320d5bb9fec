"""Advice on making a core smaller: the largest layer, and what is unusual about it."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import Affine, Constant, Dense, Lookup, Multiply, Operation
from trigger.support.numbers import plain

# Typical values of small trigger networks; a change saves about the excess.
_BITS = 6
_DENSITY = 0.25


class _Change(NamedTuple):
    saves: float
    what: str
    because: str


def advice(graph: Graph, layers: Mapping[str, int], total: int) -> str:
    """The most effective change to the largest of ``layers`` (LUT by name, of ``total``), and why;
    may be "".

    The LUTs of a constant multiplication grow with the signed digits of the constant and the bits
    of the value.
    """
    known = {name: count for name, count in layers.items() if name in {n.name for n in graph.nodes}}
    if not known:
        return ""
    name = max(known, key=lambda layer: known[layer])
    share = f"{name!r} takes {plain(known[name])} of {plain(total)} LUT"
    changes = [change for node in _layer(graph, name) for change in _changes(graph, node)]
    best = max(changes, key=lambda change: change.saves, default=None)
    if best is None or best.saves <= 0:
        return f"a smaller layer {name!r}: {share}"
    return f"{best.what}: {best.because}; {share}"


def _layer(graph: Graph, name: str) -> Iterator[Operation]:
    """A node and its followers up to the next Dense, which the area of a layer includes."""
    nodes = list(graph.nodes)
    first = next(k for k, node in enumerate(nodes) if node.name == name)
    yield nodes[first]
    for node in nodes[first + 1 :]:
        if isinstance(node, Dense):
            return
        yield node


def _changes(graph: Graph, node: Operation) -> Iterator[_Change]:
    if isinstance(node, Lookup | Multiply):
        yield _fewer_inputs(graph, node)
    if not isinstance(node, Dense | Affine):
        return
    constants = node.weights if isinstance(node, Dense) else node.scale
    read = max(t.width for t in graph[node.inputs[0]].types)
    copies = node.positions if isinstance(node, Dense) else 1
    cost = _digits(constants.values) * read * copies
    bits = _bits(constants)
    inputs = f"a quantiser with fewer bits before {node.name!r}"
    yield _Change(cost * (1 - _BITS / read), inputs, f"the layer reads values of {read} bits")
    if isinstance(node, Affine):
        narrower = f"fewer bits in the scale of {node.name!r}"
        ways = (
            "QBatchNormalization, or Normalization with power-of-two deviations, has narrow scales"
        )
        yield _Change(cost * (1 - _BITS / bits), narrower, f"it has {bits} bits ({ways})")
        return
    yield _Change(
        cost * (1 - _BITS / bits), f"fewer bits in the kernel of {node.name!r}", f"it has {bits}"
    )
    density = float((constants.values != 0).mean())
    yield _Change(
        cost * (1 - _DENSITY / max(density, _DENSITY)),
        "a higher pruning.sparsity",
        f"{100 * (1 - density):.0f} % of the weights of {node.name!r} are zero",
    )


def _fewer_inputs(graph: Graph, node: Lookup | Multiply) -> _Change:
    """A table doubles with each bit of its address; a product grows with the bits of both."""
    widths = [max(t.width for t in graph[name].types) for name in node.inputs]
    what, elements = f"a quantiser with fewer bits before {node.name!r}", len(node.types)
    if isinstance(node, Lookup):
        entries, bits = len(node.levels.values), node.levels.type.width
        cost = elements * bits * entries / 2**_BITS
        because = f"its table has {plain(entries)} entries of {bits} bits"
        return _Change(cost * (1 - 2**_BITS / entries), what, because)
    first, second = widths
    saves = elements * (first * second - _BITS**2)
    return _Change(saves, what, f"it multiplies values of {first} and {second} bits")


def _bits(constants: Constant) -> int:
    """Bits of the widest constant, sign included, without common trailing zeros."""
    values = np.abs(constants.values[constants.values != 0])
    if not len(values):
        return 1
    shared = int(np.bitwise_or.reduce(values))
    return int(values.max()).bit_length() - ((shared & -shared).bit_length() - 1) + 1


def _digits(values: np.ndarray) -> int:
    """The number of non-zero signed digits, one addition each (non-adjacent form: the bits of v ^
    3v).
    """
    magnitudes = np.abs(values).astype(object)
    return sum(int(v ^ 3 * v).bit_count() for v in magnitudes.ravel())

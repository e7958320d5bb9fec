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


# In random networks of 28-64-64-1 and 28-128-128-1 LUTs grow about as this power of the fraction of
# the weights that are not zero, and as the root of their bits.
_POWER_OF_DENSITY = 0.9
_LARGEST_SPARSITY = 0.9
# Cores below this are small enough.
_LARGE = 50_000


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


def ten_times_smaller(graph: Graph, lut: int | None) -> str:
    """How a large core becomes about ten times smaller; "" for another one, or without weights."""
    kernels = [
        node for node in graph.nodes if isinstance(node, Dense) and node.weights.values.any()
    ]
    if lut is None or lut < _LARGE or not kernels:
        return ""
    costs = np.array([_cost(graph, node) for node in kernels])
    read = max(_read(graph, node) for node in kernels)
    bits = max(_bits(node.weights) for node in kernels)
    narrower = [
        min(_BITS / _read(graph, node), 1) * min(_BITS / _bits(node.weights), 1) ** 0.5
        for node in kernels
    ]
    left = float(costs @ narrower / costs.sum())
    weights = sum(node.weights.values.size for node in kernels)
    density = sum(int(np.count_nonzero(node.weights.values)) for node in kernels) / weights
    sparsity = 1 - density * (0.1 / left) ** (1 / _POWER_OF_DENSITY)
    parts: list[str] = []
    if max(read, bits) > _BITS:
        parts.append(
            f"quantisation-aware training with {_BITS} bits (now up to {bits} in the kernels and "
            f"{read} in the values they read)"
        )
    zeros = f"now {100 * (1 - density):.0f} % of the weights are zero"
    parts.append(f"pruning.sparsity = {min(sparsity, _LARGEST_SPARSITY):.2f} ({zeros})")
    if sparsity > _LARGEST_SPARSITY:
        rest = (1 - _LARGEST_SPARSITY) / (1 - sparsity)
        parts.append(f"layers of {rest ** (_POWER_OF_DENSITY / 2):.1f} times fewer neurons")
    return f"about ten times smaller: {', and '.join(parts)}"


def _cost(graph: Graph, node: Dense) -> float:
    return _digits(node.weights.values) * _read(graph, node) * node.positions


def _read(graph: Graph, node: Dense | Affine) -> int:
    return max(t.width for t in graph[node.inputs[0]].types)


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
    read = _read(graph, node)
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

"""What the report says of the network: its nodes, types, values and weights."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trigger.events.dataset import Events
from trigger.fixedpoint.evaluate import trace
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import Concatenate, Dense, Operation, Select
from trigger.fixedpoint.ranges import overflow_proof
from trigger.fixedpoint.types import Fixed
from trigger.report.plots import network as plots
from trigger.report.plots.diagram import Box, diagram
from trigger.report.plots.drawing import Picture

# Events whose values are profiled: at most so many, with at most so many values in all.
_MOST_EVENTS = 2000
_MOST_VALUES = 10_000_000
_QUANTILES = (0, 0.25, 0.5, 0.75, 1)


def layers(graph: Graph) -> list[dict[str, Any]]:
    """One row per node: sizes, weights and zeros, types, and whether it wraps or saturates by
    design.
    """
    rows = []
    for row, node in zip(overflow_proof(graph), graph.nodes, strict=True):
        entry: dict[str, Any] = {
            "name": node.name,
            "op": node.op,
            "elements": len(node.types),
            "type": _type(node),
            "types": ", ".join(sorted({str(t) for t in node.types})),
            "proof": row,
            "by_design": row.verdict != "cannot overflow",
            "weights": "",
            "zeros": None,
        }
        if isinstance(node, Dense):
            entry |= {"weights": _shape(node), "zeros": zeros([node])}
        rows.append(entry)
    return rows


def zeros(dense: Sequence[Dense]) -> float | None:
    """The fraction of zero weights; None if there are none but those of sums, such as counts of
    ones, whose zeros only say what is added.
    """
    weights = [node.weights.values for node in dense if node.weights.type.width > 1]
    zero = sum(int((values == 0).sum()) for values in weights)
    return zero / sum(values.size for values in weights) if weights else None


def bits(graph: Graph) -> dict[str, tuple[int, int]]:
    """Integer and fractional bits of one element of each node, the widest."""

    def widest(node: Operation) -> tuple[int, int]:
        fixed = max(node.types, key=lambda t: t.width)
        return fixed.integer, fixed.fraction

    return {node.name: widest(node) for node in graph.nodes}


def pictures(
    graph: Graph, test: Events, luts: Mapping[str, int], ffs: Mapping[str, int]
) -> dict[str, Picture | None]:
    """The pictures of the network by name; ``luts`` and ``ffs`` are those of layers."""
    kernels = [node for node in graph.nodes if isinstance(node, Dense)]
    return {
        "diagram": diagram([_box(node, luts, ffs) for node in graph.nodes]),
        "bits": plots.bit_widths(bits(graph)),
        "elements": plots.widths_by_element(
            {node.name: [t.width for t in node.types] for node in graph.nodes}
        ),
        "weight_bits": plots.weight_bits(
            {
                node.name: needed_bits(node.weights.values)
                for node in kernels
                if node.weights.values.size > 1
            }
        ),
        "value_profiles": plots.profiles(_profiles(graph, test), "Absolute value"),
        "weight_profiles": plots.profiles(found, "Absolute value")
        if (found := [_weights(node) for node in kernels])
        else None,
    }


def _box(node: Operation, luts: Mapping[str, int], ffs: Mapping[str, int]) -> Box:
    counted = {"LUT": luts.get(node.name), "FF": ffs.get(node.name)}
    cost = " · ".join(f"{count:,} {name}" for name, count in counted.items() if count is not None)
    weights = f" {_shape(node)}" if isinstance(node, Dense) else ""
    operation = f"{node.op}{weights}"
    return Box(
        node.name,
        node.inputs,
        (operation, cost) if cost else (operation,),
        f"{_elements(node)} {_type(node)}" if len(set(node.types)) == 1 else _several(node),
    )


def _several(node: Operation) -> str:
    """The shape of a value whose elements differ in type."""
    wide = [t.width for t in node.types]
    bits = f"{min(wide)} to {max(wide)}" if min(wide) < max(wide) else str(max(wide))
    return f"{_elements(node)} of {_type(node)}, {bits} bits"


def _elements(node: Operation) -> str:
    """The shape by which people know a value, as far as the graph has it."""
    if isinstance(node, Dense) and node.positions > 1:
        return f"{node.positions} × {len(node.types) // node.positions}"
    return str(len(node.types))


def _type(node: Operation) -> str:
    kinds = {str(t) for t in node.types}
    return kinds.pop() if len(kinds) == 1 else f"{len(kinds)} types"


def _shape(node: Dense) -> str:
    shape = " × ".join(map(str, node.weights.values.shape))
    places = f" at {node.positions} positions" if node.positions > 1 else ""
    return f"{shape} {node.weights.type}{places}"


def needed_bits(values: np.ndarray) -> np.ndarray:
    """The bits that each weight needs, with its sign, without the zeros at its end; 0 for 0."""
    odd = np.abs(values // np.maximum(values & -values, 1))
    return np.asarray(np.frexp(odd.astype(np.float64))[1] + (values < 0))


def _profiles(graph: Graph, test: Events) -> list[plots.Profile]:
    """The values on test events, of nodes that compute something."""
    elements = sum(len(node.types) for node in graph.nodes)
    values = trace(graph, test.x[: max(1, min(_MOST_EVENTS, _MOST_VALUES // elements))])
    return [
        _profile(node.name, np.ldexp(values[node.name].astype(np.float64), -node.fractions),
                 node.types)
        for node in graph.nodes
        if not isinstance(node, Select | Concatenate)
    ]  # fmt: skip


def _weights(node: Dense) -> plots.Profile:
    return _profile(node.name, node.weights.real, (node.weights.type,))


def _profile(name: str, values: np.ndarray, types: Sequence[Fixed]) -> plots.Profile:
    sizes = np.abs(values[values != 0])
    quantiles = tuple(np.quantile(sizes, _QUANTILES).tolist()) if sizes.size else ()
    step = 2.0 ** -max(t.fraction for t in types)
    largest = max(max(-t.minimum, t.maximum) * 2.0**-t.fraction for t in types)
    return plots.Profile(name, quantiles, 1 - sizes.size / max(values.size, 1), step, largest)

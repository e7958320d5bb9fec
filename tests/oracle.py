"""An oracle for graphs: every operation written once more from its definition, on rational numbers.

It shares no arithmetic with ``trigger``: no shifts, no integers of a fixed size, no intervals.
"""

import functools
from fractions import Fraction
from math import floor

from trigger.fixedpoint import ops as g
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.types import Fixed, Overflow, Rounding

HALF = Fraction(1, 2)


def exact(graph: Graph, event: list[int]) -> dict[str, list[Fraction]]:
    """The real values of every node, by name, for the integers of one event."""
    values = {graph.input.name: _reals(event, graph.input.types)}
    for node in graph.nodes[1:]:
        values[node.name] = _value(
            node, graph[node.inputs[0]], [values[name] for name in node.inputs]
        )
    return values


def integers(node: g.Node, reals: list[Fraction]) -> list[int]:
    """Real values as integers of a node's types; fails where one lies between two steps or leaves its type."""
    found = []
    for real, kind in zip(reals, node.types, strict=True):
        integer = real / _step(kind)
        assert integer.denominator == 1, f"{node.name}: {real} lies between two steps of {kind}"
        assert kind.minimum <= integer <= kind.maximum, f"{node.name}: {real} leaves {kind}"
        found.append(int(integer))
    return found


def outputs(graph: Graph, x) -> list[list[int]]:
    """The integers of the output for integer events, shape (events, features)."""
    return [integers(graph.output, exact(graph, event)[graph.output.name]) for event in x.tolist()]


def _value(node: g.Node, source: g.Node, read: list[list[Fraction]]) -> list[Fraction]:
    x = read[0]
    match node:
        case g.Dense():
            rows, bias = map(_constant, (node.weights, node.bias))
            starts = range(0, len(x), len(rows))
            assert len(starts) == node.positions
            return [
                b + sum(a * row[j] for a, row in zip(x[start:], rows, strict=False))
                for start in starts
                for j, b in enumerate(bias)
            ]
        case g.Affine():
            scale, bias = map(_constant, (node.scale, node.bias))
            return [a * s + b for a, s, b in zip(x, scale, bias, strict=True)]
        case g.Quantize():
            return [
                _fitted(_rounded(a / _step(kind), node.rounding), kind, node.overflow) * _step(kind)
                for a, kind in zip(x, node.types, strict=True)
            ]
        case g.Clip():
            low, high = (_reals(end.tolist(), source.types) for end in (node.low, node.high))
            return [min(max(a, b), c) for a, b, c in zip(x, low, high, strict=True)]
        case g.LeakyRelu():
            return [a if a >= 0 else a / 2**node.shift for a in x]
        case g.Staircase():
            thresholds, levels = map(_constant, (node.thresholds, node.levels))
            return [levels[sum(a >= t for t in thresholds)] for a in x]
        case g.Lookup():
            levels = _constant(node.levels)
            steps = [a / _step(kind) for a, kind in zip(x, source.types, strict=True)]
            assert all(step.denominator == 1 and step >= node.first for step in steps)
            return [levels[int(step) - node.first] for step in steps]
        case g.TruthTable():
            levels = _constant(node.levels)
            steps = [a / _step(kind) for a, kind in zip(x, source.types, strict=True)]
            found = []
            for elements, widths, row in zip(
                node.elements.tolist(), node.widths.tolist(), levels, strict=True
            ):
                bits = ""
                for e, width in zip(elements, widths, strict=True):
                    assert steps[e].denominator == 1
                    bits = format(int(steps[e]) % 2**width, f"0{width}b") + bits
                found.append(row[int(bits, 2)])
            return found
        case g.Threshold():
            bounds = zip(node.elements.tolist(), node.bounds.tolist(), strict=True)
            return [Fraction(x[e] >= b * _step(source.types[e])) for e, b in bounds]
        case g.Add():
            signs = node.signs or (1,) * len(read)
            return [
                sum((s * a for s, a in zip(signs, parts, strict=True)), start=Fraction(0))
                for parts in zip(*read, strict=True)
            ]
        case g.Multiply():
            return [a * b for a, b in zip(*read, strict=True)]
        case g.Select():
            return [x[e] if e >= 0 else Fraction(0) for e in node.elements.tolist()]
        case g.Maximum():
            return [max(x[m] for m in group) for group in node.groups.tolist()]
        case g.Minimum():
            return [min(x[m] for m in group) for group in node.groups.tolist()]
        case g.Concatenate():
            return [a for part in read for a in part]
    raise AssertionError(f"the oracle does not know {node.op}")


def _rounded(x: Fraction, rounding: Rounding) -> int:
    match rounding:
        case Rounding.TRN:
            return floor(x)
        case Rounding.RND:
            return floor(x + HALF)
        case Rounding.RND_CONV:
            return round(x)
        case Rounding.RND_INF:
            return floor(x + HALF) if x >= 0 else -floor(-x + HALF)


def _fitted(integer: int, kind: Fixed, overflow: Overflow) -> int:
    if overflow is Overflow.WRAP:
        return (integer - kind.minimum) % 2**kind.width + kind.minimum
    least = -kind.maximum if kind.signed and overflow is Overflow.SAT_SYM else kind.minimum
    return min(max(integer, least), kind.maximum)


def _step(kind: Fixed) -> Fraction:
    return Fraction(2) ** (kind.integer - kind.width)


def _reals(values: list[int], kinds: tuple[Fixed, ...]) -> list[Fraction]:
    return [value * _step(kind) for value, kind in zip(values, kinds, strict=True)]


@functools.lru_cache(maxsize=64)  # the same for every event
def _constant(constant: g.Constant):
    step = _step(constant.type)

    def scaled(values):
        return list(map(scaled, values)) if isinstance(values, list) else values * step

    return scaled(constant.values.tolist())

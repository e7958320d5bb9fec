"""The forms of a graph: each element of each node as a function of the inputs."""

from collections.abc import Sequence
from typing import assert_never

import numpy as np

from trigger.fixedpoint.arithmetic import (
    add_shifts,
    affine_terms,
    dense_terms,
    group_shifts,
    requantize,
    thresholds,
)
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import (
    Add,
    Affine,
    Clip,
    Concatenate,
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
from trigger.fixedpoint.ranges import ranges
from trigger.fixedpoint.types import Integers, Overflow, Rounding, bounds
from trigger.proof.forms import Forms
from trigger.proof.values import Ends, Form

_ZERO = Form(())


def inputs(forms: Forms, graph: Graph) -> list[Form]:
    """A variable for each input of a graph."""
    return [forms.variable(t.minimum, t.maximum) for t in graph.input.types]


def values(forms: Forms, graph: Graph, given: Sequence[Form]) -> dict[str, list[Form]]:
    """The forms of all elements of all nodes, by the name of the node."""
    made = {graph.input.name: list(given)}
    intervals = ranges(graph)
    for node in graph.nodes[1:]:
        sources = [graph[name] for name in node.inputs]
        own = _elements(forms, node, sources, [made[name] for name in node.inputs])
        made[node.name] = own
        ends = zip(*(end.tolist() for end in intervals[node.name]), strict=True)
        for form, (low, high) in zip(own, ends, strict=True):
            forms.learn(form, low, high)
    return made


def _elements(
    forms: Forms, node: Operation, sources: Sequence[Operation], read: Sequence[list[Form]]
) -> list[Form]:
    source, x = sources[0], read[0]
    match node:
        case Input():
            raise AssertionError("an input is given, not computed")
        case Dense():
            return _dense(forms, node, source, x)
        case Affine():
            shifts, bias = affine_terms(node, source)
            factors = (node.scale.values << shifts).tolist()
            return [
                forms.total([(factor, own)], constant)
                for factor, own, constant in zip(factors, x, bias.tolist(), strict=True)
            ]
        case Add():
            return _sums(forms, node, sources, read)
        case Multiply():
            return [forms.product(a, b) for a, b in zip(*read, strict=True)]
        case Concatenate():
            return [form for part in read for form in part]
        case Select():
            return [x[e] if e >= 0 else _ZERO for e in node.elements.tolist()]
        case Maximum() | Minimum():
            return _extrema(forms, node, source, x)
        case TruthTable():
            return [_tabulated(forms, node, x, i) for i in range(len(node.types))]
        case Threshold():
            pairs = zip(node.elements.tolist(), node.bounds.tolist(), strict=True)
            return [_reaches(forms, x[element], bound) for element, bound in pairs]
        case Quantize():
            return [_quantized(forms, node, source, own, i) for i, own in enumerate(x)]
        case Clip():
            ends = zip(x, node.low.tolist(), node.high.tolist(), strict=True)
            return [forms.limited(own, low, high) for own, low, high in ends]
        case LeakyRelu():
            return [_leaky(forms, own, node.shift) for own in x]
        case Staircase() | Lookup():
            return [_looked_up(forms, node, source, own, i) for i, own in enumerate(x)]
        case _:
            assert_never(node)


def _reaches(forms: Forms, x: Form, bound: int) -> Form:
    """1 where a form is at least ``bound``."""
    return forms.total([(-1, forms.negative(forms.total([(1, x)], -bound)))], 1)


def _quantized(forms: Forms, node: Quantize, source: Operation, x: Form, i: int) -> Form:
    own = node.types[i]
    shift = int(source.fractions[i]) - own.fraction
    made = forms.apply(
        lambda v: requantize(
            v[:, None], source.fractions[[i]], (own,), node.rounding, node.overflow
        )[:, 0],
        [x],
    )
    if made is not None:
        return made
    rounded = _rounded(forms, x, shift, node.rounding)
    low, high = (int(end[0]) for end in bounds((own,), node.overflow))
    if node.overflow is not Overflow.WRAP:
        return forms.limited(rounded, low, high)
    ends = forms.ends(rounded)
    if low <= ends.low and ends.high <= high:
        return rounded
    turns = forms.floor(forms.total([(1, rounded)], -low), own.width)
    made = forms.total([(1, rounded), (-(1 << own.width), turns)])
    forms.learn(made, low, high)
    return made


def _rounded(forms: Forms, x: Form, shift: int, rounding: Rounding) -> Form:
    """A form divided by 2^shift."""
    if shift <= 0:
        return forms.total([(1 << -shift, x)])
    half = 1 << (shift - 1)
    match rounding:
        case Rounding.TRN:
            raised = x
        case Rounding.RND:
            raised = forms.total([(1, x)], half)
        case Rounding.RND_CONV:
            last = forms.total([(1, forms.floor(x, shift)), (-2, forms.floor(x, shift + 1))])
            forms.learn(last, 0, 1)
            raised = forms.total([(1, x), (1, last)], half - 1)
        case Rounding.RND_INF:
            raised = forms.total([(1, x), (-1, forms.negative(x))], half)
    return forms.floor(raised, shift)


def _leaky(forms: Forms, x: Form, shift: int) -> Form:
    made = forms.apply(lambda v: np.where(v < 0, v, v << shift), [x])
    if made is not None:
        return made
    below = forms.product(forms.negative(x), x)
    return forms.total([(1 << shift, x), (1 - (1 << shift), below)])


def _looked_up(forms: Forms, node: Staircase | Lookup, source: Operation, x: Form, i: int) -> Form:
    levels = node.levels.values
    if isinstance(node, Lookup):
        return _entry(forms, levels, forms.total([(1, x)], -node.first))
    edges = thresholds(node, source.fractions[i])
    made = forms.apply(lambda v: levels[np.searchsorted(edges, v, side="right")], [x])
    if made is not None:
        return made
    steps = zip(np.diff(levels).tolist(), edges.tolist(), strict=True)
    return forms.total([(rise, _reaches(forms, x, edge)) for rise, edge in steps], int(levels[0]))


def _dense(forms: Forms, node: Dense, source: Operation, x: list[Form]) -> list[Form]:
    terms = dense_terms(node, source)
    size = len(node.weights.values)
    made = []
    for start in range(0, len(x), size):
        shifts = terms.inputs[start : start + size]
        factors = (node.weights.values << shifts[:, None]) << terms.products
        for own, constant in zip(factors.T.tolist(), terms.bias.tolist(), strict=True):
            parts = [(w, x[start + i]) for i, w in enumerate(own) if w]
            made.append(forms.total(parts, constant))
    return made


def _sums(
    forms: Forms, node: Add, sources: Sequence[Operation], read: Sequence[list[Form]]
) -> list[Form]:
    shifts = [own.tolist() for own in add_shifts(node, sources)]
    return [
        forms.total(
            [
                (sign << shift[i], part[i])
                for sign, shift, part in zip(node.factors, shifts, read, strict=True)
            ]
        )
        for i in range(len(node.types))
    ]


def _extrema(forms: Forms, node: Maximum | Minimum, source: Operation, x: list[Form]) -> list[Form]:
    sign = 1 if isinstance(node, Maximum) else -1
    made = []
    for group, shifts in zip(
        node.groups.tolist(), group_shifts(node, source).tolist(), strict=True
    ):
        values = [
            forms.total([(sign << shift, x[member])])
            for member, shift in zip(group, shifts, strict=True)
        ]
        while len(values) > 1:
            pairs = [_larger(forms, a, b) for a, b in zip(values[::2], values[1::2], strict=False)]
            values = [*pairs, *values[2 * len(pairs) :]]
        made.append(forms.total([(sign, values[0])]))
    return made


def _larger(forms: Forms, a: Form, b: Form) -> Form:
    """The larger of two forms."""
    difference = forms.total([(1, a), (-1, b)])
    positive = forms.apply(lambda v: np.maximum(v, 0), [difference])
    first, second = forms.ends(a), forms.ends(b)
    ends = [max(one, two) for one, two in zip(first, second, strict=True)]
    if positive is None:
        return forms.opaque(("larger", *sorted([a, b])), Ends(*ends))
    made = forms.total([(1, b), (1, positive)])
    forms.learn(made, *ends)
    return made


def _tabulated(forms: Forms, node: TruthTable, x: list[Form], i: int) -> Form:
    """One output of a truth table, as a function of its address."""
    parts = []
    for element, width, offset in zip(
        node.elements[i].tolist(), node.widths[i].tolist(), node.offsets[i].tolist(), strict=True
    ):
        ends = forms.ends(x[element])
        member = x[element]
        if ends.low < 0 or ends.high >= 1 << width:
            member = _lowest(forms, member, width)
        parts.append((1 << offset, member))
    address, levels = forms.total(parts), node.levels.values[i]
    forms.learn(address, 0, len(levels) - 1)
    return _entry(forms, levels, address)


def _lowest(forms: Forms, x: Form, bits: int) -> Form:
    """The number that the lowest bits of a form hold."""
    made = forms.apply(lambda v: v & (1 << bits) - 1, [x])
    if made is None:
        made = forms.total([(1, x), (-1 << bits, forms.floor(x, bits))])
        forms.learn(made, 0, (1 << bits) - 1)
    return made


def _entry(forms: Forms, levels: Integers, address: Form) -> Form:
    """``levels[address]``; a form may hold more values than an address takes."""
    made = forms.apply(lambda v: levels[v.clip(0, len(levels) - 1)], [address])
    ends = Ends(int(levels.min()), int(levels.max()))
    return made or forms.opaque(("entry", levels.tobytes(), address), ends)

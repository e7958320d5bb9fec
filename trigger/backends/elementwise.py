"""C++ for the graph's elementwise operations, in the fixed-point types of AMD (ap_fixed) or of Siemens and Intel (ac_fixed).

hls4ml's own activation layers round, saturate or index tables in ways that differ from Keras; these functions say every
type outright. Each is a template over its array types, so that the same text serves C arrays and ``nnet::array``.
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from trigger.fixedpoint.graph import Add, Affine, Clip, Concatenate, GraphError, LeakyRelu, Node, Quantize, Steps
from trigger.fixedpoint.types import Fixed, Overflow, Rounding, enclosing, smallest

# Wider inputs are compared with each threshold; narrower ones index a table.
TABLE_BITS = 12


class Flavor(NamedTuple):
    """How one vendor's C++ writes a type, an argument and the raw bits of a value."""

    fixed: Callable[[Fixed, Rounding, Overflow], str]
    argument: Callable[[str, str], str]
    bits: Callable[[str, int], str]
    unroll: str
    inline: str


def _ap_fixed(kind: Fixed, rounding: Rounding, overflow: Overflow) -> str:
    return f"ap_{'' if kind.signed else 'u'}fixed<{kind.width}, {kind.integer}, AP_{rounding}, AP_{overflow}>"


def _ac_fixed(kind: Fixed, rounding: Rounding, overflow: Overflow) -> str:
    return f"ac_fixed<{kind.width}, {kind.integer}, {str(kind.signed).lower()}, AC_{rounding}, AC_{overflow}>"


def _array(kind: str, name: str) -> str:
    return f"{kind} *{name}"


def _reference(kind: str, name: str) -> str:
    return f"{kind} &{name}"


AP = Flavor(_ap_fixed, _array, lambda x, w: f"{x}.range({w - 1}, 0).to_uint()", "#pragma HLS UNROLL", "#pragma HLS INLINE")
AC_ARRAY = Flavor(_ac_fixed, _array, lambda x, w: f"{x}.template slc<{w}>(0).to_uint()", "#pragma hls_unroll", "")
AC_STRUCT = AC_ARRAY._replace(argument=_reference, unroll="#pragma unroll")


def header(nodes: list[tuple[Node, list[Node]]], guard: str, namespace: str, flavor: Flavor) -> str:
    """The header with one function for each node, given with the nodes it reads."""
    functions = "\n".join(function(node, sources, flavor) for node, sources in nodes)
    return (
        f"#ifndef {guard}\n#define {guard}\n\nnamespace {namespace} {{\n\n{functions}\n}} // namespace {namespace}\n\n#endif\n"
    )


def function(node: Node, sources: list[Node], flavor: Flavor) -> str:
    """``void name(x0, ..., out)`` for one node."""
    inputs = [f"x{i}" for i in range(len(sources))]
    kinds = [f"x{i}_t" for i in range(len(sources))]
    template = ", ".join(f"class {kind}" for kind in [*kinds, "out_t"])
    arguments = ", ".join(flavor.argument(kind, name) for kind, name in zip([*kinds, "out_t"], [*inputs, "out"], strict=True))
    body = _body(node, sources, flavor)
    lines = [f"template <{template}>", f"void {node.name}({arguments}) {{"]
    if flavor.inline:
        lines.append(f"    {flavor.inline}")
    return "\n".join([*lines, *(f"    {line}" for line in body), "}", ""])


def _body(node: Node, sources: list[Node], flavor: Flavor) -> list[str]:
    source = sources[0]
    match node:
        case Concatenate():
            places = [(k, i) for k, s in enumerate(sources) for i in range(len(s.types))]
            return [f"out[{j}] = x{k}[{i}];" for j, (k, i) in enumerate(places)]
        case Add():
            total = " + ".join(f"x{k}[i]" for k in range(len(sources)))
            return _loop(0, len(node.types), f"out[i] = {total};", flavor)
        case Quantize():
            return _by_runs(node, lambda i: _quantize(node, source, i, flavor), flavor)
        case Affine():
            return [f"out[{i}] = {_affine(node, i, flavor)};" for i in range(len(node.types))]
        case Clip():
            return _by_runs(node, lambda i: _clip(node, source, i, flavor), flavor)
        case LeakyRelu():
            return _by_runs(node, lambda i: _leaky(node, source, i, flavor), flavor)
        case Steps():
            return _steps(node, source, flavor)
    raise GraphError(f"{node.name}: no C++ for the operation {node.op}")


def _by_runs(node: Node, statement: Callable[[int], str], flavor: Flavor) -> list[str]:
    """One loop for each run of elements whose statements are the same text."""
    lines: list[str] = []
    for text, group in itertools.groupby(range(len(node.types)), key=statement):
        elements = list(group)
        lines += _loop(elements[0], elements[-1] + 1, text, flavor)
    return lines


def _loop(start: int, stop: int, statement: str, flavor: Flavor) -> list[str]:
    # Intel's and Catapult's pragma stands before the loop, AMD's inside it.
    head = f"for (int i = {start}; i < {stop}; i++) {{"
    if flavor is AP:
        return [head, f"    {flavor.unroll}", f"    {statement}", "}"]
    return [flavor.unroll, head, f"    {statement}", "}"]


def _quantize(node: Quantize, source: Node, i: int, flavor: Flavor) -> str:
    target = flavor.fixed(node.types[i], node.rounding, node.overflow)
    before = enclosing(source.types)
    # ap_fixed asserts where the source's top bit lies below the target's lowest: widen the source first.
    needed = 1 - node.types[i].fraction
    if before.integer < needed:
        wide = Fixed(before.signed, before.width + needed - before.integer, needed)
        return f"out[i] = {target}({flavor.fixed(wide, Rounding.TRN, Overflow.WRAP)}(x0[i]));"
    return f"out[i] = {target}(x0[i]);"


def _number(value: int, fraction: int, flavor: Flavor) -> str:
    """A constant of the narrowest type."""
    while value and value % 2 == 0:
        value, fraction = value >> 1, fraction - 1
    kind = smallest(min(value, 0), max(value, 0), fraction)
    return f"{flavor.fixed(kind, Rounding.TRN, Overflow.WRAP)}({float(np.ldexp(float(value), -fraction))!r})"


def _affine(node: Affine, i: int, flavor: Flavor) -> str:
    scale, bias = int(node.scale.values[i]), int(node.bias.values[i])
    text = f"x0[{i}]"
    if scale != 1 << max(node.scale.type.fraction, 0) or node.scale.type.fraction < 0:
        text = f"{text} * {_number(scale, node.scale.type.fraction, flavor)}"
    return f"{text} + {_number(bias, node.bias.type.fraction, flavor)}" if bias else text


def _clip(node: Clip, source: Node, i: int, flavor: Flavor) -> str:
    fraction, kind = source.types[i].fraction, source.types[i]
    text = "out[i] = x0[i];"
    if node.high[i] < kind.maximum:
        bound = _number(int(node.high[i]), fraction, flavor)
        text = f"if (x0[i] > {bound}) out[i] = {bound}; else {text}"
    if node.low[i] > kind.minimum:
        bound = _number(int(node.low[i]), fraction, flavor)
        text = f"if (x0[i] < {bound}) out[i] = {bound}; else {text}"
    return text


def _leaky(node: LeakyRelu, source: Node, i: int, flavor: Flavor) -> str:
    kind = source.types[i]
    if not kind.signed:
        return "out[i] = x0[i];"
    wide = flavor.fixed(Fixed(True, kind.width + node.shift, kind.integer), Rounding.TRN, Overflow.WRAP)
    return f"if (x0[i] < 0) out[i] = {wide}(x0[i]) >> {node.shift}; else out[i] = x0[i];"


def _steps(node: Steps, source: Node, flavor: Flavor) -> list[str]:
    level = flavor.fixed(node.levels.type, Rounding.TRN, Overflow.WRAP)
    kind = enclosing(source.types)
    count = len(node.types)
    if kind.width <= TABLE_BITS:
        raw = np.arange(1 << kind.width, dtype=np.int64)
        value = np.where(raw > kind.maximum, raw - (1 << kind.width), raw)
        shift = kind.fraction - node.thresholds.type.fraction
        thresholds = node.thresholds.values << shift if shift >= 0 else node.thresholds.values >> -shift
        table = node.levels.real[np.searchsorted(thresholds, value, side="right")]
        index = flavor.bits("x0[i]", kind.width)
        return [_constants(level, "table", table), *_loop(0, count, f"out[i] = table[{index}];", flavor)]
    threshold = flavor.fixed(node.thresholds.type, Rounding.TRN, Overflow.WRAP)
    lines = [_constants(threshold, "thresholds", node.thresholds.real), _constants(level, "levels", node.levels.real)]
    count_below = f"for (int j = 0; j < {len(node.thresholds.values)}; j++) k += x0[i] >= thresholds[j];"
    return [*lines, *_loop(0, count, f"unsigned k = 0; {count_below} out[i] = levels[k];", flavor)]


def _constants(kind: str, name: str, values: np.ndarray) -> str:
    return f"static const {kind} {name}[{len(values)}] = {{{', '.join(repr(float(v)) for v in values)}}};"

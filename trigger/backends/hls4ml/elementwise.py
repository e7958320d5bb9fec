"""C++ for the graph's elementwise operations, in the fixed-point types of AMD (ap_fixed) or of
Siemens and Intel (ac_fixed).

hls4ml's own activation layers round, saturate or index tables in ways that differ from Keras; these
functions state every type explicitly. Each is a template over its array types, so that the same
text works for C arrays and ``nnet::array``.
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple, assert_never

import numpy as np

from trigger.errors import TriggerError
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
from trigger.fixedpoint.types import Fixed, Integers, Overflow, Rounding, enclosing

# Wider inputs are compared with each threshold; narrower ones index a table.
TABLE_BITS = 12
# Values are compared as C++ long long.
_RAW_BITS = 63


class Flavor(NamedTuple):
    """The C++ of one vendor for a type, an argument, and the raw integer of a value."""

    fixed: Callable[[Fixed, Rounding, Overflow], str]
    argument: Callable[[str, str], str]
    raw: Callable[[str, Fixed], str]
    set_raw: Callable[[str, Fixed, str], str]
    unroll: str
    inline: str


def _ap_fixed(fixed: Fixed, rounding: Rounding, overflow: Overflow) -> str:
    return (
        f"ap_{'' if fixed.signed else 'u'}fixed<{fixed.width}, {fixed.integer}, "
        f"AP_{rounding}, AP_{overflow}>"
    )


def _ac_fixed(fixed: Fixed, rounding: Rounding, overflow: Overflow) -> str:
    return (
        f"ac_fixed<{fixed.width}, {fixed.integer}, {str(fixed.signed).lower()}, "
        f"AC_{rounding}, AC_{overflow}>"
    )


def _array(c_type: str, name: str) -> str:
    return f"{c_type} *{name}"


def _reference(c_type: str, name: str) -> str:
    return f"{c_type} &{name}"


def _ap_raw(x: str, fixed: Fixed) -> str:
    integer = f"ap_{'' if fixed.signed else 'u'}int<{fixed.width}>"
    return f"{integer}({x}.range({fixed.width - 1}, 0)).to_int64()"


def _ap_set_raw(y: str, fixed: Fixed, value: str) -> str:
    return f"{y}.range({fixed.width - 1}, 0) = {value}"


def _ac_raw(x: str, fixed: Fixed) -> str:
    # hls4ml gives a value of one bit a second one, below it.
    exact = _ac_fixed(fixed, Rounding.TRN, Overflow.WRAP)
    return f"{exact}({x}).template slc<{fixed.width}>(0).to_int64()"


def _ac_set_raw(y: str, fixed: Fixed, value: str) -> str:
    return f"{y}.set_slc(0, ac_int<{fixed.width}, {str(fixed.signed).lower()}>({value}))"


AP = Flavor(_ap_fixed, _array, _ap_raw, _ap_set_raw, "#pragma HLS UNROLL", "#pragma HLS INLINE")
AC_ARRAY = Flavor(_ac_fixed, _array, _ac_raw, _ac_set_raw, "#pragma hls_unroll", "")
AC_STRUCT = AC_ARRAY._replace(argument=_reference, unroll="#pragma unroll")


def header(
    nodes: list[tuple[Operation, list[Operation]]], guard: str, namespace: str, flavor: Flavor
) -> str:
    """The header with one function per node; each node comes with the nodes it reads."""
    functions = "\n".join(function(node, sources, flavor) for node, sources in nodes)
    opening = f"#ifndef {guard}\n#define {guard}\n\nnamespace {namespace} {{\n\n"
    return f"{opening}{functions}\n}} // namespace {namespace}\n\n#endif\n"


def function(node: Operation, sources: list[Operation], flavor: Flavor) -> str:
    """``void name(x0, ..., out)`` for one node."""
    inputs = [f"x{i}" for i in range(len(sources))]
    kinds = [f"x{i}_t" for i in range(len(sources))]
    template = ", ".join(f"class {c_type}" for c_type in [*kinds, "out_t"])
    arguments = ", ".join(
        flavor.argument(c_type, name)
        for c_type, name in zip([*kinds, "out_t"], [*inputs, "out"], strict=True)
    )
    body = _body(node, sources, flavor)
    lines = [f"template <{template}>", f"void {node.name}({arguments}) {{"]
    if flavor.inline:
        lines.append(f"    {flavor.inline}")
    return "\n".join([*lines, *(f"    {line}" for line in body), "}", ""])


def _body(node: Operation, sources: list[Operation], flavor: Flavor) -> list[str]:
    assert not isinstance(node, Input)  # hls4ml's own
    source = sources[0]
    match node:
        case Dense():
            return _dense(node, flavor)
        case Concatenate():
            places = [(k, i) for k, s in enumerate(sources) for i in range(len(s.types))]
            return [f"out[{j}] = x{k}[{i}];" for j, (k, i) in enumerate(places)]
        case Add():
            first, *rest = (f"{'+' if s > 0 else '-'} x{k}[i]" for k, s in enumerate(node.factors))
            total = " ".join([first.removeprefix("+ "), *rest])
            return _loop(0, len(node.types), f"out[i] = {total};", flavor)
        case Multiply():
            return _loop(0, len(node.types), "out[i] = x0[i] * x1[i];", flavor)
        case Select():
            return [
                f"out[{i}] = {f'x0[{e}]' if e >= 0 else 0};" for i, e in enumerate(node.elements)
            ]
        case Maximum() | Minimum():
            return [
                line for i in range(len(node.types)) for line in _extremum(node, source, i, flavor)
            ]
        case Quantize():
            return _by_runs(node, lambda i: _quantize(node, source, i, flavor), flavor)
        case Affine():
            return _affine(node, flavor)
        case Clip():
            return _by_runs(node, lambda i: _clip(node, source, i, flavor), flavor)
        case LeakyRelu():
            return _loop(0, len(node.types), _leaky(node, source, flavor), flavor)
        case Staircase():
            return _steps(node, source, flavor)
        case Lookup():
            return _lookup(node, source, flavor)
        case TruthTable():
            return _truth_table(node, source, flavor)
        case Threshold():
            return [
                f"out[{i}] = {_accepts(source, int(e), int(b), flavor)};"
                for i, (e, b) in enumerate(zip(node.elements, node.bounds, strict=True))
            ]
        case _:
            assert_never(node)


def _by_runs(node: Operation, statement: Callable[[int], str], flavor: Flavor) -> list[str]:
    """One loop per run of elements with identical statements."""
    lines: list[str] = []
    for text, group in itertools.groupby(range(len(node.types)), key=statement):
        elements = list(group)
        lines += _loop(elements[0], elements[-1] + 1, text, flavor)
    return lines


def _loop(start: int, stop: int, statement: str, flavor: Flavor) -> list[str]:
    return _unrolled(f"for (int i = {start}; i < {stop}; i++) {{", [statement], flavor)


def _nest(index: str, count: int, inside: list[str], flavor: Flavor) -> list[str]:
    head = f"for (int {index} = 0; {index} < {count}; {index}++) {{"
    return _unrolled(head, inside, flavor)


def _unrolled(head: str, inside: list[str], flavor: Flavor) -> list[str]:
    # The pragma of Intel and Catapult precedes the loop; that of AMD is inside it.
    body = [f"    {line}" for line in inside]
    if flavor is AP:
        return [head, f"    {flavor.unroll}", *body, "}"]
    return [flavor.unroll, head, *body, "}"]


def _quantize(node: Quantize, source: Operation, i: int, flavor: Flavor) -> str:
    if node.types[i] == Fixed(True, 1, node.types[i].integer) and node.overflow is Overflow.SAT_SYM:
        # A symmetric type of one value; ap_fixed would give its most negative value.
        return "out[i] = 0;"
    target = flavor.fixed(node.types[i], node.rounding, node.overflow)
    before = enclosing(source.types)
    # ap_fixed asserts if the source's top bit lies below the target's lowest bit: widen the source
    # first.
    needed = 1 - node.types[i].fraction
    if before.integer < needed:
        wide = Fixed(before.signed, before.width + needed - before.integer, needed)
        return f"out[i] = {target}({flavor.fixed(wide, Rounding.TRN, Overflow.WRAP)}(x0[i]));"
    return f"out[i] = {target}(x0[i]);"


def _dense(node: Dense, flavor: Flavor) -> list[str]:
    """The positions side by side, as are all operations here."""
    n_in, n_out = node.weights.values.shape
    # A bias may need more fractional bits than any product.
    sum_type = enclosing((enclosing(node.types), node.bias.type))
    weight, bias, total = (
        flavor.fixed(fixed, Rounding.TRN, Overflow.WRAP)
        for fixed in (node.weights.type, node.bias.type, sum_type)
    )
    add = f"sum += x0[p * {n_in} + i] * weights[i * {n_out} + j];"
    sums = [
        f"{total} sum = bias[j];",
        *_nest("i", n_in, [add], flavor),
        f"out[p * {n_out} + j] = sum;",
    ]
    return [
        _constants(weight, "weights", node.weights.real.ravel()),
        _constants(bias, "bias", node.bias.real),
        *_nest("p", node.positions, _nest("j", n_out, sums, flavor), flavor),
    ]


def _affine(node: Affine, flavor: Flavor) -> list[str]:
    scale = flavor.fixed(node.scale.type, Rounding.TRN, Overflow.WRAP)
    bias = flavor.fixed(node.bias.type, Rounding.TRN, Overflow.WRAP)
    lines = [_constants(scale, "scale", node.scale.real), _constants(bias, "bias", node.bias.real)]
    return [*lines, *_loop(0, len(node.types), "out[i] = x0[i] * scale[i] + bias[i];", flavor)]


def _clip(node: Clip, source: Operation, i: int, flavor: Flavor) -> str:
    element_type = source.types[i]

    def bound(value: int) -> str:
        real = float(np.ldexp(float(value), -element_type.fraction))
        return f"{flavor.fixed(element_type, Rounding.TRN, Overflow.WRAP)}({real!r})"

    text = "out[i] = x0[i];"
    if node.high[i] < element_type.maximum:
        text = f"if (x0[i] > {bound(node.high[i])}) out[i] = {bound(node.high[i])}; else {text}"
    if node.low[i] > element_type.minimum:
        text = f"if (x0[i] < {bound(node.low[i])}) out[i] = {bound(node.low[i])}; else {text}"
    return text


def _accepts(source: Operation, element: int, bound: int, flavor: Flavor) -> str:
    """The comparison, or its constant result if the bound lies outside the element's type."""
    element_type = source.types[element]
    if not element_type.minimum < bound <= element_type.maximum:
        return "1" if bound <= element_type.minimum else "0"
    value = float(np.ldexp(float(bound), -element_type.fraction))
    c_type = flavor.fixed(element_type, Rounding.TRN, Overflow.WRAP)
    return f"x0[{element}] >= {c_type}({value!r}) ? 1 : 0"


def _extremum(node: Maximum | Minimum, source: Operation, i: int, flavor: Flavor) -> list[str]:
    """Member by member, in a type that holds all of them."""
    first, *rest = (int(member) for member in node.groups[i])
    members = [source.types[member] for member in (first, *rest)]
    c_type = flavor.fixed(enclosing(members), Rounding.TRN, Overflow.WRAP)
    sign = ">" if isinstance(node, Maximum) else "<"
    return [
        f"{c_type} best{i} = x0[{first}];",
        *(f"if (x0[{member}] {sign} best{i}) best{i} = x0[{member}];" for member in rest),
        f"out[{i}] = best{i};",
    ]


def _leaky(node: LeakyRelu, source: Operation, flavor: Flavor) -> str:
    fixed = enclosing(source.types)
    if not fixed.signed:
        return "out[i] = x0[i];"
    wide = flavor.fixed(
        Fixed(True, fixed.width + node.shift, fixed.integer), Rounding.TRN, Overflow.WRAP
    )
    return f"if (x0[i] < 0) out[i] = {wide}(x0[i]) >> {node.shift}; else out[i] = x0[i];"


def _steps(node: Staircase, source: Operation, flavor: Flavor) -> list[str]:
    """A table for a narrow input, otherwise one comparison per step; the numbers are plain C
    integers.
    """
    fixed = enclosing(source.types)
    levels = node.levels
    _check_raw(node, source, fixed)
    places = _places(node, fixed)
    raw = flavor.raw("x0[i]", fixed)
    level = flavor.fixed(levels.type, Rounding.TRN, Overflow.WRAP)
    use = f"{level} y; {flavor.set_raw('y', levels.type, '{value}')}; out[i] = y;"
    if fixed.width <= TABLE_BITS:
        inputs = np.arange(fixed.minimum, fixed.maximum + 1)
        table = levels.values[np.searchsorted(places, inputs, side="right")]
        index = f"table[{raw}{f' + {-fixed.minimum}' if fixed.signed else ''}]"
        return [
            _integers("table", table),
            *_loop(0, len(node.types), use.format(value=index), flavor),
        ]
    search = (
        f"const long long x = {raw}; int k = 0; for (int j = 0; j < "
        f"{len(places)}; "
        f"j++) k += x >= thresholds[j]; "
    )
    lines = [_integers("thresholds", places), _integers("levels", levels.values)]
    return [*lines, *_loop(0, len(node.types), search + use.format(value="levels[k]"), flavor)]


def _check_raw(node: Operation, source: Operation, fixed: Fixed) -> None:
    if fixed.width > _RAW_BITS:
        raise TriggerError(
            f"hls4ml: {node.name} reads {source.name}, whose elements need {fixed.width} "
            f"bits in an array of one type; "
            f"at most {_RAW_BITS} can be compared"
        )


def _lookup(node: Lookup, source: Operation, flavor: Flavor) -> list[str]:
    """A table whose address is the raw integer."""
    level = flavor.fixed(node.levels.type, Rounding.TRN, Overflow.WRAP)
    address = f"{flavor.raw('x0[i]', enclosing(source.types))} - ({node.first})"
    chosen = flavor.set_raw("y", node.levels.type, f"table[{address}]")
    return [
        _integers("table", node.levels.values),
        *_loop(0, len(node.types), f"{level} y; {chosen}; out[i] = y;", flavor),
    ]


def _truth_table(node: TruthTable, source: Operation, flavor: Flavor) -> list[str]:
    """A table for each output; its address has the lowest bits of the raw integers."""
    outputs, members = node.elements.shape
    entries = node.levels.values.shape[1]
    common = enclosing(source.types)
    _check_raw(node, source, common)
    # Elements of the array have the binary point of the finest one.
    unused = common.fraction - source.fractions[node.elements]
    level = flavor.fixed(node.levels.type, Rounding.TRN, Overflow.WRAP)
    raw = flavor.raw(f"x0[elements[i * {members} + m]]", common)
    place = f"[i * {members} + m]"
    bits = f"(({raw} >> unused{place}) & ((1LL << widths{place}) - 1)) << offsets{place}"
    chosen = flavor.set_raw("y", node.levels.type, f"levels[i * {entries} + address]")
    inside = [
        "long long address = 0;",
        *_nest("m", members, [f"address |= {bits};"], flavor),
        f"{level} y; {chosen}; out[i] = y;",
    ]
    constants = {
        "elements": node.elements,
        "unused": unused,
        "widths": node.widths,
        "offsets": node.offsets,
        "levels": node.levels.values,
    }
    return [
        *(_integers(name, values.ravel()) for name, values in constants.items()),
        *_nest("i", outputs, inside, flavor),
    ]


def _places(node: Staircase, fixed: Fixed) -> Integers:
    """The thresholds as integers of one type for all elements, which may be wider than 53 bits.

    One that no value of the type reaches lies one step outside it.
    """
    shift = fixed.fraction - node.thresholds.type.fraction
    exact = [
        bound << shift if shift >= 0 else -(-bound >> -shift)
        for bound in node.thresholds.values.tolist()
    ]
    inside = [min(max(bound, fixed.minimum), fixed.maximum + 1) for bound in exact]
    return np.array(inside, dtype=np.int64)


def _constants(c_type: str, name: str, values: np.ndarray) -> str:
    return (
        f"static const {c_type} {name}[{len(values)}] = "
        f"{{{', '.join(repr(float(v)) for v in values)}}};"
    )


def _integers(name: str, values: np.ndarray) -> str:
    kinds = {8: "signed char", 16: "short", 32: "int", 64: "long long"}
    bits = max(int(v).bit_length() for v in (values.min(), ~values.min(), values.max())) + 1
    c_type = next(c_type for width, c_type in kinds.items() if bits <= width)
    return f"static const {c_type} {name}[{len(values)}] = {{{', '.join(map(str, values))}}};"

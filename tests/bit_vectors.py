"""A second proof, which shares nothing with the first: a bit-vector solver on Yosys' own SMT-LIB of a core.

Yosys says what its cells mean. The registers become wires, so that the core is one formula. What the graph gives is written
here in plain bit-vector arithmetic, wide enough that nothing overflows.
"""

from pathlib import Path

import bitwuzla
from bitwuzla import Option, Result

from trigger.backends.rtl import Rtl
from trigger.backends.rtl.interface import Port
from trigger.fixedpoint.arithmetic import (
    add_shifts,
    affine_terms,
    dense_terms,
    group_shifts,
    thresholds,
)
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import (
    Add,
    Affine,
    Clip,
    Concatenate,
    Dense,
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
from trigger.fixedpoint.types import Overflow, Rounding, bounds
from trigger.synthesis.yosys import run_script

SCRIPT = """read_verilog -sv {sources}
hierarchy -top {top}
proc
flatten
delete o:y_valid
opt_clean -purge
opt_dff -nosdff
techmap -map wires.v
memory_map
opt_clean
write_smt2 -bv core.smt2
"""
# With the clock enable high, a register is a wire that is late.
WIRES = """(* techmap_celltype = "$dffe" *)
module wire_dffe (input CLK, EN, input [WIDTH-1:0] D, output [WIDTH-1:0] Q);
parameter WIDTH = 1, CLK_POLARITY = 1, EN_POLARITY = 1;
assign Q = D;
endmodule
"""


def equal(rtl: Rtl, work: Path, milliseconds: int = 20_000) -> list[bool | None]:
    """Whether each output of a core equals the graph for every input; None if the time was too short."""
    work.mkdir(parents=True, exist_ok=True)
    (work / "wires.v").write_text(WIRES)
    names = " ".join(str(path) for path in rtl.sources)
    (work / "smt.ys").write_text(SCRIPT.format(sources=names, top=rtl.interface.name))
    run_script("smt.ys", work, 60)
    core = (work / "core.smt2").read_text()
    return [_verdict(core, rtl, k, milliseconds) for k in range(len(rtl.interface.outputs))]


def _verdict(core: str, rtl: Rtl, k: int, milliseconds: int) -> bool | None:
    name, port = rtl.interface.name, rtl.interface.outputs[k]
    wide = _width(rtl.graph)
    own = _port(name, "y", rtl.interface.output_width, port, wide)
    lines, wanted = _graph(rtl, wide)
    text = "\n".join(
        [
            "(set-logic QF_UFBV)",
            core,
            f"(declare-fun s () |{name}_s|)",
            *lines,
            f"(assert (distinct {own} {wanted[k]}))",
        ]
    )
    options = bitwuzla.Options()
    options.set(Option.TIME_LIMIT_PER, milliseconds)
    parser = bitwuzla.Parser(bitwuzla.TermManager(), options)
    parser.parse(text, True, False)
    result = parser.bitwuzla().check_sat()
    return {Result.UNSAT: True, Result.SAT: False}.get(result)


def _width(graph: Graph) -> int:
    """Bits that hold every value, also before it is limited, what is added to round it, and thresholds."""
    sizes = [t.width for node in graph.nodes for t in node.types]
    shifts = [0]
    for node in graph.nodes[1:]:
        source = graph[node.inputs[0]]
        if isinstance(node, Quantize):
            shifts += abs(node.fractions - source.fractions).tolist()
        if isinstance(node, Staircase):
            edges = [
                edge
                for fraction in source.fractions
                for edge in thresholds(node, fraction).tolist()
            ]
            sizes += [abs(edge).bit_length() for edge in edges]
    return max(sizes) + max(shifts) + 4


def _graph(rtl: Rtl, wide: int) -> tuple[list[str], list[str]]:
    """Definitions of all elements of a graph, and the names of its outputs."""
    graph, lines = rtl.graph, []
    name = rtl.interface.name
    terms = {
        graph.input.name: [
            _port(name, "x", rtl.interface.input_width, port, wide) for port in rtl.interface.inputs
        ]
    }
    for node in graph.nodes[1:]:
        made = _Terms(wide).of(graph, node, [terms[source] for source in node.inputs])
        names = [f"{node.name}!{i}" for i in range(len(made))]
        lines += [
            f"(define-fun {own} () (_ BitVec {wide}) {term})"
            for own, term in zip(names, made, strict=True)
        ]
        terms[node.name] = names
    return lines, terms[graph.output.name]


def _port(core: str, name: str, width: int, port: Port, wide: int) -> str:
    """What an element of a port holds; Yosys makes one bit a Boolean."""
    bits = f"(|{core}_n {name}| s)"
    if width == 1:
        return _fitted(f"(ite {bits} #b1 #b0)", port.type, wide)
    return _fitted(f"((_ extract {port.high} {port.low}) {bits})", port.type, wide)


def _fitted(bits: str, fixed, wide: int) -> str:
    kind = "sign_extend" if fixed.signed else "zero_extend"
    return f"((_ {kind} {wide - fixed.width}) {bits})"


class _Terms:
    """SMT-LIB terms of one width."""

    def __init__(self, wide: int) -> None:
        self.wide = wide

    def number(self, value: int) -> str:
        return f"(_ bv{int(value) % (1 << self.wide)} {self.wide})"

    def times(self, term: str, factor: int) -> str:
        return f"(bvmul {term} {self.number(factor)})"

    def total(self, terms: list[str], constant: int = 0) -> str:
        made = self.number(constant)
        for term in terms:
            made = f"(bvadd {made} {term})"
        return made

    def least(self, term: str, low: str, high: str) -> str:
        above = f"(ite (bvsgt {term} {high}) {high} {term})"
        return f"(ite (bvslt {term} {low}) {low} {above})"

    def table(self, address: str, first: int, levels) -> str:
        made = self.number(levels[-1])
        for k, level in reversed(list(enumerate(levels[:-1]))):
            made = f"(ite (= {address} {self.number(first + k)}) {self.number(level)} {made})"
        return made

    def of(self, graph: Graph, node: Operation, read: list[list[str]]) -> list[str]:
        sources = [graph[name] for name in node.inputs]
        source, x = sources[0], read[0]
        match node:
            case Dense():
                return self.dense(node, source, x)
            case Affine():
                shifts, bias = affine_terms(node, source)
                return [
                    self.total(
                        [self.times(x[i], int(node.scale.values[i]) << int(shifts[i]))], bias[i]
                    )
                    for i in range(len(x))
                ]
            case Quantize():
                return [self.quantized(node, source, x[i], i) for i in range(len(x))]
            case Clip():
                return [
                    self.least(x[i], self.number(node.low[i]), self.number(node.high[i]))
                    for i in range(len(x))
                ]
            case LeakyRelu():
                return [
                    f"(ite (bvslt {own} {self.number(0)}) {own} {self.times(own, 1 << node.shift)})"
                    for own in x
                ]
            case Staircase():
                return [self.staircase(node, source, x[i], i) for i in range(len(x))]
            case Lookup():
                return [self.table(own, node.first, node.levels.values.tolist()) for own in x]
            case TruthTable():
                return [self.truth_table(node, x, i) for i in range(len(node.types))]
            case Threshold():
                return [
                    f"(ite (bvsge {x[e]} {self.number(b)}) {self.number(1)} {self.number(0)})"
                    for e, b in zip(node.elements, node.bounds, strict=True)
                ]
            case Add():
                shifts = add_shifts(node, sources)
                parts = [
                    [self.times(own, sign << int(by)) for own, by in zip(part, shift, strict=True)]
                    for sign, shift, part in zip(node.factors, shifts, read, strict=True)
                ]
                return [self.total(list(own)) for own in zip(*parts, strict=True)]
            case Multiply():
                return [f"(bvmul {a} {b})" for a, b in zip(*read, strict=True)]
            case Concatenate():
                return [term for part in read for term in part]
            case Select():
                return [x[e] if e >= 0 else self.number(0) for e in node.elements]
            case Maximum() | Minimum():
                sign = "bvsgt" if isinstance(node, Maximum) else "bvslt"
                return [
                    self.extremum(
                        sign,
                        [self.times(x[m], 1 << int(s)) for m, s in zip(group, shifts, strict=True)],
                    )
                    for group, shifts in zip(node.groups, group_shifts(node, source), strict=True)
                ]
            case _:
                raise AssertionError(node.op)

    def dense(self, node: Dense, source: Operation, x: list[str]) -> list[str]:
        terms = dense_terms(node, source)
        weights = node.weights.values
        made = []
        for start in range(0, len(x), len(weights)):
            for column, constant in zip(weights.T, terms.bias, strict=True):
                read = range(start, start + len(weights))
                parts = [
                    self.times(x[i], int(w) << int(terms.inputs[i]) + terms.products)
                    for i, w in zip(read, column, strict=True)
                    if w
                ]
                made.append(self.total(parts, constant))
        return made

    def extremum(self, better: str, members: list[str]) -> str:
        made = members[0]
        for member in members[1:]:
            made = f"(ite ({better} {member} {made}) {member} {made})"
        return made

    def staircase(self, node: Staircase, source: Operation, x: str, i: int) -> str:
        levels = node.levels.values.tolist()
        made = self.number(levels[0])
        for edge, level in zip(
            thresholds(node, source.fractions[i]).tolist(), levels[1:], strict=True
        ):
            made = f"(ite (bvsge {x} {self.number(edge)}) {self.number(level)} {made})"
        return made

    def truth_table(self, node: TruthTable, x: list[str], i: int) -> str:
        parts = [
            self.times(f"(bvand {x[e]} {self.number((1 << int(w)) - 1)})", 1 << int(o))
            for e, w, o in zip(node.elements[i], node.widths[i], node.offsets[i], strict=True)
        ]
        return self.table(self.total(parts), 0, node.levels.values[i].tolist())

    def quantized(self, node: Quantize, source: Operation, x: str, i: int) -> str:
        own = node.types[i]
        shift = int(source.fractions[i]) - own.fraction
        made = self.times(x, 1 << -shift) if shift <= 0 else self.rounded(x, shift, node.rounding)
        if node.overflow is Overflow.WRAP:
            return _fitted(f"((_ extract {own.width - 1} 0) {made})", own, self.wide)
        low, high = (self.number(int(end[0])) for end in bounds((own,), node.overflow))
        return self.least(made, low, high)

    def rounded(self, x: str, shift: int, rounding: Rounding) -> str:
        by, half = self.number(shift), 1 << (shift - 1)
        last = f"(bvand (bvashr {x} {by}) {self.number(1)})"
        negative = f"(ite (bvslt {x} {self.number(0)}) {self.number(-1)} {self.number(0)})"
        raised = {
            Rounding.TRN: x,
            Rounding.RND: self.total([x], half),
            Rounding.RND_CONV: self.total([x, last], half - 1),
            Rounding.RND_INF: self.total([x, negative], half),
        }
        return f"(bvashr {raised[rounding]} {by})"

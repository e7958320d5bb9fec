"""A core as Verilog or VHDL: the pipeline from a template, the logic in the blocks from alkaid."""

import re
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import alkaid
from alkaid.codegen.rtl.verilog.comb import ssa_gen as verilog_logic
from alkaid.codegen.rtl.verilog.lookup import lookup_source as verilog_tables
from alkaid.codegen.rtl.vhdl.comb import ssa_gen as vhdl_logic
from alkaid.codegen.rtl.vhdl.lookup import lookup_source as vhdl_tables
from alkaid.types import CombLogic

from trigger.backends.rtl.structure import Bits, Block, Choice, Core, Form, Kernel, Register
from trigger.support.files import write_text
from trigger.support.templates import Code, environment, word

# The parametrised modules that alkaid's logic uses.
_CELLS = ("binop", "dsp_product", "multiplier", "mux", "negative", "shift_adder", "ternary_adder")
_CELL = re.compile(rf"\b({'|'.join(_CELLS)})\b")
# A product as alkaid writes it.
_VERILOG_PRODUCT = re.compile(
    r"\bmultiplier #\((\d+),(\d+),(\d),(\d),(\d+)\) op_(\d+) \(([^,]+),([^,]+),([^,]+)\);"
)
_VHDL_PRODUCT = re.compile(r"\bop_(\d+):entity work\.multiplier")
# The cells of products, and what tells Vivado and Quartus whether they are for DSP blocks.
_PRODUCTS = {"multiplier": ("no", "logic"), "dsp_product": ("yes", "dsp")}
_PARAMETERS = ("BW_INPUT0", "BW_INPUT1", "SIGNED0", "SIGNED1", "BW_OUT")

_SMALL_TABLE = re.compile(r"^module (\w+)\(input \[[0-5]:0\]", re.MULTILINE)


class Language(NamedTuple):
    """The syntax of one HDL: (declarations, statements) of logic, and lines with two names or a
    name and a width.
    """

    suffix: str
    logic: Callable[[CombLogic], tuple[list[str], list[str]]]
    tables: Callable[[list[CombLogic]], str]
    joined: Callable[[Sequence[Bits]], str]
    assign: Callable[[str, str], str]
    clock: Callable[[str, str], str]
    connect: Callable[[str, str], str]
    register: Callable[[str, int], str]
    wire: Callable[[str, int], str]
    valid: Callable[[int], str]
    load: Callable[[int], str]
    first_load: str
    words: Callable[[Sequence[int]], str]
    choose: Callable[[Choice], str]
    in_dsp: Callable[[str, Container[int]], str]
    product: Callable[[str, str, str], str]


def _verilog_bits(bits: Sequence[Bits]) -> str:
    parts = [
        f"{word(b.signal)}[{b.low + b.width - 1}:{b.low}]" if b.signal else f"{b.width}'d{b.low}"
        for b in reversed(bits)
    ]
    return parts[0] if len(parts) == 1 else f"{{{', '.join(parts)}}}"


def _vhdl_bits(bits: Sequence[Bits]) -> str:
    return " & ".join(
        f"{word(b.signal)}({b.low + b.width - 1} downto {b.low})"
        if b.signal
        else f'"{b.low:0{b.width}b}"'
        for b in reversed(bits)
    )


def _verilog_choice(choice: Choice) -> str:
    return f"assign {word(choice.signal)} = {_chosen(choice, choice.sources)};"


def _chosen(choice: Choice, sources: Sequence[Bits]) -> str:
    """Some of the sources, whose number decides which bits of the phase choose one."""
    if len(set(sources)) == 1:
        return _verilog_bits(sources[:1])
    bit = (len(sources) - 1).bit_length() - 1
    lower, upper = sources[: 1 << bit], sources[1 << bit :]
    which = f"{word(choice.phase.name)}[{bit}]"
    return f"({which} ? {_chosen(choice, upper)} : {_chosen(choice, lower)})"


def _vhdl_choice(choice: Choice) -> str:
    """The last source is for all other phases, which never come."""
    cases = [
        f'{_vhdl_bits([source])} when "{number:0{choice.phase.width}b}",'
        for number, source in enumerate(choice.sources[:-1])
    ]
    cases.append(f"{_vhdl_bits(choice.sources[-1:])} when others;")
    return "\n".join(
        [
            f"    with {word(choice.phase.name)} select {word(choice.signal)} <=",
            *(f"        {case}" for case in cases),
        ]
    )


def _verilog_in_dsp(text: str, places: Container[int]) -> str:
    """The products at these places as cells for DSP blocks, whose parameters have names: synthesis
    reads them from a cell without content.
    """

    def cell(match: re.Match[str]) -> str:
        *sizes, place, first, second, result = match.groups()
        if int(place) not in places:
            return match[0]
        values = ", ".join(
            f".{name}({size})" for name, size in zip(_PARAMETERS, sizes, strict=True)
        )
        return (
            f"dsp_product #({values}) op_{place} (.in0({first}), .in1({second}), .out({result}));"
        )

    return _VERILOG_PRODUCT.sub(cell, text)


def _vhdl_in_dsp(text: str, places: Container[int]) -> str:
    return _VHDL_PRODUCT.sub(
        lambda match: f"{match[0][:-10]}dsp_product" if int(match[1]) in places else match[0], text
    )


def _vhdl_signal(name: str, width: int) -> str:
    return f"    signal {word(name)} : std_logic_vector({width - 1} downto 0);"


LANGUAGES = {
    "verilog": Language(
        "v",
        lambda logic: ([], verilog_logic(logic, {})),
        verilog_tables,
        _verilog_bits,
        lambda target, source: f"assign {target} = {source};",
        lambda target, source: f"    {word(target)} <= {source};",
        lambda port, value: f"    .{word(port)}({value})",
        lambda name, width: f"reg [{width - 1}:0] {word(name)};",
        lambda name, width: f"wire [{width - 1}:0] {word(name)};",
        lambda place: f"valid[{place}]",
        lambda place: f"load[{place}]",
        "(x_valid && w_load)",
        lambda words: ",\n".join(f"    32'h{one:08x}" for one in reversed(words)),
        _verilog_choice,
        _verilog_in_dsp,
        lambda text, amd, intel: re.sub(
            r"^module", f'(* use_dsp = "{amd}", multstyle = "{intel}" *)\nmodule', text, flags=re.M
        ),
    ),
    "vhdl": Language(
        "vhd",
        lambda logic: vhdl_logic(logic, {}),
        vhdl_tables,
        _vhdl_bits,
        lambda target, source: f"{target} <= {source};",
        lambda target, source: f"                {word(target)} <= {source};",
        lambda port, value: f"            {word(port)} => {value}",
        _vhdl_signal,
        _vhdl_signal,
        lambda place: f"valid({place})",
        lambda place: f"load({place})",
        "(x_valid and w_load)",
        lambda words: " &\n".join(f'        x"{one:08x}"' for one in reversed(words)),
        _vhdl_choice,
        _vhdl_in_dsp,
        lambda text, amd, intel: re.sub(
            r"^architecture rtl .*$",
            rf'''\g<0>
    attribute use_dsp : string;
    attribute use_dsp of rtl : architecture is "{amd}";
    attribute multstyle : string;
    attribute multstyle of rtl : architecture is "{intel}";''',
            text,
            flags=re.M,
        ),
    ),
}


def write_core(core: Core, folder: Path, language: str) -> list[str]:
    """Write the sources of a core into a folder; returns their names in the order of
    compilation.
    """
    syntax = LANGUAGES[language]
    name = core.interface.name
    top, cells = _top(core, syntax)
    tables = syntax.tables([block.logic for block in core.every_block])
    texts = {
        f"{name}_cells": _own_names(name, _source(language, syntax, cells)),
        f"{name}_tables": _own_names(name, tables),
        name: top,
    }
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    small = set(_SMALL_TABLE.findall(texts[f"{name}_tables"]))
    for stem, text in texts.items():
        if text:
            write_text(folder / f"{stem}.{syntax.suffix}", _with_luts(name, text, small))
            names.append(f"{stem}.{syntax.suffix}")
    return names


def _with_luts(name: str, text: str, small: Container[str]) -> str:
    """Tables of at most six inputs are named as LUTs, which Yosys gets as such."""
    return re.sub(
        rf"\b{name}_table_(\w+)",
        lambda match: f"{name}_{'lut' if match[0] in small else 'table'}_{match[1]}",
        text,
    )


def _top(core: Core, syntax: Language) -> tuple[str, set[str]]:
    """The text of all modules, and the cells that they use."""
    name = core.interface.name
    cells: set[str] = set()

    def logic(block: Block) -> list[Code]:
        text = _statements(block, syntax)
        cells.update(_CELL.findall(text))
        return [Code(line) for line in _own_names(name, text).splitlines()]

    templates = environment(Path(__file__).parent)
    templates.filters["joined"] = lambda bits: Code(syntax.joined(bits))
    templates.filters["signals"] = lambda block: map(Code, syntax.logic(block.logic)[0])
    templates.filters["logic"] = logic
    templates.filters["checked"] = Code  # the text of a macro, which is checked already
    # One filter for many lines: with many positions they are most of the text.
    templates.filters |= {
        "stages": _stages,
        "by_stage": _by_stage,
        "enters": lambda stage: Code(syntax.valid(stage - 1)) if stage else "x_valid",
        "loads": lambda stage: Code(syntax.load(stage - 1)) if stage else Code(syntax.first_load),
        "initial": lambda registers: _lines(
            syntax.clock(r.name, syntax.joined([r.source._replace(signal="INITIAL")]))
            for r in registers
        ),
        "words": lambda words: Code(syntax.words(words)),
        "chosen": lambda choices: _lines(map(syntax.choose, choices)),
        "registers": lambda registers: _lines(syntax.register(r.name, r.width) for r in registers),
        "clocked": lambda registers: _lines(
            syntax.clock(r.name, syntax.joined([r.source])) for r in registers
        ),
        "wires": lambda wires: _lines(syntax.wire(w.signal, w.width) for w in wires),
        "tied": lambda kernel, form: Code(",\n".join(_tied(kernel, form, syntax))),
        "connected": lambda connections: Code(
            ",\n".join(syntax.connect(c.port, word(c.signal)) for c in connections)
        ),
    }
    return templates.get_template(f"core.{syntax.suffix}.j2").render(core=core), cells


def _tied(kernel: Kernel, form: Form, syntax: Language) -> Iterator[str]:
    """The ports of a kernel inside one of its forms, whose ports have the same names."""
    for port in ("clk", "ce") if kernel.registers else ():
        yield syntax.connect(port, port)
    for wire in kernel.inputs:
        zero = syntax.joined([Bits("", 0, wire.width)])
        yield syntax.connect(wire.signal, zero if wire in form.zero else word(wire.signal))
    for wire in kernel.outputs:
        yield syntax.connect(f"y{wire.value}", f"y{wire.value}")


def _lines(lines: Iterable[str]) -> Code:
    return Code("\n".join(lines))


def _stages(part: Core | Kernel, count: int = 0) -> list[tuple[list[Register], list[Block]]]:
    """The registers and the blocks of each stage, of at least ``count`` stages."""
    used = {entry.stage for entry in part.registers} | {entry.stage for entry in part.blocks}
    count = max([count, *(stage + 1 for stage in used)])
    stages: list[tuple[list[Register], list[Block]]] = [([], []) for _ in range(count)]
    for register in part.registers:
        stages[register.stage][0].append(register)
    for block in part.blocks:
        stages[block.stage][1].append(block)
    return stages


def _by_stage(
    registers: Sequence[Register],
) -> Iterator[tuple[int, list[Register], list[Register], list[Register]]]:
    """The registers of each stage that move with the clock, those that are held, and those that are
    loaded.
    """
    for stage, group in groupby(registers, key=attrgetter("stage")):
        own = list(group)
        loaded = [r for r in own if r.loaded]
        held = [r for r in own if r.held and not r.loaded]
        yield stage, [r for r in own if not r.held and not r.loaded], held, loaded


def _statements(block: Block, syntax: Language) -> str:
    """alkaid's statements, with its input bus ``model_inp`` replaced by a port per value."""
    ports: dict[int, str] = {}
    low = 0
    for wire in block.inputs:
        ports[low] = f"x{wire.value}"
        low += wire.width
    text = "\n".join(syntax.logic(block.logic)[1])
    if block.dsp:
        text = syntax.in_dsp(text, block.dsp)
    bus = r"model_inp[\[(]\d+(?::| downto )(\d+)[\])]"
    text = re.sub(bus, lambda match: ports[int(match[1])], text)
    # Use the VHDL-2008 reduction operators, which need no non-standard package.
    text = re.sub(r"\b(or|and)_reduce\((\w+)\)", r"\1 \2", text)
    outputs = zip(block.outputs, block.logic.out_idxs, strict=True)
    return "\n".join(
        [text, *(syntax.assign(f"y{wire.value}", f"v{place}") for wire, place in outputs)]
    )


def _source(language: str, syntax: Language, cells: Container[str]) -> str:
    """The modules of the cells: ours if there is one, otherwise alkaid's."""
    ours, theirs = (
        Path(__file__).parent,
        Path(alkaid.__file__).parent / "codegen" / "rtl" / language / "source",
    )

    def text(cell: str) -> str:
        if cell in _PRODUCTS:
            product = (theirs / f"multiplier.{syntax.suffix}").read_text()
            return syntax.product(product.replace("multiplier", cell), *_PRODUCTS[cell])
        file = f"{cell}.{syntax.suffix}"
        return ((ours if (ours / file).exists() else theirs) / file).read_text()

    return "\n".join(text(cell) for cell in _CELLS if cell in cells)


def _own_names(name: str, text: str) -> str:
    """Give modules unique names, so that two cores, even of two versions, fit in one design."""
    text = _CELL.sub(rf"{name}_\1", text)
    return re.sub(r"\btable_(?=[0-9a-f]{8}_)", f"{name}_table_", text)

"""A core as Verilog or VHDL: the pipeline from a template, the logic in the blocks from alkaid."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import alkaid
from alkaid.codegen.rtl.verilog.comb import ssa_gen as verilog_logic
from alkaid.codegen.rtl.verilog.lookup import lookup_source as verilog_tables
from alkaid.codegen.rtl.vhdl.comb import ssa_gen as vhdl_logic
from alkaid.codegen.rtl.vhdl.lookup import lookup_source as vhdl_tables
from alkaid.types import CombLogic

from trigger.backends.rtl.core import Bits, Block, Core, Instance, Kernel, Register
from trigger.support.files import write_text
from trigger.support.templates import Code, environment, word

# The parametrised modules that alkaid's logic uses.
_CELLS = ("binop", "multiplier", "mux", "negative", "shift_adder", "ternary_adder")


class Language(NamedTuple):
    """The syntax of one HDL: (declarations, statements) of logic, ``assign`` of a port,
    concatenation, ``connect`` of a port with a signal.
    """

    suffix: str
    logic: Callable[[CombLogic], tuple[list[str], list[str]]]
    tables: Callable[[list[CombLogic]], str]
    assign: Callable[[str, str], str]
    joined: Callable[[Sequence[Bits]], str]
    connect: Callable[[str, str], str]


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


LANGUAGES = {
    "verilog": Language(
        "v",
        lambda logic: ([], verilog_logic(logic, {})),
        verilog_tables,
        lambda target, source: f"assign {target} = {source};",
        _verilog_bits,
        lambda port, signal: f"    .{port}({signal})",
    ),
    "vhdl": Language(
        "vhd",
        lambda logic: vhdl_logic(logic, {}),
        vhdl_tables,
        lambda target, source: f"{target} <= {source};",
        _vhdl_bits,
        lambda port, signal: f"            {port} => {signal}",
    ),
}


def write_core(core: Core, folder: Path, language: str) -> list[str]:
    """Write the sources of a core into a folder; returns their names in the order of
    compilation.
    """
    kind = LANGUAGES[language]
    name, top = core.interface.name, _top(core, kind)
    texts = {
        f"{name}_cells": _cells(language, kind, top),
        f"{name}_tables": kind.tables([block.logic for block in core.every_block]),
        name: top,
    }
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for stem, text in texts.items():
        if text:
            write_text(folder / f"{stem}.{kind.suffix}", _own_names(name, text))
            names.append(f"{stem}.{kind.suffix}")
    return names


def _top(core: Core, kind: Language) -> str:
    templates = environment(Path(__file__).parent)
    templates.filters["joined"] = lambda bits: Code(kind.joined(bits))
    templates.filters["signals"] = lambda block: map(Code, kind.logic(block.logic)[0])
    templates.filters["logic"] = lambda block: map(Code, _statements(block, kind))
    templates.filters["connections"] = lambda instance: Code(_connections(instance, kind))
    templates.filters["stages"] = _stages
    return templates.get_template(f"core.{kind.suffix}.j2").render(core=core)


def _stages(part: Core | Kernel, count: int = 0) -> list[tuple[list[Register], list[Block]]]:
    """The registers and the blocks of each stage, of at least ``count`` stages."""
    used = {entry.stage for entry in part.registers} | {entry.stage for entry in part.blocks}
    count = max([count, *(stage + 1 for stage in used)])
    found: list[tuple[list[Register], list[Block]]] = [([], []) for _ in range(count)]
    for register in part.registers:
        found[register.stage][0].append(register)
    for block in part.blocks:
        found[block.stage][1].append(block)
    return found


def _connections(instance: Instance, kind: Language) -> str:
    """The ports of a kernel with the signals of the core."""
    kernel = instance.kernel
    clock = [("clk", "clk"), ("ce", "ce")] if kernel.registers else []
    inputs = zip((wire.signal for wire in kernel.inputs), instance.inputs, strict=True)
    outputs = zip(kernel.outputs, instance.outputs, strict=True)
    pairs = [*clock, *inputs, *((f"y{port.value}", wire.signal) for port, wire in outputs)]
    return ",\n".join(kind.connect(word(port), word(signal)) for port, signal in pairs)


def _statements(block: Block, kind: Language) -> list[str]:
    """alkaid's statements, with its input bus ``model_inp`` replaced by a port per value."""
    ports: dict[int, str] = {}
    low = 0
    for wire in block.inputs:
        ports[low] = f"x{wire.value}"
        low += wire.width
    statements = [
        re.sub(
            r"model_inp[\[(]\d+(?::| downto )(\d+)[\])]", lambda match: ports[int(match[1])], line
        )
        for line in kind.logic(block.logic)[1]
    ]
    # Use the VHDL-2008 reduction operators, which need no non-standard package.
    statements = [re.sub(r"\b(or|and)_reduce\((\w+)\)", r"\1 \2", line) for line in statements]
    outputs = zip(block.outputs, block.logic.out_idxs, strict=True)
    return [*statements, *(kind.assign(f"y{wire.value}", f"v{place}") for wire, place in outputs)]


def _cells(language: str, kind: Language, text: str) -> str:
    """The modules that the text uses: ours if there is one, otherwise alkaid's."""
    ours, theirs = (
        Path(__file__).parent,
        Path(alkaid.__file__).parent / "codegen" / "rtl" / language / "source",
    )
    files = [f"{cell}.{kind.suffix}" for cell in _CELLS if re.search(rf"\b{cell}\b", text)]
    return "\n".join(
        ((ours if (ours / file).exists() else theirs) / file).read_text() for file in files
    )


def _own_names(name: str, text: str) -> str:
    """Give modules unique names, so that two cores, even of two versions, fit in one design."""
    text = re.sub(rf"\b({'|'.join(_CELLS)})\b", rf"{name}_\1", text)
    return re.sub(r"\btable_(?=[0-9a-f]{8}_)", f"{name}_table_", text)

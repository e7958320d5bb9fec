"""The files of an exported payload for software on the host, and for the tools of vendors."""

import shutil
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from trigger.backends.rtl.scripts import Project, write_scripts
from trigger.board import address_table, ipxact
from trigger.board.axi import AxiPort
from trigger.board.registers import Register, Registers
from trigger.board.shell import Payload
from trigger.spec.parts import part
from trigger.support.files import write_text
from trigger.support.resources import folder
from trigger.support.templates import environment

_EXAMPLES = {"axi": "example_axi.py", "emp": "example_ipbus.py"}


class Design(NamedTuple):
    """What goes on the board: its top, its ``files`` in compilation order, and ``packages`` that
    the framework of the board has and a project of its own needs; all relative to the payload.
    ``ports`` are those of a payload behind AXI.
    """

    kind: str
    top: str
    files: Sequence[str]
    packages: Sequence[str]
    clocks: Mapping[str, float]
    ports: Sequence[AxiPort]


def write_software(payload: Payload, registers: Registers, design: Design) -> dict[str, Any]:
    """Write the files for software and tools; the variables of their part of README.md."""
    home, directory = folder("firmware") / "software", payload.directory
    target = directory / "software"
    target.mkdir(parents=True, exist_ok=True)
    for name in ("trigger_board.py", _EXAMPLES.get(design.kind)):
        if name:
            shutil.copyfile(home / name, target / name)
    if design.kind == "axi":
        write_text(target / "registers.h", header(payload.name, registers))
        core = ipxact.Core(design.top, design.files, design.ports, registers)
        write_text(directory / ipxact.FILE, ipxact.component(core))
    if design.kind == "emp":
        _write_ipbus(payload, registers, design.files)
    files = (*design.packages, *design.files)
    project = Project("payload", design.top, files, part(payload.rtl.part), design.clocks)
    script, constraints = write_scripts(directory, project)
    return {"script": script, "constraints": constraints}


def header(name: str, registers: Registers) -> str:
    """The registers behind AXI4-Lite in C."""
    template = environment(folder("firmware") / "software").get_template("registers.h.j2")
    described = [_macros(registers, register) for register in registers.registers]
    return template.render(name=name, prefix=name.upper(), registers=described)


def _macros(registers: Registers, register: Register) -> dict[str, Any]:
    return {
        **register._asdict(),
        "name": "_".join(registers.path(register)).upper(),
        "access": register.access,
        "offset": 4 * register.address,
        "reset": register.initial,
        "bits": [
            {"name": bits.name.upper(), "mask": bits.mask, "meaning": bits.meaning}
            for bits in register.bits
        ],
    }


def _write_ipbus(payload: Payload, registers: Registers, files: Sequence[str]) -> None:
    for name, text in (
        (address_table.ADDRESS_TABLE, address_table.xml(payload.name, registers)),
        (address_table.DEPENDENCIES, address_table.dep(files)),
    ):
        path = payload.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)

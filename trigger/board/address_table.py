"""The registers of an EMP payload for the IPbus software: an address table, and a list of files
for its builder.

``xml`` is in the format that uHAL reads: nodes with address, mask and permission.
``dep`` is a dependency file of ipbb, whose commands are read from the last to the first.
"""

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from trigger.board.registers import Bits, Register, Registers

ADDRESS_TABLE = "addr_table/emp_payload.xml"
DEPENDENCIES = "firmware/cfg/payload.dep"
# Where ipbb looks for the sources and address tables of a component.
_SOURCES = "firmware/hdl"
_TABLES = "addr_table"


def xml(name: str, registers: Registers) -> str:
    """The address table of a payload. Addresses count words of 32 bits."""
    top = ET.Element(
        "node",
        id="payload",
        description=f"registers of {name}",
        fwinfo=f"endpoint;width={registers.address_bits}",
    )
    groups: dict[tuple[str, ...], ET.Element] = {(): top}
    for register in registers.registers:
        *outer, own = registers.path(register)
        parent = _group(groups, tuple(outer))
        parent.append(_node(own, register))
    ET.indent(top)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(top, encoding="unicode")}\n'


def dep(files: Sequence[str]) -> str:
    """The files of a payload for ipbb, from the folder of the payload as a component."""
    up = "/".join([".."] * len(_SOURCES.split("/")))
    lines = [
        "# Include it in the top-level dependency file of your board:",
        "#     include -c PACKAGE:COMPONENT payload.dep",
        f"addrtab {ADDRESS_TABLE.removeprefix(f'{_TABLES}/')}",
        *(f"src --vhdl2008 {up}/{file}" for file in reversed(files)),
    ]
    return "\n".join(lines) + "\n"


def _group(groups: dict[tuple[str, ...], ET.Element], path: tuple[str, ...]) -> ET.Element:
    """The node for a group, which has no address of its own."""
    if path not in groups:
        parent = _group(groups, path[:-1])
        groups[path] = ET.SubElement(parent, "node", id=path[-1])
    return groups[path]


def _node(name: str, register: Register) -> ET.Element:
    node = ET.Element(
        "node",
        id=name,
        address=f"0x{register.address:02x}",
        permission=register.access,
        description=register.meaning,
    )
    node.extend(_masked(bits, register.access) for bits in register.bits)
    return node


def _masked(bits: Bits, access: str) -> ET.Element:
    return ET.Element(
        "node",
        id=bits.name,
        mask=f"0x{bits.mask:08x}",
        permission=access,
        description=bits.meaning,
    )

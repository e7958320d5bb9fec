"""The payload behind AXI as a packaged core: component.xml in IP-XACT, IEEE 1685-2009.

Vivado reads this version of the standard; the elements of ``xilinx`` are its own. The order of
elements is that of the standard.
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from trigger.board.axi import AxiPort
from trigger.board.registers import Bits, Register, Registers

FILE = "component.xml"
_SPIRIT = "http://www.spiritconsortium.org/XMLSchema/SPIRIT/1685-2009"
_XILINX = "http://www.xilinx.com"
# The bus definitions of AMD's catalogue: library, name, and the role of the core.
_BUSES = {
    "aclk": ("signal", "clock", "slave"),
    "aresetn": ("signal", "reset", "slave"),
    "s_axis": ("interface", "axis", "slave"),
    "m_axis": ("interface", "axis", "master"),
    "s_axi": ("interface", "aximm", "slave"),
}
_PARAMETERS = {
    "aclk": {"ASSOCIATED_BUSIF": "s_axi:s_axis:m_axis", "ASSOCIATED_RESET": "aresetn"},
    "aresetn": {"POLARITY": "ACTIVE_LOW"},
}
_VIEWS = {
    "synthesis": ":vivado.xilinx.com:synthesis",
    "simulation": ":vivado.xilinx.com:simulation",
}
_FAMILIES = (
    *("artix7", "kintex7", "virtex7", "zynq", "kintexu", "virtexu"),
    *("artixuplus", "kintexuplus", "virtexuplus", "virtexuplusHBM", "zynquplus", "versal"),
)
_ACCESS = {"r": "read-only", "w": "write-only", "rw": "read-write"}
_FILE_TYPES = {".sv": "systemVerilogSource", ".v": "verilogSource"}


class Core(NamedTuple):
    """What is packaged: the top module, its files in compilation order, its ports and registers."""

    top: str
    files: Sequence[str]
    ports: Sequence[AxiPort]
    registers: Registers


def component(core: Core) -> str:
    """The text of component.xml."""
    ET.register_namespace("spirit", _SPIRIT)
    ET.register_namespace("xilinx", _XILINX)
    top = _element(
        "component",
        _text("vendor", "trigger-compiler"),
        _text("library", "user"),
        _text("name", core.top),
        _text("version", "1.0"),
        _element("busInterfaces", *(_bus(name, core.ports) for name in _BUSES)),
        _element("memoryMaps", _memory_map(core.registers)),
        _element(
            "model",
            _element("views", *(_view(name, core.top) for name in _VIEWS)),
            _element("ports", *map(_port, core.ports)),
        ),
        _element("fileSets", _file_set(core.files)),
        _text("description", "A trigger from link words to accept bits"),
        _element("parameters", _component_name(core.top)),
        _element("vendorExtensions", _extensions(core.top)),
    )
    ET.indent(top)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(top, encoding="unicode")}\n'


def _element(name: str, *children: ET.Element, space: str = _SPIRIT) -> ET.Element:
    made = ET.Element(f"{{{space}}}{name}")
    made.extend(children)
    return made


def _text(name: str, text: str | int, space: str = _SPIRIT) -> ET.Element:
    made = _element(name, space=space)
    made.text = str(text)
    return made


def _with(element: ET.Element, attributes: dict[str, str], space: str = _SPIRIT) -> ET.Element:
    for name, value in attributes.items():
        element.set(f"{{{space}}}{name}", value)
    return element


def _bus(name: str, ports: Iterable[AxiPort]) -> ET.Element:
    library, bus, role = _BUSES[name]
    kind = {"vendor": "xilinx.com", "library": library, "version": "1.0"}
    is_mapped = [_with(_element("memoryMapRef"), {"memoryMapRef": name})] * (bus == "aximm")
    return _element(
        "busInterface",
        _text("name", name),
        _with(_element("busType"), {**kind, "name": bus}),
        _with(_element("abstractionType"), {**kind, "name": f"{bus}_rtl"}),
        _element(role, *is_mapped),
        _element("portMaps", *(_port_map(port) for port in ports if port.interface == name)),
        *_bus_parameters(name),
    )


def _port_map(port: AxiPort) -> ET.Element:
    return _element(
        "portMap",
        _element("logicalPort", _text("name", port.signal)),
        _element("physicalPort", _text("name", port.name)),
    )


def _bus_parameters(name: str) -> list[ET.Element]:
    parameters = [
        _parameter(key, value, f"BUSIFPARAM_VALUE.{name}.{key}")
        for key, value in _PARAMETERS.get(name, {}).items()
    ]
    return [_element("parameters", *parameters)] if parameters else []


def _parameter(name: str, value: str, identifier: str) -> ET.Element:
    return _element(
        "parameter", _text("name", name), _with(_text("value", value), {"id": identifier})
    )


def _memory_map(registers: Registers) -> ET.Element:
    return _element(
        "memoryMap",
        _text("name", "s_axi"),
        _element(
            "addressBlock",
            _text("name", "registers"),
            _text("baseAddress", 0),
            _text("range", 4 << registers.address_bits),
            _text("width", 32),
            _text("usage", "register"),
            *(_register("_".join(registers.path(one)), one) for one in registers.registers),
        ),
    )


def _register(name: str, register: Register) -> ET.Element:
    known = [] if register.initial is None else [_reset(register.initial)]
    return _element(
        "register",
        _text("name", name),
        _text("description", register.meaning),
        _text("addressOffset", f"0x{4 * register.address:x}"),
        _text("size", 32),
        _text("access", _ACCESS[register.access]),
        *known,
        *(_field(bits, _ACCESS[register.access]) for bits in register.bits),
    )


def _reset(value: int) -> ET.Element:
    return _element("reset", _text("value", f"0x{value:x}"))


def _field(bits: Bits, access: str) -> ET.Element:
    return _element(
        "field",
        _text("name", bits.name),
        _text("description", bits.meaning),
        _text("bitOffset", bits.low),
        _text("bitWidth", bits.high - bits.low + 1),
        _text("access", access),
    )


def _view(name: str, top: str) -> ET.Element:
    return _element(
        "view",
        _text("name", name),
        _text("envIdentifier", _VIEWS[name]),
        _text("language", "Verilog"),
        _text("modelName", top),
        _element("fileSetRef", _text("localName", "sources")),
    )


def _port(port: AxiPort) -> ET.Element:
    vector = [_element("vector", _text("left", port.width - 1), _text("right", 0))]
    kind = _element(
        "wireTypeDef",
        _text("typeName", "wire"),
        *(_text("viewNameRef", name) for name in _VIEWS),
    )
    wire = _element(
        "wire",
        _text("direction", port.direction.removesuffix("put")),
        *(vector * (port.width > 1)),
        _element("wireTypeDefs", kind),
    )
    return _element("port", _text("name", port.name), wire)


def _file_set(files: Iterable[str]) -> ET.Element:
    made = (
        _element(
            "file",
            _text("name", file),
            _text("fileType", _FILE_TYPES[file[file.rindex(".") :]]),
        )
        for file in files
    )
    return _element("fileSet", _text("name", "sources"), *made)


def _component_name(top: str) -> ET.Element:
    value = _text("value", f"{top}_v1_0")
    attributes = {"resolve": "user", "id": "PARAM_VALUE.Component_Name", "order": "1"}
    return _element("parameter", _text("name", "Component_Name"), _with(value, attributes))


def _extensions(top: str) -> ET.Element:
    families = (
        _with(_text("family", name, _XILINX), {"lifeCycle": "Production"}, _XILINX)
        for name in _FAMILIES
    )
    return _element(
        "coreExtensions",
        _element("supportedFamilies", *families, space=_XILINX),
        _element("taxonomies", _text("taxonomy", "/UserIP", _XILINX), space=_XILINX),
        _text("displayName", top, _XILINX),
        _text("coreRevision", 1, _XILINX),
        space=_XILINX,
    )

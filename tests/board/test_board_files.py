"""What an exported payload has for software and for vendors' tools, against its registers, ports and files."""

import json
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from trigger.workflow.board_export import export

pytestmark = pytest.mark.minutes

SPIRIT = "{http://www.spiritconsortium.org/XMLSchema/SPIRIT/1685-2009}"
ACCESS = {"r": "read-only", "w": "write-only", "rw": "read-write"}


@pytest.fixture(scope="module")
def exported(built, tmp_path_factory):
    """A payload behind each shell."""
    folder = tmp_path_factory.mktemp("exported")
    for kind in ("plain", "axi", "emp"):
        export(built, folder / kind, kind)
    return folder


def described(folder):
    """The registers of payload.json by name."""
    found = json.loads((folder / "payload.json").read_text())["registers"]
    return {register["name"]: register for register in found}


def nodes(element, path=(), base=0):
    """The nodes of an address table as uHAL sees them: path, address, element."""
    names = [child.get("id") for child in element.findall("node")]
    assert len(names) == len(set(names)) and not any("." in name for name in names), path
    for child in element.findall("node"):
        address = base + int(child.get("address", "0"), 0)
        yield ".".join((*path, child.get("id"))), address, child
        yield from nodes(child, (*path, child.get("id")), address)


def test_the_address_table_has_the_registers(exported):
    """And their bits as masks, which have the address of their register."""
    top = ET.parse(exported / "emp" / "addr_table" / "emp_payload.xml").getroot()
    assert (top.tag, top.get("fwinfo")) == ("node", "endpoint;width=8")
    found = {path: (address, node) for path, address, node in nodes(top)}
    expected = described(exported / "emp")
    bits = {
        f"{name}.{bit['name']}": (register, bit)
        for name, register in expected.items()
        for bit in register["bits"]
    }
    groups = {"accept", "accept.loose", "accept.tight"}
    assert found.keys() == expected.keys() | bits.keys() | groups
    for name, register in expected.items():
        address, node = found[name]
        assert (address, node.get("permission")) == (register["address"], register["access"])
        assert node.get("description") == register["meaning"]
        assert node.get("mask") is None and node.get("mode") is None
    for name, (register, bit) in bits.items():
        address, node = found[name]
        assert (address, node.get("permission")) == (register["address"], register["access"])
        mask = int(node.get("mask"), 0)
        assert mask == (1 << bit["high"] + 1) - (1 << bit["low"])


def test_ipbb_finds_the_files(exported):
    """Read as ipbb reads a .dep file: from the last line to the first, in firmware/hdl and addr_table."""
    folder = exported / "emp"
    lines = (folder / "firmware" / "cfg" / "payload.dep").read_text().splitlines()
    commands = [line.split() for line in reversed(lines) if not line.startswith("#")]
    sources = [words for words in commands if words[0] == "src"]
    assert all(words[:2] == ["src", "--vhdl2008"] and len(words) == 3 for words in sources)
    paths = [(folder / "firmware" / "hdl" / words[2]).as_posix() for words in sources]
    files = [Path(re.sub(r"firmware/hdl/\.\./\.\./", "", path)) for path in paths]
    assert [file.relative_to(folder).as_posix() for file in files] == board_files(folder)
    assert files[-1].name == "emp_payload.vhd" and all(file.is_file() for file in files)
    (table,) = (words[1:] for words in commands if words[0] != "src")
    assert table == ["emp_payload.xml"] and (folder / "addr_table" / table[0]).is_file()


def board_files(folder):
    """The files for the board, as README.md lists them."""
    text = (folder / "README.md").read_text()
    return [word for word in text[text.index("## Sources") :].split() if "/" in word]


def test_the_header_in_c(exported, tmp_path):
    """Compiled as C99: the offset of every register, its value after a reset, and its masks."""
    text = (exported / "axi" / "software" / "registers.h").read_text()
    names = re.findall(r"^#define (\w+) 0x", text, re.MULTILINE)
    printed = "\n".join(f'    printf("{name} %lu\\n", (unsigned long){name});' for name in names)
    program = f'#include <stdio.h>\n#include "registers.h"\nint main(void) {{\n{printed}\n}}\n'
    (tmp_path / "p.c").write_text(program)
    flags = ["-std=c99", "-pedantic", "-Wall", "-Werror", f"-I{exported / 'axi' / 'software'}"]
    subprocess.run(["gcc", *flags, "p.c", "-o", "p"], cwd=tmp_path, check=True)
    output = subprocess.run([tmp_path / "p"], capture_output=True, text=True, check=True).stdout
    values = {name: int(value) for name, value in (line.split() for line in output.splitlines())}
    expected = {}
    for name, register in described(exported / "axi").items():
        macro = f"SHELLED_TRIGGER_{name.replace('.', '_').upper()}"
        expected[f"{macro}_OFFSET"] = 4 * register["address"]
        expected[f"{macro}_RESET"] = register["reset"]
        for bit in register["bits"]:
            expected[f"{macro}_{bit['name'].upper()}_MASK"] = 1 << bit["low"]
    assert values == expected


def test_the_packaged_core_has_the_ports_of_the_rtl(exported):
    """component.xml against src/*_axi.v: names, directions, widths; each port in one bus interface."""
    folder = exported / "axi"
    top = ET.parse(folder / "component.xml").getroot()
    text = (folder / "src" / "shelled_trigger_axi.v").read_text()
    declared = {
        name: ({"input": "in", "output": "out"}[direction], int(high or 0))
        for direction, high, name in re.findall(
            r"^    (input|output) +wire (?:\[(\d+):0\] )?(\w+),?$", text, re.MULTILINE
        )
    }
    assert len(declared) > 25
    packaged = {
        port.find(f"{SPIRIT}name").text: (
            port.find(f".//{SPIRIT}direction").text,
            int(port.findtext(f".//{SPIRIT}left", "0")),
        )
        for port in top.iter(f"{SPIRIT}port")
    }
    assert packaged == declared
    mapped = [
        (
            bus.findtext(f"{SPIRIT}name"),
            one.findtext(f"{SPIRIT}logicalPort/{SPIRIT}name"),
            one.findtext(f"{SPIRIT}physicalPort/{SPIRIT}name"),
        )
        for bus in top.iter(f"{SPIRIT}busInterface")
        for one in bus.iter(f"{SPIRIT}portMap")
    ]
    assert sorted(physical for _, _, physical in mapped) == sorted(declared.keys() - {"error"})
    for bus, logical, physical in mapped:
        one = {"aclk": "CLK", "aresetn": "RST"}.get(bus)
        assert logical == (one or physical.removeprefix(f"{bus}_").upper())


def test_the_packaged_core_has_the_registers_and_files(exported):
    folder = exported / "axi"
    top = ET.parse(folder / "component.xml").getroot()
    block = top.find(f"{SPIRIT}memoryMaps/{SPIRIT}memoryMap/{SPIRIT}addressBlock")
    found = {
        one.findtext(f"{SPIRIT}name"): (
            int(one.findtext(f"{SPIRIT}addressOffset"), 0),
            one.findtext(f"{SPIRIT}access"),
            int(one.findtext(f"{SPIRIT}reset/{SPIRIT}value"), 0),
            [
                tuple(field.findtext(f"{SPIRIT}{key}") for key in ("name", "bitOffset", "bitWidth"))
                for field in one.iter(f"{SPIRIT}field")
            ],
        )
        for one in block.iter(f"{SPIRIT}register")
    }
    assert found == {
        name.replace(".", "_"): (
            4 * register["address"],
            ACCESS[register["access"]],
            register["reset"],
            [
                (bit["name"], str(bit["low"]), str(bit["high"] - bit["low"] + 1))
                for bit in register["bits"]
            ],
        )
        for name, register in described(folder).items()
    }
    assert top.find(f".//{SPIRIT}memoryMapRef").get(f"{SPIRIT}memoryMapRef") == "s_axi"
    files = [file.findtext(f"{SPIRIT}name") for file in top.iter(f"{SPIRIT}file")]
    assert files == board_files(folder) and all((folder / file).is_file() for file in files)


# The children of an element in the order of IEEE 1685-2009, of those that are written here.
ORDER = {
    "component": "vendor library name version busInterfaces memoryMaps model fileSets description "
    "parameters vendorExtensions",
    "busInterface": "name busType abstractionType slave master portMaps parameters",
    "memoryMap": "name addressBlock",
    "addressBlock": "name baseAddress range width usage register",
    "register": "name description dim addressOffset size access reset field",
    "field": "name description bitOffset bitWidth access",
    "model": "views ports",
    "view": "name envIdentifier language modelName fileSetRef",
    "wire": "direction vector wireTypeDefs",
    "fileSet": "name file",
    "file": "name fileType",
}


def test_the_packaged_core_has_the_order_of_the_standard(exported):
    top = ET.parse(exported / "axi" / "component.xml").getroot()
    seen = set()
    for element in top.iter():
        name = element.tag.removeprefix(SPIRIT)
        if name in ORDER:
            order = ORDER[name].split()
            places = [order.index(child.tag.removeprefix(SPIRIT)) for child in element]
            assert places == sorted(places), name
            seen.add(name)
    assert seen == ORDER.keys()
    identifiers = [value for element in top.iter() if (value := element.get(f"{SPIRIT}id"))]
    assert len(identifiers) == len(set(identifiers)) == 4


def test_the_top_behind_axi_is_plain_verilog(exported):
    """AMD's packager takes no SystemVerilog as the top of a core."""
    if shutil.which("iverilog") is None:
        pytest.skip("iverilog is not installed")
    path = exported / "axi" / "src" / "shelled_trigger_axi.v"
    command = ["iverilog", "-g2001", "-t", "null", "-i", path]
    subprocess.run(command, check=True)
    path.with_name("wrong.v").write_text(path.read_text().replace("always @", "always_ff @"))
    assert subprocess.run([*command[:-1], path.with_name("wrong.v")], check=False).returncode


@pytest.mark.parametrize(
    ("kind", "clocks"),
    [
        ("plain", {"clk": "4.1667"}),
        ("axi", {"aclk": "4.1667"}),
        ("emp", {"clk_p": "4.1667", "clk": "32.0000"}),
    ],
)
def test_the_project_of_the_whole_payload(built, exported, tmp_path, kind, clocks):
    """vivado.tcl and quartus.tcl, run by Tcl with a command for each of the tool's that notes its words."""
    top = {"plain": "shelled_trigger", "axi": "shelled_trigger_axi", "emp": "emp_payload"}[kind]
    packages = ["sim/stubs.vhd"] * (kind == "emp")
    folder = exported / kind
    called = run_tcl(folder / "vivado.tcl")
    assert called["create_project"] == [
        [top, str(folder / "vivado"), "-part", "xcvu9p-flga2104-2L-e", "-force"]
    ]
    *added, constraints = called["add_files"]
    assert [path for (path,) in added] == [
        str(folder / file) for file in (*packages, *board_files(folder))
    ]
    assert constraints == ["-fileset", "constrs_1", str(folder / "clock.xdc")]
    assert ["top", top, "[current_fileset]"] in called["set_property"]
    assert (["file_type", "VHDL 2008", "[get_files *.vhd]"] in called["set_property"]) == (
        kind == "emp"
    )
    constrained = (folder / "clock.xdc").read_text()
    assert dict(re.findall(r"create_clock -name (\w+) -period (\S+) ", constrained)) == clocks
    assert ("set_clock_groups -asynchronous -group clk_p -group clk" in constrained) == (
        len(clocks) > 1
    )
    target = built.spec.target.model_copy(update={"part": "10AX115S2F45I1SG"})
    intel = built._replace(spec=built.spec.model_copy(update={"target": target}))
    export(intel, tmp_path / "p", kind)
    assert not (tmp_path / "p" / "vivado.tcl").exists()
    called = run_tcl(tmp_path / "p" / "quartus.tcl")
    given = called["set_global_assignment"]
    assert ["-name", "TOP_LEVEL_ENTITY", top] in given
    assert ["-name", "DEVICE", "10AX115S2F45I1SG"] in given
    kinds = {".vhd": "VHDL_FILE", ".v": "VERILOG_FILE", ".sv": "SYSTEMVERILOG_FILE"}
    assert [words[1:] for words in given if words[1] in kinds.values()] == [
        [kinds[Path(file).suffix], file] for file in (*packages, *board_files(tmp_path / "p"))
    ]
    off = [words for words in called["set_instance_assignment"] if "OFF" in words]
    assert [words[-1] for words in off] == list(clocks)
    assert "derive_clock_uncertainty" in (tmp_path / "p" / "clock.sdc").read_text()


def run_tcl(script):
    """The calls of a script, by command; what it calls inside of brackets stands for itself."""
    tkinter = pytest.importorskip("tkinter")
    tcl = tkinter.Tcl()
    calls = {}

    def note(name):
        def called(*words):
            calls.setdefault(name, []).append(list(words))
            return f"[{' '.join((name, *words))}]"

        tcl.createcommand(name, called)

    for name in (
        *("create_project", "add_files", "set_property", "get_files", "current_fileset"),
        *("get_runs", "load_package", "project_new", "project_close"),
        *("set_global_assignment", "set_instance_assignment"),
    ):
        note(name)
    tcl.eval(f"source {{{script}}}")
    return calls


# A module of uHAL's with a board in memory, whose nodes are those of the address table.
UHAL = """
import json, pathlib, xml.etree.ElementTree as ET

HERE = pathlib.Path(__file__).resolve().parent
MEMORY = json.loads((HERE / "memory.json").read_text())


class LogLevel:
    WARNING = 4


def setLogLevelTo(level):
    assert level == LogLevel.WARNING


class Node:
    def __init__(self, address):
        self.address = address

    def read(self):
        return MEMORY[self.address]

    def write(self, value):
        MEMORY[self.address] = value
        (HERE / "memory.json").write_text(json.dumps(MEMORY))


class Device:
    def __init__(self):
        self.nodes = {}
        self.add(ET.parse(HERE / "table.xml").getroot(), "", 0)

    def add(self, element, path, base):
        base += int(element.get("address", "0"), 0)
        name = f"{path}.{element.get('id')}".strip(".")
        self.nodes[name] = Node(base)
        for child in element:
            self.add(child, name, base)

    def getNode(self, name):
        return self.nodes[name]

    def dispatch(self):
        pass


class ConnectionManager:
    def __init__(self, path):
        assert path == "file://connections.xml", path

    def getDevice(self, name):
        assert name == "board", name
        return Device()
"""
SHOWN = (
    "loose: threshold {loose}, prescale 1\ntight: threshold {tight}, prescale 7\n"
    "{{'total': 0, 'saturated': 0, 'accepted': {{'loose': 0, 'tight': 0}}}} errors: none\n"
)


def initial(folder):
    """All words after a reset."""
    words = [0] * 256
    for register in described(folder).values():
        words[register["address"]] = register["reset"]
    return words


def shown(folder):
    points = json.loads((folder / "payload.json").read_text())["points"]
    return SHOWN.format(**{point["name"]: point["bound"] for point in points})


def run_example(folder, name, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-S", folder / "software" / name, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_example_over_ipbus(exported, tmp_path):
    """Without uHAL, and with a module in its place."""
    folder = exported / "emp"
    asked = ("connections.xml", "board", "--prescale", "tight", "7")
    result = run_example(folder, "example_ipbus.py", *asked)
    assert (result.returncode, result.stdout, result.stderr) == (
        2,
        "",
        "uhal is not installed; install it with: python -m pip install uhal, or from the IPbus "
        "software of your experiment\n",
    )
    (tmp_path / "uhal.py").write_text(UHAL)
    (tmp_path / "memory.json").write_text(json.dumps(initial(folder)))
    shutil.copy(folder / "addr_table" / "emp_payload.xml", tmp_path / "table.xml")
    result = run_example(folder, "example_ipbus.py", *asked, PYTHONPATH=str(tmp_path))
    assert (result.returncode, result.stdout, result.stderr) == (0, shown(folder), "")
    assert json.loads((tmp_path / "memory.json").read_text())[0x1A] == 7


def test_the_example_over_axi(exported, tmp_path):
    """With a file in the place of the device."""
    folder = exported / "axi"
    words = b"".join(word.to_bytes(4, sys.byteorder) for word in initial(folder))
    (tmp_path / "uio0").write_bytes(words.ljust(4096, b"\0"))
    result = run_example(folder, "example_axi.py", tmp_path / "uio0", "--prescale", "tight", "7")
    assert (result.returncode, result.stdout, result.stderr) == (0, shown(folder), "")
    assert (tmp_path / "uio0").read_bytes()[4 * 0x1A] == 7

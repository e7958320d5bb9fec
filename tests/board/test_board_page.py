"""The page about software: its table is that of the registers, its examples run."""

import ast
import importlib.util
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from trigger.backends.rtl.image import Image
from trigger.backends.rtl.interface import Port
from trigger.board.decisions import Point
from trigger.board.registers import registers
from trigger.fixedpoint.types import Fixed
from trigger.support.resources import folder

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "software.md"
SCORE = Fixed(True, 8, 4)
POINTS = [Point(name, 0, Port(0, SCORE), 3) for name in ("loose", "tight")]


def rows(known):
    """The table of the first working point, as the page has it."""
    for one in known.registers:
        if one.point:
            continue
        name = ".".join(known.path(one)).replace("loose", "NAME")
        meaning = one.meaning.replace(f" ({SCORE})", "")
        bits = "".join(f"; {place(bit)} `{bit.name}`: {bit.meaning}" for bit in one.bits)
        yield f"| 0x{one.address:02x} | {one.access} | `{name}` | {meaning}{bits} |"


def place(bits):
    return f"bit {bits.low}" if bits.low == bits.high else f"bits {bits.high}:{bits.low}"


def test_the_tables_are_those_of_the_registers():
    """One for every payload, and one with what else there is if weights can be loaded."""
    tables = [
        found.splitlines() for found in PAGE.read_text().split("\n\n") if "| access |" in found
    ]
    all_payloads = list(rows(registers(POINTS, 9, "00c0ffee")))
    image = Image(0, (0, 0), ())
    reloadable = rows(registers(POINTS, 9, "00c0ffee", image))
    others = [row for row in reloadable if row not in all_payloads]
    assert [table[2:] for table in tables] == [all_payloads, others]


class Board:
    """Registers in memory, at byte addresses from a base, and as nodes of uHAL."""

    def __init__(self, known, base):
        self.base, self.known = base, known
        self.words = {register["address"]: register["reset"] for register in known}

    def read(self, address):
        return self.words[(address - self.base) // 4]

    def write(self, address, value):
        self.words[(address - self.base) // 4] = value

    def getNode(self, path):  # noqa: N802
        (found,) = (one for one in self.known if f"payload.{one['name']}" == path)
        return Node(self, self.base + 4 * found["address"])

    def dispatch(self):
        pass


class Node:
    def __init__(self, board, address):
        self.board, self.address = board, address

    def read(self):
        return self.board.read(self.address)

    def write(self, value):
        self.board.write(self.address, value)


@pytest.fixture
def software(tmp_path, monkeypatch):
    """``trigger_board`` as in an exported folder, and the description that it reads."""
    known = registers(POINTS, 9, "00c0ffee")
    described = {
        "version": "00c0ffee",
        "address_bits": known.address_bits,
        "points": [
            {"name": point.name, "registers": f"accept.{name}"}
            for point, name in zip(POINTS, known.points, strict=True)
        ],
        "registers": known.described(),
    }
    (tmp_path / "payload.json").write_text(json.dumps(described))
    (tmp_path / "software").mkdir()
    path = tmp_path / "software" / "trigger_board.py"
    path.write_text((folder("firmware") / "software" / "trigger_board.py").read_text())
    spec = importlib.util.spec_from_file_location("trigger_board", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "trigger_board", module)
    return module, described


def test_the_class_needs_python_3_9_alone():
    text = (folder("firmware") / "software" / "trigger_board.py").read_text()
    tree = ast.parse(text, feature_version=(3, 9))
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [ast.unparse(node) for node in imported] == [
        "import json",
        "import operator",
        "from pathlib import Path",
    ]


def test_the_examples_run(software, capsys):
    _, described = software
    board = Board(described["registers"], 0xA000_0000)
    mapped, ipbus = re.findall(r"^```py\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    exec(mapped, {"read": board.read, "write": board.write})
    exec(ipbus, {"device": board})
    shown = "{'total': 0, 'saturated': 0, 'accepted': {'loose': 0, 'tight': 0}} []\n"
    assert capsys.readouterr().out == 2 * shown
    assert (board.words[0x18], board.words[0x19], board.words[0x12]) == (0, 12, 100)


def test_what_software_refuses(software, tmp_path):
    """Names what it is about, and takes the integers of NumPy."""
    module, described = software
    board = Board(described["registers"], 0)
    bus = module.Mapped(board.read, board.write)
    trigger = module.Trigger(bus)
    trigger.accept["tight"].threshold = np.int64(-5)
    trigger.accept["tight"].prescale = np.uint32(7)
    assert trigger.accept["tight"].threshold == -5
    assert [type(word) for word in board.words.values()] == [int] * len(board.words)
    before = dict(board.words)
    with pytest.raises(TypeError, match=r"^tight: threshold: 0\.5 is not an integer$"):
        trigger.accept["tight"].threshold = 0.5
    with pytest.raises(TypeError, match="^accept.tight.prescale: '3' is not an integer$"):
        trigger.accept["tight"].prescale = "3"
    with pytest.raises(AttributeError, match="'Accept' object has no attribute 'prescal'"):
        trigger.accept["loose"].prescal = 2
    with pytest.raises(KeyError, match="no accept bit 'lose'; there are loose, tight"):
        trigger.accept["lose"].prescale = 1
    assert board.words == before
    trigger.registers["weights_structure"] = None  # weights can be loaded
    path = tmp_path / "other.json"
    for text in ("{}", "[]", "no JSON", '{"version": 1}'):
        path.write_text(text)
        with pytest.raises(ValueError, match=f"^{path} is not the payload.json of an export$"):
            module.Trigger(bus, path)
        with pytest.raises(ValueError, match=f"^{path} is not the weights.json of an export$"):
            trigger.load(path)

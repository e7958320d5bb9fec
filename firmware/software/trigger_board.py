"""A trigger on a board: thresholds, prescales, counters and errors over AXI4-Lite, IPbus or any
other access to its registers. Needs Python 3.9 and nothing else; payload.json says which registers
there are.
"""

import json
import operator
from pathlib import Path

WORD = 0xFFFFFFFF
WEIGHTS_VERSION = 1
HERE = Path(__file__).resolve().parent
PAYLOAD = HERE.parent / "payload.json"


class Mapped:
    """Registers in an address space, such as AXI4-Lite.

    ``read(address)`` returns a word of 32 bits and ``write(address, word)`` writes one. The first
    register is at ``base``, and each other ``step`` further: four bytes with AXI, 1 at the port of
    the plain shell.
    """

    def __init__(self, read, write, base=0, step=4):
        self._read, self._write, self._base, self._step = read, write, base, step

    def read(self, register):
        """The word of a register, as payload.json describes it."""
        return int(self._read(self._address(register)))

    def write(self, register, value):
        """Write the word of a register."""
        self._write(self._address(register), value)

    def _address(self, register):
        return self._base + self._step * register["address"]


class Ipbus:
    """Registers on IPbus. ``device`` is a uhal.HwInterface; ``node`` is the node of the payload in
    its address table, or "" if the table is that of the payload alone.
    """

    def __init__(self, device, node="payload"):
        self._device, self._prefix = device, f"{node}." if node else ""

    def read(self, register):
        """The word of a register, as payload.json describes it."""
        found = self._node(register).read()
        self._device.dispatch()
        return int(found)

    def write(self, register, value):
        """Write the word of a register."""
        self._node(register).write(value)
        self._device.dispatch()

    def _node(self, register):
        return self._device.getNode(self._prefix + register["name"])


class Accept:
    """One accept bit: its ``threshold``, an integer in units of the score's LSB, its ``prescale``,
    and the number of events ``accepted`` at the last snapshot.
    """

    __slots__ = ("_registers", "_trigger", "name")  # A misspelt name fails.

    def __init__(self, trigger, name, registers):
        self.name = name
        self._trigger, self._registers = trigger, registers

    @property
    def threshold(self):
        """The threshold in use; the board limits it to what a score can be."""
        value = self._trigger.read_wide(f"{self._registers}.threshold")
        return value - (1 << 64) if value >> 63 else value

    @threshold.setter
    def threshold(self, value):
        value = _integer(f"{self.name}: threshold", value)
        if not -(1 << 63) <= value < 1 << 63:
            raise ValueError(f"{self.name}: threshold {value} does not fit 64 bits")
        # Writing the low word sets both.
        self._trigger.write(f"{self._registers}.threshold_high", value >> 32 & WORD)
        self._trigger.write(f"{self._registers}.threshold_low", value & WORD)

    @property
    def prescale(self):
        """0: no event is accepted; 1: every event that passes; n: every n-th of them."""
        return self._trigger.read(f"{self._registers}.prescale")

    @prescale.setter
    def prescale(self, value):
        self._trigger.write(f"{self._registers}.prescale", value)

    @property
    def accepted(self):
        return self._trigger.read_wide(f"{self._registers}.accepted")


class _AcceptBits(dict):
    def __missing__(self, name):
        raise KeyError(f"no accept bit {name!r}; there are {', '.join(self)}")


class Trigger:
    """The trigger behind a bus: ``accept`` has its accept bits by name.

    Raises RuntimeError if the board has another network than payload.json is for; if weights can be
    loaded, one of another structure. Raises ValueError for another file than payload.json.
    """

    def __init__(self, bus, payload=PAYLOAD):
        described = _content(payload, "payload.json", "registers")
        self._bus = bus
        self.registers = {register["name"]: register for register in described["registers"]}
        self.accept = _AcceptBits(
            (point["name"], Accept(self, point["name"], point["registers"]))
            for point in described["points"]
        )
        name, register = "version", "version"
        if described.get("structure") is not None:
            name, register = "structure", "weights_structure"
        found, expected = f"{self.read(register):08x}", described[name]
        if found != expected:
            raise RuntimeError(
                f"the board has {name} {found}, {payload} is for {name} {expected}; "
                "use the files of the export that is on the board"
            )

    def read(self, name):
        """The word of a register by its name in payload.json."""
        return self._bus.read(self._register(name, "r"))

    def write(self, name, value):
        """Write the word of a register."""
        value = _integer(name, value)
        if not 0 <= value <= WORD:
            raise ValueError(f"{name}: {value} does not fit 32 bits")
        self._bus.write(self._register(name, "w"), value)

    def read_wide(self, name):
        """A number of 64 bits from its two registers."""
        return self.read(f"{name}_high") << 32 | self.read(f"{name}_low")

    def errors(self):
        """The names of all errors since the last clear; payload.json says what they mean."""
        value = self.read("errors")
        bits = self.registers["errors"]["bits"]
        return [bit["name"] for bit in bits if value >> bit["low"] & 1]

    def counters(self):
        """All counters at one moment: ``total``, ``saturated``, and the events of each accept
        bit.
        """
        self._pulse("snapshot")
        return {
            "total": self.read_wide("total"),
            "saturated": self.read_wide("saturated"),
            "accepted": {name: one.accepted for name, one in self.accept.items()},
        }

    def clear(self):
        """Clear counters and errors."""
        self._pulse("clear")

    def load(self, weights, attempts=1000):
        """Put the weights and thresholds of a weights.json into force, with the next event.

        Raises RuntimeError if they are for another structure, if a word was lost, and if no event
        came in so many ``attempts`` to see one: they then wait for it. Raises ValueError for
        another file than weights.json.
        """
        if "weights_structure" not in self.registers:
            raise RuntimeError("the weights of this firmware are constants")
        given = _content(weights, "weights.json", "words")
        if given.get("version") != WEIGHTS_VERSION:
            raise ValueError(
                f"{weights} has version {given.get('version')} of the format; this class reads "
                f"version {WEIGHTS_VERSION}: use that of the export that is on the board"
            )
        words = [int(word, 16) for word in given["words"]]
        here = f"{self.read('weights_structure'):08x}", self.read("weights_words")
        if here != (given["structure"], len(words)):
            raise RuntimeError(
                f"{weights} is for the structure {given['structure']} of {len(words)} words, but "
                f"the board has {here[0]} of {here[1]} words"
            )
        if self._state("busy"):
            raise RuntimeError("other weights are coming into force; wait for an event")
        self.write("weights_begin", int(given["structure"], 16))
        for word in words:
            self.write("weights_data", word)
        if not self._state("whole"):
            raise RuntimeError("a word was lost; the weights in force are as before")
        self._pulse("load")
        if all(self._state("busy") for _ in range(attempts)):
            raise RuntimeError("no event came since the weights were written; they wait for it")
        if f"{self.read('version'):08x}" != given["network"]:
            raise RuntimeError(f"the board has version {self.read('version'):08x} in force")

    def _state(self, name):
        return self.read("weights_state") >> self._bit("weights_state", name) & 1

    def _pulse(self, action):
        self.write("control", 1 << self._bit("control", action))

    def _bit(self, register, name):
        (low,) = (bit["low"] for bit in self.registers[register]["bits"] if bit["name"] == name)
        return low

    def _register(self, name, access):
        if name not in self.registers:
            raise KeyError(f"no register {name!r}; there are {', '.join(self.registers)}")
        register = self.registers[name]
        if access not in register["access"]:
            raise PermissionError(f"{name} cannot be {'read' if access == 'r' else 'written'}")
        return register


def _content(path, name, key):
    """What a file of an export has, which is known by a key."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError:
        content = None
    if not isinstance(content, dict) or key not in content:
        raise ValueError(f"{path} is not the {name} of an export")
    return content


def _integer(name, value):
    """An integer of Python or NumPy as one of Python."""
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: {value!r} is not an integer") from None

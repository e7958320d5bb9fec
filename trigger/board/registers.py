"""The registers of a payload, declared once: RTL, pages, files for software and tests follow.

A register is a 32-bit word. Its address counts words. What is added here appears by itself in the
address decoder, README.md, payload.json and in every file for software.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from trigger.backends.rtl.image import Image
from trigger.board.decisions import Point
from trigger.support.templates import Code

# The group of all working points, whose registers are accept.NAME.threshold_high and so on.
GROUP = "accept"
FIRST_POINT = 0x10
STRIDE = 8
# The least width of an address, which the ports of the shells have.
_ADDRESS_BITS = 8
_WORD = (1 << 32) - 1


class Signal(NamedTuple):
    """Bits of a signal of ``trigger_registers``; all 32 bits of a word that is read, or fewer."""

    name: str
    low: int
    width: int

    @property
    def high(self) -> int:
        return self.low + self.width - 1


class Strobe(NamedTuple):
    """One bit of ``signal``, high in the cycle of a write; with ``bit``, of a write that sets it.

    ``element`` is the bit of a vector.
    """

    signal: str
    element: int | None = None
    bit: int | None = None


class Bits(NamedTuple):
    """Named bits of a register."""

    name: str
    low: int
    high: int
    meaning: Code

    @property
    def mask(self) -> int:
        return (1 << self.high + 1) - (1 << self.low)


class Register(NamedTuple):
    """``read`` is what a read gives: bits of a signal, or a constant. ``strobes`` are what a write
    does. ``reset`` is the value after a reset. ``point`` numbers the working point, if it has one.
    """

    name: str
    address: int
    meaning: Code
    read: Signal | int | None = None
    strobes: tuple[Strobe, ...] = ()
    reset: int = 0
    bits: tuple[Bits, ...] = ()
    point: int | None = None

    @property
    def access(self) -> str:
        """``r``, ``w`` or ``rw``."""
        return ("r" if self.read is not None else "") + ("w" if self.strobes else "")

    @property
    def constant(self) -> int | None:
        """What every read gives, if that is known."""
        return self.read if isinstance(self.read, int) else None

    @property
    def initial(self) -> int | None:
        """What a read gives after a reset; None if it cannot be read."""
        if self.read is None:
            return None
        return self.reset if self.constant is None else self.constant


class Registers(NamedTuple):
    """All registers, in the order of their addresses. ``points`` name the working points, in words
    that software can use in an identifier.
    """

    registers: tuple[Register, ...]
    points: tuple[str, ...]

    @property
    def address_bits(self) -> int:
        """The width of a word's address."""
        return max(_ADDRESS_BITS, max(r.address for r in self.registers).bit_length())

    @property
    def error_bits(self) -> int:
        """The number of errors that are told apart."""
        (errors,) = (register for register in self.registers if register.name == "errors")
        return len(errors.bits)

    def path(self, register: Register) -> tuple[str, ...]:
        """Its name for software, from the outermost group in."""
        if register.point is None:
            return (register.name,)
        return (GROUP, self.points[register.point], register.name)

    def described(self) -> list[dict[str, Any]]:
        """The registers for payload.json."""
        return [
            {
                "name": ".".join(self.path(register)),
                "address": register.address,
                "access": register.access,
                "reset": register.initial,
                "bits": [bits._asdict() for bits in register.bits],
                "meaning": register.meaning,
            }
            for register in self.registers
        ]


def registers(
    points: Sequence[Point], latency: int, version: str, weights: Image | None = None
) -> Registers:
    """The registers of a shell. ``version`` is eight hexadecimal digits, ``weights`` the image if
    others can be loaded.
    """
    each = [register for k, point in enumerate(points) for register in _point(k, point)]
    common = [*_common(len(points), latency, int(version, 16))]
    if weights is not None:
        common = [*map(_reloadable, common), *_weights(weights, len(points))]
    return Registers((*common, *each), identifiers([point.name for point in points]))


def identifiers(names: Sequence[str]) -> tuple[str, ...]:
    """Names as words of letters, digits and underscores, all different, also in capitals."""
    words = [re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_") for name in names]
    plain = [word if word[:1].isalpha() else f"point_{word}".rstrip("_") for word in words]
    capitals = [word.upper() for word in plain]
    if len(set(capitals)) == len(plain):
        return tuple(plain)
    return tuple(f"{word}_{number}" for number, word in enumerate(plain))


def _common(points: int, latency: int, version: int) -> Iterator[Register]:
    yield Register("version", 0x00, Code("fingerprint of the network"), version)
    yield Register(
        "control",
        0x01,
        Code("what a write does; reads as zero"),
        0,
        strobes=(Strobe("snapshot", bit=0), Strobe("clear", bit=1)),
        bits=(
            Bits("snapshot", 0, 0, Code("take a snapshot of all counters")),
            Bits("clear", 1, 1, Code("clear counters and errors")),
        ),
    )
    yield Register(
        "errors",
        0x02,
        Code("what was wrong with the inputs since the last clear"),
        Signal("errors", 0, 4),
        bits=(
            Bits("broken", 0, 0, Code("an event ended early or continued without a start")),
            Bits("links", 1, 1, Code("links disagreed")),
            Bits("orbit", 2, 2, Code("an orbit started at the wrong time")),
            Bits("early", 3, 3, Code("an event came too early and was dropped")),
        ),
    )
    yield Register("latency", 0x03, Code("clock edges from the last frame to a decision"), latency)
    yield from _wide("total", 0x04, "number of decisions, at the snapshot", "total_seen")
    yield from _wide(
        "saturated",
        0x06,
        "number of these events with a feature at the upper end of its type",
        "saturated_seen",
    )
    yield Register("points", 0x08, Code("number of working points"), points)


def _reloadable(register: Register) -> Register:
    """A register of a shell whose core can get other weights."""
    match register.name:
        case "version":
            return register._replace(
                meaning=Code("fingerprint of the network in force"),
                read=Signal("network", 0, 32),
                reset=register.initial or 0,
            )
        case "control":
            load = Bits("load", 2, 2, Code("put the image into force with the next event"))
            return register._replace(
                strobes=(*register.strobes, Strobe("load", bit=2)), bits=(*register.bits, load)
            )
        case "errors":
            meaning = (
                "weights of another structure, not all of them, or while others came into force: "
                "ignored"
            )
            return register._replace(
                read=Signal("errors", 0, 5),
                bits=(*register.bits, Bits("weights", 4, 4, Code(meaning))),
            )
    return register


def _weights(image: Image, points: int) -> Iterator[Register]:
    meaning = (
        "fingerprint of the network without its weights, the features and the accept bits; other "
        "weights must have the same"
    )
    yield Register("weights_structure", 0x09, Code(meaning), image.structure)
    count = len(image.words) + 2 * points
    yield Register("weights_words", 0x0A, Code("number of words of an image"), count)
    yield Register(
        "weights_begin",
        0x0B,
        Code("begins an image; write the structure"),
        strobes=(Strobe("weights_begin"),),
    )
    yield Register(
        "weights_data",
        0x0C,
        Code("the words of the image, from the first to the last"),
        strobes=(Strobe("weights_write"),),
    )
    yield Register(
        "weights_state",
        0x0D,
        Code("state of the image"),
        Signal("weights_state", 0, 32),
        bits=(
            Bits("written", 0, 23, Code("number of words since it began")),
            Bits("whole", 30, 30, Code("it is complete and of the right structure")),
            Bits("busy", 31, 31, Code("it comes into force, and cannot be changed")),
        ),
    )


def _point(number: int, point: Point) -> Iterator[Register]:
    """The registers of a working point."""
    base = FIRST_POINT + STRIDE * number
    step = f"threshold in units of the score's LSB ({point.port.type})"
    high, low = _wide("threshold", base, step, "threshold", number)
    yield high._replace(
        meaning=Code(f"{high.meaning}; held until the low word is written"),
        strobes=(Strobe("threshold_high_write", number),),
        reset=point.bound >> 32 & _WORD,
    )
    yield low._replace(
        meaning=Code(f"{low.meaning}; a write sets both"),
        strobes=(Strobe("threshold_write", number),),
        reset=point.bound & _WORD,
    )
    yield Register(
        "prescale",
        base + 2,
        Code("prescale; 0: no event; 1: every event that passes; n: every n-th"),
        Signal("prescale", 32 * number, 32),
        (Strobe("prescale_write", number),),
        reset=1,
        point=number,
    )
    meaning = "number of accepted events, at the snapshot"
    yield from _wide("accepted", base + 3, meaning, "accepted_seen", number)


def _wide(
    name: str, address: int, meaning: str, signal: str, point: int | None = None
) -> tuple[Register, Register]:
    """A number of 64 bits of a signal that has one for each working point: high and low word."""
    first = 64 * (point or 0)
    return (
        Register(
            f"{name}_high",
            address,
            Code(f"{meaning}, high word"),
            Signal(signal, first + 32, 32),
            point=point,
        ),
        Register(
            f"{name}_low",
            address + 1,
            Code(f"{meaning}, low word"),
            Signal(signal, first, 32),
            point=point,
        ),
    )

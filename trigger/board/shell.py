"""The payload: the core in a shell from link words to accept bits, with registers and README.

Templates and handwritten parts are in ``firmware/shell``. This module generates the top around
them, with the mapping of word bits to features, the working points and all widths, and the
registers from their declaration.
"""

import json
import shutil
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from trigger.backends.rtl import Rtl
from trigger.backends.rtl.image import Image, image
from trigger.backends.rtl.interface import Interface, ports
from trigger.backends.rtl.simulate import Design
from trigger.board.decisions import Point
from trigger.board.registers import GROUP, Registers, registers
from trigger.errors import TriggerError
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.types import Fixed
from trigger.spec.links import LinkMap, Place
from trigger.spec.payload_tables import MOST_FRAMES, MOST_POINTS
from trigger.support.resources import folder
from trigger.support.templates import environment

LANGUAGES = {"verilog": "sv", "vhdl": "vhd"}
# The parts around the core that are copied, and the one for other weights.
PLAIN = ("trigger_framer", "trigger_working_point")
LOADER = "trigger_weights"
# Cycles besides the core: one to collect the last frame, one for the threshold, one for the
# prescale.
SHELL_LATENCY = 3
ORBIT = 3564


class Payload(NamedTuple):
    """A shell around a core: ``points`` are the working points, ``links`` the positions of the
    features.
    """

    directory: Path
    name: str
    links: LinkMap
    points: tuple[Point, ...]
    rtl: Rtl

    @property
    def core(self) -> Interface:
        return self.rtl.interface

    @property
    def latency(self) -> int:
        """Clock edges from the last frame of an event to its decision."""
        return self.core.latency + SHELL_LATENCY

    @property
    def apart(self) -> int:
        """The least number of clock cycles from one event to the next."""
        return max(self.links.words, self.core.interval)

    def registers(self, version: str) -> Registers:
        """The registers; ``version`` is eight hexadecimal digits."""
        return registers(self.points, self.latency, version, self.weights)

    @property
    def weights(self) -> Image | None:
        """The image of the network, if others can be loaded; its structure also tells features and
        accept bits, in their order, from others.
        """
        own = image(self.rtl.graph)
        if own is None:
            return None
        features = [place.name for place in self.links.places]
        accept_bits = [(point.name, point.element) for point in self.points]
        text = json.dumps([own.structure, features, accept_bits])
        return own._replace(structure=zlib.crc32(text.encode()))

    def image(self, network: Graph, bounds: Sequence[int]) -> tuple[int, ...]:
        """The words that bring another network, with these thresholds, into force."""
        loaded = image(network)
        assert loaded is not None
        words = [bound >> shift & 0xFFFFFFFF for bound in bounds for shift in (0, 32)]
        return (*loaded.words, *words)

    def loading(self, words: Sequence[int]) -> list[tuple[int, int]]:
        """The writes, address and value, that bring an image and put it into force."""
        loaded = self.weights
        assert loaded is not None
        known = {register.name: register for register in self.registers("0").registers}
        (load,) = (bits for bits in known["control"].bits if bits.name == "load")
        data = known["weights_data"].address
        return [
            (known["weights_begin"].address, loaded.structure),
            *((data, word) for word in words),
            (known["control"].address, load.mask),
        ]

    @property
    def plain(self) -> tuple[str, ...]:
        """The parts around the core that are copied."""
        return (*PLAIN, LOADER) if self.core.words else PLAIN

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts around the core, in compilation order."""
        return (*self.plain, "trigger_registers")

    @property
    def sources(self) -> tuple[Path, ...]:
        """The sources of core and shell in compilation order, the top last."""
        suffix = LANGUAGES[self.rtl.language]
        return (
            *self.rtl.sources,
            *(self.directory / "src" / f"{part}.{suffix}" for part in (*self.parts, self.name)),
        )

    @property
    def bench(self) -> Design:
        """The simulated design: a row of inputs is a frame, the words of each link, valid, start
        and start of orbit.

        A row of outputs has the scores, the accept bits, bunch crossing, valid and error.
        """
        bit = Fixed(False, 1, 1)
        inputs = [Fixed(False, self.links.word_bits, 0)] * self.links.links + [bit] * 3
        outputs = [
            *(p.type for p in self.core.outputs),
            *[bit] * len(self.points),
            Fixed(False, 12, 12),
            bit,
            bit,
        ]
        name = f"{self.name}_bench"
        sources = (*self.sources, self.directory / "sim" / f"{name}.{LANGUAGES[self.rtl.language]}")
        return Design(Interface(name, ports(inputs), ports(outputs), self.latency), sources)


class _Wire(NamedTuple):
    """A feature among the words of an event: ``low`` counts from the first bit of link 0 in frame
    0.
    """

    name: str
    link: int
    word: int
    first: int
    last: int
    low: int
    high: int


def write_payload(payload: Payload, version: str) -> None:
    """Write shell, simulation bench, README.md and payload.json, in the language of the core, which
    stays where it is.

    ``version`` is eight hexadecimal digits, readable in a register. Raises TriggerError for too
    many working points, or too many frames per event.
    """
    directory, name, links, points, rtl = payload
    if len(points) > MOST_POINTS:
        raise TriggerError(f"payload: {len(points)} accept bits; at most {MOST_POINTS} fit")
    if links.words > MOST_FRAMES:
        raise TriggerError(
            f"payload: an event has {links.words} frames; at most {MOST_FRAMES} fit; use more links"
        )
    suffix = LANGUAGES[rtl.language]
    wires = [_wire(place, links) for place in links.places]
    known = payload.registers(version)
    fields: dict[str, Any] = {
        "name": name,
        "links": links,
        "points": points,
        "core": rtl.interface,
        "wires": list(zip(wires, rtl.interface.inputs, strict=True)),
        "latency": payload.latency,
        "version": version,
        "bench": payload.bench.interface,
        "clock_mhz": rtl.clock_mhz,
        "orbit": ORBIT,
        "registers": known.registers,
        "address_bits": known.address_bits,
        "error_bits": known.error_bits,
        "weights": payload.weights,
    }
    source = folder("firmware") / "shell"
    templates = environment(source)
    templates.filters["bits"] = lambda value, width: f"{value:0{width}b}"
    templates.filters["hex64"] = lambda value: f"{value & (1 << 64) - 1:016x}"
    templates.filters["signed64"] = lambda value: f"{'-' if value < 0 else ''}64'sd{abs(value)}"
    for part in ("src", "sim"):
        (directory / part).mkdir(parents=True, exist_ok=True)
    for part in payload.plain:
        shutil.copyfile(source / f"{part}.{suffix}", directory / "src" / f"{part}.{suffix}")
    for template, target in (
        (f"trigger_registers.{suffix}", f"src/trigger_registers.{suffix}"),
        (f"trigger.{suffix}", f"src/{name}.{suffix}"),
        (f"bench.{suffix}", f"sim/{name}_bench.{suffix}"),
    ):
        text = templates.get_template(f"{template}.j2").render(**fields)
        (directory / target).write_text(text, encoding="utf-8")
    readme = templates.get_template("README.md.j2").render(**fields)
    (directory / "README.md").write_text(readme, encoding="utf-8")
    (directory / "payload.json").write_text(
        json.dumps(_description(payload, version, known), indent=1) + "\n"
    )


def _wire(place: Place, links: LinkMap) -> _Wire:
    low = (place.word * links.links + place.link) * links.word_bits + place.low
    last = place.low + place.type.width - 1
    return _Wire(
        place.name, place.link, place.word, place.low, last, low, low + place.type.width - 1
    )


def _description(payload: Payload, version: str, known: Registers) -> dict[str, Any]:
    weights = payload.weights
    return {
        "name": payload.name,
        "version": version,
        "structure": f"{weights.structure:08x}" if weights else None,
        "latency": payload.latency,
        "links": payload.links.links,
        "frames": payload.links.words,
        "apart": payload.apart,
        "word_bits": payload.links.word_bits,
        "orbit": ORBIT,
        "points": [
            {**point.described(), "registers": f"{GROUP}.{name}"}
            for point, name in zip(payload.points, known.points, strict=True)
        ],
        "address_bits": known.address_bits,
        "registers": known.described(),
        "scores": [
            {"low": p.low, "high": p.high, "type": str(p.type)} for p in payload.core.outputs
        ],
        "sources": [path.name for path in payload.sources],
    }

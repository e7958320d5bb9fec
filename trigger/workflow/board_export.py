"""Export of a payload for a board: core, shell, test vectors and cocotb benches in one folder."""

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from trigger.artifacts.built_payload import output_fields
from trigger.artifacts.built_payload import payload as built_payload
from trigger.artifacts.folder import Build, integer_events, read_graph
from trigger.backends.rtl import open_project
from trigger.backends.rtl import write as write_rtl
from trigger.backends.rtl.reloading import others
from trigger.board.axi import AxiPort, Widths, axi_ports
from trigger.board.core import core_options
from trigger.board.decisions import Decisions, decide
from trigger.board.patterns import END, ORBIT, START, VALID, Pattern, pattern
from trigger.board.shell import ORBIT as ORBIT_LENGTH
from trigger.board.shell import Payload, write_payload
from trigger.board.software import Design, write_software
from trigger.errors import TriggerError, quoted
from trigger.events.hardware import structured
from trigger.fixedpoint.evaluate import run
from trigger.fixedpoint.serialize import fingerprint
from trigger.fixedpoint.types import Integers, bounds
from trigger.spec.links import pack
from trigger.spec.payload_tables import MOST_POINTS, WORD_BITS, OutputField
from trigger.spec.payload_tables import Payload as PayloadSection
from trigger.spec.target_tables import cycles_per_crossing
from trigger.support.resources import folder
from trigger.support.templates import Code, environment

_BENCH_EVENTS = 120
# The clock of IPbus on EMP boards.
IPBUS_MHZ = 31.25


class Shell(NamedTuple):
    """A board shell: its languages, the first by default, and its files besides those of the plain
    shell.

    ``board`` is the module for the board, ``top`` that of the simulation. ``clock`` is the port of
    the payload's clock; ``slow`` has the others with their MHz. ``files`` are templates of
    ``firmware``, by the name of what they make; ``simulation`` those for simulation only, of which
    ``packages`` stand for those of the board's framework.
    """

    languages: tuple[str, ...]
    board: str
    top: str
    bench: str
    clock: str
    files: Mapping[str, str] = MappingProxyType({})
    simulation: Mapping[str, str] = MappingProxyType({})
    packages: tuple[str, ...] = ()
    slow: Mapping[str, float] = MappingProxyType({})


SHELLS = {
    "plain": Shell(("verilog", "vhdl"), "{name}", "{name}", "test_plain", "clk"),
    "axi": Shell(
        ("verilog",),
        "{name}_axi",
        "{name}_axi",
        "test_axi",
        "aclk",
        {"{name}_axi.v": "axi/axi.v.j2"},
    ),
    "emp": Shell(
        ("vhdl",),
        "emp_payload",
        "{name}_emp_bench",
        "test_emp",
        "clk_p",
        {
            "register_crossing.vhd": "emp/register_crossing.vhd",
            "emp_payload.vhd": "emp/emp_payload.vhd.j2",
        },
        {"stubs.vhd": "emp/stubs.vhd.j2", "{name}_emp_bench.vhd": "emp/emp_bench.vhd.j2"},
        ("stubs.vhd",),
        {"clk": IPBUS_MHZ},
    ),
}
_SIMULATORS = {"verilog": "icarus", "vhdl": "ghdl"}


def export(
    build: Build, directory: Path, kind: str = "plain", language: str | None = None
) -> Payload:
    """Write a build's payload into a folder: ``core/`` and ``src/`` for the board, ``sim/`` for
    simulation.

    Raises TriggerError for an unknown shell or language, and for a payload that does not fit the
    shell.
    """
    shell, language = _chosen(kind, language)
    directory = directory.resolve()
    spec = build.spec
    graph = read_graph(build.root)
    _asked(build)
    rtl = write_rtl(graph, directory / "core", core_options(spec, language))
    payload = built_payload(build.root, spec, rtl, directory)
    version = fingerprint(graph)
    fields = _fields(payload, build, kind)
    write_payload(payload, version)
    sim = directory / "sim"
    for where, files in ((directory / "src", shell.files), (sim, shell.simulation)):
        for target, template in files.items():
            _make(folder("firmware") / template, where / target.format(name=payload.name), fields)
    design = _design(payload, kind, fields["axi"]["ports"])
    about = {
        "kind": kind,
        "simulator": _SIMULATORS[language],
        "top": design.top,
        "files": design.files,
        **write_software(payload, payload.registers(version), design),
    }
    with (directory / "README.md").open("a", encoding="utf-8") as readme:
        for home in ("software", "bench") if kind == "plain" else (kind, "software", "bench"):
            page = environment(folder("firmware") / home).get_template("README.md.j2")
            readme.write(page.render(**fields, **about))
    _write_benches(payload, build, kind)
    return payload


def _design(payload: Payload, kind: str, ports: Sequence[AxiPort]) -> Design:
    shell = SHELLS[kind]
    return Design(
        kind,
        shell.board.format(name=payload.name),
        [path.relative_to(payload.directory).as_posix() for path in sources(payload, kind)],
        [f"sim/{name}" for name in shell.packages],
        {shell.clock: payload.rtl.clock_mhz, **shell.slow},
        ports,
    )


def sources(payload: Payload, kind: str) -> list[Path]:
    """The files of a payload for the board, in the order of compilation."""
    return [
        *payload.sources,
        *(
            payload.directory / "src" / name.format(name=payload.name)
            for name in SHELLS[kind].files
        ),
    ]


def _chosen(kind: str, language: str | None) -> tuple[Shell, str]:
    if kind not in SHELLS:
        raise TriggerError(f"payload: no shell {quoted(kind)}; available: {', '.join(SHELLS)}")
    shell = SHELLS[kind]
    language = language or shell.languages[0]
    if language not in shell.languages:
        raise TriggerError(
            f"payload: the shell {quoted(kind)} is in {' or '.join(shell.languages)}, "
            f"not in {quoted(language)}"
        )
    return shell, language


def _fields(payload: Payload, build: Build, kind: str) -> dict[str, Any]:
    """The variables for the templates of a shell."""
    asked = _asked(build)
    width = payload.core.output_width
    count = payload.links.links
    channels = asked.input_links or list(range(count))
    if kind == "emp" and len(channels) != count:
        raise TriggerError(
            f"payload: input_links has {len(channels)} channels; the inputs are on {count} links"
        )
    fields = output_fields(build.spec, payload) if kind == "emp" else ()
    output_links = sorted({field.link for field in fields})
    # The smallest power of two that is at least 32 + width.
    beat = 32 << (-(-width // 32)).bit_length()
    address_bits = payload.registers(fingerprint(read_graph(build.root))).address_bits
    widths = Widths(count * payload.links.word_bits, beat, address_bits + 2)
    return {
        "name": payload.name,
        "links": payload.links,
        "points": payload.points,
        "core": payload.core,
        "latency": payload.latency,
        "apart": payload.apart,
        "address_bits": address_bits,
        "input_links": channels,
        "output_links": output_links,
        "output_fields": fields,
        # Four channels each; simulations use at least the typical number of regions.
        "regions": max(18, *(channel // 4 + 1 for channel in (*channels, *output_links))),
        "axi": {
            "width": beat,
            "ports": axi_ports(widths),
            "padding": _zeros(beat - 32 - width),
            "unused": _zeros(MOST_POINTS - len(payload.points)),
        },
    }


def _asked(build: Build) -> PayloadSection:
    """The payload table of the spec. Raises TriggerError if there is none."""
    if build.spec.payload is None:
        raise TriggerError(
            "payload: trigger.toml has no [payload]; add it (it may be empty) and "
            "decision.accept, then build again"
        )
    return build.spec.payload


def _zeros(bits: int) -> Code:
    """Zero bits at the front of a Verilog concatenation."""
    return Code(f"{bits}'d0, " if bits else "")


def _make(source: Path, target: Path, fields: dict[str, Any]) -> None:
    if source.suffix == ".j2":
        text = environment(source.parent).get_template(source.name).render(**fields)
        target.write_text(text, encoding="utf-8")
    else:
        shutil.copyfile(source, target)


def _hexadecimal(frame: Iterable[int]) -> list[str]:
    return [f"{int(word):x}" for word in frame]


def _write_benches(payload: Payload, build: Build, kind: str) -> None:
    """Vectors, and the cocotb benches that run them."""
    shell = SHELLS[kind]
    sim = payload.directory / "sim"
    home = folder("firmware") / "bench"
    for name in ("payload.py", "software.py", f"{shell.bench}.py", "run.py"):
        shutil.copyfile(home / name, sim / name)
    description = json.loads((payload.directory / "payload.json").read_text(encoding="utf-8"))
    if kind == "emp":
        description["output"] = [
            {**field._asdict(), "what": None} for field in output_fields(build.spec, payload)
        ]
    (sim / "payload.json").write_text(json.dumps(description, indent=1) + "\n")
    x = vectors(build, _BENCH_EVENTS)
    scores = run(read_graph(build.root), x)
    saturated = (x == bounds(build.spec.input_types)[1]).any(axis=1)
    words = pack(payload.links, x)
    rows = [
        {
            "words": [_hexadecimal(frame) for frame in event],
            "scores": y.tolist(),
            "saturated": bool(s),
        }
        for event, y, s in zip(words, scores, saturated, strict=True)
    ]
    (sim / "vectors.json").write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")
    if payload.core.words:
        text = json.dumps(_other_weights(payload, x))
        (sim / "other.json").write_text(f"{text}\n")
    files = [
        *(sim / name.format(name=payload.name) for name in shell.simulation),
        *sources(payload, kind),
    ]
    bench = {
        "simulator": _SIMULATORS[payload.rtl.language],
        "top": shell.top.format(name=payload.name),
        "test": shell.bench,
        "sources": [path.relative_to(payload.directory).as_posix() for path in files],
    }
    (sim / "bench.json").write_text(json.dumps(bench, indent=1) + "\n")


def _other_weights(payload: Payload, x: Integers) -> dict[str, Any]:
    """Random weights for the benches: the writes that bring them, their thresholds, the first word
    of the image, and the scores of all events.
    """
    other = others(payload.rtl.graph)[0]
    scores = run(other, x)
    bounds = [int(np.median(scores[:, point.element])) for point in payload.points]
    words = payload.image(other, bounds)
    return {
        "writes": payload.loading(words),
        "network": words[0],
        "bounds": bounds,
        "scores": scores.tolist(),
    }


def vectors(build: Build, count: int) -> Integers:
    """Inputs to simulate a payload: zeros, test events, and missing and saturated objects or random
    integers.
    """
    spec = build.spec
    test = integer_events(build)["test"].x[: count // 2]
    rest = structured(spec, count - 1 - len(test), spec.training.seed)
    if not len(rest):
        low, high = bounds(spec.input_types)
        rest = np.random.default_rng(spec.training.seed).integers(
            low, high + 1, (count - 1 - len(test), len(low))
        )
        rest[-1] = high
    return np.concatenate([np.zeros((1, len(spec.data.features)), dtype=np.int64), test, rest])


class PatternPair(NamedTuple):
    """The contents of the input buffers of an EMP board, and the expected contents of its output
    buffers.
    """

    inputs: Pattern
    expected: Pattern


def patterns(build: Build, events: int) -> PatternPair:
    """All events in one pair of patterns of any length. Raises as ``pattern_files``."""
    source = _PatternSource(build)
    return source.pair(vectors(build, events))


def pattern_files(build: Build, events: int, frames: int) -> list[PatternPair]:
    """Pairs of patterns for all events, for buffers of this many frames, each from a start of
    orbit.

    Raises TriggerError if an event does not fit between two bunch crossings or into the buffer.
    """
    source = _PatternSource(build)
    most = source.most_events(frames)
    x = vectors(build, events)
    return [source.pair(x[first : first + most]) for first in range(0, events, most)]


class _PatternSource:
    """Makes the patterns of one build.

    Bunch crossings are ``apart`` frames apart.
    """

    def __init__(self, build: Build) -> None:
        spec = build.spec
        _asked(build)
        self.name = spec.name
        self.graph = read_graph(build.root)
        project = open_project(build.root / "rtl", self.graph)
        self.shell = built_payload(build.root, spec, project)
        self.fields = _fields(self.shell, build, "emp")
        self.apart = cycles_per_crossing(spec.target.clock_mhz)
        words = self.shell.links.words
        if self.apart < words:
            raise TriggerError(
                f"patterns: an event has {words} frames, a bunch crossing {self.apart} "
                f"at {spec.target.clock_mhz:g} MHz; "
                "use more links, or a higher target.clock_mhz"
            )

    def frames(self, events: int) -> int:
        """Frames of the longer pattern of a pair, which ends with the decision on the last
        event.
        """
        return events * self.apart + self.shell.links.words + self.shell.latency

    def most_events(self, frames: int) -> int:
        """The number of events that fit a buffer of this many frames."""
        if frames < self.frames(1):
            raise TriggerError(
                f"patterns: a buffer of {frames} frames holds no event; an event and "
                f"its answer take {self.frames(1)}"
            )
        return 1 + (frames - self.frames(1)) // self.apart

    def pair(self, x: Integers) -> PatternPair:
        """The patterns of integer inputs, shape (events, features)."""
        starts = np.arange(len(x)) * self.apart
        return PatternPair(self._inputs(x, starts), self._expected(run(self.graph, x), starts))

    def _inputs(self, x: Integers, starts: Integers) -> Pattern:
        links = self.shell.links
        data = np.zeros((len(x) * self.apart, links.links), dtype=np.uint64)
        flags = np.zeros((*data.shape, 4), dtype=bool)
        words = pack(links, x)
        for number in range(links.words):
            data[starts + number] = words[:, number]
            flags[starts + number, :, VALID] = True
        flags[starts, :, START] = True
        flags[starts + links.words - 1, :, END] = True
        flags[starts[::ORBIT_LENGTH], :, ORBIT] = True
        return pattern(self.name, self.fields["input_links"], data, flags)

    def _expected(self, scores: Integers, starts: Integers) -> Pattern:
        shell = self.shell
        decided = decide(scores, shell.points, ORBIT_LENGTH)
        due = starts + shell.links.words - 1 + shell.latency
        links = self.fields["output_links"]
        data = np.zeros((self.frames(len(scores)), len(links)), dtype=np.uint64)
        flags = np.zeros((*data.shape, 4), dtype=bool)
        data[due] = _decision_words(shell, self.fields["output_fields"], scores, decided)
        flags[due, :, START:] = True
        flags[due, :, ORBIT] = decided.bx[:, None] == 0
        return pattern(self.name, links, data, flags)


def _decision_words(
    shell: Payload, fields: Sequence[OutputField], scores: Integers, decided: Decisions
) -> np.ndarray:
    """The words of the output links, uint64 of shape (events, links), links in rising order."""
    links = sorted({field.link for field in fields})
    bits = {
        "out_accept": _bits(decided.accept, [(k, 1) for k in range(len(shell.points))]),
        "out_bx": _bits(decided.bx[:, None], [(0, 12)]),
        "out_score": _bits(scores, [(port.low, port.type.width) for port in shell.core.outputs]),
    }
    words = np.zeros((len(scores), len(links), WORD_BITS), dtype=np.uint64)
    for field in fields:
        part = bits[field.port][:, field.first : field.last + 1]
        words[:, links.index(field.link), field.low : field.high + 1] = part
    packed: np.ndarray = (words << np.arange(WORD_BITS, dtype=np.uint64)).sum(
        axis=2, dtype=np.uint64
    )
    return packed


def _bits(values: Integers, places: Sequence[tuple[int, int]]) -> np.ndarray:
    """Integers (events, values) as bits of a port (events, bits), each at its (lowest bit,
    width).
    """
    parts = []
    for column, (_, width) in zip(values.T, sorted(places), strict=True):
        parts.append(column[:, None].astype(np.int64) >> np.arange(width) & 1)
    return np.concatenate(parts, axis=1).astype(np.uint64)

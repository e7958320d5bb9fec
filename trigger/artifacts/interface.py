"""The interface of a build: what a design around its firmware relies on."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from trigger.artifacts import built_payload
from trigger.artifacts.folder import Build, read_graph, read_json
from trigger.backends.rtl import DESCRIPTION, open_project
from trigger.board.shell import Payload
from trigger.errors import TriggerError
from trigger.support.numbers import counted
from trigger.support.progress import shown

_LATENCY = "latency"
_SCORE = "score "
_OUTPUT = "output "
_MOST_LINES = 12
_NONE = "none"


class Difference(NamedTuple):
    """A name, and what it stands for in two builds, in words; "none" where one has no such name."""

    name: str
    before: str
    after: str


def interface(build: Build) -> dict[str, str]:
    """The clock, latency and ports of the core or payload of a build, its links and registers, in
    words.
    """
    return dict(_core(build) if build.spec.payload is None else _payload(build))


def core_interface(build: Build) -> dict[str, str]:
    """The same of the core alone."""
    return dict(_core(build))


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[Difference]:
    """The names that do not stand for the same."""
    return [
        Difference(name, before.get(name, _NONE), after.get(name, _NONE))
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    ]


def check_like(build: Build, path: Path, expected: Mapping[str, str]) -> None:
    """Raise TriggerError, with all differences, if the interface of a build is not that of the
    build at ``path``.
    """
    own = interface(build)
    different = [f"{name}: {old}, here {new}" for name, old, new in differences(expected, own)]
    if not different:
        return
    more = len(different) - _MOST_LINES
    lines = different[:_MOST_LINES] + ([f"and {counted(more, 'more difference')}"] * (more > 0))
    lines += _remedies(expected, own)
    raise TriggerError(
        f"build: the firmware does not fit in the place of {shown(path)}:\n  " + "\n  ".join(lines)
    )


def _remedies(expected: Mapping[str, str], own: Mapping[str, str]) -> Iterator[str]:
    there, here = (int(names[_LATENCY].partition(" ")[0]) for names in (expected, own))
    if here < there:
        yield f"set target.latency_cycles = {there} to keep the latency"
    if any(
        expected[name] != own[name]
        for name in expected.keys() & own.keys()
        if name.startswith((_SCORE, _OUTPUT))
    ):
        yield (
            "the types of scores follow the weights, unless the network ends with a quantiser, "
            "such as QActivation"
        )


def _core(build: Build) -> Iterator[tuple[str, str]]:
    rtl = read_json(build.root / "rtl" / DESCRIPTION)
    yield from _timing(rtl["clock_mhz"], rtl["latency"])
    yield "initiation interval", counted(rtl["initiation_interval"], "clock cycle")
    yield from _weights(rtl)
    for kind, key in (("input ", "inputs"), (_OUTPUT, "outputs")):
        for number, port in enumerate(rtl[key]):
            yield f"{kind}{number}", _port(port)


def _payload(build: Build) -> Iterator[tuple[str, str]]:
    project = open_project(build.root / "rtl", read_graph(build.root))
    payload = built_payload.payload(build.root, build.spec, project)
    links = payload.links
    yield from _timing(project.clock_mhz, payload.latency)
    yield "links", f"{links.links} of {links.word_bits} bits"
    yield "words of an event", str(links.words)
    yield from _weights(read_json(build.root / "rtl" / DESCRIPTION))
    for place in links.places:
        last = place.low + place.type.width - 1
        yield (
            f"feature {place.name}",
            f"{place.type} at bits {place.low} to {last} of word {place.word}, link {place.link}",
        )
    yield from _registers(payload)
    for number, score in enumerate(payload.core.outputs):
        yield f"{_SCORE}{number}", f"{score.type} at bits {score.low} to {score.high}"
    yield from _channels(build, payload)


def _registers(payload: Payload) -> Iterator[tuple[str, str]]:
    """The accept bits in order, which number their registers; those of a threshold have the type
    of its score.
    """
    for number, point in enumerate(payload.points):
        yield f"accept bit {number}", f"{point.name}, threshold on a score of {point.port.type}"


def _channels(build: Build, payload: Payload) -> Iterator[tuple[str, str]]:
    """The channels of an EMP board."""
    if build.spec.payload is None or not build.spec.payload.names_channels:
        return
    for number, channel in enumerate(build.spec.payload.input_links):
        yield f"channel of link {number}", str(channel)
    for field in built_payload.output_fields(build.spec, payload):
        yield (
            field.described,
            f"{counted(field.width, 'bit')} from bit {field.low} of channel {field.link} on",
        )


def _weights(rtl: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What other weights for this hardware must be made for."""
    if weights := rtl.get("weights"):
        yield "weights", f"{weights['words']} words of the structure {weights['structure']}"


def _timing(clock_mhz: float, latency: int) -> Iterator[tuple[str, str]]:
    yield "clock", f"{clock_mhz:g} MHz"
    yield _LATENCY, counted(latency, "clock cycle")


def _port(port: Mapping[str, Any]) -> str:
    return f"{port['name']}, {port['type']} at bits {port['low']} to {port['high']}"

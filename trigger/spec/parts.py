"""The FPGA parts and families of synth/."""

import difflib
import re
import tomllib
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from trigger.errors import TriggerError, quoted
from trigger.support.resources import folder

PARTS = "parts.toml"
FAMILIES = "families.toml"
NAMES = "part_names.toml"
# The files read here, on which results depend.
DATA = tuple(f"synth/{name}" for name in (PARTS, FAMILIES, NAMES))
TOTALS = ("lut", "ff", "dsp", "bram")


class Part(NamedTuple):
    """An FPGA with its totals; unknown ones are None.

    ``delay`` scales the delay model; ``yosys`` and ``quartus`` are its names in those tools, if
    known.
    """

    name: str
    family: str
    vendor: str
    delay: float
    yosys: str | None
    quartus: dict[str, str] | None
    lut: int | None = None
    ff: int | None = None
    dsp: int | None = None
    bram: int | None = None


@cache
def parts() -> dict[str, Part]:
    """All listed parts by name, in the order of synth/parts.toml."""
    listed = _read(PARTS)
    return {name: _made(name, entry.pop("family"), entry) for name, entry in listed.items()}


@cache
def families() -> dict[str, dict[str, Any]]:
    """The entries of synth/families.toml."""
    return _read(FAMILIES)


def part(name: str | Part) -> Part:
    """A part by name or ordering code; a Part is returned unchanged.

    Raises TriggerError with the nearest name.
    """
    if isinstance(name, Part):
        return name
    known = parts()
    if name in known:
        return known[name]
    numbered = _by_ordering_code(name)
    if numbered is None:
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f"; did you mean {quoted(close[0])}?" if close else ""
        raise TriggerError(
            f"no part {quoted(name)}{hint} (`trigger doctor --parts` lists all; any "
            f"other AMD or Altera FPGA is accepted by "
            "its complete ordering code, with package and speed grade; [target.device] "
            "describes a custom one)"
        )
    return numbered


def own_part(name: str, family: str, delay: float | None, totals: Mapping[str, int | None]) -> Part:
    """A part described by the user; a part of an unknown family has its own ``delay``."""
    if family in families():
        made = _made(name, family, totals)
        return made if delay is None else made._replace(delay=delay)
    assert delay is not None
    return Part(name, family, "", delay, None, None, **totals)


def utilisation(result: Any, fpga: Part) -> dict[str, float | None]:
    """The fraction of a part's LUT, FF, DSP and BRAM in a synthesis result; None if unknown."""
    shares: dict[str, float | None] = {}
    for name in TOTALS:
        used = getattr(result, name)
        total = getattr(fpga, name)
        known = used is not None and bool(total) and result.part == fpga.name
        shares[name] = used / total if known else None
    return shares


def _made(name: str, family: str, totals: Mapping[str, int | None]) -> Part:
    entry = families()[family]
    quartus = entry.get("quartus")
    if quartus is not None:
        quartus = {"device": name, **quartus}
    return Part(
        name, family, entry["vendor"], entry["delay"], entry.get("yosys"), quartus, **totals
    )


def _by_ordering_code(name: str) -> Part | None:
    for family, pattern in _patterns().items():
        if match := pattern.fullmatch(name):
            return _made(name, family, _totals_of_devices().get(match["device"].lower(), {}))
    return None


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    """The ordering codes of each family, the device in the group of that name."""
    patterns = _read(NAMES)
    return {
        family: re.compile(f"(?P<device>{device}){patterns['rest'][rest]}", re.IGNORECASE)
        for family, (device, rest) in patterns["device"].items()
    }


@cache
def _totals_of_devices() -> dict[str, dict[str, int | None]]:
    """The totals of each device with a listed part: they do not depend on package and grade."""
    totals = {}
    for name, known in parts().items():
        match = next(filter(None, (p.fullmatch(name) for p in _patterns().values())), None)
        if match:
            totals[match["device"].lower()] = {total: getattr(known, total) for total in TOTALS}
    return totals


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((folder("synth") / name).read_text())

"""The FPGA parts and families of synth/: what a trigger may be built for, and what is known of it."""

import difflib
import tomllib
from functools import cache
from typing import NamedTuple

from trigger.errors import TriggerError
from trigger.resources import folder


class Part(NamedTuple):
    """An FPGA with its totals.

    ``delay`` scales the delay model; ``yosys`` and ``quartus`` say what those tools call it, where they know it.
    """

    name: str
    family: str
    vendor: str
    delay: float
    yosys: str | None
    quartus: dict[str, str] | None
    lut: int
    ff: int
    dsp: int
    bram: int


@cache
def parts() -> dict[str, Part]:
    """All parts by name, in the order of synth/parts.toml."""
    families = tomllib.loads((folder("synth") / "families.toml").read_text())
    found = {}
    for name, entry in tomllib.loads((folder("synth") / "parts.toml").read_text()).items():
        family = families[entry["family"]]
        tools = {tool: family.get(tool) for tool in ("yosys", "quartus")}
        found[name] = Part(name, vendor=family["vendor"], delay=family["delay"], **tools, **entry)
    return found


def part(name: str) -> Part:
    """One part. Raises TriggerError with the nearest name."""
    known = parts()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise TriggerError(f"no part {name!r}{hint} (`trigger doctor --parts` lists all)")
    return known[name]

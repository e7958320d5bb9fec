"""The result of one tool for one design. Figures that the tool did not report are None, never
zero.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from trigger.errors import TriggerError
from trigger.support.files import regular, write_text

# Origins of figures, the most reliable last.
ESTIMATED, SYNTHESISED, ROUTED = LABELS = ("estimated", "synthesised", "routed")

# The design that a figure counts: the RTL of the network alone, with its shell, or the hls4ml
# project.
CORE = "RTL"
PAYLOAD = "payload"
HLS = "hls4ml"
_TITLES = {CORE: "RTL core", PAYLOAD: "RTL payload", HLS: "hls4ml core"}


class Synthesis(NamedTuple):
    """One run of one tool.

    ``tool`` is its name and version, ``label`` the origin of the figures, ``design`` one of
    ``CORE``, ``PAYLOAD`` and ``HLS``. ``clock_mhz`` is the highest clock, ``latency`` is in cycles,
    ``depth`` is the longest path in cells. ``layers`` has LUT by layer, ``lut_by_size`` by number
    of inputs; ``packed`` estimates a vendor's count of LUTs from that of an open tool; ``notes``
    are remarks for the reader.
    """

    tool: str
    label: str
    design: str
    part: str
    lut: int | None = None
    ff: int | None = None
    dsp: int | None = None
    bram: int | None = None
    carry: int | None = None
    depth: int | None = None
    clock_mhz: float | None = None
    latency: int | None = None
    ii: int | None = None
    layers: dict[str, int] = {}  # noqa: RUF012 - a default that nobody changes
    lut_by_size: dict[str, int] = {}  # noqa: RUF012
    packed: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The design that the figures count, in words."""
        return _TITLES[self.design]

    @property
    def origin(self) -> str:
        return f"{self.label}, {self.tool}"


def save(result: Synthesis, path: Path) -> None:
    write_text(path, json.dumps(result._asdict(), indent=1) + "\n")


def from_dict(data: dict[str, Any]) -> Synthesis:
    return Synthesis(**{**data, "notes": tuple(data["notes"])})


def load(path: Path) -> Synthesis:
    """Read the output of ``save``. Raises TriggerError for anything else."""
    try:
        return from_dict(json.loads(regular(path).read_text()))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise TriggerError(f"{path}: not a synthesis result: {error}") from error

"""AMD Vivado: out-of-context synthesis and implementation of the RTL."""

import re
from pathlib import Path
from typing import Any, ClassVar

from trigger.synthesis.result import ROUTED, Synthesis
from trigger.synthesis.tool import (
    Job,
    ToolFailed,
    named_sources,
    read_report,
    require,
    run_tool,
    write_script,
)

# The names of each figure in the reports of 2018 to 2024, of 7 series and UltraScale.
_ROWS = {
    "lut": ("CLB LUTs", "Slice LUTs"),
    "ff": ("CLB Registers", "Slice Registers", "Register as Flip Flop"),
    "dsp": ("DSPs", "DSP Slices"),
    "bram": ("Block RAM Tile",),
    "carry": ("CARRY8", "CARRY4"),
}


class Vivado:
    """Needs ``vivado`` on PATH and a licence for the part."""

    name: ClassVar[str] = "vivado"

    def synthesise(self, job: Job, work: Path, timeout_s: float) -> Synthesis:
        program = require("vivado", "source settings64.sh of a Vivado installation first")
        script = write_script(
            "vivado/implement.tcl.j2",
            work / "implement.tcl",
            sources=named_sources(job.sources, work),
            vhdl=job.rtl.language == "vhdl",
            top=job.name,
            part=job.part.name,
            period_ns=1000 / job.clock_mhz,
        )
        log = run_tool(
            "vivado",
            [program, "-mode", "batch", "-nojournal", "-source", str(script)],
            work,
            timeout_s,
        )
        utilization = parse_utilization(read_report("vivado", work / "utilization.rpt"))
        slack = parse_slack(read_report("vivado", work / "timing.rpt"))
        return Synthesis(
            f"Vivado {parse_version(log)}".strip(),
            ROUTED,
            job.design,
            job.part.name,
            clock_mhz=round(1000 / (1000 / job.clock_mhz - slack), 1),
            latency=job.latency,
            ii=job.ii,
        )._replace(**utilization)


def parse_version(text: str) -> str:
    match = re.search(r"Vivado v(\d+\.\d+(?:\.\d+)?)", text)
    return match[1] if match else ""


def parse_utilization(text: str) -> dict[str, Any]:
    """LUT, FF, DSP, BRAM and carry blocks of ``report_utilization``.

    Raises ToolFailed if it names no LUTs.
    """
    rows: dict[str, int] = {}
    for line in text.splitlines():
        cells = [cell.strip().rstrip("*").strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) >= 2 and re.fullmatch(r"\d+(\.\d+)?", cells[1]):
            # Half a block RAM tile can be used.
            rows.setdefault(cells[0], int(-(-float(cells[1]) // 1)))
    usage = {
        name: next((rows[row] for row in names if row in rows), None)
        for name, names in _ROWS.items()
    }
    if usage["lut"] is None:
        raise ToolFailed(
            "vivado: its utilization report names no LUTs; the format of this version "
            "is not supported"
        )
    return usage


def parse_slack(text: str) -> float:
    """The worst negative slack of ``report_timing_summary`` in ns.

    Raises ToolFailed if there is none.
    """
    match = re.search(r"WNS\(ns\).*\n[\s-]*\n\s*(-?\d+\.\d+)\s", text)
    if match is None:
        raise ToolFailed("vivado: its timing report gives no worst slack: no path was constrained")
    return float(match[1])

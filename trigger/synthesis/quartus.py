"""Intel Quartus: compilation of the RTL, its pins virtual."""

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

_ROWS = {
    "lut": r"Logic utilization \(in ALMs\)",
    "ff": r"Total (?:dedicated logic )?registers",
    "dsp": r"Total DSP Blocks",
    "bram": r"Total RAM Blocks",
}


class Quartus:
    """Needs ``quartus_sh`` on PATH."""

    name: ClassVar[str] = "quartus"

    def synthesise(self, job: Job, work: Path, timeout_s: float) -> Synthesis:
        if job.part.quartus is None:
            raise ToolFailed(
                f"quartus: {job.part.name} is not an Intel part; set target.part to one"
            )
        program = require("quartus_sh", "add the bin folder of a Quartus installation")
        script = write_script(
            "quartus/compile.tcl.j2",
            work / "compile.tcl",
            sources=named_sources(job.sources, work),
            vhdl=job.rtl.language == "vhdl",
            top=job.name,
            quartus=job.part.quartus,
        )
        write_script("rtl/clock.sdc.j2", work / "clock.sdc", clocks={"clk": job.clock_mhz})
        log = run_tool("quartus_sh", [program, "-t", str(script)], work, timeout_s)
        figures = parse_fit(read_report("quartus_sh", work / f"{job.name}.fit.summary"))
        slack = parse_slack(read_report("quartus_sh", work / f"{job.name}.sta.summary"))
        version = re.search(r"Version (\d+\.\d+(?:\.\d+)?)", log)
        return Synthesis(
            f"Quartus {version[1] if version else ''}".strip(),
            ROUTED,
            job.design,
            job.part.name,
            clock_mhz=round(1000 / (1000 / job.clock_mhz - slack), 1),
            latency=job.latency,
            ii=job.ii,
            notes=("LUT counts ALMs",),
        )._replace(**figures)


def parse_fit(text: str) -> dict[str, Any]:
    """ALMs, registers, DSP and RAM blocks of the fitter summary.

    Raises ToolFailed if the fitter failed.
    """
    status = re.search(r"Fitter Status : (.+)", text)
    if status and not status[1].startswith("Successful"):
        raise ToolFailed(f"quartus_sh: the fitter says {status[1].strip()!r}")
    usage: dict[str, int | None] = {}
    for name, row in _ROWS.items():
        match = re.search(rf"^\s*{row}\s*:\s*([\d,]+)", text, re.M)
        usage[name] = int(match[1].replace(",", "")) if match else None
    if usage["lut"] is None:
        raise ToolFailed(
            "quartus_sh: its fitter summary names no ALMs; the format of this version "
            "is not supported"
        )
    return usage


def parse_slack(text: str) -> float:
    """The worst setup slack of the timing summary in ns. Raises ToolFailed if there is none."""
    slacks = re.findall(r"Type\s*:.*Setup 'clk'\s*\n\s*Slack\s*:\s*(-?\d+\.\d+)", text)
    if not slacks:
        raise ToolFailed("quartus_sh: its timing summary gives no setup slack of clk")
    return min(float(slack) for slack in slacks)

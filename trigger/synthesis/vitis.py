"""AMD Vitis HLS and Vivado HLS: synthesis and co-simulation of the hls4ml project."""

import re
import shutil
from pathlib import Path
from typing import ClassVar
from xml.etree import ElementTree

from trigger.synthesis.result import ESTIMATED, Synthesis
from trigger.synthesis.tool import Job, ToolFailed, read_report, require, run_tool

_PROGRAMS = {"Vitis": "vitis_hls", "Vivado": "vivado_hls"}
_OPTIONS = "reset=1 csim=0 synth=1 cosim=1 validation=0 export=0 vsynth=0 fifo_opt=0"


class Vitis:
    """Needs ``vitis_hls``, or for the backend Vivado ``vivado_hls``, on PATH."""

    name: ClassVar[str] = "vitis"

    def synthesise(self, job: Job, work: Path, timeout_s: float) -> Synthesis:
        if job.hls_backend not in _PROGRAMS:
            raise ToolFailed(
                f"vitis: the hls4ml project is for {job.hls_backend}; set "
                f"target.backend to Vitis or Vivado"
            )
        program = _PROGRAMS[job.hls_backend]
        path = require(program, f"source settings64.sh of a {job.hls_backend} installation first")
        project = work / "project"
        shutil.copytree(job.hls, project, dirs_exist_ok=True)
        (project / "build_opt.tcl").write_text(_build_options())
        log = run_tool(program, [path, "-f", "build_prj.tcl"], project, timeout_s)
        solution = project / f"{job.name}_prj" / "solution1"
        result = parse_csynth(
            read_report(program, solution / "syn" / "report" / f"{job.name}_csynth.xml"),
            program,
            job,
        )
        cosim = solution / "sim" / "report" / f"{job.name}_cosim.rpt"
        latency = parse_cosim(read_report(program, cosim), program)
        version = re.search(r"(?:Vitis|Vivado) HLS.*?v?(\d{4}\.\d(?:\.\d)?)", log)
        tool = f"{job.hls_backend} HLS {version[1]}" if version else result.tool
        return result._replace(
            tool=tool, latency=latency, notes=(*result.notes, "latency from co-simulation")
        )


def _build_options() -> str:
    pairs = (option.split("=") for option in _OPTIONS.split())
    return "array set opt {\n" + "".join(f"    {name} {value}\n" for name, value in pairs) + "}\n"


def parse_csynth(text: str, program: str, job: Job) -> Synthesis:
    """The XML report of csynth, whose areas are estimates of HLS.

    Raises ToolFailed for anything else.
    """
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - written by the tool that was just run
    except ElementTree.ParseError as error:
        raise ToolFailed(
            f"{program}: its report {job.name}_csynth.xml is truncated: {error}"
        ) from error

    def number(path: str) -> int | None:
        value = root.findtext(path, "").strip()
        return int(value) if value.isdecimal() else None

    area = "AreaEstimates/Resources"
    period = root.findtext(
        "PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod", ""
    ).strip()
    if number(f"{area}/LUT") is None:
        raise ToolFailed(
            f"{program}: its report {job.name}_csynth.xml names no LUTs; the format of "
            f"this version is not supported"
        )
    latency = "PerformanceEstimates/SummaryOfOverallLatency"
    bram = number(f"{area}/BRAM_18K")
    return Synthesis(
        f"{'Vivado' if program == 'vivado_hls' else 'Vitis'} HLS "
        f"{root.findtext('ReportVersion/Version', '').strip()}".strip(),
        ESTIMATED,
        "hls4ml",
        job.part.name,
        lut=number(f"{area}/LUT"),
        ff=number(f"{area}/FF"),
        dsp=number(f"{area}/DSP")
        if number(f"{area}/DSP") is not None
        else number(f"{area}/DSP48E"),
        bram=None if bram is None else -(-bram // 2),
        clock_mhz=round(1000 / float(period), 1)
        if re.fullmatch(r"\d+(\.\d+)?", period) and float(period)
        else None,
        latency=number(f"{latency}/Worst-caseLatency"),
        ii=number(f"{latency}/Interval-max"),
        notes=("areas are estimates of HLS, usually above those after implementation",),
    )


def parse_cosim(text: str, program: str) -> int:
    """The maximum latency in the co-simulation report.

    Raises ToolFailed if co-simulation did not pass.
    """
    row = re.search(
        r"^\|\s*(?:Verilog|VHDL)\s*\|\s*(Pass|Fail)\s*\|\s*(\d+)\s*\|\s*(\d+)\s*\|\s*(\d+)",
        text,
        re.M | re.I,
    )
    if row is None:
        raise ToolFailed(f"{program}: its co-simulation report says neither Pass nor Fail")
    if row[1].lower() != "pass":
        raise ToolFailed(f"{program}: co-simulation failed: the RTL from HLS differs from the C++")
    return int(row[4])

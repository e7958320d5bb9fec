"""Vendors' tools, without them: small programs on PATH that record how they were called and leave real report texts."""

import json
import os
import re
from pathlib import Path

import pytest
from battery import PART, around, prepare
from qkeras import QActivation

from trigger.backends import rtl
from trigger.backends.hls4ml import project
from trigger.spec.parts import part
from trigger.synthesis import quartus, vitis, vivado
from trigger.synthesis.run import TOOLS
from trigger.synthesis.tool import Job, ToolFailed

REPORTS = Path(__file__).parent / "reports"
GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def network():
    return prepare(around(QActivation("quantized_relu(4,1)", name="relu"), 8))


@pytest.fixture(scope="module")
def jobs(network, tmp_path_factory):
    """The same network for an AMD and for an Intel part."""
    folder = tmp_path_factory.mktemp("jobs")
    made = {}
    for name in (PART, "Arria10"):
        core = rtl.write(
            network.graph, folder / f"rtl_{name}", rtl.RtlOptions(name, 360, project_name="net")
        )
        hls = folder / f"hls_{name}"
        project.write(network.graph, hls, project.Hls4mlOptions(PART, 360, project_name="net"))
        made[name] = Job(core, hls, "Vitis", part(name), 360)
    return made


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """``fake(program, script)`` puts a program on PATH; it records its arguments and runs the shell script."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def make(program: str, script: str) -> Path:
        calls = tmp_path / f"{program}.calls"
        path = folder / program
        path.write_text(f'#!/bin/sh\necho "$@" >> {calls}\n{script}\n')
        path.chmod(0o755)
        return calls

    return make


def synthesise(tool, job, work, timeout=30.0):
    work.mkdir(exist_ok=True)
    return TOOLS[tool]().synthesise(job, work, timeout)


def golden(text: str, name: str, *folders: Path) -> None:
    for folder in folders:
        text = text.replace(str(folder), "FOLDER")
    assert text == (GOLDEN / name).read_text()


def test_vivado(jobs, fake, tmp_path):
    job = jobs[PART]
    calls = fake(
        "vivado",
        "echo '****** Vivado v2023.2 (64-bit)'\n"
        f"cp {REPORTS}/vivado_2023.2_usplus_utilization.rpt utilization.rpt\ncp {REPORTS}/vivado_timing.rpt timing.rpt",
    )
    result = synthesise("vivado", job, tmp_path / "work")
    assert (result.lut, result.ff, result.dsp, result.bram, result.carry) == (
        10321,
        8123,
        0,
        0,
        1401,
    )
    assert result.clock_mhz == pytest.approx(1000 / (1000 / 360 + 0.25), abs=0.05)
    assert result.origin == "routed, Vivado 2023.2"
    assert result.latency == job.rtl.interface.latency
    script = tmp_path / "work" / "implement.tcl"
    assert calls.read_text() == f"-mode batch -nojournal -source {script}\n"
    golden(script.read_text(), "implement.tcl", job.rtl.directory)


def test_vitis(jobs, fake, tmp_path):
    report = "net_prj/solution1"
    calls = fake(
        "vitis_hls",
        f"echo 'Vitis HLS - High-Level Synthesis from C, C++ and OpenCL v2023.2 (64-bit)'\n"
        f"mkdir -p {report}/syn/report {report}/sim/report\n"
        f"cp {REPORTS}/vitis_2023.2_csynth.xml {report}/syn/report/net_csynth.xml\n"
        f"cp {REPORTS}/vitis_cosim.rpt {report}/sim/report/net_cosim.rpt",
    )
    result = synthesise("vitis", jobs[PART], tmp_path / "work")
    assert (result.lut, result.ff, result.dsp, result.bram) == (9876, 4321, 12, 2)
    assert (result.latency, result.ii, result.clock_mhz) == (11, 1, 492.9)
    assert (result.origin, result.design) == ("estimated, Vitis HLS 2023.2", "hls4ml")
    assert calls.read_text() == "-f build_prj.tcl\n"
    options = (tmp_path / "work" / "project" / "build_opt.tcl").read_text()
    assert re.search(r"cosim +1", options) and re.search(r"csim +0", options)


def test_quartus(jobs, fake, tmp_path):
    job = jobs["Arria10"]
    calls = fake(
        "quartus_sh",
        "echo 'Info: Version 23.1.0 Build 115'\n"
        f"cp {REPORTS}/quartus_23.1.fit.summary net.fit.summary\ncp {REPORTS}/quartus.sta.summary net.sta.summary",
    )
    result = synthesise("quartus", job, tmp_path / "work")
    assert (result.lut, result.ff, result.dsp, result.bram) == (1234, 2345, 3, 0)
    assert result.clock_mhz == pytest.approx(1000 / (1000 / 360 - 0.432), abs=0.05)
    assert result.origin == "routed, Quartus 23.1.0"
    assert calls.read_text() == f"-t {tmp_path / 'work' / 'compile.tcl'}\n"
    golden((tmp_path / "work" / "compile.tcl").read_text(), "compile.tcl", job.rtl.directory)


def test_reports_of_older_versions():
    found = vivado.parse_utilization(
        (REPORTS / "vivado_2019.2_7series_utilization.rpt").read_text()
    )
    assert found == {"lut": 1234, "ff": 567, "dsp": 2, "bram": 2, "carry": 301}
    old = quartus.parse_fit((REPORTS / "quartus_18.1.fit.summary").read_text())
    assert old == {"lut": 99, "ff": 120, "dsp": 0, "bram": 1}


def test_vivado_hls(jobs):
    result = vitis.parse_csynth(
        (REPORTS / "vivado_hls_2019.2_csynth.xml").read_text(), "vivado_hls", jobs[PART]
    )
    assert (result.tool, result.lut, result.dsp, result.bram, result.latency, result.ii) == (
        "Vivado HLS 2019.2",
        200,
        7,
        2,
        14,
        2,
    )


PROGRAMS = {
    "vivado": ("vivado", PART),
    "vitis": ("vitis_hls", PART),
    "quartus": ("quartus_sh", "Arria10"),
}


@pytest.mark.parametrize(
    ("tool", "message"),
    [
        (
            "vivado",
            "vivado: not found on PATH; source settings64.sh of a Vivado installation first",
        ),
        (
            "vitis",
            "vitis_hls: not found on PATH; source settings64.sh of a Vitis installation first",
        ),
        (
            "quartus",
            "quartus_sh: not found on PATH; add the bin folder of a Quartus installation",
        ),
    ],
)
def test_missing(jobs, tmp_path, monkeypatch, tool, message):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolFailed) as error:
        synthesise(tool, jobs[PROGRAMS[tool][1]], tmp_path / "work")
    assert str(error.value) == message


LICENCE = "ERROR: [Common 17-345] A valid license was not found for feature 'Synthesis' and/or device 'xcvu13p'."


@pytest.mark.parametrize("tool", PROGRAMS)
@pytest.mark.parametrize(
    ("script", "message"),
    [
        (f'echo "{LICENCE}"; exit 1', "no licence: " + LICENCE),
        (
            "echo 'ERROR: [Synth 8-439] module x not found'; exit 2",
            "ended with status 2: ERROR: [Synth 8-439] module x not found (LOG)",
        ),
        ("exit 3", "ended with status 3: no error message (LOG)"),
        ("kill -SEGV $$", "crashed (SIGSEGV; LOG)"),
        ("sleep 60", "stopped after 0.5 s; use a longer --timeout (LOG)"),
    ],
)
def test_failures(jobs, fake, tmp_path, tool, script, message):
    program, name = PROGRAMS[tool]
    fake(program, script)
    with pytest.raises(ToolFailed) as error:
        synthesise(tool, jobs[name], tmp_path / "work", 0.5 if "sleep" in script else 30)
    logs = [str(p) for p in (tmp_path / "work").rglob(f"{program}.log")]
    assert str(error.value) == f"{program}: {message.replace('LOG', logs[0])}"


@pytest.mark.parametrize(
    ("tool", "script", "message"),
    [
        ("vivado", "true", "vivado: finished without an error, but left no report utilization.rpt"),
        (
            "vivado",
            "touch utilization.rpt",
            "vivado: finished without an error, but its report utilization.rpt is empty",
        ),
        (
            "vivado",
            "echo hello > utilization.rpt; echo hello > timing.rpt",
            "vivado: its utilization report names no LUTs; the format of this version is not supported",
        ),
        (
            "vitis",
            "true",
            "vitis_hls: finished without an error, but left no report net_csynth.xml",
        ),
        (
            "vitis",
            "mkdir -p net_prj/solution1/syn/report; echo '<profile>' > net_prj/solution1/syn/report/net_csynth.xml",
            "vitis_hls: its report net_csynth.xml is truncated: no element found: line 2, column 0",
        ),
        (
            "quartus",
            "true",
            "quartus_sh: finished without an error, but left no report net.fit.summary",
        ),
        (
            "quartus",
            "echo 'Fitter Status : Failed - today' > net.fit.summary",
            "quartus_sh: the fitter says 'Failed - today'",
        ),
    ],
)
def test_no_report(jobs, fake, tmp_path, tool, script, message):
    program, name = PROGRAMS[tool]
    fake(program, script)
    with pytest.raises(ToolFailed) as error:
        synthesise(tool, jobs[name], tmp_path / "work")
    assert str(error.value) == message


def test_failed_cosimulation():
    text = (REPORTS / "vitis_cosim.rpt").read_text().replace("Pass", "Fail")
    with pytest.raises(
        ToolFailed,
        match="^vitis_hls: co-simulation failed: the RTL from HLS differs from the C[+][+]$",
    ):
        vitis.parse_cosim(text, "vitis_hls")
    with pytest.raises(
        ToolFailed, match="^vitis_hls: its co-simulation report says neither Pass nor Fail$"
    ):
        vitis.parse_cosim("", "vitis_hls")


def test_no_figure_is_none_and_not_zero():
    found = vivado.parse_utilization("| CLB LUTs | 5 |")
    assert found == {"lut": 5, "ff": None, "dsp": None, "bram": None, "carry": None}


def test_parts_that_a_tool_does_not_know(jobs, tmp_path):
    with pytest.raises(ToolFailed) as error:
        synthesise("quartus", jobs[PART], tmp_path / "a")
    assert str(error.value) == f"quartus: {PART} is not an Intel part; set target.part to one"
    with pytest.raises(ToolFailed) as error:
        synthesise("yosys", jobs["Arria10"], tmp_path / "b")
    assert str(error.value) == "yosys: no synthesis for Arria 10 GX 1150; use the vendor's tool"
    with pytest.raises(ToolFailed) as error:
        synthesise("vitis", jobs[PART]._replace(hls_backend="Quartus"), tmp_path / "c")
    assert (
        str(error.value)
        == "vitis: the hls4ml project is for Quartus; set target.backend to Vitis or Vivado"
    )


def test_results_are_json(tmp_path):
    from trigger.synthesis.result import Synthesis, load, save

    result = Synthesis("T 1", "routed", "RTL", PART, lut=5, notes=("a",))
    save(result, tmp_path / "r.json")
    assert load(tmp_path / "r.json") == result
    assert json.loads((tmp_path / "r.json").read_text())["ff"] is None


@pytest.mark.parametrize(
    ("tool", "program", "script", "part_name", "line"),
    [
        ("vivado", "vivado", "implement.tcl", PART, "read_verilog {{{}}}"),
        (
            "quartus",
            "quartus_sh",
            "compile.tcl",
            "Arria10",
            'set_global_assignment -name VERILOG_FILE "{}"',
        ),
    ],
)
def test_a_path_is_no_command(network, fake, tmp_path, tool, program, script, part_name, line):
    """Tcl would run what is between brackets, and read braces and blanks as its own."""
    folder = tmp_path / "a [exec touch x] {b $c"
    options = rtl.RtlOptions(part_name, 360, project_name="net")
    project = rtl.write(network.graph, folder, options)
    fake(program, "exit 0")
    job = Job(project, folder, "Vitis", part(part_name), 360)
    with pytest.raises(ToolFailed, match="finished without an error, but left no report"):
        synthesise(tool, job, tmp_path / "work")
    text = (tmp_path / "work" / script).read_text()
    names = [source.name for source in project.sources]
    assert [named for named in map(line.format, names) if named in text.splitlines()] == [
        line.format(name) for name in names
    ]
    assert "exec touch" not in text
    assert all((tmp_path / "work" / name).is_file() for name in names)

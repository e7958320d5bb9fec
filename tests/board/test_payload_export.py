"""The exported folder of a payload: its benches, its README, what it needs."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from payloads import OUTPUT, asking, export_for_benches, run_benches
from typer.testing import CliRunner

from trigger.cli.app import app
from trigger.workflow.board_export import SHELLS, export

pytestmark = pytest.mark.minutes


@pytest.mark.parametrize(
    ("kind", "language"),
    [
        *((kind, one) for kind, shell in SHELLS.items() for one in shell.languages),
        ("emp, as asked", "vhdl"),
    ],
)
def test_benches(built, tmp_path, kind, language):
    """Every cocotb bench, as a user runs it, and that it finds an error."""
    if kind == "emp, as asked":  # on the last channels of the largest boards
        built, kind = asking(built, input_links=[0, 127], output_link=None, output=OUTPUT), "emp"
    export_for_benches(built, tmp_path / "p", kind, language)
    readme = (tmp_path / "p" / "README.md").read_text()
    boundary = {"plain": "", "axi": "## AXI: `src/", "emp": "## EMP: `src/emp_payload.vhd`"}[kind]
    assert boundary in readme and (" | bunch crossing |" in readme) == (kind != "plain")
    assert "\n    python sim/run.py\n" in readme
    result = run_benches(tmp_path / "p")
    assert result.returncode == 0, result.stdout
    assert result.stdout.splitlines()[-1].endswith(" tests, 0 failed")
    path = next((tmp_path / "p" / "src").glob("trigger_working_point.*"))
    path.write_text(
        path.read_text().replace(
            "wide >= held", "wide > held" if kind == "plain" else "wide < held"
        )
    )
    result = run_benches(tmp_path / "p")
    assert result.returncode == 1, result.stdout


@pytest.mark.parametrize(
    ("kind", "language", "bench", "old", "new"),
    [
        ("plain", "verilog", "reset_in_the_middle", "if (rst) {valid_2, valid_1}", "if (0) {valid_2, valid_1}"),
        ("axi", "verilog", "reset_in_the_middle", "if (rst) {valid_2, valid_1}", "if (0) {valid_2, valid_1}"),
        ("emp", "vhdl", "reset_in_the_middle", "if rst = '1' then", "if rst = '1' and now < 60 ns then"),
        ("plain", "verilog", "with_gaps", "else if (ce) {valid_2", "else {valid_2"),
        ("plain", "vhdl", "with_gaps", "elsif ce = '1' then", "else"),
    ],
)  # fmt: skip
def test_benches_watch_reset_and_clock_enable(built, tmp_path, kind, language, bench, old, new):
    """A valid bit of the shell that ignores one of the two."""
    export_for_benches(built, tmp_path / "p", kind, language)
    suffix = {"verilog": "sv", "vhdl": "vhd"}[language]
    path = tmp_path / "p" / "src" / f"shelled_trigger.{suffix}"
    right = path.read_text()
    path.write_text(right.replace(old, new, 1))
    assert path.read_text() != right
    result = run_benches(tmp_path / "p")
    assert result.returncode == 1, result.stdout
    assert re.search(rf"{bench} +FAIL", result.stdout), result.stdout


def test_regions_of_any_board(built, tmp_path):
    """The packages for simulation have the channels that are named, and no fewer than most boards."""
    for channels, regions in (([4, 9], 18), ([0, 71], 18), ([112, 3], 29), ([127, 2], 32)):
        export(asking(built, input_links=channels), tmp_path / str(channels[0]), "emp")
        stubs = (tmp_path / str(channels[0]) / "sim" / "stubs.vhd").read_text()
        assert f"constant N_REGION : integer := {regions};" in stubs


@pytest.mark.parametrize(
    ("kind", "flags", "messages"),
    [
        ("plain", [], ["iverilog is not on PATH: the benches cannot be run"]),
        (
            "axi",
            ["-S"],  # without site-packages
            [
                "cocotb_tools is not installed (python -m pip install 'cocotb>=2'): the benches cannot be run",
                "cocotbext.axi is not installed (python -m pip install 'cocotbext-axi'): the benches cannot be run",
                "iverilog is not on PATH: the benches cannot be run",
            ],
        ),
        (
            "emp",
            ["-S"],
            [
                "cocotb_tools is not installed (python -m pip install 'cocotb>=2'): the benches cannot be run",
                "ghdl is not on PATH: the benches cannot be run",
            ],
        ),
    ],
)
def test_without_what_the_benches_need(built, tmp_path, kind, flags, messages):
    export(built, tmp_path / "p", kind)
    command = [sys.executable, *flags, "sim/run.py"]
    result = subprocess.run(
        command,
        cwd=tmp_path / "p",
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout.splitlines(), result.stderr) == (2, messages, "")


@pytest.mark.parametrize(
    ("kind", "language"),
    [(kind, one) for kind, shell in SHELLS.items() for one in shell.languages],
)
def test_a_readme_names_what_is_there(built, tmp_path, kind, language):
    """Every file in it, and the sources with their top in an order that compiles."""
    export(built, tmp_path / "p", kind, language)
    readme = (tmp_path / "p" / "README.md").read_text()
    listed = readme[readme.index("## Sources") :].split()
    files = [word for word in listed if "/" in word]
    top = {"axi": "shelled_trigger_axi", "emp": "emp_payload"}.get(kind, "shelled_trigger")
    assert f"the top is `{top}`." in readme and Path(files[-1]).stem == top
    bench = json.loads((tmp_path / "p" / "sim" / "bench.json").read_text())
    assert [name for name in bench["sources"] if not name.startswith("sim/")] == files
    for name in re.findall(r"[\w/]+\.(?:py|vhd|sv|v|md|json)\b", readme):
        assert (tmp_path / "p" / name).is_file(), name


def test_the_command_simulates_what_it_exports(built, tmp_path, monkeypatch):
    export_to = ["export", "payload", str(built.root), str(tmp_path / "p")]
    lines = CliRunner().invoke(app, export_to).output.splitlines()
    counted = len(np.load(built.root / "graph" / "expected.npz")["x"])
    assert lines[-1] == (
        f"  verified: its simulation gives the network's integers for {counted:,} events"
    )
    monkeypatch.setattr(shutil, "which", lambda program: None)
    assert CliRunner().invoke(app, [*export_to, "--shell", "emp"]).output.splitlines()[-1] == (
        "  not simulated: no ghdl on PATH; simulate it with python sim/run.py"
    )

"""`trigger verify`: equal, different, or could not run."""

import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from trigger_command import trigger, trigger_here

from trigger.fixedpoint.evaluate import GoldenModel

pytestmark = pytest.mark.minutes


def test_verify_does_not_import_tensorflow(small_build):
    _, root = small_build
    code = (
        "import sys; from trigger.cli.app import main\n"
        f"sys.argv = ['trigger', 'verify', {str(root)!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "assert not {'keras', 'tensorflow', 'hls4ml'} & set(sys.modules), 'imported'"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_verify_equal(small_build, tmp_path):
    _, root = small_build
    junit = tmp_path / "new" / "out.xml"
    result = trigger("verify", root, "--junit", junit)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-2].endswith(" events, equal")
    assert ElementTree.parse(junit).getroot().attrib["failures"] == "0"


def test_verify_other_events(small_build, tmp_path):
    source, root = small_build
    result = trigger_here("verify", root, "--events", source / "events.csv")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-5:-1] == [
        "graph: 600 events, equal",
        "csim (Vitis): 600 events, equal",
        "RTL (Verilog): 600 events, equal",
        "RTL (Verilog), with stalls: 600 events, equal",
    ]
    result = trigger_here("verify", root, "--events", tmp_path / "none.csv")
    assert (result.returncode, result.stderr) == (
        2,
        f"trigger: {tmp_path / 'none.csv'}: no such file\n",
    )
    (tmp_path / "empty.csv").write_text("a,b,c\n")
    result = trigger_here("verify", root, "--events", tmp_path / "empty.csv")
    assert (result.returncode, result.stderr) == (
        2,
        f"trigger: {tmp_path / 'empty.csv'}: no events\n",
    )


def test_verify_files_in_blocks(small_build, tmp_path, monkeypatch):
    """The first difference is named by its file and its row there."""
    source, root = small_build
    monkeypatch.setattr("trigger.events.blocks._MOST_ROWS", 64)
    monkeypatch.setattr("trigger.events.blocks._LEAST_ROWS", 64)
    header, *rows = (source / "events.csv").read_text().splitlines()
    for number, part in enumerate((rows[:150], rows[150:])):
        (tmp_path / f"{number}.csv").write_text("\n".join([header, *part]))
    names = ["graph", "csim (Vitis)", "RTL (Verilog)", "RTL (Verilog), with stalls"]
    result = trigger_here("verify", root, "--events", f"{tmp_path}/*.csv")
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[-5:-1] == [f"{name}: 600 events, equal" for name in names]
    assert sum("events in" in line for line in lines) == 1

    def wrong(self, x):
        return run(self, x) + (x == bad).all(axis=1)[:, None]

    bad = _integers(rows[170])
    run = GoldenModel.run
    alike = [k for k, row in enumerate(rows) if (_integers(row) == bad).all()]
    monkeypatch.setattr(GoldenModel, "run", wrong)
    result = trigger_here("verify", root, "--events", f"{tmp_path}/*.csv")
    assert result.returncode == 1
    place = f"{tmp_path}/1.csv, line {alike[0] - 150 + 2}"
    if alike[0] < 150:
        place = f"{tmp_path}/0.csv, line {alike[0] + 2}"
    assert f"graph: 600 events, DIFFERENT in {len(alike)} event" in result.stdout
    assert f"\n  event {alike[0]} ({place}): graph first differs in out, " in result.stdout
    shutil.copy(tmp_path / "0.csv", tmp_path / "2.csv")
    result = trigger_here("verify", root, "--events", f"{tmp_path}/*.csv")
    assert (result.returncode, result.stderr) == (
        2,
        f"trigger: {tmp_path}/2.csv: has the same content as {tmp_path}/0.csv; its events would "
        f"count twice: remove one of the two\n",
    )


def _integers(row):
    """The inputs of a row of the small trigger's events."""
    values = np.array([float(text) for text in row.split(",")[:3]])
    return np.clip(np.rint(values * 8), -16, 15).astype(np.int64)


def test_verify_different(small_build, tmp_path):
    _, root = small_build
    path = next((root / "firmware").rglob("w2.h"))
    path.write_text(path.read_text().replace("{", "{0.5 + ", 1))
    result = trigger("verify", root, "--junit", tmp_path / "out.xml")
    assert result.returncode == 1
    assert "csim (Vitis) first differs in hidden, element 0, " in result.stdout
    assert ElementTree.parse(tmp_path / "out.xml").getroot().attrib["failures"] == "1"


def test_verify_could_not_run(small_build, tmp_path):
    _, root = small_build
    result = trigger("verify", tmp_path)
    assert (result.returncode, result.stderr) == (
        2,
        f"trigger: {tmp_path}: holds no finished build; run `trigger build` first\n",
    )
    shutil.rmtree(root / "csim")
    result = trigger("verify", root, env={"PATH": str(tmp_path)})
    assert result.returncode == 2
    assert result.stderr == (
        "trigger: csim: no g++ on PATH; install it (Debian and Ubuntu: apt install g++; Fedora: dnf install gcc-c++)\n"
    )
    (root / "graph" / "graph.json").write_text("{")
    result = trigger("verify", root)
    assert result.returncode == 2
    assert result.stderr.startswith(f"trigger: {root / 'graph' / 'graph.json'}: not JSON: ")
    assert "Traceback" not in result.stderr


def test_a_wrong_constant_in_the_rtl(small_build):
    _, root = small_build
    path = root / "rtl" / "src" / "small_core.v"
    text = path.read_text()
    place = re.search(r"\d'b[01]+(?=,)", text).end() - 1
    path.write_text(text[:place] + "10"[int(text[place])] + text[place + 1 :])
    result = trigger("verify", root)
    assert result.returncode == 1
    assert re.search(
        r"^RTL \(Verilog\): \d+ events, DIFFERENT in \d+ events$", result.stdout, re.MULTILINE
    )
    assert "RTL (Verilog) first differs in out, element " in result.stdout

"""The fuzzing campaign of benchmarks/: a slice of it, stopped and continued."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "fuzz.py"


def fuzz(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_a_slice_is_continued(tmp_path):
    state = tmp_path / "state.json"
    options = ("--state", state, "--minutes", 0.05, "read-npz", "read-toml")
    first = fuzz(*options)
    assert first.returncode == 0, first.stdout + first.stderr
    done = json.loads(state.read_text())
    assert set(done) == {"read-npz", "read-toml", "refused"}
    assert fuzz(*options).returncode == 0
    again = json.loads(state.read_text())
    assert all(set(done[name]) < set(again[name]) for name in ("read-npz", "read-toml"))


def test_a_block_that_failed_stays_in_the_table(tmp_path):
    state = tmp_path / "state.json"
    state.write_text(json.dumps({"kill": {"7": "status 1: AssertionError"}}))
    result = fuzz("--state", state, "--minutes", 0, "kill")
    assert result.returncode == 1
    assert result.stdout.splitlines()[-1] == (
        "| builds killed at a random moment, then continued: the same bytes | 1 | 50 | none | 7 |"
    )


def test_an_unknown_campaign():
    result = fuzz("read-nothing")
    assert result.returncode == 2
    assert "no campaign 'read-nothing'; there are graph, rtl, csim, exact, kill" in result.stderr

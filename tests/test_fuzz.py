"""The fuzzing campaign of benchmarks/: a slice of it, stopped and continued."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from trigger.fixedpoint import evaluate

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


def test_refusals_are_counted_by_implementation(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    fuzz = importlib.import_module("fuzz")
    said = (
        "seed 1: RTL (VHDL): refused: n1: too wide\n"
        "seed 2: csim: refused: n2: too wide\n"
        "seed 3: csim: refused: n2: too wide\n"
    )
    block = subprocess.CompletedProcess((), 0, said, "a warning\n")
    monkeypatch.setattr(fuzz.subprocess, "run", lambda *_, **__: block)
    assert fuzz.campaign(tmp_path / "state.json", 1, 1, ["exact"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == said.splitlines()
    assert lines[-1] == (
        "| random graphs: rational numbers = graph = passes = JSON = ONNX = emulator = RTL = csim "
        "| 5,000 | 5,000 | 50 by RTL (VHDL), 100 by csim | none |"
    )


def test_a_difference_is_told_and_hides_no_other(monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    fuzz_exact = importlib.import_module("fuzz_exact")

    def wrong(cases, _):
        """A step too much for the last event of the second graph."""
        for number, case in enumerate(cases):
            too_much = np.zeros((len(case.x), 1), dtype=np.int64)
            too_much[-1] = number
            run = lambda x, case=case, more=too_much: evaluate.run(case.graph, x) + more  # noqa: E731
            yield fuzz_exact.Compiled(case, (run,))

    def refuses(cases, _):
        for case in cases:
            yield fuzz_exact.Compiled(case, refusal="n1: too wide")

    right = fuzz_exact.IMPLEMENTATIONS["graph"]
    monkeypatch.setattr(
        fuzz_exact,
        "IMPLEMENTATIONS",
        {"one": wrong, "graph": right, "another": wrong, "third": refuses},
    )
    event = fuzz_exact.EVENTS - 1
    (case,) = fuzz_exact.drawn(range(8, 9), 9)
    expected = case.expected[event]
    found = [value + 1 for value in expected]
    with pytest.raises(AssertionError) as error:
        fuzz_exact.exact(range(7, 9))
    assert str(error.value) == "; ".join(
        f"seed 8: {name}: event {event}: {found}, expected {expected}"
        for name in ("one", "another")
    )
    assert capsys.readouterr().out == (
        "seed 7: third: refused: n1: too wide\nseed 8: third: refused: n1: too wide\n"
    )


def test_an_unknown_campaign():
    result = fuzz("read-nothing")
    assert result.returncode == 2
    assert (
        "no campaign 'read-nothing'; available: graph, rtl, csim, layers, layers-rtl, "
        "layers-csim, exact, tensor, kill" in result.stderr
    )

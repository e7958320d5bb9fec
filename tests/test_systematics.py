"""benchmarks/systematics.py: one network of it on a few jets, and the uncertainties, by hand."""

import json
import re
import shutil
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from benchmark_scripts import BENCHMARKS, imported

from trigger.spec.spec import find


@pytest.fixture(scope="module")
def systematics():
    with imported("systematics") as modules:
        yield modules["systematics"]


@pytest.fixture
def few(systematics, tmp_path):
    """The case w_jets on every tenth jet."""
    shutil.copytree(find("l1_topology").parent, tmp_path / "l1_topology")
    folder = tmp_path / "jet_tagger"
    folder.mkdir()
    source = find("jet_tagger").parent
    shutil.copy(source / "trigger.toml", folder)
    table = pq.read_table(source / "jets.parquet")
    pq.write_table(table.take(np.arange(0, len(table), 10)), folder / "jets.parquet")
    return systematics.CASES["w_jets"]._replace(trigger=str(folder))


@pytest.mark.parametrize("case", ["w_jets", "l1_topology"])
def test_what_is_trained(systematics, case):
    """Without an adversary nothing is drawn; with one, its strength and the classes that it sees."""
    given = systematics.CASES[case]
    spec, folder = systematics.spec_of(given, None, 2)
    assert folder == find(given.trigger).parent
    assert spec.training.adversary is None and spec.training.seed == 2
    assert spec.decision is None
    spec, _ = systematics.spec_of(given, 30, 1)
    adversary = spec.training.adversary
    assert (adversary.strength, adversary.classes, adversary.shift) == (30, given.seen, "drawn")
    scales = {name: shift.scale for name, shift in spec.robustness.items()}
    assert scales == {"drawn": given.drawn, "up": 1.03, "down": 0.97}


@pytest.mark.parametrize("strength", [None, 10])
def test_a_network(systematics, few, monkeypatch, strength):
    """Trained a little, with its threshold on the validation events and the shifts on the test events."""
    monkeypatch.setattr(systematics, "EPOCHS", 14)
    monkeypatch.setattr(systematics, "SYNTHESISED", ())
    row = json.loads(json.dumps(systematics.measured(few, strength, 1), default=float))
    assert (row["strength"], row["seed"]) == (strength, 1)
    assert 0.7 < row["auc"] < 1
    assert 0.005 < row["b"][0] < 0.05
    for name in "sb":
        low, value, high = (row[name][k] for k in (1, 0, 2))
        assert 0 < low < value < high < 1
        for shift in ("up", "down"):
            value, low, high = row[f"{name}_{shift}"]
            assert low <= value <= high
    assert row["s"][0] > 5 * row["b"][0]
    assert 500 < row["lut"] < 10_000
    assert "yosys_lut" not in row


def test_the_uncertainties_by_hand(systematics):
    """Half of the signal and 1 % of background; up: 50 more of each signal and background event in
    1,000, down: 20 fewer background events.
    """
    row = {
        "strength": None,
        "seed": 1,
        "s": (0.5, 0.4, 0.6),
        "b": (0.01, 0.009, 0.011),
        "s_up": (0.025, 0.02, 0.03),
        "b_up": (0.0005, 0.0003, 0.0007),
        "s_down": (0.0, 0.0, 0.0),
        "b_down": (-0.0002, -0.0003, -0.0001),
    }
    scale = systematics.scale_of([row], 1)
    assert scale == 2000
    statistical, (value, low, high) = systematics.uncertainties(row, scale)
    assert statistical == pytest.approx(100 * np.sqrt(2000) / 1000)
    assert value == pytest.approx(10)
    assert [low, high] == pytest.approx([10 - np.hypot(1, 2), 10 + np.hypot(1, 2)])


def test_a_finished_run_only_prints(systematics, monkeypatch, capsys, tmp_path):
    kept = tmp_path / "w_jets.json"
    shutil.copy(BENCHMARKS / "results" / "w_jets.json", kept)
    before = kept.read_bytes()
    monkeypatch.setattr(sys, "argv", ["systematics.py", "w_jets", str(kept)])
    systematics.main()
    assert kept.read_bytes() == before
    printed = capsys.readouterr().out
    assert len(re.findall(r"^\| no adversary \|", printed, re.MULTILINE)) == 2
    assert len(re.findall(r"^\| ", printed, re.MULTILINE)) == 14

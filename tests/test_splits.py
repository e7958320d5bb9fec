"""Rates on the zoo's zero bias differ between splits by more than their intervals: the cards say by how much."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[1]


def card(name: str) -> str:
    return (ROOT / "models" / name / "README.md").read_text()


def test_the_cards_have_the_rates_of_the_splits(monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    importlib.import_module("splits").main()
    sys.modules.pop("splits")
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert len(printed) == 10
    told = card("calo_anomaly").splitlines() + card("level1").splitlines()
    assert set(printed) <= set(told)


def test_one_soft_collision_decides_the_rate_of_its_split():
    """Crossings of the softest stratum with a jet above 75 GeV, in steps of 0.5 GeV."""
    columns = ["jet1_pt", "label", "split", "weight"]
    table = pq.read_table(ROOT / "models" / "level1" / "level1.parquet", columns=columns)
    pt, label, split, weight = (np.array(table[name].to_pylist()) for name in columns)
    softest = (label == "zero_bias") & (weight > 1.9)
    training = split == "train"
    assert [(softest & training).sum(), (softest & ~training).sum()] == [15_000, 10_000]
    hard = softest & (pt > 150)
    assert [(hard & training).sum(), (hard & ~training).sum()] == [67, 0]
    assert (
        "of the 15,000 training crossings of the softest stratum, 67 have a jet above 75 GeV; "
        "of the 10,000 others, none"
    ) in " ".join(card("level1").split())

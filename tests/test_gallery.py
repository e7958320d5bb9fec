"""The gallery of the zoo: its figures are those of the cards, and its pictures can be drawn again."""

import importlib
import re
import sys
from pathlib import Path

import matplotlib as mpl
import pytest

from trigger.spec.spec import zoo

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "zoo.md").read_text()
PICTURES = ROOT / "docs" / "zoo"
ROWS = dict(re.findall(r"^\| \[(\w+)\]\(#\1\) \|(.*)\|$", PAGE, re.MULTILINE))


def figures(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w.,])\d[\d,]*(?:\.\d+)?(?![\w])", text))


def card(name: str) -> str:
    return (ROOT / "models" / name / "README.md").read_text()


def test_each_trigger_has_a_row_a_section_a_picture_and_a_card():
    assert sorted(ROWS) == zoo()
    for name in zoo():
        section = PAGE.split(f"\n## {name}\n")[1].split("\n## ")[0]
        assert f"](zoo/{name}.svg)" in section, name
        assert f"](../models/{name}/README.md)" in section, name


@pytest.mark.parametrize("name", zoo())
def test_figures_are_those_of_the_card(name):
    found = figures(ROWS[name])
    assert len(found) >= 3
    assert found <= figures(card(name))


@pytest.mark.parametrize("name", ["jet_tagger", "jet_mlp", "l1_topology", "l1_anomaly"])
def test_figures_of_the_readme_are_those_of_the_card(name):
    assert figures(ROWS[name]) <= figures((ROOT / "README.md").read_text())


def test_pictures_are_small_and_can_be_drawn(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    settings = mpl.rcParams.find_all("svg")
    importlib.import_module("gallery").main(tmp_path)
    sys.modules.pop("gallery")
    assert mpl.rcParams.find_all("svg") == settings  # or other pictures would change
    drawn = sorted(path.name for path in tmp_path.iterdir())
    assert drawn == sorted(path.name for path in PICTURES.iterdir())
    assert drawn == [f"{name}.svg" for name in zoo()]
    assert all(path.stat().st_size <= 100_000 for path in PICTURES.iterdir())

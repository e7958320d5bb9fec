"""The pages of docs/physics: their tables are what the benchmarks left, and so are their pictures."""

import json
from pathlib import Path

import matplotlib as mpl
import pytest
from benchmark_scripts import BENCHMARKS, imported

ROOT = Path(__file__).resolve().parents[1]
PHYSICS = ROOT / "docs" / "physics"
SCRIPTS = ("figures", "systematics", "doublets", "rate_control", "fill", "transfer")
# What the page calls the windows.
TOLD = {
    "window in dphi, dz": "window in dphi and dz",
    "window in dphi, z0": "window in dphi and z0",
    "window in dphi, z0, bend_inner, bend_outer": "window in dphi, z0 and bends",
}
IMAGES = ("neutrino", "monitoring", "results", "sample", "chamber", "detector")


@pytest.fixture(scope="module")
def modules():
    with imported(*SCRIPTS, *IMAGES, folders=(".", "images")) as found:
        yield found


def page(name: str) -> str:
    return (PHYSICS / f"{name}.md").read_text()


def rows(text: str) -> set[str]:
    return {line for line in text.splitlines() if line.startswith("| ")}


def test_each_picture_is_drawn_from_the_results(modules, monkeypatch, tmp_path):
    """To the byte, by the version of Matplotlib that drew it; and shown on a page."""
    monkeypatch.setattr(modules["figures"], "PICTURES", tmp_path)
    modules["figures"].main([])
    drawn = sorted(path.name for path in tmp_path.iterdir())
    assert drawn == sorted(f"{name}.svg" for name in modules["figures"].DRAWN)
    pages = "".join(path.read_text() for path in PHYSICS.glob("*.md"))
    for name in drawn:
        committed = (PHYSICS / name).read_bytes()
        assert f"]({name})" in pages
        assert len(committed) <= 150_000
        if f"Matplotlib v{mpl.__version__}, ".encode() in committed:
            assert committed == (tmp_path / name).read_bytes(), name


@pytest.mark.parametrize("case", ["w_jets", "l1_topology"])
def test_systematics(modules, capsys, case):
    found = json.loads((BENCHMARKS / "results" / f"{case}.json").read_text())
    modules["systematics"].table(found)
    modules["systematics"].table_of_seeds(found)
    printed = rows(capsys.readouterr().out)
    assert len(printed) == 14
    assert printed <= rows(page("systematics"))


def test_tracking(modules):
    """Tracks kept and purity of each filter, and the share that is kept by pT."""
    percent, estimate = modules["doublets"].percent, modules["doublets"].Estimate
    found = json.loads((BENCHMARKS / "results" / "tracking.json").read_text())
    table = rows(page("tracking"))
    for name, (kept, purity) in found["filters"].items():
        told = TOLD.get(name, name)
        (row,) = [row for row in table if row.startswith(f"| {told} |") and row.count("|") == 6]
        assert percent(estimate(*kept), 1) in row
        assert percent(estimate(*purity), 1) in row
    by_pt = zip(*found["momentum"]["kept"].values(), strict=True)
    for low, estimates in zip(found["momentum"]["edges"], by_pt, strict=False):
        (row,) = [row for row in table if row.startswith(f"| {low:g} to ")]
        assert all(percent(estimate(*each), 1) in row for each in estimates)


def test_rate_control(modules):
    found = json.loads((BENCHMARKS / "results" / "rate_control.json").read_text())
    table = {row.replace("−", "-") for row in rows(page("rate-control"))}
    for name, means in found["means"].items():
        assert modules["rate_control"].row(name, means).replace("−", "-").replace("+", "") in {
            row.replace("+", "") for row in table
        }


def test_particles(modules):
    found = json.loads((BENCHMARKS / "results" / "neutrino.json").read_text())
    confusion = modules["neutrino"].confusion_table(found["confusion"])
    table = rows(page("images"))
    assert set(found["comparison"][2:]) <= table
    assert {confusion[0], *confusion[2:]} <= table


def test_occupancy(modules):
    estimate, percent, row = (
        getattr(modules["results"], name) for name in ("Estimate", "percent", "row")
    )
    found = json.loads((BENCHMARKS / "results" / "monitoring.json").read_text())
    lines = {
        row([name, *(percent(estimate(*e)) for e in es)]) for name, es in found["found"].items()
    }
    assert len(lines) == 6
    assert lines <= rows(page("images"))


def test_transfer(modules):
    """Both starts of a task and number of events are in one row."""
    found = json.loads((BENCHMARKS / "results" / "transfer.json").read_text())
    text = {(r["task"], r["events"], r["start"]): modules["transfer"].text(r["auc"]) for r in found}
    table = rows(page("transfer"))
    for task, events, _ in text:
        cells = [
            task,
            f"{events:,}",
            *(text[task, events, start] for start in ("scratch", "frozen")),
        ]
        assert f"| {' | '.join(cells)} |" in table
    assert len(text) == 16


def test_scale():
    found = json.loads((BENCHMARKS / "results" / "scale.json").read_text())
    table = rows(page("scale"))
    for run in found:
        cells = [
            run["engine"],
            run["workers"],
            f"{run['events']:,}",
            f"{run['events'] / run['processor']:,.0f}",
            f"{run['events'] / run['wall']:,.0f}",
            f"{run['peak_mib']:,.0f}",
            " and ".join(f"{count:,}" for count in run["accepted"]),
        ]
        assert f"| {' | '.join(map(str, cells))} |" in table
    assert max(run["events"] for run in found) == 10**8
    assert max(run["peak_mib"] for run in found) < 1024
    accepted = {}
    for run in found:
        assert accepted.setdefault(run["events"], run["accepted"]) == run["accepted"]

"""The pages of docs/physics with --full: their commands, as they stand, in a copy of the benchmarks
without results, and what must come out again.

What does not train with floating-point sums is the same everywhere. Networks differ between
processors: what a page says of them must still hold.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import calo_package
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
RESULTS = "benchmarks/results"
PROGRAMS = Path(sys.executable).parent
# What the tests set for themselves: users train without.
UNSET = ("XLA_FLAGS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
UNSET += ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """What the commands read and write. Builds of one page serve the next."""
    place = tmp_path_factory.mktemp("physics")
    for folder in ("benchmarks", "docs"):
        shutil.copytree(ROOT / folder, place / folder)
    (place / "models").symlink_to(ROOT / "models")
    for name in (RESULTS, "benchmarks/high_level", "benchmarks/regions"):
        for path in (place / name).glob("*.json"):
            if path.name in ("results.json", "speed.json") or name == RESULTS:
                path.unlink()
    return place


def commands(page: str) -> list[list[str]]:
    """The indented commands of a page, long lines joined."""
    text = told(page).replace("\\\n", " ")
    return [shlex.split(line) for line in re.findall(r"^    (\.venv/bin/.*)$", text, re.MULTILINE)]


def told(page: str) -> str:
    return (ROOT / "docs" / "physics" / f"{page}.md").read_text()


def run(page: str, place: Path, replaced: dict[str, str] | None = None) -> str:
    """All that the commands of a page print; words may be ``replaced``."""
    env = {name: value for name, value in os.environ.items() if name not in UNSET}
    if not (place / "packages").exists():
        calo_package.install(place / "packages")
    packages = [place / "packages", place / "benchmarks" / "regions", ROOT]
    env["PYTHONPATH"] = os.pathsep.join(map(str, packages))
    printed = []
    found = commands(page)
    assert found
    for program, *words in found:
        if program.endswith("/pip"):  # installed already, but not for the other tests
            continue
        given = [(replaced or {}).get(word, word) for word in words]
        command = [str(PROGRAMS / Path(program).name), *given]
        result = subprocess.run(
            command, cwd=place, env=env, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, f"{shlex.join(command)}\n{result.stdout}\n{result.stderr}"
        printed.append(result.stdout)
    return "\n".join(printed)


def both(place: Path, name: str, folder: str = RESULTS) -> tuple:
    """A file of results: the new one and the committed one."""
    return tuple(json.loads((root / folder / f"{name}.json").read_text()) for root in (place, ROOT))


def table(text: str, start: str) -> dict[str, list[str]]:
    """The table whose first row starts like this: the cells of each row by its name."""
    lines = text[text.index(f"\n{start}") :].strip().splitlines()
    rows = {}
    for line in lines:
        if not line.startswith("|"):
            break
        name, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        rows[name] = cells
    return rows


def test_systematics(place):
    """Adversaries of strength 3 halve the uncertainty of w_jets, and reduce that of l1_topology."""
    printed = run("systematics", place)
    means = [
        {line.split("|")[1].strip(): float(line.split("|")[5]) for line in part.splitlines()[2:8]}
        for part in printed.split("| strength | seed 1 |")[1:]
    ]
    assert means[0]["3"] < means[0]["no adversary"] / 2
    assert means[1]["3"] < 0.8 * means[1]["no adversary"]
    for case in ("w_jets", "l1_topology"):
        rows, committed = both(place, case)
        for row, other in zip(rows, committed, strict=True):
            assert (row["strength"], row["seed"]) == (other["strength"], other["seed"])
            assert abs(row["auc"] - other["auc"]) < (0.03 if row["strength"] == 100 else 0.005)
    assert (place / "docs/physics/systematics.svg").stat().st_size > 10_000


def test_tracking(place):
    """Windows are the same; the network keeps as many tracks and nearly as few random pairs as the
    best of them.
    """
    run("tracking", place)
    found, committed = both(place, "tracking")
    for name, values in committed["filters"].items():
        if name.startswith("window"):
            assert found["filters"][name] == values
    best = found["filters"]["window in dphi, z0, bend_inner, bend_outer"]
    kept, purity = found["filters"]["network"]
    assert abs(kept[0] - best[0][0]) < 0.01
    assert 0.5 < purity[0] < best[1][0]


def test_energy_regression(place):
    """The fits are the same; the network saves rate, as least squares does."""
    printed = run("energy-regression", place)
    for start, columns in (("| true pT, GeV (jets) |", 4), ("| true pT, GeV |", 4)):
        new, old = table(printed, start), table(told("energy-regression"), start)
        assert len(new) >= 8
        for name, cells in old.items():
            assert new[name][:columns] == cells[:columns], name
    start = "| method | LUT, estimated |"
    new, old = table(printed, start), table(told("energy-regression"), start)
    for name in ("sum", "least squares", "ridge", "ridge and table"):
        assert new[name] == old[name]
    assert float(new["network"][2].split()[0]) < 0.9


def test_rate_control(place):
    """Both controllers hold the band; the learned one keeps more of the signal."""
    run("rate-control", place)
    found, _ = both(place, "rate_control")
    means = found["means"]
    inside, above, kept = range(3)
    assert means["fixed"][inside][0] < 20
    for name in ("PID", "learned"):
        assert means[name][inside][0] > 90
        assert means[name][above][0] < 5
    gained, error = means["learned − PID, fill by fill"][kept]
    assert gained > 5 * error


def test_transfer(place):
    """A frozen body is worse for Z or W from 1,000 events on, and better for Z or q."""
    run("transfer", place)
    found, committed = both(place, "transfer")
    means = {(r["task"], r["events"], r["start"]): np.mean(r["auc"]) for r in found}
    for row in committed:
        key = row["task"], row["events"], row["start"]
        assert abs(means[key] - np.mean(row["auc"])) < (0.02 if row["events"] >= 1000 else 0.15)
    for events in (1000, 3000):
        assert means["Z or W", events, "frozen"] < means["Z or W", events, "scratch"]
        assert means["Z or q", events, "frozen"] > means["Z or q", events, "scratch"]


def test_images(place):
    """Statistics and trees are the same; the convolution is far better than a linear classifier, and
    no network finds as many dead and hot regions as the largest pull.
    """
    run("images", place)
    found, committed = both(place, "monitoring")
    for name in ("chi-square against the mean map", "largest pull"):
        assert found["found"][name] == committed["found"][name]
    assert found["examples"] == committed["examples"]
    good, dead, hot = range(3)
    largest = found["found"]["largest pull"]
    for name, estimates in found["found"].items():
        if name != "largest pull":
            assert estimates[dead][0] < largest[dead][0], name
            assert estimates[hot][0] < largest[hot][0], name
        assert 0.004 < estimates[good][0] < 0.02
    found, committed = both(place, "neutrino")
    assert found["examples"] == committed["examples"]
    accuracy = {
        line.split(" | ")[0]: float(re.search(r"([\d.]+) %", line)[1])
        for line in found["comparison"][2:]
    }
    assert accuracy["| convolution, in bits"] > accuracy["| linear, in bits"] + 10
    np.testing.assert_allclose(found["confusion"], committed["confusion"], atol=0.15)


def test_scale(place):
    """On a thousandth of the crossings: the same events accepted by every engine and number of
    workers, in bounded memory.
    """
    run("scale", place, {"10000000": "10000"})
    found, committed = both(place, "scale")
    assert [(r["engine"], r["workers"]) for r in found] == [
        (r["engine"], r["workers"]) for r in committed
    ]
    accepted = {}
    for row in found:
        assert accepted.setdefault(row["events"], row["accepted"]) == row["accepted"]
        assert row["peak_mib"] < 1024
    assert max(accepted) == 100_000


def test_fast_simulation(place):
    """The learned events are the same, so all their distributions are; a build on them is exact."""
    printed = run("fast-simulation", place)
    assert printed.count("exact: build/") == 2
    found, committed = both(place, "results", "benchmarks/regions")
    assert found["events"] == committed["events"]
    for name, rows in committed["distributions"].items():
        for which in ("full", "learned", "control"):
            new = found["distributions"][name][which]
            np.testing.assert_allclose(new["shares"], rows[which]["shares"], rtol=1e-12)
    for name, rows in committed["rates"]["calo_anomaly"].items():
        if not name.startswith("network"):
            assert found["rates"]["calo_anomaly"][name] == rows, name


def test_deep_or_high_level(place):
    """High-level variables beat low-level ones for every method in bits; AUCs of the linear methods
    and of trees are the same within a hundredth, those of networks within 0.03.
    """
    run("deep-or-high-level", place)
    found, committed = both(place, "results", "benchmarks/high_level")
    assert len(found) >= 64
    for key, row in found.items():
        width = 0.03 if key.split()[2] in ("shallow", "deep") else 0.01
        assert abs(row["auc"] - committed[key]["auc"]) < width, key
    for sample in ("higgs", "htautau"):
        for method in ("linear", "trees", "shallow", "deep"):
            low, high = (found[f"{sample} {each} {method} bits"]["auc"] for each in ("low", "high"))
            assert high > low + 0.03

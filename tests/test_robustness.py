"""[robustness] in a build: the figures are those of a file that is shifted by hand; what is redone; what is shown."""

import json
import re
import shutil

import numpy as np
import pytest

from trigger.artifacts.folder import Build, read_graph, read_json
from trigger.artifacts.robust import lines, robustness
from trigger.events.hardware import splits
from trigger.fixedpoint.evaluate import GoldenModel
from trigger.fixedpoint.passes.decision import scores
from trigger.physics.metrics import roc
from trigger.report.shifts import panels, relative_changes
from trigger.spec.spec import load
from trigger.workflow.build import build
from trigger.workflow.stages import STAGES, graph, shifts

SHIFTS = """
[robustness.up]
features = ["a", "c"]
scale = 1.3

[robustness."pile <up>"]
features = ["*"]
poisson = 0.5
"""
DECISION = """
[decision.accept.loose]
output = "signal"
rate_khz = 20000

[decision.accept.tight]
output = "signal"
rate_khz = 5000

[physics]
zero_bias = "background"
"""


def scale_by_hand(folder):
    """The events with a and c times 1.3, written as a file of their own."""
    lines = (folder / "events.csv").read_text().splitlines()
    rows = [line.split(",") for line in lines[1:]]
    shifted = [f"{1.3 * float(a)!r},{b},{1.3 * float(c)!r},{kind}" for a, b, c, kind in rows]
    (folder / "events.csv").write_text("\n".join([lines[0], *shifted]) + "\n")


def integers_of(folder, root):
    """The test events of a trigger, and the scores of a build's graph for them."""
    test = splits(load(folder / "trigger.toml"), folder)[0]["test"]
    return test, GoldenModel(scores(read_graph(root))).run(test.x)


@pytest.fixture
def built(small_build, capsys):
    """A build with shifts, made from one without; and what was redone."""
    source, root = small_build
    path = source / "trigger.toml"
    path.write_text(path.read_text() + SHIFTS)
    build(str(source), root.parent)
    return source, root, capsys.readouterr().out


def test_scores(built):
    source, root, out = built
    kept = [stage.name for stage in STAGES if f"{stage.name}: up to date" in out]
    assert kept == [
        "events",
        "model",
        "graph",
        "firmware",
        "rtl",
        "proof",
        "verification",
        "synthesis",
    ]
    up, pile_up = read_json(root / "report" / "robustness.json")
    assert (up["name"], up["features"], up["scale"]) == ("up", ["a", "c"], 1.3)
    assert pile_up["name"] == "pile <up>"
    found = {(e["figure"], e["what"]): e for e in up["effects"]}
    assert list(found) == [("accuracy", ""), ("auc", "signal"), ("auc", "background")]
    for key in ("nominal", "shifted"):
        if key == "shifted":
            scale_by_hand(source)
        test, outputs = integers_of(source, root)
        right = (outputs.argmax(axis=1) == test.y).mean()
        assert found["accuracy", ""][key] == pytest.approx(right)
        real = np.ldexp(outputs.astype(float), -read_graph(root).output.fractions)
        for number, name in enumerate(("signal", "background")):
            assert found["auc", name][key] == pytest.approx(roc(real, test, number).auc)
    change = found["accuracy", ""]["change"]
    assert change["low"] <= change["value"] <= change["high"]
    assert re.search(
        r"  shift up +accuracy \d\d\.\d\d % → \d\d\.\d\d % \([+-]\d.* to [+-]\d\.\d\d %\)\n",
        out,
    )
    page = (root / "report" / "index.html").read_text()
    assert "<h2>Robustness</h2>" in page
    assert "<td>pile &lt;up&gt;</td><td>poisson = 0.5 of *</td>" in page


def test_accept_bits(small_build):
    source, root = small_build
    path = source / "trigger.toml"
    path.write_text(path.read_text() + DECISION + SHIFTS)
    spec = load(path)
    this = Build(spec, source, root, {})
    for name, stage in (("shifts", shifts), ("graph", graph)):
        shutil.rmtree(root / name, ignore_errors=True)
        (root / name).mkdir()
        stage.run(this, root / name)
    up, pile_up = robustness(this)
    found = {(e["of"], e["figure"], e["what"]): e for e in up["effects"]}
    points = read_json(root / "graph" / "summary.json")["working_points"]
    for key in ("nominal", "shifted"):
        if key == "shifted":
            scale_by_hand(source)
        test, outputs = integers_of(source, root)
        bits = {name: outputs[:, p["element"]] >= p["bound"] for name, p in points.items()}
        bits["any of them"] = bits["loose"] | bits["tight"]
        for name, kept in bits.items():
            share = kept[test.y == 1].mean()
            assert found[name, "accepted", "background"][key] == pytest.approx(share)
            rate = share * 40079 * 2760 / 3564
            assert found[name, "rate_khz", ""][key] == pytest.approx(rate)
            signal = kept[test.y == 0].mean()
            assert found[name, "accepted", "signal"][key] == pytest.approx(signal)
    tables = panels([up, pile_up], spec)
    titles = ["Accept bit loose", "Accept bit tight", "Any accept bit", "Scores"]
    assert [table.title for table in tables] == titles
    assert tables[0].columns == ["rate, kHz", "signal accepted"]
    assert [name for name, _ in tables[0].rows] == ["up", "pile <up>"]
    assert "signal accepted" in relative_changes([up, pile_up], spec).svg
    (root / "report" / "robustness.json").write_text(json.dumps([up]))
    ((name, text),) = lines(root, spec)
    assert name == "shift up"
    assert re.fullmatch(
        r"rate, kHz [\d,]+ → [\d,]+ \([+-].* to [+-].*\); signal accepted 1?\d\d.* %\)", text
    )

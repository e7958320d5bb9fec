"""Boosted trees as the network of a build: adopted, rounded, compared with their library."""

import dataclasses
import json
import shutil
import types
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from typer.testing import CliRunner

import trigger.trees
from trigger.artifacts.folder import Build, read_graph
from trigger.artifacts.implementations import recorded_expectations, trained_network
from trigger.cli.app import app
from trigger.errors import TriggerError
from trigger.fixedpoint import evaluate
from trigger.frontends.inexact import Inexact
from trigger.frontends.trees import conifer, libraries
from trigger.frontends.trees.reading import read
from trigger.spec.spec import load
from trigger.workflow.adopt import Adoption, adopt
from trigger.workflow.stages import events, graph, model

MODELS = Path(__file__).parents[1] / "frontends" / "trees"
OWN_TREES = """
name = "small"
task = "classification"

[data]
files = ["sample.csv"]
label = "kind"
classes = ["x", "y", "z"]
features = ["a", "b", "c"]

[model]
family = "trees"
arguments = { trees = 2, depth = 2 }

[training]
target_lut = 30

[inputs]
type = "fixed<8,4>"

[target]
part = "xcvu9p-flga2104-2L-e"
clock_mhz = 240
"""
PART = "xcvu9p-flga2104-2L-e"


@pytest.fixture
def sample(tmp_path, monkeypatch):
    """A working folder with the files of two libraries, and a sample of their three features."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    x = rng.integers(-128, 128, size=(300, 3)) / 16
    three = (x[:, :2] > 0).sum(axis=1)
    rows = [f"{a},{b},{c},{'xyz'[k]},{k > 0:d}" for (a, b, c), k in zip(x, three, strict=True)]
    Path("sample.csv").write_text("\n".join(["a,b,c,kind,any", *rows]) + "\n")
    for name in ("xgboost_classes.ubj", "xgboost_binary.json", "lightgbm_binary.txt"):
        shutil.copy(MODELS / name, name)
    return Path("sample.csv")


def asked(network, label="kind", **options):
    return Adoption(Path(network), Path("sample.csv"), PART, 240, label, "fixed<8,4>", **options)


def without(column):
    """The sample without a column."""
    lines = [line.split(",") for line in Path("sample.csv").read_text().splitlines()]
    at = lines[0].index(column)
    kept = [",".join(cell for k, cell in enumerate(line) if k != at) for line in lines]
    Path("sample.csv").write_text("\n".join(kept) + "\n")


def lowered(path, folder):
    """A build up to its graph."""
    made = Build(load(path), Path(), folder, {"events": ""})
    for name, stage in (("events", events), ("model", model), ("graph", graph)):
        (folder / name).mkdir(parents=True)
        stage.run(made, folder / name)
    return made


def test_classes_of_a_file_are_adopted_rounded_and_lowered(sample, tmp_path):
    without("any")
    path = adopt(asked("xgboost_classes.ubj"))
    text = path.read_text()
    assert 'classes = ["x", "y", "z"]' in text and "max_auc_loss = 0.001" in text
    assert "# The trees have float leaves." in text
    root = lowered(path, tmp_path / "build").root
    chosen = json.loads((root / "model" / "quantization.json").read_text())
    best, *others = [row["loss"] for row in chosen["rows"] if row["bits"] <= chosen["bits"]][::-1]
    assert best <= 0.001 and all(loss > 0.001 for loss in others)
    expected = recorded_expectations(root)
    made = read_graph(root)
    np.testing.assert_array_equal(evaluate.run(made, expected.x), expected.outputs)
    assert not expected.off_grid.any()
    agreement = trained_network(root)
    assert agreement.comparison.equal and agreement.exact == agreement.comparison.events > 500
    forest = read(root / "model" / "network.json")
    assert f"XGBoost: {forest.notes[-1]}" in made.notes


def test_one_score_has_a_threshold_on_its_sigmoid(sample, tmp_path):
    without("kind")
    text = adopt(asked("lightgbm_binary.txt", "any")).read_text()
    assert 'output = "class_1"' in text
    path = tmp_path / "lightgbm_binary.toml"
    text = text.replace("max_auc_loss = 0.001", "bits = 4")
    path.write_text(text + '\n[decision.accept]\nhigh = { output = "class_1", threshold = 0.55 }\n')
    root = lowered(path, tmp_path / "build").root
    point = json.loads((root / "graph" / "summary.json").read_text())["working_points"]["high"]
    assert point["own"] == ["sigmoid", 0.55]
    assert point["threshold"] - 1 / 32 < np.log(0.55 / 0.45) <= point["threshold"]
    expected = recorded_expectations(root)
    np.testing.assert_array_equal(evaluate.run(read_graph(root), expected.x), expected.outputs)


def test_features_are_ordered_as_the_file_names_them(sample):
    without("any")
    forest = dataclasses.replace(read(Path("xgboost_binary.json")), names=("c", "a", "b"))
    Path("named.json").write_text(json.dumps(conifer.document(forest)))
    path = adopt(asked("named.json", None))
    assert load(path).data.features == ["c", "a", "b"]
    path.write_text(path.read_text().replace('["c", "a", "b"]', '["a", "b", "c"]'))
    with pytest.raises(TriggerError) as refused:
        lowered(path, Path("build"))
    assert str(refused.value) == (
        "named.json: its features are c, a, b, in this order; order those of the data alike"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ('output = "class_1"', ""),
            "xgboost_binary.json: holds trees of one score; set model.output in trigger.toml to "
            "the class it scores",
        ),
        (
            ('features = ["a", "b", "c"]', 'features = ["a", "b"]'),
            "xgboost_binary.json: holds trees from 3 features to 1 scores; the data needs 2 to 1",
        ),
        (
            ("[quantization]\n# Use the fewest bits that lose at most this much AUC.\n"
             "max_auc_loss = 0.001\n", ""),
            "the network cannot be compiled exactly: 1 problem\n  leaves: the scores need 33 bits "
            "to be exact, and XGBoost may round its sums. Remedy: round the leaves: set bits = 8 "
            "in [quantization] of trigger.toml.",
        ),
    ],
)  # fmt: skip
def test_trees_that_do_not_fit_are_refused(change, message, sample):
    without("kind")
    path = adopt(asked("xgboost_binary.json", "any"))
    assert change[0] in path.read_text()
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(TriggerError) as refused:
        lowered(path, Path("build"))
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            "model.joblib",
            "model.joblib: is never opened, because a pickle can run any code; write the "
            'model with trigger.trees.save(model, "model.json") where it was made, and build that '
            "file",
        ),
        (
            "xgboost_classes.ubj",
            "sample.csv: 4 numeric columns besides the label; xgboost_classes.ubj has 3 inputs",
        ),
    ],
)
def test_the_command_says_what_to_do(network, message, sample):
    options = ["--events", "sample.csv", "--label", "kind", "--part", PART, "--clock", "240"]
    result = CliRunner().invoke(app, ["build", "--network", network, *options])
    assert str(result.exception) == message


def stand_in(forest, change=lambda leaves: leaves, scale=1.0):
    """A library of LightGBM's interface that predicts what the forest does, changed."""
    splits = np.array([(tree.feature >= 0).sum() for tree in forest.trees])

    class Booster:
        def __init__(self, model_file):
            assert Path(model_file).exists()

        def predict(self, x, pred_leaf=False, raw_score=False):
            leaves = change(forest.leaves(x))
            return leaves - splits if pred_leaf else forest.scores(leaves) * scale

    return types.SimpleNamespace(Booster=Booster, __version__="9")


def test_the_library_is_a_witness(sample, monkeypatch):
    path = Path("lightgbm_binary.txt")
    forest = read(path)
    x = np.random.default_rng(1).integers(-128, 128, size=(50, 3)) / 16
    monkeypatch.setattr(libraries, "_installed", lambda name: None)
    own = libraries.record(path, forest, forest, x)
    assert own.name == "trees of lightgbm_binary.txt"
    assert libraries.missing(forest) == (
        "LightGBM is not installed, so only this program says which leaves events reach; to ask "
        "the library too: pip install lightgbm"
    )
    monkeypatch.setattr(libraries, "_installed", lambda name: stand_in(forest))
    found = libraries.record(path, forest, forest, x)
    assert found.name == "LightGBM 9"
    assert libraries.missing(forest) is None
    np.testing.assert_array_equal(found.y, own.y)

    def other(leaves):
        leaves[7, 0] = leaves[7, 0] - 1
        return leaves

    monkeypatch.setattr(libraries, "_installed", lambda name: stand_in(forest, other))
    different = libraries.record(path, forest, forest, x)
    assert (different.y != own.y).any(axis=1).nonzero()[0].tolist() == [7]
    monkeypatch.setattr(libraries, "_installed", lambda name: stand_in(forest, scale=1.01))
    with pytest.raises(TriggerError) as refused:
        libraries.record(path, forest, forest, x)
    assert str(refused.value).startswith("lightgbm_binary.txt: LightGBM 9 gives ")
    assert str(refused.value).endswith(
        ": this version writes files that are not read correctly; write the model with another"
    )


def test_python_takes_files(tmp_path):
    rng = np.random.default_rng(2)
    x = rng.integers(-8, 8, size=(200, 2)).astype(float)
    fitted = HistGradientBoostingClassifier(max_iter=4, min_samples_leaf=5)
    fitted.fit(x, x[:, 0] * x[:, 1] > 0)
    path = tmp_path / "model.json"
    trigger.trees.save(fitted, path)
    found = trigger.trees.lower(path, "fixed<4,4>", bits=12)
    assert np.abs(found.predict(x)[:, 0] - fitted.decision_function(x)).max() < 1e-2
    with pytest.raises(Inexact):
        trigger.trees.lower(path, "fixed<4,4>")
    for options, message in (
        (
            {"inputs": ["fixed<4,4>"]},
            f"{path}: its trees have 2 features; give one type for all, or one for each",
        ),
        (
            {"inputs": "fixed<4,4>", "bits": 0},
            "trees.lower: leaves of 0 bits; give 1 to 16",
        ),
        (
            {"inputs": "fixed<4,4>", "bits": 2.5},
            "trees.lower: leaves of 2.5 bits; give 1 to 16",
        ),
    ):
        with pytest.raises(TriggerError) as refused:
            trigger.trees.lower(path, **options)
        assert str(refused.value) == message


@pytest.mark.full
def test_a_whole_build_says_that_it_is_of_trees(sample):
    without("any")
    arguments = ["build", "--network", "xgboost_classes.ubj", "--events", "sample.csv"]
    arguments += ["--label", "kind", "--inputs", "fixed<8,4>", "--part", PART, "--clock", "240"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "xgboost_classes: Exact: every implementation gave the integers of the trees" in (
        result.output
    )
    root = Path("build/xgboost_classes")
    assert json.loads((root / "verification" / "results.json").read_text())["equal"]
    page = " ".join((root / "report" / "index.html").read_text().split())
    assert "“trees” are those of the file, with rounded leaves" in page
    assert "Keras" not in page.partition("<h2>Manifest</h2>")[0]
    verified = CliRunner().invoke(app, ["verify", str(root), "--events", "sample.csv"])
    assert verified.exit_code == 0, verified.output


@pytest.mark.full
def test_a_whole_build_says_what_its_own_trees_are(sample):
    Path("small").mkdir()
    Path("small/trigger.toml").write_text(OWN_TREES)
    sample.rename("small/sample.csv")
    result = CliRunner().invoke(app, ["build", "small"])
    assert result.exit_code == 0, result.output
    page = " ".join((Path("build") / "small/report/index.html").read_text().split())
    assert "Each implementation is compared with the trees of the build, in float64." in page
    assert "<tr><th>target of training</th><td>30 LUT</td></tr>" in page
    assert "“trees” are those of the build, with rounded leaves" in page

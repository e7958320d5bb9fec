"""The network trained again on parts of the events, and measured on those kept back."""

import json
import re

import keras
import numpy as np
import pytest
from conftest import write_small_trigger
from sklearn.metrics import roc_auc_score

from trigger import TriggerError
from trigger.events.hardware import splits, to_real
from trigger.spec.spec import load, parse
from trigger.support.digest import folder_digest
from trigger.training import cross_validation
from trigger.training.cross_validation import cross_validate
from trigger.workflow.build import build

TABLE = "\n[cross_validation]\nfolds = 2\nfractions = [0.5, 1.0]\n"


def with_table(folder, table=TABLE):
    path = folder / "trigger.toml"
    path.write_text(path.read_text() + table)
    return load(path)


def as_set(x):
    return {tuple(row) for row in x}


def test_a_build_with_cross_validation(small_build, capfd):
    source, root = small_build
    before = {name: folder_digest(root / name) for name in ("model", "graph", "firmware", "rtl")}
    with_table(source)
    capfd.readouterr()
    build(str(source), root.parent)
    said = capfd.readouterr().out
    assert "training again on parts of the events" in said
    assert not re.search("making or reading the network$", said, re.MULTILINE)
    assert {name: folder_digest(root / name) for name in before} == before
    summary = json.loads((root / "cross_validation" / "summary.json").read_text())
    rows = summary["rows"]
    assert summary["metric"] == "auc"
    assert [(row["fraction"], row["events"]) for row in rows] == [(0.5, 90)] * 2 + [(1.0, 180)] * 2
    assert all(0.6 < row["kept_back"] < 1 for row in rows)
    last = [row["kept_back"] for row in rows[2:]]
    (line,) = [line for line in said.splitlines() if "cross-validated AUC" in line]
    mean, deviation = (float(text) for text in re.findall(r"0\.\d+", line))
    assert mean == pytest.approx(np.mean(last), abs=1e-4)
    assert deviation == pytest.approx(np.std(last, ddof=1), rel=0.1)
    assert line.endswith(", 2 folds")
    page = (root / "report" / "index.html").read_text()
    assert "<h3>Cross-validation</h3>" in page
    assert "Learning curve: AUC against the number of training events." in page


def test_each_event_is_kept_back_once_and_test_events_never(small_build, monkeypatch):
    """Also: the figures are those of the network that saw the other events."""
    source, _ = small_build
    spec = with_table(source, "\n[cross_validation]\nfolds = 3\n")
    seen = []

    def trained(spec, events, folder, watch):
        seen.append(events)
        kernel = np.array([[1.0, -1.0], [0.5, 0], [0, 0]]) * len(seen)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, use_bias=False)])
        model.set_weights([kernel.astype(np.float32)])
        return model

    monkeypatch.setattr(cross_validation, "trained", trained)
    integers = splits(spec, source).events
    rows = list(cross_validate(spec, spec.cross_validation, integers, source))
    everything = as_set(to_real(integers, spec)["train"].x) | as_set(
        to_real(integers, spec)["validation"].x
    )
    kept_back = [as_set(events["test"].x) for events in seen]
    assert set.union(*kept_back) == everything
    assert sum(map(len, kept_back)) == len(everything)
    for number, (events, row) in enumerate(zip(seen, rows, strict=True), 1):
        used = as_set(events["train"].x), as_set(events["validation"].x)
        assert not used[0] & used[1] and not (used[0] | used[1]) & kept_back[number - 1]
        assert used[0] | used[1] | kept_back[number - 1] == everything
        assert row.events == len(events["train"].x)
        difference = events["test"].x @ np.array([2.0, 0.5, 0]) * number
        auc = roc_auc_score(events["test"].y == 0, difference)
        assert row.kept_back == pytest.approx(auc)


def test_a_class_with_few_events(small_build):
    source, _ = small_build
    spec = with_table(source, "\n[cross_validation]\nfolds = 20\n")
    few = {
        name: events.take(np.sort(np.argsort(events.y, kind="stable")[-80:]))
        for name, events in splits(spec, source).events.items()
    }
    signals = sum(int((few[name].y == 0).sum()) for name in ("train", "validation"))
    assert 0 < signals < 60
    with pytest.raises(TriggerError) as caught:
        next(cross_validate(spec, spec.cross_validation, few, source))
    assert str(caught.value) == (
        f"cross_validation.folds: the class 'signal' has {signals} events for training and "
        "validation; 20 folds need 60"
    )


@pytest.mark.parametrize(
    ("table", "weighted", "problem"),
    [
        (
            "folds = 2\nfractions = [0.001]",
            1000,
            "with 2 folds and the fraction 0.001: no event of the class 'signal' in the train split",
        ),
        (
            "folds = 3",
            1,
            "with 3 folds and the fraction 1: no event of the class 'signal' in the validation split",
        ),
    ],
)
def test_parts_without_events_of_weight(tmp_path, table, weighted, problem):
    """Weights of which all but the first few in each class are 0."""
    source = write_small_trigger(tmp_path)
    spec = with_table(source, f"\n[cross_validation]\n{table}\n")
    events = {}
    for name, split in splits(spec, source).events.items():
        order = [np.cumsum(split.y == number) * (split.y == number) for number in (0, 1)]
        weight = sum((place > 0) & (place <= weighted) for place in order)
        events[name] = split._replace(weight=weight.astype(np.float64))
    with pytest.raises(TriggerError) as caught:
        next(cross_validate(spec, spec.cross_validation, events, source))
    assert str(caught.value) == (
        f"cross_validation: {problem} has a weight; set fewer folds or larger fractions"
    )


def test_parts_of_any_share():
    y = np.repeat([0, 1], [5, 300])
    for share in (0.0001, 0.01, 0.5, 0.9999):
        part = cross_validation._part(y, share, 1, least=1)
        assert 1 <= (part < 5).sum() <= 4 and 1 <= (part >= 5).sum() <= 299
    small, large = (set(cross_validation._part(y, share, 1)) for share in (0.2, 0.9))
    assert small < large and len(cross_validation._part(y, 1.0, 1)) == 305


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("folds = 1", "cross_validation.folds is 1; it must be greater than or equal to 2"),
        ("fractions = [1.0, 0.5]", "cross_validation: fractions must rise; each stands once"),
        ("fractions = [0.5, 0.5]", "cross_validation: fractions must rise; each stands once"),
        (
            "fractions = [0.5, 1.5]",
            "cross_validation.fractions.1 is 1.5; it must be less than or equal to 1",
        ),
        (
            'metric = "resolution"',
            'cross_validation.metric "resolution" needs a head of task "regression"',
        ),
    ],
)
def test_wrong_tables(small_build, table, problem):
    path = small_build[0] / "trigger.toml"
    with pytest.raises(TriggerError) as caught:
        parse(path.read_text() + f"\n[cross_validation]\n{table}\n", path)
    assert str(caught.value) == f"{path}: {problem}"


def test_a_trained_network_is_not_trained_again(small_build):
    path = small_build[0] / "trigger.toml"
    text = path.read_text()
    text = text[: text.index("[training]")] + text[text.index("[inputs]") :]
    text = text.replace('function = "network"', 'network = "n.keras"')
    with pytest.raises(TriggerError) as caught:
        parse(text + TABLE, path)
    assert str(caught.value) == (
        f"{path}: cross_validation trains the network again; model.network is already trained"
    )

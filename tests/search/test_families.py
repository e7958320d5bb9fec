"""A search that chooses the family of the network, too."""

import json

import pytest
from searches import outcome, searched, task

from trigger import TriggerError
from trigger.search import pick, report, run, space
from trigger.search.study import Point, Study
from trigger.search.trial import COMPLETE, FAILED, HOPELESS, Outcome, run_trial
from trigger.spec.spec import load, parse

pytestmark = pytest.mark.minutes

SEARCH = """
[search]
metric = "accuracy"

[search.family]
model = {}
mlp = {}
trees = {}

[search.family.weightless.parameters]
"training.target_lut" = { low = 40, high = 80 }
"""


@pytest.fixture
def path(tmp_path):
    return searched(tmp_path / "small", SEARCH)


def study(path, resume=False):
    return Study(path.parent / "search", load(path), path.parent, resume)


def test_the_first_trials_are_one_of_each_family(path):
    """Also if another process continues."""
    first = [study(path).ask()]
    after = study(path, resume=True)
    begun = [*first, *(after.ask() for _ in range(3))]
    families = ["model", "mlp", "trees", "weightless"]
    assert [(number, values[space.FAMILY]) for number, values in begun] == list(enumerate(families))


def test_each_family_has_its_own_values(path):
    """Also those that an earlier process drew, and those that it had not drawn yet."""
    asked = study(path)
    begun = dict(asked.ask() for _ in range(12))
    names = ("trees", "depth", "bits", "learning_rate")
    expected = {
        "model": set(),
        "mlp": {"training.target_lut", "training.learning_rate", "model.arguments.units"},
        "trees": {"training.target_lut", *(f"model.arguments.{name}" for name in names)},
        "weightless": {"training.target_lut", "model.arguments.thresholds"},
    }
    found = {values[space.FAMILY]: set(values) - {space.FAMILY} for values in begun.values()}
    assert found == expected
    for values in begun.values():
        if values[space.FAMILY] == "weightless":
            assert 40 <= values["training.target_lut"] <= 80
    asked._study.ask()  # killed before its values were recorded
    after = study(path, resume=True)
    waiting = dict(after.waiting())
    assert {k: waiting[k] for k in begun} == begun and set(waiting) == set(range(13))
    assert study(path, resume=True).waiting() == list(waiting.items())
    after.tell(0, outcome(0.7, 100, 20))
    (point,) = after.finished()
    assert point.values == begun[0] and point.family == begun[0][space.FAMILY]


def test_a_network_is_given_up_against_its_own_family(path):
    asked = study(path)
    spec = load(path)
    losses = {}
    for number, values in (asked.ask() for _ in range(16)):
        loss = losses.setdefault(values[space.FAMILY], len(losses) + 1.0)
        asked.tell(number, outcome(0.5 + number / 100, 100 + number, 20, loss))
    for family, loss in losses.items():
        mine = [p for p in asked.complete() if p.family == family]
        assert asked.bars(spec, family)[0] == (loss if len(mine) >= 3 else float("inf"))


def test_the_trigger_of_a_family(path):
    """What only the network of [model] has is left out; the rest stays as it is."""
    text = path.read_text()
    given = {space.FAMILY: "trees", "model.arguments.depth": 4, "training.target_lut": 90}
    made = space.with_values(text, given)
    spec, before = parse(made, path), load(path)
    assert spec.model.family == "trees" and spec.model.arguments == {"depth": 4}
    assert spec.pruning is None
    assert spec.training.model_fields_set == {"refinement", "target_lut"}
    assert (spec.data, spec.inputs, spec.target) == (before.data, before.inputs, before.target)
    given = {space.FAMILY: "weightless", "training.target_lut": 50}
    training = parse(space.with_values(text, given), path).training
    assert (training.epochs, training.refinement, training.batch_size) == (5, 24, 128)
    assert space.with_values(text, {space.FAMILY: "model"}) == text


def test_old_trials_have_no_family(tmp_path):
    path = searched(tmp_path / "small")
    asked = study(path)
    number, values = asked.ask()
    asked.tell(number, outcome(0.5, 100, 10.0))
    (point,) = study(path, resume=True).finished()
    assert (point.family, point.values) == ("", values)
    assert pick.describe(point, "auc") == "trial 0: auc 0.5000, 100 LUT, 10.0 ns"


@pytest.mark.parametrize(
    ("search", "message"),
    [
        (
            "[search.family]\n",
            "{path}: search: parameters is empty; set the keys to vary, or name families",
        ),
        (
            '[search.family]\ntrees = {}\n[search.parameters]\n"training.epochs" = '
            "{ low = 7, high = 9 }\n",
            "search.parameters.training.epochs: with 7: {path}: training.epochs has no effect: "
            "trees are not trained in epochs; remove it, and set their number, depth and "
            "learning_rate in model.arguments (family trees); name what only some families have "
            "in search.family.NAME.parameters",
        ),
        (
            '[search.family.trees.parameters]\n"model.arguments.depth" = { low = 2, high = 9 }\n',
            "search.family.trees.parameters.model.arguments.depth: with 9: {path}: "
            "model.arguments.depth is 9; it must be less than or equal to 8",
        ),
    ],
)
def test_what_a_family_does_not_take(search, message, tmp_path):
    path = searched(tmp_path / "small", search)
    with pytest.raises(TriggerError) as error, run.opened(str(path), tmp_path, resume=False):
        pass
    assert str(error.value) == message.format(path=path)


def test_anomalies_are_of_the_network_of_the_trigger(tmp_path):
    path = searched(tmp_path / "small", "[search.family]\nmodel = {}\nmlp = {}\n")
    text = path.read_text().replace('"classification"', '"anomaly"')
    path.write_text(text.replace("[training]", '[training]\nclasses = ["background"]'))
    with pytest.raises(TriggerError) as error, run.opened(str(path), tmp_path, resume=False):
        pass
    assert str(error.value) == (
        f"search.family.mlp: {path}: model.family 'mlp' is for classification and [heads]; for "
        'task "anomaly" write the network in model.py, and set model.function instead'
    )


@pytest.mark.parametrize(
    "values",
    [
        {space.FAMILY: "trees", "training.target_lut": 60, "model.arguments.trees": 3},
        {
            space.FAMILY: "weightless",
            "training.target_lut": 60,
            "training.epochs": 1,
            "training.refinement": 3,
            "model.arguments.thresholds": 4,
        },
    ],
)
def test_a_trial_of_a_family(values, path):
    made = space.with_values(path.read_text(), values)
    found = run_trial(task(path)._replace(text=made))
    assert (found.state, found.reason) == (COMPLETE, "")
    assert found.metric > 0.75 and 0 < found.lut < 200 and found.latency_ns > 0
    assert bool(found.rungs) == (values[space.FAMILY] != "trees")


def test_what_was_picked_says_all(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with run.opened(str(path), tmp_path, resume=False) as search:
        for number, values in (search.study.ask() for _ in range(12)):
            best = values[space.FAMILY] == "trees"
            search.study.tell(number, outcome(0.9 if best else 0.5, 100, 10.0))
        picked, point = run.write_picked(search, [])
    assert point.family == "trees"
    assert pick.describe(point, "auc") == (
        f"trial {point.number}, trees: auc 0.9000, 100 LUT, 10.0 ns"
    )
    spec = load(picked)
    assert spec.search is None and spec.model.family == "trees" and spec.model_files == []
    drawn = {f"model.arguments.{k}": v for k, v in spec.model.arguments.items()}
    drawn |= {"training.target_lut": spec.training.target_lut, space.FAMILY: "trees"}
    assert drawn == point.values


def test_the_page_shows_families(path, tmp_path):
    rows = [("mlp", 0.8, 300), ("trees", 0.7, 90), ("trees", 0.6, 100), ("weightless", 0.75, 80)]
    points = [
        Point(k, {space.FAMILY: family, "training.seed": k}, outcome(metric, lut, 20))
        for k, (family, metric, lut) in enumerate(rows)
    ]
    points.append(Point(4, {space.FAMILY: "trees"}, Outcome(FAILED, "no reason")))
    points.append(Point(5, {space.FAMILY: "mlp"}, Outcome(HOPELESS, "bad")))
    page = report.write_page(points, load(path), tmp_path / "page").read_text()
    for family, color in (("mlp", "#0072b2"), ("trees", "#e69f00"), ("weightless", "#d55e00")):
        assert f"<td>{family}</td>" in page and color in page
    assert page.count(">weightless</text>") == 2  # a legend for each picture
    trials = json.loads((tmp_path / "page" / "trials.json").read_text())
    assert [trial["values"][space.FAMILY] for trial in trials[:2]] == ["mlp", "trees"]

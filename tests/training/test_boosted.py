"""Boosted trees as a baseline: scores of each head that separate, the same again."""

import numpy as np
import pytest

from trigger.events.dataset import Events
from trigger.physics.metrics import mean_auc
from trigger.physics.regression import regression
from trigger.spec.spec import parse
from trigger.training import boosted

BASE = """
name = "t"
{task}
[data]
files = ["a.csv"]
features = ["a", "b"]
{label}
[model]
network = "a.keras"
{output}
[inputs]
type = "fixed<8,4>"
[target]
part = "xcvu9p-flga2104-2L-e"
clock_mhz = 240
"""
LABEL = 'label = "kind"\nclasses = ["x", "y", "z"]'
CLASSIFICATION = 'task = "classification"'


def spec_of(tmp_path, task=CLASSIFICATION, label=LABEL, output="", tail=""):
    return parse(BASE.format(task=task, label=label, output=output) + tail, tmp_path / "t.toml")


@pytest.fixture(scope="module")
def splits():
    rng = np.random.default_rng(1)
    made = {}
    for name in ("train", "validation", "test"):
        x = rng.integers(-64, 64, size=(600, 2)) / 16
        y = (x[:, 0] > 0).astype(np.int64) + (x[:, 0] * x[:, 1] > 1)
        truth = np.stack([y, x[:, 0] * 3, (y > 0).astype(float)], axis=1)
        truth[::7, 1] = np.nan
        made[name] = Events(x, y, np.ones(600), truth)
    return made


@pytest.mark.parametrize(
    ("output", "shape"),
    [("", (600, 3)), ('output = ["z"]', (600, 1)), ('output = ["y", "z"]', (600, 1))],
)
def test_classes(output, shape, splits, tmp_path):
    spec = spec_of(tmp_path, output=output)
    assert boosted.wanted(spec)
    found = boosted.scores(splits, spec)
    assert found.shape == shape
    (head,) = spec.scoring
    assert mean_auc(found, splits["test"], head) > 0.8
    np.testing.assert_array_equal(found, boosted.scores(splits, spec))


def test_a_class_without_events_is_never_found(splits, tmp_path):
    train = splits["train"]
    two = train.take(np.flatnonzero(train.y != 1))
    found = boosted.scores({**splits, "train": two}, spec_of(tmp_path))
    assert (found[:, 1] == -30).all() and set(found.argmax(axis=1)) == {0, 2}
    one = train.take(np.flatnonzero(train.y == 2))
    found = boosted.scores({**splits, "train": one}, spec_of(tmp_path))
    assert (found == [-30, -30, 0]).all()


def test_each_head_has_trees_of_its_own(splits, tmp_path):
    heads = """
[heads.flavour]
task = "classification"
label = "kind"
classes = ["x", "y", "z"]
[heads.energy]
task = "regression"
label = "e"
bins = [-20, 0, 20]
"""
    spec = spec_of(tmp_path, task="", label="", tail=heads)
    found = boosted.scores(splits, spec)
    assert found.shape == (600, 4)
    flavour, energy = spec.scoring
    assert mean_auc(found, splits["test"], flavour) > 0.8
    assert regression(found, splits["test"], energy).total.resolution < 0.5


def test_events_without_labels_have_no_baseline(tmp_path):
    assert not boosted.wanted(spec_of(tmp_path, label='classes = ["x", "y", "z"]'))

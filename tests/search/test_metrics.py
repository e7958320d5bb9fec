"""The metric of a search for networks of several heads: the mean over those that separate classes."""

import numpy as np
import pytest

from trigger.events.dataset import Events
from trigger.fixedpoint.build import Builder
from trigger.fixedpoint.types import Fixed
from trigger.physics.metrics import accuracy_of, mean_auc
from trigger.search.metrics import measure
from trigger.spec.spec import parse

TOML = """
name = "heads"
[data]
files = ["x.csv"]
features = ["a", "b", "c", "d"]
label = "kind"
classes = ["background", "signal"]
[heads.kind]
task = "classification"
[heads.energy]
task = "regression"
label = "truth"
[heads.tag]
task = "classification"
classes = ["no", "yes"]
label = "tagged"
mask = "has_tag"
output = "yes"
[model]
function = "network"
[inputs]
type = "fixed<8,4>"
[target]
part = "xcvu9p-flga2104-2L-e"
clock_mhz = 360
"""


@pytest.fixture
def spec(tmp_path):
    return parse(TOML, tmp_path / "trigger.toml")


def events():
    rng = np.random.default_rng(3)
    x = rng.integers(-128, 128, (600, 4))
    y = (x[:, 1] - x[:, 0] + rng.integers(-60, 60, 600) > 0).astype(np.int64)
    tag = np.where(rng.random(600) < 0.5, (x[:, 3] > 10).astype(float), np.nan)
    return Events(x, y, rng.uniform(0.5, 2, 600), np.column_stack([y, x[:, 2] / 16, tag]))


@pytest.mark.parametrize(("metric", "of_head"), [("auc", mean_auc), ("accuracy", accuracy_of)])
def test_the_mean_over_heads(metric, of_head, spec):
    """The scores of this graph are its inputs."""
    builder = Builder((Fixed(True, 8, 4),) * 4)
    seen = events()
    ends = [("linear", 2), ("linear", 1), ("linear", 1)]
    found = measure(metric, builder.graph(builder.last), ends, seen, {}, spec)
    kind, _, tag = spec.scoring
    each = [of_head(seen.x / 16, seen, head) for head in (kind, tag)]
    assert found == np.mean(each)
    assert min(each) > 0.75


def test_a_masked_event_counts_for_the_other_heads_only(spec):
    seen = events()
    kind, energy, tag = spec.scoring
    assert [len(seen.of(head)[0].y) for head in (kind, energy)] == [600, 600]
    tagged, rows = seen.of(tag)
    assert 250 < len(rows) < 350
    np.testing.assert_array_equal(tagged.y, seen.truth[rows, 2])
    np.testing.assert_array_equal(tagged.weight, seen.weight[rows])

"""Trees grown under a price in LUT, and the losses that they lower."""

import numpy as np
import pytest

from trigger.backends.rtl.logic import to_logic
from trigger.events.dataset import Events
from trigger.fixedpoint.passes import optimize
from trigger.frontends.trees.lowering import lower
from trigger.spec.spec import parse
from trigger.training import boosting, tree_losses

TOML = """
name = "small"
{task}
[data]
files = ["events.csv"]
features = ["a", "b", "c"]
label = "kind"
classes = ["low", "middle", "high"]
[model]
family = "trees"
arguments = {{ {arguments} }}
[training]
{training}
[inputs]
type = "fixed<10,6>"
[target]
part = "xcvu9p-flga2104-2L-e"
clock_mhz = 360
{heads}
"""
STEP = 2.0**-4
RNG = np.random.default_rng(3)
X = RNG.integers(-512, 512, (4000, 3)) * STEP
RADIUS = np.hypot(X[:, 0], X[:, 1]) + np.abs(X[:, 2]) / 4 + RNG.normal(size=4000)
KINDS = np.searchsorted([14, 26], RADIUS)
REGRESSION = """
[heads.radius]
task = "regression"
label = "radius"
loss = "{loss}"
"""


def trained(training="", arguments="", loss=None, truth=RADIUS, weight=None, x=X):
    heads = "" if loss is None else REGRESSION.format(loss=loss)
    task = 'task = "classification"' if loss is None else ""
    text = TOML.format(task=task, arguments=arguments, training=training, heads=heads)
    spec = parse(text, "trigger.toml")
    weight = np.ones(len(X)) if weight is None else weight
    train = Events(x, KINDS, weight, None if loss is None else truth[:, None])
    return boosting.trained(spec, {"train": train}), spec


def scores(forest, x=X):
    return forest.scores(forest.leaves(x))


def accuracy(forest):
    return (scores(forest).argmax(axis=1) == KINDS).mean()


def comparators(forest):
    return {
        (feature, threshold)
        for tree in forest.trees
        for feature, threshold in zip(tree.feature, tree.threshold, strict=True)
        if feature >= 0
    }


def splits(forest):
    return sum(tree.splits for tree in forest.trees)


def lut(forest, spec):
    return sum(to_logic(optimize(lower(forest, spec.input_types))).costs)


@pytest.mark.parametrize("target", [20, 60, 150])
def test_a_target_sets_the_price(target):
    forest, spec = trained(f"target_lut = {target}")
    assert 0.7 * target < lut(forest, spec) < 1.3 * target


def test_trees_share_comparators():
    """More splits than trees that pay nothing, over fewer comparators."""
    free, _ = trained(arguments="depth = 2")
    paid, _ = trained("target_lut = 150")
    assert splits(paid) > splits(free)
    assert len(comparators(paid)) < 0.6 * len(comparators(free))
    assert accuracy(paid) > accuracy(free)


def test_growing_again_pays():
    once, _ = trained("target_lut = 100")
    again, _ = trained("target_lut = 100\nrefinement = 2")
    assert accuracy(again) > accuracy(once)


def test_each_score_has_as_many_trees_though_some_are_leaves():
    forest, spec = trained("target_lut = 20")
    assert 0 < lut(forest, spec) < 60
    assert [tree.output for tree in forest.trees] == [0, 1, 2] * 10
    assert min(tree.splits for tree in forest.trees) == 0


@pytest.mark.parametrize("bits", [1, 3, 6])
def test_leaves_have_their_bits(bits):
    forest, _ = trained(arguments=f"bits = {bits}, trees = 4")
    values = [tree.value[tree.feature < 0] for tree in forest.trees]
    every = np.concatenate(values)
    step = np.abs(every[every != 0]).min()
    assert np.log2(step) == round(np.log2(step)) and not (every % step).any()
    assert max(np.ptp(own) for own in values) <= (2**bits - 1) * step
    assert len(np.unique(every)) > 2 ** (bits - 1)


@pytest.mark.parametrize("training", ["", "target_lut = 60"])
def test_features_of_few_values(training):
    few = np.floor(X / [1, 16, 64]) * [1, 16, 0]
    forest, spec = trained(training, x=few)
    assert {f for f, _ in comparators(forest)} == {0, 1}
    assert (scores(forest, few).argmax(axis=1) == KINDS).mean() > 0.6
    assert lut(forest, spec) > 0


def test_a_regression_without_differences_has_no_splits():
    forest, _ = trained(loss="mean_squared_error", truth=np.full(len(X), 0.75))
    assert splits(forest) == 0 and (scores(forest) == 0.75).all()


def test_weights_count():
    """Heavy events of the middle class: more events are taken for it."""
    heavy, _ = trained(arguments="trees = 4", weight=np.where(KINDS == 1, 20.0, 1.0))
    equal, _ = trained(arguments="trees = 4")
    assert (scores(heavy).argmax(axis=1) == 1).mean() > 1.1 * (
        scores(equal).argmax(axis=1) == 1
    ).mean()


def test_an_absolute_error_leads_to_medians():
    """A tenth of the truths is far off: it moves the mean, not the median."""
    wild = RADIUS + np.where(np.arange(len(X)) % 10, 0, 1000.0)
    arguments = "bits = 8, trees = 20"
    errors = {}
    for loss in ("mean_absolute_error", "mean_squared_error"):
        forest, _ = trained(arguments=arguments, loss=loss, truth=wild)
        errors[loss] = np.median(np.abs(scores(forest)[:, 0] - RADIUS))
    assert errors["mean_absolute_error"] < 3 < errors["mean_squared_error"]


@pytest.mark.parametrize("loss", ["mean_absolute_error", "mean_squared_error"])
def test_the_unit_of_a_truth_has_no_effect(loss):
    """In units of 2^-10 and 2^10 the forest is the same one."""
    found = []
    for unit in (2.0**-10, 1.0, 2.0**10):
        forest, _ = trained(arguments="bits = 6, trees = 4", loss=loss, truth=RADIUS * unit)
        found.append(scores(forest) / unit)
    assert splits(forest) > 10
    assert (found[0] == found[1]).all() and (found[1] == found[2]).all()


def test_the_squared_error_of_a_regression():
    forest, _ = trained("target_lut = 300", "bits = 6", loss="mean_squared_error")
    assert np.mean((scores(forest)[:, 0] - RADIUS) ** 2) < np.var(RADIUS) / 5


@pytest.mark.parametrize(
    ("loss", "truth"),
    [
        (tree_losses.cross_entropy(3), KINDS),
        (tree_losses.BINARY, KINDS > 0),
        (tree_losses.SQUARED, RADIUS),
        (tree_losses.ABSOLUTE, RADIUS),
    ],
)
def test_slopes_of_losses(loss, truth):
    """Against differences, and the constant scores to begin with are the best ones."""
    truth = truth.astype(float)[:50]
    start = loss.start(truth, np.ones(50))
    given = start + RNG.normal(size=(50, len(start)))
    slopes, curves = loss.slopes(given, truth)
    assert (curves > 0).all()
    for score in range(len(start)):
        change = np.eye(len(start))[score] * 1e-6
        found = (loss.values(given + change, truth) - loss.values(given - change, truth)) / 2e-6
        assert np.allclose(found, slopes[:, score], atol=1e-6)
        constant = np.tile(start, (50, 1))
        least = loss.values(constant, truth).sum()
        for way in (-1e-3, 1e-3):
            assert loss.values(constant + way * change * 1e6, truth).sum() > least - 1e-6

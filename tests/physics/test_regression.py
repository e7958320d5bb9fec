"""Bias, resolution and tails of a regression, with weights and masks, in bins of the truth."""

import numpy as np
import pytest

from trigger.events.dataset import Events
from trigger.physics.regression import regression
from trigger.spec.head_tables import Head, Scoring


def head(**keys):
    table = Head(task="regression", label="truth", **keys)
    return Scoring("energy", table, ["energy"], 1, [], None, (), 0)


def events(truth, weight=None):
    count = len(truth)
    weight = np.ones(count) if weight is None else np.array(weight, dtype=float)
    column = np.array(truth, dtype=float)[:, None]
    return Events(np.zeros((count, 1)), np.zeros(count, dtype=int), weight, column)


def scores(predicted):
    """Of two heads; the first is another one."""
    return np.column_stack([np.full(len(predicted), 1e6), predicted])


def test_the_residuals_of_a_normal_distribution():
    rng = np.random.default_rng(1)
    truth = rng.uniform(10, 20, 100_000)
    found = regression(
        scores(truth + 0.3 + 0.5 * rng.normal(size=len(truth))), events(truth), head()
    )
    assert found.total.events == 100_000
    assert found.total.bias == pytest.approx(0.3, abs=0.01)
    assert found.total.resolution == pytest.approx(0.5, abs=0.01)
    assert found.total.rms == pytest.approx(np.hypot(0.3, 0.5), abs=0.01)
    assert found.total.tails == pytest.approx((0.3 - 0.5 * 1.645, 0.3 + 0.5 * 1.645), abs=0.02)
    assert len(found.bins) == 6
    assert sum(each.residuals.events for each in found.bins) == 100_000


def test_events_without_a_truth_do_not_count():
    found = regression(scores([1.0, 500.0, 3.0]), events([1.0, np.nan, 2.0]), head())
    assert (found.total.events, found.total.rms) == (2, pytest.approx(np.sqrt(0.5)))


def test_weights_count_as_repetitions():
    rng = np.random.default_rng(2)
    truth = rng.normal(size=200)
    predicted = truth + rng.normal(size=200)
    times = rng.integers(0, 4, 200)
    weighted = regression(scores(predicted), events(truth, times), head(bins=[-9, 0, 9]))
    twice = [np.repeat(values, times) for values in (predicted, truth)]
    repeated = regression(scores(twice[0]), events(twice[1]), head(bins=[-9, 0, 9]))
    assert weighted.total[1:3] == repeated.total[1:3]
    assert weighted.total.rms == pytest.approx(repeated.total.rms)
    assert [each.residuals[1:3] for each in weighted.bins] == [
        each.residuals[1:3] for each in repeated.bins
    ]


def test_bins_include_their_lower_edge_and_the_last_its_upper():
    truth = [0.0, 1.0, 1.0, 2.0, 2.5]
    found = regression(scores(truth), events(truth), head(bins=[-1, 0, 1, 2]))
    assert [each.residuals and each.residuals.events for each in found.bins] == [None, 1, 3]


def test_a_truth_that_is_always_the_same():
    found = regression(scores([4.0, 6.0]), events([5.0, 5.0]), head())
    assert [(each.low, each.high) for each in found.bins] == [(5.0, 5.0)]
    assert found.bins[0].residuals.events == 2

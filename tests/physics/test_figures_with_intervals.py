"""Accuracies, areas and rejections with their intervals, and the events that they rest on."""

import numpy as np
import pytest
from scipy.stats import beta

from trigger.events.dataset import Events
from trigger.physics.intervals import intervals
from trigger.physics.metrics import performance
from trigger.spec.head_tables import Scoring

TAIL = (1 - 0.6827) / 2


def head(outputs=2):
    """Two classes, with an output each, or with one that scores the second class low."""
    background = None if outputs == 2 else (1,)
    names = ["s", "b"]
    return Scoring("", None, names[:outputs], 0, names, background, (0, 1), None)


def found(scores, y, weight=None, share=0.5, one=None):
    one = one or head()
    events = Events(np.zeros((len(y), 1)), y, np.ones(len(y)) if weight is None else weight)
    figures = performance(scores, events, one, share)
    return figures, intervals(figures, scores, events, one, share)


def clopper_pearson(passed, total):
    low, high = (
        beta.ppf(TAIL, passed, total - passed + 1),
        beta.ppf(1 - TAIL, passed + 1, total - passed),
    )
    return low, high


def cut(accepted, total, weight=1.0):
    """Scores of 100 signal events and ``total`` of background, of which a cut at half of the signal
    accepts so many.
    """
    signal = np.arange(100) + 0.5
    background = np.where(np.arange(total) < accepted, 60, 20)
    scores = np.concatenate([signal, background])[:, None]
    y = np.repeat([0, 1], [100, total])
    return scores, y, np.where(y == 0, 1.0, weight)


def test_a_rejection_rests_on_few_events():
    scores, y, weight = cut(16, 8000)
    figures, ends = found(scores, y, weight, one=head(1))
    rejection = ends.rejection["s"]
    assert rejection.value == figures.rejection["s"] == 500
    assert rejection.events == 16
    low, high = clopper_pearson(16, 8000)
    assert (rejection.low, rejection.high) == (1 / high, 1 / low)
    assert 370 < rejection.low < 500 < rejection.high < 680


def test_a_rejection_without_background_has_no_upper_end():
    scores, y, weight = cut(0, 1000)
    figures, ends = found(scores, y, weight, one=head(1))
    rejection = ends.rejection["s"]
    assert rejection.value == figures.rejection["s"] == rejection.high == float("inf")
    assert rejection.low == 1 / clopper_pearson(0, 1000)[1]
    assert rejection.events == 0


def test_equal_weights_change_no_interval():
    plain = found(*cut(16, 8000), one=head(1))[1].rejection["s"]
    weighted = found(*cut(16, 8000, 0.125), one=head(1))[1].rejection["s"]
    assert weighted == plain


@pytest.mark.parametrize("outputs", [1, 2])
def test_intervals_are_those_of_repeated_experiments(outputs):
    """The spread of areas and accuracies over samples is half the width of their intervals."""
    rng = np.random.default_rng(2)
    areas, accuracies, widths = [], [], []
    for _ in range(150):
        y = rng.integers(0, 2, 400)
        score = rng.normal(size=400) + np.where(y == 0, 0.5, -0.5)
        scores = score[:, None] if outputs == 1 else np.stack([score, -score], axis=1)
        figures, ends = found(scores, y, one=head(outputs))
        for name in ("s", "b"):
            assert ends.auc[name].value == figures.auc[name]
            assert ends.auc[name].low < ends.auc[name].value < ends.auc[name].high
        assert ends.accuracy.value == figures.accuracy
        areas.append(figures.auc["s"])
        accuracies.append(figures.accuracy)
        widths.append([(e.high - e.low) / 2 for e in (ends.auc["s"], ends.accuracy)])
    spreads = np.std(areas), np.std(accuracies)
    assert np.mean(widths, axis=0) == pytest.approx(spreads, rel=0.15)


def test_an_anomaly_has_no_accuracy():
    scores, y, weight = cut(16, 800)
    one = head(1)
    events = Events(np.zeros((len(y), 1)), y, weight)
    figures = performance(scores, events, one, 0.5)._replace(accuracy=None)
    assert intervals(figures, scores, events, one, 0.5).accuracy is None

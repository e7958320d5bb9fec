"""Differences of figures of the same events: their values, and how often their intervals are right."""

import numpy as np
import pytest

from trigger.physics.paired import error_of_quantiles, of_aucs, of_fractions, of_separate
from trigger.physics.rates import Estimate, efficiency

ONES = np.ones(1000)


def drawn(seed, gained=0.03, lost=0.01, events=1000):
    kinds = np.random.default_rng(seed).choice(
        4, events, p=[0.5, 0.5 - gained - lost, gained, lost]
    )
    return np.isin(kinds, (0, 3)), np.isin(kinds, (0, 2))


def covered(estimates, truth):
    return np.mean([low <= truth <= high for _, low, high in estimates])


def test_the_change_of_a_fraction():
    before, after = drawn(1)
    found = of_fractions(before, after, ONES)
    assert found.value == pytest.approx(after.mean() - before.mean())
    apart = [efficiency(kept, ONES) for kept in (before, after)]
    assert found.high - found.low < 0.5 * (apart[1].high - apart[0].low - found.value)
    many = [of_fractions(*drawn(seed), ONES) for seed in range(400)]
    assert 0.66 < covered(many, 0.02) < 0.8  # Clopper-Pearson covers too often, never too rarely


def test_no_event_changes_sides():
    kept = np.arange(100) < 40
    found = of_fractions(kept, kept, np.ones(100))
    none = efficiency(np.full(100, False), np.ones(100))
    assert found == pytest.approx((0, -none.high, none.high), rel=0.02)
    everything = of_fractions(kept | True, kept | True, np.ones(100))
    assert everything == pytest.approx((0, -none.high, 0))


def test_no_event_of_small_weight_changes_sides():
    """A thousand accepted events of weight 1 among as many of weight 100: none of those is near."""
    kept = np.arange(2000) < 1000
    weight = np.where(kept, 1.0, 100.0)
    found = of_fractions(kept, kept, weight)
    assert found.high == pytest.approx(efficiency(~kept[:1000], ONES).high / 101)


def test_weights_count():
    before, after = drawn(2)
    weight = np.where(np.arange(1000) < 500, 1.0, 3.0)
    found = of_fractions(before, after, weight)
    expected = np.average(after, weights=weight) - np.average(before, weights=weight)
    assert found.value == pytest.approx(expected)
    plain = of_fractions(before, after, ONES)
    assert found.high - found.low > plain.high - plain.low
    assert of_fractions(before, after, 7 * ONES) == pytest.approx(plain)


def area(scores, signal, weight):
    """By all pairs: signal above background counts, equal scores count half."""
    difference = scores[signal][:, None] - scores[~signal]
    pairs = weight[signal][:, None] * weight[~signal]
    return ((difference > 0) + 0.5 * (difference == 0)).ravel() @ pairs.ravel() / pairs.sum()


def scored(seed, events=300):
    rng = np.random.default_rng(seed)
    signal = np.arange(events) % 2 == 0
    before = np.rint(4 * (rng.normal(size=events) + signal))
    return before, before + rng.integers(-1, 2, events) * signal, signal, rng.random(events)


def test_the_change_of_an_area():
    before, after, signal, weight = scored(1)
    found = of_aucs(before, after, signal, weight)
    assert found.value == pytest.approx(area(after, signal, weight) - area(before, signal, weight))
    assert of_aucs(before, before, signal, weight) == (0, 0, 0)
    flat = np.ones(300)
    many = [of_aucs(*scored(seed)[:3], flat) for seed in range(300)]
    truth = np.mean([one.value for one in many])
    assert 0.6 < covered(many, truth) < 0.76


def test_the_error_of_a_median():
    def median(quantiles):
        return float(quantiles[0])

    def one(seed):
        rng = np.random.default_rng(seed)
        before = rng.normal(size=400)
        return before, before + 0.1 + 0.3 * rng.normal(size=400)

    half = np.array([0.5])
    errors = [error_of_quantiles(*one(s), np.ones(400), half, median) for s in range(20)]
    real = np.std([np.median(b) - np.median(a) for a, b in map(one, range(400))])
    assert np.mean(errors) == pytest.approx(real, rel=0.25)
    before, _ = one(1)
    # Whoever moves all values alike makes no error.
    assert error_of_quantiles(before, before + 1, np.ones(400), half, median) < 1e-12


def test_separate_fractions_as_published():
    """Method 10 of R. G. Newcombe, Statistics in Medicine 17 (1998) 873, for 56 of 70 and 48 of 80:
    the 95 % interval of the difference from Wilson's intervals of both is 0.0524 to 0.3339.
    """

    def wilson(kept, total, z=1.959964):
        share = kept / total
        center = share + z**2 / (2 * total)
        half = z * np.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
        return Estimate(share, *((center + s * half) / (1 + z**2 / total) for s in (-1, 1)))

    change = of_separate(wilson(48, 80), wilson(56, 70))
    assert [round(part, 4) for part in change] == [0.2, 0.0524, 0.3339]

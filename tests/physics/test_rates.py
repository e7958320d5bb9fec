"""Rates on the firmware's bits: intervals, the threshold for a rate, menus of several accept
bits.
"""

import numpy as np
import pytest
from scipy.stats import binom

from trigger.errors import TriggerError
from trigger.events.dataset import Events
from trigger.physics.metrics import roc
from trigger.physics.rates import bound_for, crossings_khz, efficiency, menu, turn_on
from trigger.spec.spec import parse
from trigger.spec.tables import CROSSINGS_MHZ


@pytest.mark.parametrize(("kept", "of"), [(0, 10), (3, 10), (10, 10), (1, 1000), (500, 1000)])
def test_clopper_and_pearsons_interval(kept, of):
    """Their definition: at each end, seeing this or something further away has a probability of
    half of what is left.
    """
    found = efficiency(np.arange(of) < kept, np.full(of, 2.5))
    tail = (1 - 0.6827) / 2
    assert found.value == kept / of
    assert found.low == 0 if kept == 0 else binom.sf(kept - 1, of, found.low) == pytest.approx(tail)
    assert found.high == 1 if kept == of else binom.cdf(kept, of, found.high) == pytest.approx(tail)


def test_weights_widen_the_interval_by_their_variance():
    """Two strata: the interval has the width of the spread over many repetitions."""
    rng = np.random.default_rng(1)
    weight = np.repeat([1.0, 0.01], [2000, 2000])
    truth = np.repeat([0.001, 0.5], [2000, 2000])
    values, widths, covered = [], [], 0
    for _ in range(400):
        found = efficiency(rng.random(4000) < truth, weight)
        values.append(found.value)
        widths.append((found.high - found.low) / 2)
        covered += found.low <= np.average(truth, weights=weight) <= found.high
    assert np.mean(widths) == pytest.approx(np.std(values), rel=0.15)
    assert 0.6 < covered / 400 < 0.85


def test_an_interval_of_nothing():
    with pytest.raises(ValueError, match="^the total weight of the events is zero$"):
        efficiency(np.array([True]), np.array([0.0]))


def test_the_least_bound_for_a_rate():
    scores, weight = np.array([5, 5, 3, 2, 2, 0]), np.array([1.0, 1, 2, 1, 1, 4])
    rates = {bound: weight[scores >= bound].sum() for bound in range(-2, 8)}
    for rate in (2, 3.9, 4, 6, 9.9, 10):
        bound = bound_for(scores, weight, 10, rate)
        assert rates[bound] <= rate and (bound == 0 or rates[bound - 1] > rate), rate
    with pytest.raises(TriggerError) as error:
        bound_for(scores, weight, 10, 1.9)
    assert str(error.value) == (
        "a rate of 1.9 kHz cannot be reached: the highest score alone gives 2 kHz in "
        "the validation events; allow a higher rate, "
        "provide more zero-bias events, or give the score more bits"
    )


SPEC = """
name = "menu"
task = "classification"
[data]
files = ["x.csv"]
features = ["pt"]
label = "kind"
classes = ["zero_bias", "signal"]
[model]
function = "network"
output = "signal"
[inputs]
type = "ufixed<8,8>"
[target]
part = "xcvu9p-flga2104-2L-e"
clock_mhz = 360
[decision.accept.low]
threshold = 1
[decision.accept.high]
threshold = 2
[physics]
zero_bias = "zero_bias"
filled_bunches = 1782
"""


def test_a_menu(tmp_path):
    spec = parse(SPEC, tmp_path / "trigger.toml")
    assert crossings_khz(spec) == 1000 * CROSSINGS_MHZ / 2
    bits = np.array([[1, 0], [1, 1], [0, 0], [0, 0], [1, 1], [0, 1]])
    events = Events(np.zeros((6, 1)), np.array([0, 0, 0, 0, 1, 1]), np.array([1.0, 1, 1, 1, 3, 1]))
    found, total = menu(bits, events, spec)
    quarter = 1000 * CROSSINGS_MHZ / 8
    assert [kept.rate.value for kept in (found["low"], found["high"], total)] == [
        2 * quarter,
        quarter,
        2 * quarter,
    ]
    assert (found["low"].pure.value, found["high"].pure.value, total.pure) == (quarter, 0, None)
    assert [kept.efficiency["signal"].value for kept in (found["low"], found["high"], total)] == [
        0.75,
        1,
        1,
    ]


def test_a_turn_on_curve():
    values = np.repeat(np.arange(10.0), 100)
    curve = turn_on(values >= 5, values, np.ones(1000), bins=9)
    assert [e.value for e in curve.efficiency] == [0, 0, 0, 0, 0, 1, 1, 1, 1]
    assert turn_on(values >= 5, values * 10, np.ones(1000), bins=30).efficiency[1] is None


def test_one_score_for_several_classes():
    """Each signal is seen against the background alone, the background against all signals."""
    events = Events(np.zeros((6, 1)), np.array([0, 0, 1, 1, 2, 2]), np.ones(6))
    scores = np.array([[0.0], [2], [1], [3], [4], [5]])
    assert [roc(scores, events, number, (0,)).auc for number in range(3)] == [0.875, 0.75, 1.0]

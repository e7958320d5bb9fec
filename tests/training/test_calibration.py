"""Monotone tables behind the regressions of a network, fitted on validation events."""

import re

import keras
import numpy as np
import pytest
from qkeras import QActivation, QDense
from sklearn.isotonic import IsotonicRegression

import trigger
from trigger import TriggerError
from trigger.events.dataset import Events
from trigger.frontends.networks import lower
from trigger.physics.monotone import proven
from trigger.spec.spec import parse
from trigger.training import calibration
from trigger.training.network import warm_started

TOML = """
name = "calibrated"
[data]
files = ["x.csv"]
features = ["a", "b"]
[heads.other]
task = "regression"
label = "mass"
[heads.energy]
task = "regression"
label = "pt"
monotone = ["a"]
calibration = "isotonic"
[model]
function = "network"
[training.warm_start]
network = "trained.keras"
epochs = 2
learning_rate = 0.0001
[inputs]
type = "fixed<6,6>"
[target]
part = "xcvu9p-flga2104-2L-e"
clock_mhz = 360
"""


@pytest.fixture
def spec(tmp_path):
    return parse(TOML, tmp_path / "trigger.toml")


def network(end="quantized_bits(7,4,alpha=1)"):
    """Two heads; ``energy`` is the sum of both features, an eighth of it, in steps of a quarter."""
    quantizer = {"kernel_quantizer": "quantized_bits(6,1,alpha=1)", "use_bias": False}
    inputs = keras.Input((2,))
    other = QDense(1, **quantizer, name="other")(inputs)
    energy = QDense(1, **quantizer, name="sum")(inputs)
    energy = energy if end is None else QActivation(end, name="energy")(energy)
    model = keras.Model(inputs, [other, energy], name="two")
    model.get_layer("sum").set_weights([np.full((2, 1), 0.125)])
    return model


def events(count=3000):
    """The truth bends with the sum and is missing in every tenth event."""
    rng = np.random.default_rng(3)
    x = rng.integers(-32, 32, (count, 2)).astype(float)
    sums = x.sum(axis=1) / 8
    energy = np.where(np.arange(count) % 10, 0.1 * sums**2 + sums + 3, np.nan)
    truth = np.column_stack([x[:, 0], energy + 0.3 * rng.normal(size=count)])
    return Events(x, np.zeros(count, dtype=int), rng.uniform(0.5, 2, count), truth)


def test_the_table_is_that_of_scikit_learn_and_shifts_what_is_beyond():
    rng = np.random.default_rng(1)
    predicted = rng.integers(-20, 21, 4000)
    truth = np.round(0.05 * predicted**2 + predicted + rng.normal(size=4000), 1)
    weight = rng.uniform(0.1, 2, 4000)
    levels = calibration.isotonic(predicted, truth, weight, -32, 31)
    expected = IsotonicRegression().fit(predicted, truth, sample_weight=weight)
    inside = np.arange(-19, 20)
    np.testing.assert_array_equal(levels[inside + 32], np.rint(expected.predict(inside)))
    assert (np.diff(levels) >= 0).all()
    assert (np.diff(levels)[:12] == 1).all()
    assert (np.diff(levels)[-11:] == 1).all()


def test_a_gap_is_bridged_and_events_without_weight_do_not_count():
    predicted = np.array([0, 0, 8, 8, 4])
    truth = np.array([2.0, 4.0, 20.0, 20.0, -100.0])
    weight = np.array([3.0, 1.0, 1.0, 1.0, 0.0])
    levels = calibration.isotonic(predicted, truth, weight, -1, 9)
    assert levels.tolist() == [2, 2, 5, 7, 9, 11, 13, 16, 18, 20, 21]


def test_a_calibrated_network_is_exact_and_proven(spec):
    model, sample = network(), events()
    table = calibration.calibrated(model, sample, spec)
    graph = lower(table, spec.input_types)
    assert trigger.verify(table, [graph], sample.x).equal
    assert proven(graph, spec).notes[-1].startswith("energy never decreases where one of a rises")
    before, after = (
        np.concatenate([keras.ops.convert_to_numpy(y) for y in each(sample.x)], axis=1)
        for each in (model, table)
    )
    np.testing.assert_array_equal(after[:, 0], before[:, 0])
    seen = ~np.isnan(sample.truth[:, 1])
    errors = [np.abs(y[seen, 1] - sample.truth[seen, 1]).mean() for y in (before, after)]
    assert errors[0] > 3
    assert errors[1] < 0.7
    assert table.name == "two"


def test_a_calibrated_network_starts_another_training(spec, tmp_path):
    model = network()
    calibration.calibrated(model, events(), spec).save(tmp_path / "trained.keras")
    again = network()
    again.set_weights([np.zeros_like(weight) for weight in again.get_weights()])
    assert warm_started(again, spec, tmp_path).training.epochs == 2
    for one, other in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_calibrated_network_may_be_calibrated_again(spec):
    table = calibration.calibrated(network(), events(), spec)
    twice = calibration.calibrated(table, events(), spec)
    tables = [layer.name for layer in twice.layers if "table" in layer.name]
    assert tables == ["calibration1_table", "calibration2_table"]
    assert trigger.verify(twice, [lower(twice, spec.input_types)], events(100).x).equal


def test_a_head_of_too_many_values_is_refused(spec):
    with pytest.raises(TriggerError) as error:
        calibration.check(network("quantized_bits(14,4,alpha=1)"), spec)
    assert str(error.value) == (
        "heads.energy.calibration: energy has values of 13 bits, and the table has an entry for "
        "each; end the head in a quantiser of at most 12 bits"
    )
    calibration.check(network("quantized_bits(12,4,alpha=1)"), spec)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda sample: {"weight": np.zeros(len(sample.x))},
            "no validation event with a truth has a weight",
        ),
        (
            lambda sample: {"truth": sample.truth * 1e9},
            r"it makes [\d.e+]+ steps of the head out of a prediction, more than float32 holds "
            "exactly; give the truth in a unit in which it is smaller",
        ),
    ],
)
def test_a_truth_that_makes_no_table_is_refused(change, message, spec):
    sample = events()
    with pytest.raises(TriggerError) as error:
        calibration.calibrated(network(), sample._replace(**change(sample)), spec)
    assert re.fullmatch(f"heads\\.energy\\.calibration: {message}", str(error.value))

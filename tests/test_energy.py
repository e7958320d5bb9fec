"""The fits of benchmarks/energy.py on a few jets of the zoo, and its thresholds on energies made here."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from benchmark_scripts import imported

from trigger.fixedpoint.evaluate import run
from trigger.spec.spec import find, load


@pytest.fixture(scope="module")
def energy():
    with imported("energy") as modules:
        yield modules["energy"]


@pytest.fixture(scope="module")
def types():
    return load(find("jet_energy")).input_types


@pytest.fixture(scope="module")
def jets(energy):
    """1,500 jets of each split of the zoo's file."""
    path = find("jet_energy")
    spec = load(path)
    table = pq.read_table(path.parent / spec.data.files[0])
    split = np.array(table["split"].to_pylist())
    found = {}
    for name in ("train", "validation", "test"):
        rows = np.flatnonzero(split == name)[:1500]
        some = table.take(rows)
        x = np.column_stack([some[feature].to_numpy() for feature in spec.data.features])
        pt, weight = (some[column].to_numpy().astype(float) for column in ("pt", "weight"))
        found[name] = energy.Jets(x.astype(np.int64), pt, weight)
    return found


def test_a_fit_in_bits_is_its_rounded_weights(energy, types, jets):
    """Weights in steps of 2^-5 where the largest is between 1/2 and 1; results in steps of 0.5 GeV."""
    weights = np.linspace(-0.3, 0.9, len(types))
    method = energy.linear(types, weights, 3.2)
    x = jets["test"].x[:300]
    step = 2.0**-6
    steps = np.array([2.0**-kind.fraction for kind in types])
    exact = (x * steps) @ (np.rint(weights / step) * step) + 3.0
    expected = np.clip(np.rint(exact * 2), 0, energy.ENERGY.maximum)
    np.testing.assert_array_equal(run(method.graph, x)[:, 0], expected)
    np.testing.assert_array_equal(method(x), expected / 2)


def test_least_squares_finds_the_weights(energy, jets):
    x = jets["train"].x
    used = x.std(axis=0) > 0
    truth = np.where(used, np.linspace(1, 2, x.shape[1]), 0)
    train = energy.Jets(x[:, used], x @ truth + 7, np.ones(len(x)))
    weights, bias = energy.fitted(train, np.ones(len(x)), 0.0)
    np.testing.assert_allclose(weights, truth[used], rtol=1e-6)
    assert bias == pytest.approx(7)


def test_the_factor_makes_the_median_right(energy, jets):
    weights, bias = energy.factor(jets["train"])
    ratio = jets["train"].x @ weights / jets["train"].pt
    assert bias == 0
    assert np.median(ratio) == pytest.approx(1, abs=0.01)


def test_fits_are_better_than_the_sum(energy, types, jets):
    """On jets of 64 to 200 GeV, in bits; and no table falls."""
    train, validation, test = jets.values()
    ridge = energy.linear(types, *energy.ridge(train, validation))
    methods = {
        "sum": energy.linear(types, *energy.factor(train)),
        "least squares": energy.linear(types, *energy.fitted(train, np.ones(1500), 0.0)),
        "ridge": ridge,
        "table": energy.with_table(ridge, validation),
    }
    inside = (test.pt >= 64) & (test.pt < 200)
    spread = {
        name: np.subtract(*np.quantile((m(test.x) / test.pt)[inside], [0.84, 0.16]))
        for name, m in methods.items()
    }
    assert spread["least squares"] < 0.95 * spread["sum"]
    order = np.argsort(ridge(test.x), kind="stable")
    assert (np.diff(methods["table"](test.x)[order]) >= 0).all()


def test_bias_and_resolution(energy):
    """Of a normal distribution around 1.1 with a width of 0.11: +10 % and 10 %."""
    rng = np.random.default_rng(1)
    text = energy.residuals(1.1 + 0.11 * rng.normal(size=20_000))
    bias, _, error, _, resolution, _, other = text.split()
    assert float(bias) == pytest.approx(10, abs=0.3)
    assert float(resolution) == pytest.approx(10, abs=0.3)
    assert (error, other) == ("0.1", "0.1")
    assert energy.residuals(np.full(50, 0.75)) == "−25.0 ± 0.0 / 0.0 ± 0.0"


def test_thresholds_pass_at_most_the_share(energy):
    """Equal energies pass together or not at all."""
    values = np.array([5.0, 3, 3, 2, 1])
    weight = np.array([1.0, 2, 1, 4, 2])
    threshold = energy.threshold
    assert [threshold(values, weight, share) for share in (0.1, 0.39, 0.4, 0.8, 1)] == [
        5,
        5,
        3,
        2,
        1,
    ]
    assert threshold(values, weight, 0.05) == np.inf


def test_the_true_energy_turns_on_like_a_step(energy):
    """At equal rate, and 100 % saved where the sum is noise."""
    rng = np.random.default_rng(2)
    pt = rng.uniform(20, 150, 20_000)
    test = energy.Jets(np.zeros((20_000, 1), int), pt, pt**-4.0)
    energies = {"sum": pt * rng.lognormal(0, 0.3, len(pt)), "truth": pt}
    curves = energy.turn_on(energies, test)
    values = [estimate.value for estimate in curves["truth"]]
    assert values == sorted(values)
    assert values[0] == 0
    assert values[-1] == 1
    steps = [0 < value < 1 for value in values]
    assert sum(steps) <= 2
    rates = energy.rates(energies, test)
    assert rates["sum"] == "1.00 (1.00 to 1.00)"
    assert float(rates["truth"].split()[0]) < 0.8

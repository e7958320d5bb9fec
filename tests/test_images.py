"""The images of benchmarks/: their generators, by hand, and a few of them through the graph."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from trigger.events.hardware import splits, to_real
from trigger.fixedpoint.evaluate import run
from trigger.frontends.networks import lower
from trigger.spec.spec import load
from trigger.testing import assert_bit_exact
from trigger.training import network

IMAGES = Path(__file__).resolve().parents[1] / "benchmarks" / "images"


@pytest.fixture(scope="module")
def modules():
    sys.path.insert(0, str(IMAGES))
    names = ("chamber", "detector", "sample", "neutrino", "monitoring")
    try:
        yield {name: importlib.import_module(name) for name in names}
    finally:
        sys.path.remove(str(IMAGES))


def test_the_same_seed_gives_the_same_images(modules):
    chamber, detector = modules["chamber"], modules["detector"]
    labels = np.arange(10) % 5
    for make in (chamber.images, detector.maps):
        first, again, other = make(labels, 1), make(labels, 1), make(labels, 2)
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()
    assert chamber.images(labels, 1).shape == (10, 3, 16, 16)
    assert chamber.images(labels, 1).max() < 16


def test_a_straight_track_is_seen_by_each_plane_at_its_angle(modules):
    """Along the beam at y = 10: z cos(60°) ± 10 sin(60°) is z / 2 ± 8.66."""
    chamber = modules["chamber"]
    z = np.arange(-30, 30, 4.0)
    place = np.stack([np.full_like(z, 5), np.full_like(z, 10), z], axis=1)
    deposits = chamber.Deposits(np.zeros(len(z), dtype=int), place, np.full(len(z), 6.0))
    seen = chamber.energies(deposits, 1)[0]
    expected = np.zeros((3, 16, 16))
    time = 9  # 5 cm are in the second pixel above the middle
    expected[0, :15, time] = 6  # pixels of 4 cm, from −32 cm on
    # z / 2 + 8.66 goes from −6.34 to 21.66 in steps of 2, z / 2 − 8.66 from −23.66 to 4.34.
    expected[1, 6:14, time] = np.array([2, 2, 2, 2, 2, 2, 2, 1]) * 6
    expected[2, 2:10, time] = np.array([2, 2, 2, 2, 2, 2, 2, 1]) * 6
    np.testing.assert_array_equal(seen, expected)


def test_what_lies_outside_of_the_window_is_lost(modules):
    chamber = modules["chamber"]
    place = np.array([[0.0, 0, 0], [32, 0, 0], [0, 0, -32.1], [-32, 0, 31.9]])
    deposits = chamber.Deposits(np.array([0, 0, 0, 1]), place, np.ones(4))
    seen = chamber.energies(deposits, 2)
    assert seen[0, 0].sum() == 1
    assert seen[0, 0, 8, 8] == 1
    assert seen[1, 0, 15, 0] == 1


@pytest.mark.parametrize("kind", ["muon", "proton"])
def test_a_track_that_stops_leaves_its_kinetic_energy(modules, kind):
    """And a proton of 100 MeV is short, and leaves most where it ends."""
    chamber = modules["chamber"]
    count = 50
    rng = np.random.default_rng(1)
    start = chamber.Ends(
        np.zeros((count, 3)), np.tile([0.0, 0, 1], (count, 1)), np.full(count, 100.0)
    )
    images = np.arange(count)
    far = np.full(count, np.inf)
    deposits, ends = chamber.tracks(rng, images, start, chamber.MASS[kind], far)
    np.testing.assert_allclose(np.bincount(deposits.image, deposits.energy), 100)
    assert (ends.energy == 0).all()
    length = np.linalg.norm(ends.place, axis=1).mean()
    assert (5 < length < 12) if kind == "proton" else (25 < length < 45)
    mass = np.full(2, chamber.MASS[kind])
    slow, fast = chamber.stopping_power(np.array([10.0, 100.0]), mass)
    assert slow > 2 * fast


def test_a_shower_leaves_its_energy_and_a_photon_s_begins_later(modules):
    chamber = modules["chamber"]
    count = 400
    start = chamber.Ends(
        np.zeros((count, 3)), np.tile([0.0, 0, 1], (count, 1)), np.full(count, 200.0)
    )
    first = {}
    for kind in ("electron", "photon"):
        rng = np.random.default_rng(1)
        deposits = chamber.particles(rng, kind, np.arange(count), start)
        np.testing.assert_allclose(np.bincount(deposits.image, deposits.energy), 200)
        z = np.full(count, np.inf)
        np.minimum.at(z, deposits.image, deposits.place[:, 2])
        first[kind] = z
    assert first["electron"].mean() < 4
    assert first["photon"].mean() > 10
    assert first["photon"].min() > 0


def test_pions_that_interact_end_in_secondaries(modules):
    """Every one has at least one proton, which starts where its track ends."""
    chamber = modules["chamber"]
    count = 200
    rng = np.random.default_rng(1)
    start = chamber.Ends(
        np.zeros((count, 3)), np.tile([0.0, 0, 1], (count, 1)), np.full(count, 300.0)
    )
    deposits = chamber.pions(rng, np.arange(count), start)
    muons = chamber.particles(rng, "muon", np.arange(count), start)
    backwards = [
        np.unique(these.image[np.abs(these.place[:, :2]).max(axis=1) > 15]).size
        for these in (deposits, muons)
    ]
    assert backwards[0] > 2 * backwards[1]


def test_faults_change_the_expected_counts(modules):
    detector = modules["detector"]
    rng = np.random.default_rng(1)
    factors = {name: [detector.fault(rng, name) for _ in range(200)] for name in detector.CLASSES}
    assert (np.array(factors["good"]) == 1).all()
    for name, low, high, regions in (
        ("dead", 0, 0.4, (1, 9)),
        ("hot", 1.3, 2, (1, 9)),
        ("weak", 0.75, 0.92, (16, 48)),
        ("exposed", 0, 2, (1, 64)),
    ):
        for factor in factors[name]:
            changed = factor[factor != 1]
            assert regions[0] <= len(changed) <= regions[1]
            assert low <= changed.min() == changed.max() <= high
    means = [detector.maps(np.full(2000, k), 3).mean() for k in range(4)]
    assert means[1] < means[0] < means[2]
    assert means[3] < means[0]


def test_pulls_of_a_scaled_mean_map_are_zero(modules):
    monitoring = modules["monitoring"]
    mean = np.array([10.0, 30, 60])
    x = np.array([[20, 60, 120], [25, 55, 120]])
    found = monitoring.pulls(x, mean)
    np.testing.assert_allclose(found, [[0, 0, 0], [5 / np.sqrt(20), -5 / np.sqrt(60), 0]])
    assert monitoring.cut(np.arange(1000)) == 989
    np.testing.assert_array_equal(monitoring.alarm(np.array([[3, 1, 2, 0], [0, 5, 1, 6]])), [-1, 6])


def test_a_linear_classifier_in_bits_is_its_rounded_weights(modules):
    neutrino = modules["neutrino"]
    folder_types = load(IMAGES / "neutrino" / "trigger.toml").input_types
    rng = np.random.default_rng(1)

    class Fitted:
        coef_ = rng.normal(size=(5, 768)) / 100
        intercept_ = rng.normal(size=5)

    graph = neutrino.in_bits(Fitted, folder_types)
    x = rng.integers(0, 16, (100, 768))
    step = 2.0 ** (np.ceil(np.log2(np.abs(Fitted.coef_).max())) - 7)
    expected = x @ np.rint(Fitted.coef_.T / step) + np.rint(Fitted.intercept_ / step)
    found = np.ldexp(run(graph, x).astype(float), -graph.output.fractions) / step
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["neutrino", "monitoring", "anomaly"])
def test_the_networks_are_exact_on_their_images(modules, tmp_path, name):
    """Untrained, normalised to the events: from the folder that the benchmark writes."""
    folder = modules["sample"].trigger_folder(name, tmp_path)
    modules["sample"].trigger_folder("monitoring", tmp_path)
    if name == "neutrino":
        modules["neutrino"].write_events(folder, 100)
    else:
        modules["monitoring"].write_events(folder, 0.01, name == "anomaly")
    spec = load(folder / "trigger.toml")
    events = splits(spec, folder).events
    real = to_real(events, spec)
    network.set_seed(1)
    model = network.make(spec, folder)
    network.power_of_two_normalization(model, real["train"], spec.input_types)
    graph = lower(model, spec.input_types)
    assert len(np.unique(run(graph, events["test"].x)[:, 0])) > 5
    assert_bit_exact(model, graph, real["test"].x)

"""Level-1 events: the committed sample, and, where the generator is installed, the generator; the detector on its own."""

import hashlib
import json
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from trigger.errors import TriggerError
from trigger.events import level1
from trigger.events.detector import (
    ETA_TOWERS,
    FEATURES,
    PHI_TOWERS,
    REGION_FEATURES,
    Deposits,
    Particles,
    deposit,
    reconstruct,
    regions,
)
from trigger.events.pythia import configured
from trigger.events.readers import read
from trigger.support.resources import folder

HOME = folder("models") / "level1"
CENTRE = ETA_TOWERS // 2


CALORIMETER = folder("models") / "calo_anomaly"


@pytest.fixture(scope="module")
def sample():
    return read(HOME / "level1.parquet", [*FEATURES, "label", "weight", "split"])


@pytest.fixture(scope="module")
def images():
    return read(CALORIMETER / "regions.parquet", [*REGION_FEATURES, "label", "weight", "split"])


@pytest.mark.parametrize(
    ("file", "zero_bias", "signals"),
    [
        (HOME / "level1.parquet", 81_000, 5_000),
        (CALORIMETER / "regions.parquet", 38_880, 1_500),
    ],
    ids=["level1", "regions"],
)
def test_the_sample_is_the_one_that_was_generated(file, zero_bias, signals):
    provenance = json.loads(file.with_suffix(".json").read_text())
    data = file.read_bytes()
    assert hashlib.sha256(data).hexdigest() == provenance["sha256"]
    assert len(data) <= 4_000_000
    asked = f"trigger events {file.stem} --zero-bias {zero_bias} --signals {signals} --seed 1"
    assert provenance["generator"] == asked
    columns = read(file, ["label", "split"])
    counts = Counter(zip(columns["label"], columns["split"], strict=True))
    for name in level1.CLASSES:
        total = zero_bias if name == "zero_bias" else signals
        shares = {split: counts[name, split] / total for split in level1.SHARES}
        assert shares == pytest.approx(level1.SHARES), name


def test_images_look_the_same_in_all_directions(images):
    """In phi, and on both sides in eta; the energies fall as spectra do."""
    zero_bias = images["label"] == "zero_bias"
    x = np.stack([images[name] for name in REGION_FEATURES], axis=1)[zero_bias]
    weight = images["weight"][zero_bias]
    assert weight.mean() == pytest.approx(1, rel=1e-4)
    assert x.min() == 0 and 900 < x.max() <= 1023
    image = np.average(x, axis=0, weights=weight).reshape(18, 14)
    np.testing.assert_allclose(image.mean(axis=1), image.mean(), rtol=0.05)
    rings = image.mean(axis=0)
    np.testing.assert_allclose(rings, rings[::-1], rtol=0.1)
    largest = x.max(axis=1)
    shares = [np.average(largest >= 2 * gev, weights=weight) for gev in (30, 60, 100, 200)]
    assert all(1.5 < a / b < 1000 for a, b in pairwise(shares))


def test_the_sample_is_what_hardware_sends(sample):
    """Objects in order, missing ones zero in all fields, all integers inside their bits."""
    for kind, count, eta, phi in (
        ("egamma", 4, 57, 143),
        ("muon", 4, 221, 575),
        ("jet", 10, 115, 143),
    ):
        fields = np.stack(
            [[sample[f"{kind}{k}_{f}"] for f in ("pt", "eta", "phi")] for k in range(1, count + 1)]
        )
        assert (np.diff(fields[:, 0], axis=0) <= 0).all(), kind
        assert (fields[:, 1:].transpose(1, 0, 2)[:, fields[:, 0] == 0] == 0).all(), kind
        assert (
            np.abs(fields[:, 1]).max() <= eta
            and fields[:, 2].min() >= 0
            and fields[:, 2].max() <= phi
        ), kind
    assert not sample["met_eta"].any()


def test_no_crossing_comes_twice(sample):
    x = np.stack([sample[name] for name in FEATURES], axis=1)
    assert len(np.unique(x, axis=0)) > 0.999 * len(x)


def test_rates_fall_as_spectra_do(sample):
    """By weight a zero-bias crossing rarely has a hard jet, and no event of large weight is among the hardest."""
    zero_bias = sample["label"] == "zero_bias"
    pt, weight = sample["jet1_pt"][zero_bias], sample["weight"][zero_bias]
    assert weight.mean() == pytest.approx(1, rel=1e-4)
    shares = [np.average(pt >= 2 * gev, weights=weight) for gev in (30, 60, 100, 200, 400)]
    assert all(b < 10 and 1.5 < a / b < 1000 for a, b in pairwise(shares))
    assert 0.1 < shares[0] < 0.6 and shares[3] < 1e-3
    assert weight[pt >= 600].max() < 0.01
    signal = sample["label"] == "ttbar"
    assert (sample["jet1_pt"][signal] >= 120).mean() > 0.7


def one(eta, phi, em, had, muons=()):
    arrays = (np.array(v) for v in (eta, phi, em, had))
    return [Deposits(*arrays, np.array(muons, dtype=float).reshape(-1, 3))]


def values(row, name):
    return dict(zip(FEATURES, row, strict=True))[name]


def test_a_jet():
    """One tower of 40 GeV and its neighbour of 20: one jet of 60 GeV where the larger is, less the pileup around it."""
    (row,) = reconstruct([one([CENTRE, CENTRE + 1], [10, 10], [10.0, 5.0], [30.0, 15.0])])
    assert [values(row, f"jet1_{f}") for f in ("pt", "eta", "phi")] == [120, 1, 21]
    assert values(row, "jet2_pt") == values(row, "egamma1_pt") == values(row, "muon1_pt") == 0
    assert values(row, "met_pt") == pytest.approx(120, abs=1)
    assert values(row, "met_phi") in (92, 93), "opposite, which is the border of two steps"
    grid = np.meshgrid(np.arange(CENTRE - 20, CENTRE + 21), np.arange(PHI_TOWERS), indexing="ij")
    flat = [part.ravel() for part in grid]
    even = Deposits(*flat, np.zeros(flat[0].size), np.full(flat[0].size, 1.0), np.zeros((0, 3)))
    jet = one([CENTRE], [10], [0.0], [40.0])
    (row,) = reconstruct([[*jet, even]])
    assert values(row, "jet1_pt") == 80, "1 GeV in every tower is subtracted to the last step"


def test_jets_at_the_seam_and_equal_towers():
    """Phi goes round; of two towers alike one makes the jet."""
    (row,) = reconstruct([one([CENTRE, CENTRE], [0, PHI_TOWERS - 1], [0.0, 0.0], [20.0, 20.0])])
    assert (values(row, "jet1_pt"), values(row, "jet2_pt")) == (80, 0)
    assert values(row, "jet1_phi") == 1


def test_an_electron_and_a_pion():
    """3 x 3 electromagnetic towers, unless more than an eighth of their energy is behind them."""
    (electron,) = reconstruct([one([CENTRE, CENTRE], [5, 6], [20.0, 4.0], [0.0, 3.0])])
    (pion,) = reconstruct([one([CENTRE], [5], [10.0], [23.0])])
    (forward,) = reconstruct([one([CENTRE + 40], [5], [20.0], [0.0])])
    assert [values(row, "egamma1_pt") for row in (electron, pion, forward)] == [48, 0, 0]


def test_muons_are_sorted_and_saturate():
    (row,) = reconstruct([one([CENTRE], [0], [0.0], [0.0], [(10, 0.5, 0.1), (900, -1.0, 6.2)])])
    assert [values(row, f"muon1_{f}") for f in ("pt", "eta", "phi")] == [511, -92, 568]
    assert values(row, "muon2_pt") == 20


def test_what_the_detector_does_not_see():
    """Neutrinos, particles that curl up, and muons, which leave nothing in the towers."""
    particles = Particles(
        *np.array(
            [[50, 0.5, 0.5, 30, 20.0], [0] * 5, [1] * 5, [0, 1, 0, -1, 0], [12, 211, 111, 13, 22]]
        )
    )
    found = deposit(particles, np.random.default_rng(1))
    assert len(found.eta) == 2 and found.em[1] == pytest.approx(20, rel=0.2) and found.had[1] == 0
    turned = found.moved(3, mirror=True)
    np.testing.assert_array_equal(turned.phi, (found.phi + 3) % PHI_TOWERS)
    np.testing.assert_array_equal(turned.eta, ETA_TOWERS - 1 - found.eta)


def test_regions():
    """Each tower is in the region of 4 x 5 towers around it; faint ones and those outside are in none."""
    low = CENTRE - 35
    deposits = [
        ((low, 0), 3.0),  # the first region: its first and its last tower
        ((low + 4, 3), 2.0),
        ((low + 5, 0), 10.0),  # the next in eta
        ((low, 4), 20.0),  # the next in phi
        ((low + 69, 71), 255.0),  # the last
        ((low + 68, 71), 255.0),
        ((low + 67, 71), 255.0),
        ((low - 1, 5), 50.0),
        ((low + 70, 5), 50.0),
        ((low + 20, 20), 1.9),
    ]
    (eta, phi), et = np.transpose([place for place, _ in deposits]), [et for _, et in deposits]
    (row,) = regions([one(eta, phi, et, np.zeros(len(et)))])
    image = row.reshape(18, 14)
    assert {tuple(place): image[tuple(place)] for place in np.argwhere(image)} == {
        (0, 0): 10,
        (0, 1): 20,
        (1, 0): 40,
        (17, 13): 1023,
    }


def test_the_weights_of_strata():
    """Crossings drawn as they come have their hardest collision in each bin as often as the strata say."""
    rng = np.random.default_rng(1)
    nothing = Deposits(*[np.zeros(0, dtype=int)] * 2, *[np.zeros(0)] * 2, np.zeros((0, 3)))
    beam = level1.Beam([[nothing]] * 3, np.array([5.0, 0.8, 0.1]))
    counts = rng.poisson(beam.rates, (200_000, 3))
    hardest = np.where(counts[:, 2] > 0, 2, np.where(counts[:, 1] > 0, 1, 0))
    np.testing.assert_allclose(beam.strata(), np.bincount(hardest) / 200_000, rtol=0.03)
    assert beam.strata().sum() == pytest.approx(1)
    sizes = [len(beam.crossing(1, 0, rng)) for _ in range(4000)]
    assert np.mean(sizes) == pytest.approx(5 + 0.8 / -np.expm1(-0.8), rel=0.03)


@pytest.mark.parametrize(
    ("view", "features"), [(level1.OBJECTS, FEATURES), (level1.REGIONS, REGION_FEATURES)]
)
def test_a_small_sample_of_ones_own(tmp_path, view, features):
    pytest.importorskip("pythia8mc", reason="the extra [generator] is not installed")
    made = [0]
    provenance = level1.write_events(tmp_path / "s.parquet", 405, 20, 3, made.append, view)
    assert provenance["generator"].startswith(f"trigger events {view.command} --zero-bias 405 ")
    columns = read(tmp_path / "s.parquet", [*features, "label", "weight", "split"])
    assert provenance["events"] == len(columns["label"]) == 405 + 5 * 20
    assert sum(made) == level1.collisions(405, 20)
    sections = list(provenance["cross_sections_mb"].values())
    assert 70 < sections[0] < 90 and all(a > b for a, b in pairwise(sections))


def test_a_setting_that_pythia_does_not_know():
    pytest.importorskip("pythia8mc", reason="the extra [generator] is not installed")
    with pytest.raises(TriggerError) as error:
        configured(("Beams:none = on",), 1)
    assert str(error.value) == "events: Pythia refuses the setting 'Beams:none = on'"

"""The energy of a jet as the trigger sees it: rings of towers, the response to hadrons, and the sample of the zoo."""

import hashlib
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from trigger.events.detector import ETA_TOWERS, PHI_TOWERS, TOWER, Deposits, Particles, deposit
from trigger.events.jet_energy import (
    FEATURES,
    LARGEST_SUM,
    LARGEST_TOWER,
    RANGE,
    TRAINING_RANGE,
    rings,
    seeds,
    seen,
    showers,
    write_events,
)
from trigger.support.resources import folder

SAMPLE = folder("models") / "jet_energy"
CENTRE = ETA_TOWERS // 2


def towers(*hits):
    """The towers (eta from the centre, phi, em, had) of an event."""
    em, had = np.zeros((2, ETA_TOWERS, PHI_TOWERS), dtype=np.int64)
    for eta, phi, *energies in hits:
        em[CENTRE + eta, phi % PHI_TOWERS], had[CENTRE + eta, phi % PHI_TOWERS] = energies
    return em, had


def features(*hits, seed=(0, 0)):
    (row,) = rings(*towers(*hits), np.array([[CENTRE + seed[0], seed[1]]]))
    return dict(zip(FEATURES, row.tolist(), strict=True))


def test_each_tower_is_in_its_ring_across_the_turn_in_phi():
    found = features(
        (0, 0, 1, 2), (1, -1, 10, 20), (-2, 2, 100, 200), (4, -4, 400, 500), (0, 5, 7, 0)
    )
    assert {name: found[name] for name in FEATURES[:8]} == {
        "em_1": 1, "em_3": 10, "em_5": 100, "em_9": 400,
        "had_1": 2, "had_3": 20, "had_5": 200, "had_9": 500,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("eta", "phi", "counts"),
    [(7, 4, True), (7, 5, False), (8, 0, False), (0, -7, True), (5, -5, False), (4, 4, False)],
)
def test_the_strips_around_a_jet(eta, phi, counts):
    assert features((eta, phi, 3, 2))["around"] == 5 * counts


def test_active_towers_and_position():
    hits = [(k, 3 * k, 1, 0) for k in range(-5, 6)]
    assert features(*hits, seed=(10, 0))["active"] == 8
    assert [features(seed=(k, 0))["eta"] for k in (-1, 0, -28, 27)] == [0, 0, 27, 27]


def test_sums_saturate():
    found = features(*((k, j, 255, 255) for k in (-1, 0, 1) for j in (-1, 0, 1)))
    assert (found["em_1"], found["had_3"]) == (255, LARGEST_SUM)


def test_the_edge_of_the_calorimeter_is_empty():
    em, had = towers((57, 0, 9, 0))
    (row,) = rings(em, had, np.array([[ETA_TOWERS - 1, 0]]))
    assert row.tolist() == [9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 57]


def test_the_seed_is_the_hardest_tower_near_the_axis():
    total = sum(towers((0, 0, 5, 0), (2, -3, 6, 0), (0, 4, 90, 0)))
    jet = np.array([[50.0, 0.5 * TOWER, 0.01]])
    assert seeds(total, jet).tolist() == [[CENTRE + 2, PHI_TOWERS - 3]]


def test_towers_are_truncated_and_saturate():
    hit = Deposits(*(np.array([v]) for v in (CENTRE, 0, 0.99, 400.0)), muons=np.empty((0, 3)))
    (row,) = seen([hit, hit._replace(em=np.array([0.0]))], np.array([[50.0, 0.01, 0.01]]))
    assert row[[0, 4]].tolist() == [1, LARGEST_TOWER]


def test_hadrons_give_less_and_more_so_at_low_energy():
    rng = np.random.default_rng(1)
    response, share = showers(np.repeat([2.0, 20.0, 200.0], 4000), rng)
    low, middle, high = response.reshape(3, -1).mean(axis=1)
    assert 0.5 < low < middle < high < 1
    assert share.min() == 0
    assert share.mean() == pytest.approx(0.3, abs=0.01)


def test_photons_are_not_affected_by_the_response_to_hadrons():
    def particles(pdg):
        one = np.ones(2000)
        return Particles(50 * one, 0.1 * one, one, 0 * one, pdg * one)

    def energy(pdg, *arguments):
        found = deposit(particles(pdg), np.random.default_rng(1), *arguments)
        return float(found.em.sum() + found.had.sum()) / 2000

    assert energy(22) == energy(22, showers) == pytest.approx(50, rel=0.01)
    assert energy(130) == pytest.approx(50, rel=0.01)
    assert 0.7 < energy(130, showers) / 50 < 0.85


def test_the_sample_that_comes_with_the_program():
    path = SAMPLE / "jets.parquet"
    made = json.loads((SAMPLE / "jets.json").read_text())
    assert hashlib.sha256(path.read_bytes()).hexdigest() == made["sha256"]
    assert path.stat().st_size < 1e6
    table = pq.read_table(path)
    assert table.num_rows == made["jets"]
    pt = table["pt"].to_numpy()
    split = np.array(table["split"].to_pylist())
    np.testing.assert_allclose(np.log2(pt), table["log2_pt"].to_numpy(), rtol=1e-6)
    for name, (least, most) in {
        "train": TRAINING_RANGE,
        "validation": TRAINING_RANGE,
        "test": RANGE,
    }.items():
        inside = pt[split == name]
        assert least <= inside.min() < 1.1 * least
        assert 0.9 * most < inside.max() < most


@pytest.mark.full
def test_a_new_sample(tmp_path):
    pytest.importorskip("pythia8mc")
    pytest.importorskip("numba")
    made = write_events(tmp_path / "jets.parquet", 100, 3)
    table = pq.read_table(tmp_path / "jets.parquet")
    assert table.num_rows == made["jets"] > 60
    x = np.column_stack([table[name].to_numpy() for name in FEATURES])
    assert (x >= 0).all()
    assert (x <= LARGEST_SUM).all()
    total = 0.5 * x[:, :8].sum(axis=1)
    assert 0.5 < np.median(total / table["pt"].to_numpy()) < 1.5

"""Higgs and Z bosons to tau leptons: the definitions of the variables, and, where it is installed, the generator."""

import numpy as np
import pytest

from trigger.events.collider import Collision, write_events
from trigger.events.htautau import HIGH_LEVEL, LOW_LEVEL, SAMPLE, high_level, select
from trigger.events.kinematics import mass, momentum
from trigger.events.readers import read


def variables(one, other, jet=(0, 0, 0), missing=(0, 0), jets=0):
    low = np.array([[*one, *other, *jet, *missing, jets]], dtype=float)
    return dict(zip(HIGH_LEVEL, high_level(low)[0], strict=True))


def test_the_collinear_mass_of_a_boosted_higgs():
    """Taus with the directions of their leptons, which have 0.4 and 0.7 of the momenta."""
    taus = momentum(np.array([90.0, 70.0]), np.array([0.3, -0.4]), np.array([0.2, 1.5]))
    leptons = taus * [[0.4], [0.7]]
    invisible = (taus - leptons).sum(axis=0)
    missing = (np.hypot(*invisible[:2]), np.arctan2(invisible[1], invisible[0]))
    found = variables((36, 0.3, 0.2), (49, -0.4, 1.5), missing=missing)
    true = float(mass(taus.sum(axis=0)))
    assert found["m_col"] == pytest.approx(true)
    assert found["m_ll"] == pytest.approx(true * np.sqrt(0.4 * 0.7))
    assert found["pt_h"] == pytest.approx(np.hypot(*taus.sum(axis=0)[:2]))
    away = (missing[0], missing[1] + np.pi)
    assert variables((36, 0.3, 0.2), (49, -0.4, 1.5), missing=away)["m_col"] == 0


def test_leptons_back_to_back():
    """No collinear mass, and no division by zero."""
    found = variables((30, 0, 0), (30, 0, np.pi), missing=(10, np.pi / 2))
    assert found["m_col"] == found["deta"] == 0
    assert found["dphi"] == found["dr"] == pytest.approx(np.pi)
    assert found["m_ll"] == found["m_vis"] == pytest.approx(60)
    assert found["sphericity"] == pytest.approx(0, abs=1e-9)
    assert np.isfinite(list(found.values())).all()


def test_missing_momentum_and_transverse_masses():
    found = variables((40, 0, 0), (20, 0, np.pi / 2), (50, 1, np.pi), (30, np.pi / 4), 1)
    both = np.array([40, 20])
    assert found["met_axial"] == pytest.approx(30 * np.sqrt(0.5) * both.sum() / np.hypot(*both))
    assert found["met_rel"] == pytest.approx(30 * np.sqrt(0.5))
    assert found["sum_pt"] == 40 + 20 + 50 + 30
    m1, m2 = (np.sqrt(2 * pt * 30 * (1 - np.sqrt(0.5))) for pt in both)
    assert (found["mt_1"], found["mt_2"]) == pytest.approx((m1, m2))
    assert found["mt_tot"] == pytest.approx(np.sqrt(m1**2 + m2**2 + 2 * 40 * 20))
    assert found["met_centrality"] == pytest.approx(np.sqrt(2))
    opposite = variables((40, 0, 0), (20, 0, np.pi / 2), (50, 1, np.pi), (30, np.pi / 4 - np.pi), 1)
    assert opposite["met_centrality"] == pytest.approx(-np.sqrt(2))
    assert opposite["met_rel"] == pytest.approx(30 * np.sqrt(0.5)), "the jet is the nearest"
    alone = variables((40, 0, 0), (20, 0, np.pi / 2), missing=(30, np.pi / 4 - np.pi))
    assert alone["met_rel"] == 30


def test_the_sphericity_of_three_directions():
    """Three equal momenta at right angles: all eigenvalues are equal."""
    found = variables((30, 0, 0), (30, 0, np.pi / 2), (1e-9, 0, 0))
    assert found["sphericity"] == pytest.approx(0.75)


def test_the_selection():
    def seen(*leptons, jets=()):
        shape = (np.array(leptons), np.array(jets, dtype=float).reshape(-1, 4), np.array([3.0, -4]))
        return select(Collision(*shape))

    one, other = (25.0, 0.1, 1.0, 1.0), (12.0, -0.5, -2.0, -1.0)
    low = dict(zip(LOW_LEVEL, seen(one, other), strict=True))
    assert low["lepton1_pt"] == 25 and low["lepton2_phi"] == -2 and low["met_pt"] == 5
    assert low["jet1_pt"] == low["jet1_eta"] == low["jets"] == 0
    low = dict(zip(LOW_LEVEL, seen(one, other, jets=[(50, 2, 3, 1), (30, 1, 1, 0)]), strict=True))
    assert (low["jet1_pt"], low["jet1_eta"], low["jet1_phi"], low["jets"]) == (50, 2, 3, 2)
    assert seen(one, (12.0, -0.5, -2.0, 1.0)) is None, "equal charges"
    assert seen((18.0, 0.1, 1.0, 1.0), other) is None
    assert seen(one) is None


def test_a_small_sample_of_ones_own(tmp_path):
    pytest.importorskip("pythia8mc", reason="the extra [generator] is not installed")
    made = write_events(tmp_path / "s.parquet", SAMPLE, 60, 5)
    assert made["generator"] == "trigger events htautau --events 60 --seed 5"
    found = read(tmp_path / "s.parquet", [*LOW_LEVEL, *HIGH_LEVEL, "process"])
    higgs = found["process"] == "higgs"
    assert (higgs.sum(), len(higgs)) == (60, 120)
    m_col, met_phi = (found[name] * HIGH_LEVEL.get(name, 1.0) for name in ("m_col", "met_phi"))
    peaks = [np.median(m_col[of & (m_col > 0)]) for of in (higgs, ~higgs)]
    assert 105 < peaks[0] < 140 and 75 < peaks[1] < 105
    assert np.abs(met_phi).max() <= 288

"""A heavy Higgs boson against top pairs: the definitions of the variables on decays made by hand, the
committed sample, and, where it is installed, the generator.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from trigger.events import collider
from trigger.events.collider import Collision, heaviest_quark, write_events
from trigger.events.higgs import HIGH_LEVEL, LOW_LEVEL, SAMPLE, W_MASS, high_level, select
from trigger.events.kinematics import mass, momentum, neutrino
from trigger.events.readers import read

HOME = Path(__file__).resolve().parents[2] / "benchmarks" / "high_level"
STEPS = np.array([*LOW_LEVEL.values()])


def test_masses():
    """Two massless objects back to back, at a right angle, and side by side."""
    one = momentum(np.array([40.2] * 3), np.zeros(3), np.zeros(3))
    other = momentum(np.array([40.2] * 3), np.zeros(3), np.array([np.pi, np.pi / 2, 0]))
    expected = [80.4, 40.2 * np.sqrt(2), 0]
    np.testing.assert_allclose(mass(one + other), expected, atol=1e-6)
    forward = momentum(np.array([10.0]), np.array([1.5]), np.array([0.3]))
    np.testing.assert_allclose(forward[0, 3], 10 * np.cosh(1.5))


def two_body(parent, first, second, rng):
    """The four-momenta of two particles of these masses from a parent, in a random direction."""
    m = float(mass(parent))
    energy = (m**2 + first**2 - second**2) / (2 * m)
    p = np.sqrt(energy**2 - first**2)
    direction = rng.normal(size=3)
    p3 = p * direction / np.linalg.norm(direction)
    return (
        boosted(np.array([*p3, energy]), parent),
        boosted(np.array([*-p3, m - energy]), parent),
    )


def boosted(p, parent):
    """A momentum in the frame of the parent, as seen in the laboratory."""
    m = float(mass(parent))
    along = p[:3] @ parent[:3]
    energy = (p[3] * parent[3] + along) / m
    return np.array([*(p[:3] + parent[:3] * (along / (parent[3] + m) + p[3]) / m), energy])


def angles(p):
    pt = np.hypot(p[0], p[1])
    return [pt, np.arcsinh(p[2] / pt), np.arctan2(p[1], p[0])]


def row(lepton, invisible, quarks, bottoms):
    """The low-level variables of massless particles, the jets by pT."""
    pt, _, phi = angles(invisible)
    jets = [[*angles(p), tag] for tag, group in enumerate((quarks, bottoms)) for p in group]
    return [*angles(lepton), pt, phi, *np.ravel(sorted(jets, reverse=True))]


def higgs_event(rng):
    parent = np.array([30.0, -20.0, 150.0, 0.0])
    parent[3] = np.sqrt(425.0**2 + (parent[:3] ** 2).sum())
    one, charged = two_body(parent, W_MASS, 325.0, rng)
    other, light = two_body(charged, W_MASS, 125.0, rng)
    leptonic, hadronic = (one, other) if rng.random() < 0.5 else (other, one)
    lepton, invisible = two_body(leptonic, 0, 0, rng)
    return lepton, invisible, two_body(hadronic, 0, 0, rng), two_body(light, 0, 0, rng)


def top_event(rng):
    parent = np.array([-10.0, 25.0, -200.0, 0.0])
    parent[3] = np.sqrt(500.0**2 + (parent[:3] ** 2).sum())
    one, other = two_body(parent, 173.0, 173.0, rng)
    (leptonic, b1), (hadronic, b2) = (two_body(top, W_MASS, 0, rng) for top in (one, other))
    lepton, invisible = two_body(leptonic, 0, 0, rng)
    return lepton, invisible, two_body(hadronic, 0, 0, rng), (b1, b2)


def variables(make, seed):
    """The high-level variables of 300 events, and those events whose neutrino is the true one."""
    rng = np.random.default_rng(seed)
    events = [make(rng) for _ in range(300)]
    found = high_level(np.array([row(*event) for event in events]))
    lepton, true = (np.stack([event[k] for event in events]) for k in (0, 1))
    chosen = neutrino(lepton, true[:, :2], W_MASS)
    right = np.isclose(chosen[:, 2], true[:, 2], rtol=1e-4, atol=1e-3)
    assert 100 < right.sum() < 300, "the other of the two solutions in the other events"
    return dict(zip(HIGH_LEVEL, found.T, strict=True)), right


def test_the_masses_of_a_heavy_higgs():
    found, right = variables(higgs_event, 1)
    np.testing.assert_allclose(found["m_jj"], W_MASS, rtol=1e-6)
    np.testing.assert_allclose(found["m_lv"], W_MASS, rtol=1e-5)
    np.testing.assert_allclose(found["m_bb"], 125, rtol=1e-6)
    np.testing.assert_allclose(found["m_wbb"][right], 325, rtol=1e-4)
    np.testing.assert_allclose(found["m_wwbb"][right], 425, rtol=1e-4)


def test_the_masses_of_top_quarks():
    found, right = variables(top_event, 2)
    np.testing.assert_allclose(found["m_jjj"][right], 173, rtol=1e-4)
    np.testing.assert_allclose(found["m_jlv"][right], 173, rtol=1e-4)
    np.testing.assert_allclose(found["m_wwbb"][right], 500, rtol=1e-4)


def test_a_neutrino_without_a_real_solution():
    """A transverse mass above that of the W: the mass is more, and pz that of the real part."""
    lepton = momentum(np.array([60.0]), np.array([0.5]), np.array([0.0]))
    found = neutrino(lepton, np.array([[-70.0, 0.0]]), W_MASS)
    a = W_MASS**2 / 2 - 60 * 70
    np.testing.assert_allclose(found[0, 2], a * 60 * np.sinh(0.5) / 60**2)
    assert mass(lepton + found)[0] > 2 * np.sqrt(60 * 70) > W_MASS


def test_the_hardest_tagged_jets_make_the_higgs():
    """With three tags the softest is a jet of the W; phi may turn through pi."""
    jets = [(90, 0.1, 3.0, 1), (80, -0.4, -3.0, 0), (70, 0.8, 1.0, 1), (60, -1.0, -1.5, 1)]
    low = np.array([[50, 0.2, 0.4, 40, -2.0, *np.ravel(jets)]])
    pt, eta, phi = np.array(jets).T[:3]
    p = momentum(pt, eta, phi)
    found = dict(zip(HIGH_LEVEL, high_level(low)[0], strict=True))
    np.testing.assert_allclose(found["m_bb"], mass(p[0] + p[2]))
    np.testing.assert_allclose(found["m_jj"], mass(p[1] + p[3]))
    turned = low + np.isin(np.array([*LOW_LEVEL]), [n for n in LOW_LEVEL if "phi" in n]) * 1.3
    np.testing.assert_allclose(high_level(turned), high_level(low))


LEPTON = [(30.0, 0.5, 1.0, -1.0)]
JETS = [(90.0, 0.1, 3.0, 1.0), (80, -0.4, -3, 0), (70, 0.8, 1, 1), (60, -1, -1.5, 0), (50, 0, 0, 1)]


def seen(leptons=LEPTON, jets=JETS, missing=(-3.0, 4.0)):
    return Collision(np.array(leptons), np.array(jets), np.array(missing))


def test_the_selection():
    """One lepton, four jets, and two tags among the four hardest."""
    low = select(seen())
    assert low[:3] == [30, 0.5, 1] and low[3:5] == [5, np.arctan2(4, -3)]
    np.testing.assert_array_equal(np.reshape(low[5:], (4, 4)), JETS[:4])
    assert select(seen(leptons=LEPTON * 2)) is None
    assert select(seen(leptons=np.zeros((0, 4)))) is None
    assert select(seen(jets=JETS[:3])) is None
    assert select(seen(jets=JETS[1:])) is not None
    assert select(seen(jets=[JETS[0], JETS[1], JETS[3], JETS[3], JETS[4]])) is None


def test_the_heaviest_quark_of_a_hadron():
    numbers = (511, 5122, 553, 10511, 411, 4122, 443, 20413, 211, 3122, 2212, 22, 35, 9900441)
    expected = [5, 5, 5, 5, 4, 4, 4, 4, 0, 0, 0, 0, 0, 0]
    assert [heaviest_quark(number) for number in numbers] == expected


@pytest.fixture(scope="module")
def sample():
    return read(HOME / "higgs.parquet", [*LOW_LEVEL, *HIGH_LEVEL, "process"])


def test_the_sample_is_the_one_that_was_generated():
    made = json.loads((HOME / "higgs.json").read_text())
    data = (HOME / "higgs.parquet").read_bytes()
    assert hashlib.sha256(data).hexdigest() == made["sha256"]
    assert len(data) <= 4_000_000
    assert made["generator"] == "trigger events higgs --events 20000 --seed 1"
    assert made["steps"] == {**LOW_LEVEL, **HIGH_LEVEL}


def test_the_sample_is_selected_and_its_masses_are_those_of_its_jets(sample):
    kinds, counts = np.unique(sample["process"], return_counts=True)
    assert dict(zip(kinds, counts, strict=True)) == {"higgs": 20_000, "ttbar": 20_000}
    low = np.stack([sample[name] for name in LOW_LEVEL], axis=1) * STEPS
    jets = low[:, 5:].reshape(-1, 4, 4)
    assert (np.diff(jets[..., 0]) <= 0).all() and low[:, 0].min() >= 20 and jets[..., 0].min() >= 20
    assert np.abs(low[:, 1]).max() < 2.51 and np.abs(jets[..., 1]).max() < 2.51
    assert jets[..., 3].sum(axis=1).min() == 2
    for name, values in zip(HIGH_LEVEL, high_level(low).T, strict=True):
        np.testing.assert_array_equal(sample[name], np.rint(values / HIGH_LEVEL[name]), name)


def test_the_sample_looks_like_the_figures_of_the_paper(sample):
    """Masses peak where their particle is, and m_bb separates best by itself."""
    signal = sample["process"] == "higgs"

    def peak(name, of, low, high):
        values = sample[name][of] * HIGH_LEVEL[name]
        counts, edges = np.histogram(values, bins=np.arange(low, high + 1, 10))
        return edges[counts.argmax()] + 5

    for of in (signal, ~signal):
        assert peak("m_jj", of, 0, 300) in (75, 85)
        assert abs(peak("m_lv", of, 0, 300) - 80) <= 5
    assert abs(peak("m_bb", signal, 0, 400) - 120) <= 10
    assert abs(peak("m_wbb", signal, 200, 600) - 320) <= 20
    assert abs(peak("m_wwbb", signal, 300, 900) - 415) <= 20
    assert abs(peak("m_jjj", ~signal, 0, 500) - 170) <= 10
    assert abs(peak("m_jlv", ~signal, 0, 500) - 170) <= 10
    auc = {name: roc_auc_score(signal, sample[name]) for name in (*LOW_LEVEL, *HIGH_LEVEL)}
    apart = {name: abs(value - 0.5) for name, value in auc.items()}
    assert max(apart, key=apart.get) == "m_bb" and 0.1 < apart["m_bb"] < 0.25
    assert max(apart[name] for name in LOW_LEVEL if "eta" in name or "phi" in name) < 0.02


def test_reconstruction():
    """An electron, a muon inside a jet, two jets of one particle each, a forward one, and pT that is missing."""
    pytest.importorskip("numba", reason="the extra [generator] is not installed")
    particles = np.array(
        [
            [60.0, 0.5, 0.0, -1, 11],
            [40.0, -1.0, 2.0, 1, 13],
            [50.0, -1.1, 2.0, 1, 211],
            [80.0, 1.0, -2.0, 0, 22],
            [70.0, 4.0, 1.0, 0, 22],
        ]
    )
    heavy = np.array([[-1.2, 2.1, 5.0], [0.9, -2.1, 4.0]])
    found = [
        collider.reconstruct(particles, heavy, 20.0, np.random.default_rng(k)) for k in range(300)
    ]
    leptons = [len(each.leptons) for each in found]
    assert np.mean(leptons) == pytest.approx(collider.LEPTON_EFFICIENCY[11], abs=0.06)
    with_lepton = [each for each, count in zip(found, leptons, strict=True) if count]
    assert {len(each.jets) for each in with_lepton} == {2}
    jets = np.mean([each.jets for each in with_lepton], axis=0)
    scale = collider.JET_SCALE
    np.testing.assert_allclose(jets[:, 0], [90 * scale, 80 * scale], rtol=0.02)
    expected = [collider.TAG_EFFICIENCY[5], collider.TAG_EFFICIENCY[4]]
    np.testing.assert_allclose(jets[:, 3], expected, atol=0.08)
    pt, _, phi = particles.T[:3]
    missing = [-(pt * np.cos(phi)).sum(), -(pt * np.sin(phi)).sum()]
    np.testing.assert_allclose(np.mean([each.missing for each in found], axis=0), missing, atol=1)


def test_a_small_sample_of_ones_own(tmp_path, sample):
    pytest.importorskip("pythia8mc", reason="the extra [generator] is not installed")
    from scipy.stats import ks_2samp

    done = []
    made = write_events(tmp_path / "s.parquet", SAMPLE, 150, 77, done.append)
    assert (sum(done), made["events"], made["classes"]) == (300, 300, ["ttbar", "higgs"])
    assert made["generator"] == "trigger events higgs --events 150 --seed 77"
    own = read(tmp_path / "s.parquet", ["m_bb", "jet1_pt", "met_pt", "process"])
    for process in SAMPLE.processes:
        for name in ("m_bb", "jet1_pt", "met_pt"):
            pair = [each[name][each["process"] == process] for each in (own, sample)]
            assert ks_2samp(*pair).pvalue > 1e-4, (process, name)

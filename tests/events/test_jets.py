"""The jets: the committed sample, and, where the generator is installed, the generator and its
algorithms.
"""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest

from trigger.errors import TriggerError
from trigger.events import jets
from trigger.events.readers import read
from trigger.spec.spec import load
from trigger.support.resources import folder

HOME = folder("models") / "jet_tagger"


def sample():
    spec = load(HOME / "trigger.toml")
    return read(HOME / "jets.parquet", [*spec.data.features, "jet"])


def test_the_sample_is_the_one_that_was_generated():
    provenance = json.loads((HOME / "jets.json").read_text())
    data = (HOME / "jets.parquet").read_bytes()
    assert hashlib.sha256(data).hexdigest() == provenance["sha256"]
    assert len(data) <= 3_000_000
    assert provenance["jets"] == 50_000


def test_the_sample_looks_like_jets():
    columns = sample()
    kinds, counts = np.unique(columns["jet"], return_counts=True)
    assert dict(zip(kinds, counts, strict=True)) == dict.fromkeys(["W", "Z", "g", "q", "t"], 10_000)
    mass = {kind: np.median(columns["mass_mmdt"][columns["jet"] == kind]) for kind in kinds}
    assert 75 < mass["W"] < 84
    assert 84 < mass["Z"] < 94
    assert 120 < mass["t"] < 180
    multiplicity = {kind: columns["multiplicity"][columns["jet"] == kind].mean() for kind in kinds}
    assert multiplicity["g"] > multiplicity["q"]


def test_an_unknown_class():
    with pytest.raises(TriggerError) as error:
        jets.generate("b", 1, 1)
    assert str(error.value) == "jets: no class 'b'; available: g, q, W, Z, t"


def test_without_the_generator():
    """In a process where pythia8mc and numba cannot be imported."""
    code = (
        "import sys; sys.modules['numba'] = None; sys.modules['pythia8mc'] = None\n"
        "from trigger.events import jets\njets.generate('g', 1, 1)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.stderr.strip().splitlines()[-1] == (
        "trigger.errors.TriggerError: events: the generator needs the package 'numba'; "
        "install it with: pip install 'trigger-compiler[generator]'"
    )


@pytest.fixture(scope="module")
def substructure():
    pytest.importorskip("numba", reason="the extra [generator] is not installed")
    from trigger.events import substructure

    return substructure


def random_particles(seed, n=150):
    rng = np.random.default_rng(seed)
    return np.column_stack(
        (rng.exponential(20, n) + 0.5, rng.normal(0, 1.2, n), rng.uniform(-np.pi, np.pi, n))
    )


@pytest.mark.parametrize("seed", range(20))
def test_anti_kt_is_fastjets(substructure, seed):
    fastjet = pytest.importorskip("fastjet", reason="fastjet is not installed")
    particles = random_particles(seed)
    px, py = particles[:, 0] * np.cos(particles[:, 2]), particles[:, 0] * np.sin(particles[:, 2])
    pz, e = particles[:, 0] * np.sinh(particles[:, 1]), particles[:, 0] * np.cosh(particles[:, 1])
    theirs = fastjet.ClusterSequence(
        [fastjet.PseudoJet(*map(float, p)) for p in zip(px, py, pz, e, strict=True)],
        fastjet.JetDefinition(fastjet.antikt_algorithm, 0.8),
    ).inclusive_jets()
    momenta, _, found = substructure.cluster(particles, -1, 0.8)
    ours = np.sort(np.hypot(momenta[found, 0], momenta[found, 1]))
    np.testing.assert_allclose(ours, np.sort([jet.pt() for jet in theirs]), rtol=1e-9)


def test_correlators_of_two_and_three_particles(substructure):
    pair = np.array([[30.0, 0, 0], [10.0, 0.3, 0.4]])
    np.testing.assert_allclose(substructure.correlators(pair, 1.0), [0.75 * 0.25 * 0.5, 0, 0, 0])
    triple = np.array([[10.0, 0, 0], [10.0, 0.3, 0], [10.0, 0, 0.4]])
    a, b, c = 0.3, 0.4, 0.5
    expected = [(a + b + c) / 9, a * b * c / 27, a / 27, a * b / 27]
    np.testing.assert_allclose(substructure.correlators(triple, 1.0), expected)


@pytest.mark.parametrize("beta", [1.0, 2.0])
def test_correlators_are_fastjets(substructure, beta):
    fastjet = pytest.importorskip("fastjet", reason="fastjet is not installed")
    awkward = pytest.importorskip("awkward")
    particles = random_particles(3, 25) * (1, 0.2, 0.1)
    px, py = particles[:, 0] * np.cos(particles[:, 2]), particles[:, 0] * np.sin(particles[:, 2])
    pz, e = particles[:, 0] * np.sinh(particles[:, 1]), particles[:, 0] * np.cosh(particles[:, 1])
    momenta = awkward.zip({"px": px, "py": py, "pz": pz, "E": e}, with_name="Momentum4D")
    sequence = fastjet.ClusterSequence(
        momenta, fastjet.JetDefinition(fastjet.antikt_algorithm, 10.0)
    )

    def theirs(function, **options):
        return float(
            sequence.exclusive_jets_energy_correlator(njets=1, beta=beta, func=function, **options)
        )

    e2, e3, e3_1, e3_2 = substructure.correlators(particles, beta)
    for ours, other in (
        (e2, theirs("generic", npoint=2)),
        (e3, theirs("generalized", angles=3, npoint=3)),
        (e3_1, theirs("generalized", angles=1, npoint=3)),
        (e3_2, theirs("generalized", angles=2, npoint=3)),
        (e3 / e2**2, theirs("c2")),
        (e3 / e2**3, theirs("d2")),
        (e3_1 / e2, theirs("m2")),
        (e3_2 / e2**2, theirs("n2")),
    ):
        np.testing.assert_allclose(ours, other, rtol=1e-9)


def test_generated_jets_look_like_the_sample(substructure):
    """Distributions, not bytes: the last digits depend on the processor."""
    pytest.importorskip("pythia8mc", reason="the extra [generator] is not installed")
    from scipy.stats import ks_2samp

    columns = sample()
    made = jets.generate("W", 400, seed=77)
    assert made.shape == (400, 16)
    kept = columns["jet"] == "W"
    for name in ("mass_mmdt", "multiplicity", "zlogz"):
        number = substructure.FEATURES.index(name)
        assert ks_2samp(made[:, number], columns[name][kept]).pvalue > 1e-4, name

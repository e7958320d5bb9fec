"""Collisions as a general-purpose detector reconstructs them: leptons, jets and missing momentum.

Proton-proton collisions by Pythia 8, without multi-parton interactions and without pileup. The
particles are measured as those of ``jets``; jets are anti-kT. Simplified: isolation, the identity
of leptons, and b-tags with constant efficiencies. A sample of two processes is made in blocks that
do not depend on the number of processors.
"""

import hashlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from trigger.events.jets import CHARGED, NEUTRAL_HADRON, PHOTON, smear
from trigger.events.kinematics import angle
from trigger.events.pythia import configured, require, versions
from trigger.support.process import end_with_parent

RADIUS = 0.5
MAX_ETA = 2.5
JET_PT = 20.0
# The sum of pT around a lepton, as a share of its own, and the radius within which it is taken.
ISOLATION = 0.15
ISOLATION_RADIUS = 0.3
LEPTON_EFFICIENCY = {11: 0.85, 13: 0.95}
# The probability of a b-tag by the heaviest quark of a jet.
TAG_EFFICIENCY = {5: 0.77, 4: 0.20, 0: 0.01}
# What thresholds, decays and the cone take from a jet, on average.
JET_SCALE = 1.07
EVENTS_PER_BLOCK = 1000

_CALORIMETER_ETA = 5.0
_LEAST_PT_OF_HADRON = 5.0
_INVISIBLE = (12, 14, 16)


class Collision(NamedTuple):
    """What is reconstructed of a collision, hardest first: ``leptons`` (n, 4), pT in GeV, eta, phi
    and charge; ``jets`` (n, 4), pT, eta, phi and b-tag; ``missing``, x and y in GeV.
    """

    leptons: np.ndarray
    jets: np.ndarray
    missing: np.ndarray


class Sample(NamedTuple):
    """Events of several processes.

    ``select`` returns the low-level variables of a collision, or None; ``derive`` computes the
    high-level ones, (events, high), from those, (events, low), both in physical units. ``low`` and
    ``high`` give the step of each column. ``processes`` has the settings of Pythia: an event comes
    from any of the tuples of its process, in turn by blocks. Leptons are reconstructed above
    ``lepton_pt`` GeV, collisions have ``energy`` GeV.
    """

    command: str
    energy: float
    lepton_pt: float
    processes: Mapping[str, Sequence[tuple[str, ...]]]
    low: Mapping[str, float]
    high: Mapping[str, float]
    select: Callable[[Collision], Sequence[float] | None]
    derive: Callable[[np.ndarray], np.ndarray]


def write_events(
    path: Path,
    sample: Sample,
    events: int,
    seed: int,
    done: Callable[[int], None] = lambda events: None,
) -> dict[str, Any]:
    """Write a shuffled sample to a Parquet file and return its provenance.

    ``events`` is the number of events of each process. The columns are the low-level and the
    high-level variables in integers, and ``process`` as text. The high-level variables are those of
    the rounded low-level ones.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    require("pythia8mc")
    require("trigger.events.substructure")
    low = np.concatenate(list(_blocks(sample, events, seed, done)))
    high = np.rint(sample.derive(low * _steps(sample.low)) / _steps(sample.high))
    limit = np.iinfo(np.int16).max
    columns = np.clip(np.column_stack([low, high]), -limit, limit).astype(np.int16)
    labels = np.repeat(list(sample.processes), events)
    order = np.random.default_rng(seed).permutation(len(labels))
    names = (*sample.low, *sample.high)
    table = pa.table(
        dict(zip(names, columns[order].T, strict=True))
        | {"process": pa.array(labels[order]).dictionary_encode()}
    )
    pq.write_table(table, path, compression="zstd", compression_level=19, write_statistics=False)
    return {
        "generator": f"trigger events {sample.command} --events {events} --seed {seed}",
        "classes": list(sample.processes),
        "events": len(table),
        "seed": seed,
        "steps": {**sample.low, **sample.high},
        "versions": versions("numba"),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def _blocks(
    sample: Sample, events: int, seed: int, done: Callable[[int], None]
) -> Iterator[np.ndarray]:
    """The low-level variables in integers, all events of the first process first."""
    starts = range(0, events, EVENTS_PER_BLOCK)
    sizes = [min(EVENTS_PER_BLOCK, events - start) for start in starts]
    with ProcessPoolExecutor(initializer=end_with_parent) as pool:
        tasks = [
            pool.submit(_block, sample, name, number, size, seed)
            for name in sample.processes
            for number, size in enumerate(sizes)
        ]
        for task in tasks:
            block = task.result()
            done(len(block))
            yield block


def _block(sample: Sample, name: str, number: int, size: int, seed: int) -> np.ndarray:
    """One block of selected events, (events, low), in integers."""
    rng = np.random.default_rng([seed, list(sample.processes).index(name), number])
    variants = sample.processes[name]
    settings = (f"Beams:eCM = {sample.energy}", *variants[number % len(variants)])
    seen = map(sample.select, collisions(settings, sample.lepton_pt, rng))
    chosen = itertools.islice((row for row in seen if row is not None), size)
    low: np.ndarray = np.rint(np.array(list(chosen)) / _steps(sample.low))
    return low


def _steps(columns: Mapping[str, float]) -> np.ndarray:
    return np.array(list(columns.values()))


def collisions(
    settings: tuple[str, ...], lepton_pt: float, rng: np.random.Generator
) -> Iterator[Collision]:
    """An endless stream of collisions, reconstructed, with the leptons above this pT."""
    pythia = configured((*settings, "PartonLevel:MPI = off"), int(rng.integers(2**31)))
    while True:
        if pythia.next():
            yield _reconstructed(pythia.event, lepton_pt, rng)


def _reconstructed(event: Any, lepton_pt: float, rng: np.random.Generator) -> Collision:
    final = []
    heavy = []
    for p in event:
        if p.isFinal():
            final.append((p.pT(), p.eta(), p.phi(), p.charge(), p.id()))
        elif p.idAbs() > 400 and p.pT() > _LEAST_PT_OF_HADRON:
            heavy.append((p.eta(), p.phi(), heaviest_quark(p.idAbs())))
    particles = np.array(final)
    pdg = np.abs(particles[:, 4])
    seen = ~np.isin(pdg, _INVISIBLE) & (np.abs(particles[:, 1]) < _CALORIMETER_ETA)
    particles = particles[seen & (particles[:, 0] > 0.1)]
    return reconstruct(particles, np.array(heavy).reshape(-1, 3), lepton_pt, rng)


def heaviest_quark(pdg: int) -> int:
    """5 or 4 for a hadron with bottom or charm by its PDG number, 0 for everything else."""
    quark = max(pdg // 100 % 10, pdg // 1000 % 10)
    return quark if quark in (4, 5) and pdg < 1_000_000 else 0


def reconstruct(
    particles: np.ndarray, heavy: np.ndarray, lepton_pt: float, rng: np.random.Generator
) -> Collision:
    """Visible particles (n, 5), pT, eta, phi, charge and PDG number, as the detector sees them.

    ``heavy`` (n, 3) has the hadrons by which jets are tagged: eta, phi and heaviest quark.
    """
    pdg = np.abs(particles[:, 4])
    charge_class = np.where(
        particles[:, 3] != 0, CHARGED, np.where(pdg == 22, PHOTON, NEUTRAL_HADRON)
    )
    measured, kept = smear(np.column_stack([particles[:, :3], charge_class]), rng)
    chosen = _leptons(measured, pdg[kept], lepton_pt, rng)
    leptons = np.column_stack([measured[chosen], particles[kept][chosen, 3]])
    rest = np.delete(measured, chosen, axis=0)
    pt, phi = measured[:, 0], measured[:, 2]
    missing = -np.array([(pt * np.cos(phi)).sum(), (pt * np.sin(phi)).sum()])
    return Collision(_hardest(leptons), _hardest(_jets(rest, heavy, rng)), missing)


def _hardest(objects: np.ndarray) -> np.ndarray:
    return objects[np.argsort(-objects[:, 0], kind="stable")]


def _leptons(
    measured: np.ndarray, pdg: np.ndarray, least: float, rng: np.random.Generator
) -> list[int]:
    """Which of the measured particles are reconstructed as electrons or muons."""
    return [
        k
        for k in range(len(pdg))
        if (efficiency := LEPTON_EFFICIENCY.get(pdg[k]))
        and _is_lepton(measured, k, least)
        and rng.random() < efficiency
    ]


def _is_lepton(measured: np.ndarray, k: int, least: float) -> bool:
    """Whether an electron or muon is hard, central and isolated."""
    pt, eta, _ = measured[k]
    if pt < least or abs(eta) > MAX_ETA:
        return False
    near = distance(measured[:, 1:], measured[k, 1:]) < ISOLATION_RADIUS
    return bool(measured[near, 0].sum() < (1 + ISOLATION) * pt)


def distance(places: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Delta R between places (n, 2), eta and phi, and one of them."""
    distances: np.ndarray = np.hypot(places[:, 0] - place[0], angle(places[:, 1] - place[1]))
    return distances


def _jets(particles: np.ndarray, heavy: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Jets (n, 4), pT, eta, phi and b-tag, above the least pT and inside the tracker."""
    substructure = require("trigger.events.substructure")
    momenta, _, clusters = substructure.cluster(particles, -1, RADIUS)
    px, py, pz, _ = momenta[clusters].T
    pt = np.hypot(px, py)
    jets = np.column_stack([JET_SCALE * pt, np.arcsinh(pz / pt), np.arctan2(py, px)])
    jets = jets[(jets[:, 0] > JET_PT) & (np.abs(jets[:, 1]) < MAX_ETA)]
    tags = [rng.random() < TAG_EFFICIENCY[_quark(jet, heavy)] for jet in jets]
    return np.column_stack([jets, np.array(tags, dtype=float)])


def _quark(jet: np.ndarray, heavy: np.ndarray) -> int:
    """The heaviest quark of the hadrons inside a jet."""
    inside = distance(heavy[:, :2], jet[1:3]) < RADIUS
    return int(heavy[inside, 2].max(initial=0))

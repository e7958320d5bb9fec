"""The energy of a jet as a level-1 trigger sees it, and as it was generated.

Dijet events at 13.6 TeV by Pythia 8 with pile-up, on average 20 to 80 collisions in a bunch
crossing. A jet is a particle-level jet (anti-kT, R = 0.4, without neutrinos, muons and pile-up), of
which the trigger sees rings of towers around the hardest tower near its axis. What makes its
energy a non-linear function of these:

- hadrons: the calorimeters are not compensating, so a hadron of low energy gives less than one of
  high energy (Groom's power law), and its share in the electromagnetic calorimeter varies;
- each tower is truncated to whole steps of 0.5 GeV, and saturates at 8 bits in either calorimeter;
- charged particles of low pT curl up before the calorimeter; others are bent out of the jet;
- pile-up adds energy, more in one crossing and at one place than in another.

Collisions are generated with a biased pT-hat, which makes the spectrum almost flat in log pT.
``weight`` restores the falling spectrum. The collisions of train, validation and test events are
disjoint; a training collision is seen in several crossings, with the detector's fluctuations and
the pile-up of each.
"""

import hashlib
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from trigger.events.dataset import SPLITS
from trigger.events.detector import (
    ETA_TOWERS,
    MAX_ETA,
    PHI_TOWERS,
    STEP_GEV,
    TOWER,
    Deposits,
    Particles,
    deposit,
    towers,
)
from trigger.events.level1 import SOFT, Source
from trigger.events.pythia import configured, require, versions
from trigger.fixedpoint.types import Integers
from trigger.support.process import end_with_parent

RADIUS = 0.4
JET_ETA = 2.4
# GeV; training and validation events lie inside the range of training, test events in the other.
RANGE = (10.0, 500.0)
TRAINING_RANGE = (20.0, 200.0)
# Mean numbers of collisions in a crossing.
PILEUP = (20.0, 80.0)
LARGEST_TOWER = 255
LARGEST_SUM = 1023
SHARES = dict(zip(SPLITS, (0.4, 0.2, 0.4), strict=True))
# In how many crossings a collision is seen.
CROSSINGS = dict(zip(SPLITS, (3, 1, 1), strict=True))
# Large, because Pythia takes seconds to begin.
COLLISIONS_PER_BLOCK = 2400
SOFT_PER_BLOCK = 300

# The rings around the seed: squares of 1, 3, 5 and 9 towers, each less those within it.
_SQUARES = (1, 3, 5, 9)
_HALF = _SQUARES[-1] // 2
RINGS = (
    *(f"em_{size}" for size in _SQUARES),
    *(f"had_{size}" for size in _SQUARES),
)
# ``around`` is the energy of the four 3 x 9 strips beside the jet, ``active`` the number of towers
# with energy within 4 towers of eta = 0, ``eta`` the distance of the seed from it in towers.
FEATURES = (*RINGS, "around", "active", "eta")
_ACTIVE_TOWERS = 4
# How far from the axis the seed may be, in towers.
_SEED_TOWERS = 3

# The response to the hadronic part of a shower, relative to the electromagnetic one; Groom's law.
_NON_COMPENSATION = 0.55
_GROOM_GEV = 1.0
_GROOM_POWER = 0.82
# The fraction of hadrons whose shower starts in the electromagnetic calorimeter.
_EARLY = 0.6
_MUON = 13
_INVISIBLE = (12, 14, 16)
_CLUSTERED_ETA = 3.2

HARD = Source(
    "dijets",
    (
        "HardQCD:all = on",
        "PartonLevel:MPI = off",
        "PhaseSpace:pTHatMin = 7",
        "PhaseSpace:pTHatMax = 800",
        "PhaseSpace:bias2Selection = on",
        "PhaseSpace:bias2SelectionPow = 4.2",
        "PhaseSpace:bias2SelectionRef = 20",
    ),
)


class Collision(NamedTuple):
    """Visible particles, the ``jets`` (jets, 3) that they form, hardest first: pT in GeV, eta and
    phi; and a weight.
    """

    particles: Particles
    jets: np.ndarray
    weight: float


class Jets(NamedTuple):
    """``x`` (jets, features) integers, ``pt`` in GeV and ``weight`` (jets,)."""

    x: Integers
    pt: np.ndarray
    weight: np.ndarray


def showers(energy: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The response to hadrons: it rises with their energy, and some start to shower early."""
    hadronic = (np.maximum(energy, _GROOM_GEV) / _GROOM_GEV) ** (_GROOM_POWER - 1)
    early = rng.random(len(energy)) < _EARLY
    return 1 - (1 - _NON_COMPENSATION) * hadronic, early * rng.random(len(energy))


def rings(em: Integers, had: Integers, seeds: Integers) -> Integers:
    """What the trigger sees of jets: integers (jets, features), columns as ``FEATURES``.

    ``em`` and ``had`` (eta, phi) are the towers of an event; ``seeds`` (jets, 2) are places in it.
    """
    margin = ((_HALF + 3, _HALF + 3), (0, 0))
    centre = ETA_TOWERS // 2
    active = (em + had)[centre - _ACTIVE_TOWERS : centre + _ACTIVE_TOWERS] > 0
    rows = []
    for eta, phi in seeds:
        # The seed in the middle of 15 x 15 towers.
        both = [
            np.pad(np.roll(grid, PHI_TOWERS // 2 - phi, 1), margin)[
                eta : eta + 2 * _HALF + 7,
                PHI_TOWERS // 2 - _HALF - 3 : PHI_TOWERS // 2 + _HALF + 4,
            ]
            for grid in (em, had)
        ]
        sums = [np.diff([0, *(_square(grid, size) for size in _SQUARES)]) for grid in both]
        total = both[0] + both[1]
        inner = slice(3, -3)
        around = total[inner].sum() + total[:, inner].sum() - 2 * total[inner, inner].sum()
        distance = max(eta - centre, centre - 1 - eta)
        rows.append([*sums[0], *sums[1], around, active.sum(), distance])
    return np.minimum(np.array(rows, dtype=np.int64).reshape(-1, len(FEATURES)), LARGEST_SUM)


def _square(grid: Integers, size: int) -> int:
    middle = len(grid) // 2
    around = slice(middle - size // 2, middle + size // 2 + 1)
    return int(grid[around, around].sum())


def seeds(total: Integers, jets: np.ndarray) -> Integers:
    """The place of the hardest tower near each jet, (jets, 2); the first of equal ones."""
    found = []
    for _, eta, phi in jets:
        row = int(np.floor(eta / TOWER)) + ETA_TOWERS // 2
        column = int(phi % (2 * np.pi) / (2 * np.pi) * PHI_TOWERS) % PHI_TOWERS
        steps = np.arange(-_SEED_TOWERS, _SEED_TOWERS + 1)
        near = np.stack(np.meshgrid(row + steps, (column + steps) % PHI_TOWERS, indexing="ij"), -1)
        flat = near.reshape(-1, 2)
        found.append(flat[np.argmax(total[flat[:, 0], flat[:, 1]])])
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def seen(crossing: list[Deposits], jets: np.ndarray) -> Integers:
    """What the trigger sees of these jets of a crossing; zero rows for jets without any tower."""
    em, had = (grid[0] for grid in towers([crossing], LARGEST_TOWER))
    return rings(em, had, seeds(em + had, jets))


def collide(rng: np.random.Generator) -> Iterator[Collision]:
    """An endless stream of hard collisions."""
    pythia = _pythia(HARD, rng)
    while True:
        if pythia.next():
            particles = _visible(pythia.event)
            yield Collision(particles, clustered(particles), float(pythia.infoPython().weight()))


def clustered(particles: Particles) -> np.ndarray:
    """The particle-level jets (jets, 3), hardest first: pT in GeV, eta and phi."""
    substructure = require("trigger.events.substructure")
    used = (np.abs(particles.pdg) != _MUON) & (np.abs(particles.eta) < _CLUSTERED_ETA)
    if not used.any():
        return np.empty((0, 3))
    momenta, _, found = substructure.cluster(
        np.column_stack([values[used] for values in particles[:3]]), -1, RADIUS
    )
    px, py, pz, _ = momenta[found].T
    pt = np.hypot(px, py)
    order = np.argsort(-pt, kind="stable")
    jets: np.ndarray = np.column_stack([pt, np.arcsinh(pz / pt), np.arctan2(py, px)])[order]
    return jets


def _soft(count: int, rng: np.random.Generator) -> list[Deposits]:
    """Pile-up collisions."""
    pythia = _pythia(SOFT, rng)
    found: list[Deposits] = []
    while len(found) < count:
        if pythia.next():
            found.append(deposit(_visible(pythia.event), rng, showers))
    return found


def _pythia(source: Source, rng: np.random.Generator) -> Any:
    return configured(("Beams:eCM = 13600.", *source.settings), int(rng.integers(2**31)))


def _visible(event: Any) -> Particles:
    rows = [
        (p.pT(), p.eta(), p.phi(), p.charge(), p.id())
        for p in event
        if p.isFinal() and p.pT() > 0.1 and abs(p.eta()) < MAX_ETA and p.idAbs() not in _INVISIBLE
    ]
    return Particles(*np.array(rows, dtype=np.float64).reshape(-1, 5).T)


def block(collisions: int, split: str, seed: tuple[int, ...]) -> Jets:
    """The jets of these hard collisions, at most the two hardest of each."""
    rng = np.random.default_rng(seed)
    soft = _soft(SOFT_PER_BLOCK, rng)
    least, most = _range(split)
    parts = []
    for hard in itertools.islice(collide(rng), collisions):
        pt, eta, _ = hard.jets[:2].T
        jets = hard.jets[:2][(pt >= least) & (pt < most) & (np.abs(eta) < JET_ETA)]
        for _ in range(CROSSINGS[split] if len(jets) else 0):
            crossing = [deposit(hard.particles, rng, showers), *_pileup(soft, rng)]
            x = seen(crossing, jets)
            parts.append(Jets(x, jets[:, 0], np.full(len(x), hard.weight / CROSSINGS[split])))
    return Jets(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _pileup(soft: list[Deposits], rng: np.random.Generator) -> list[Deposits]:
    """Soft collisions of one crossing, each turned and perhaps reflected."""
    number = rng.poisson(rng.uniform(*PILEUP))
    return [
        soft[k].moved(int(rng.integers(PHI_TOWERS)), bool(rng.integers(2)))
        for k in rng.integers(len(soft), size=number)
    ]


def write_events(
    path: Path, collisions: int, seed: int, done: Callable[[int], None] = lambda collisions: None
) -> dict[str, Any]:
    """Write a sample to a Parquet file and return its provenance.

    The columns are the ``FEATURES`` in integers; the truth ``pt`` in GeV and its base-2 logarithm
    ``log2_pt``; ``weight``, which restores the falling spectrum; and ``split``. ``done`` is called
    with the number of hard collisions made since its last call.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    require("pythia8mc")
    require("trigger.events.substructure")
    columns: dict[str, list[np.ndarray]] = {}
    with ProcessPoolExecutor(initializer=end_with_parent) as pool:
        tasks = [
            (split, size, pool.submit(block, size, split, (seed, number, place)))
            for number, (split, share) in enumerate(SHARES.items())
            for place, size in enumerate(_blocks(round(share * collisions)))
        ]
        for split, size, task in tasks:
            jets = task.result()
            for name, values in zip(FEATURES, jets.x.T, strict=True):
                columns.setdefault(name, []).append(values.astype(np.int16))
            columns.setdefault("pt", []).append(jets.pt.astype(np.float32))
            columns.setdefault("log2_pt", []).append(np.log2(jets.pt).astype(np.float32))
            columns.setdefault("weight", []).append(jets.weight.astype(np.float32))
            columns.setdefault("split", []).append(np.full(len(jets.pt), split))
            done(size)
    order = np.random.default_rng(seed).permutation(sum(map(len, columns["pt"])))
    joined = {name: np.concatenate(parts)[order] for name, parts in columns.items()}
    table = pa.table({**joined, "split": pa.array(joined["split"]).dictionary_encode()})
    pq.write_table(table, path, compression="zstd", compression_level=19, write_statistics=False)
    return {
        "generator": f"trigger events jet-energy --collisions {collisions} --seed {seed}",
        "jets": len(table),
        "seed": seed,
        "range_gev": {name: list(_range(name)) for name in SHARES},
        "step_gev": STEP_GEV,
        "pileup": list(PILEUP),
        "crossings": CROSSINGS,
        "versions": versions("numba", "scipy"),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def _range(split: str) -> tuple[float, float]:
    """The pT of the jets of a split; test jets go beyond the training range at both ends."""
    return RANGE if split == "test" else TRAINING_RANGE


def _blocks(collisions: int) -> list[int]:
    """The sizes of blocks, which do not depend on the number of processors."""
    whole, rest = divmod(collisions, COLLISIONS_PER_BLOCK)
    return [COLLISIONS_PER_BLOCK] * whole + [rest] * (rest > 0)

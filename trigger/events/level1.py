"""Level-1 events: what the trigger sees of zero-bias crossings and of signals.

Proton-proton collisions at 13.6 TeV by Pythia 8, on average 50 in a bunch crossing, seen by
``detector``. A zero-bias crossing is an overlay of inelastic collisions. Its tail determines the
trigger rate, so collisions are generated in bins of pT-hat and crossings in strata by their hardest
bin. Rare strata are oversampled; each of their crossings has its own hard collision and a weight
from the cross sections. Train, validation and test events use disjoint collisions.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from trigger.events.dataset import SPLITS
from trigger.events.detector import (
    FEATURES,
    MAX_ETA,
    PHI_TOWERS,
    REGION_FEATURES,
    Deposits,
    Particles,
    deposit,
    reconstruct,
    regions,
)
from trigger.events.pythia import configured, versions
from trigger.fixedpoint.types import Integers
from trigger.support.process import end_with_parent

PILEUP = 50
ZERO_BIAS = "zero_bias"
SHARES = dict(zip(SPLITS, (0.6, 0.2, 0.2), strict=True))
# GeV; collisions below the first edge, or without a hard scale, are soft.
PT_HAT_EDGES = (20, 30, 45, 70, 110, 170, 260)
# The fractions of zero-bias crossings per stratum, the soft one first; strata with large weights
# get more.
STRATA = (25, 20, 12, 8, 4, 4, 4, 4)
# Crossings per soft collision: these have no tail, and are rotated and reflected.
EVENTS_PER_SOFT = 4
_BATCH = 200

SIGNALS = {
    "ttbar": ("Top:gg2ttbar = on", "Top:qqbar2ttbar = on"),
    "hbb": ("HiggsSM:all = on", "25:onMode = off", "25:onIfAny = 5"),
    "htautau": ("HiggsSM:all = on", "25:onMode = off", "25:onIfAny = 15"),
    "wlnu": ("WeakSingleBoson:ffbar2W = on", "24:onMode = off", "24:onIfAny = 11 13 15"),
    # A pseudoscalar of 50 GeV that decays by phase space to four electrons or muons, with the
    # branching ratios given here.
    "a4l": (
        "Higgs:useBSM = on",
        "HiggsBSM:gg2A3 = on",
        *(
            f"36:{setting}"
            for setting in (
                "m0 = 50",
                "mWidth = 0.01",
                "doForceWidth = on",
                "mMin = 49",
                "mMax = 51",
            )
        ),
        "36:onMode = off",
        "36:addChannel = 1 0.25 101 11 -11 11 -11",
        "36:addChannel = 1 0.25 101 13 -13 13 -13",
        "36:addChannel = 1 0.5 101 11 -11 13 -13",
    ),
}
CLASSES = (ZERO_BIAS, *SIGNALS)


# The columns beside those of a view; each has few values.
_OTHERS = ("label", "weight", "split")


class View(NamedTuple):
    """What the trigger sees of an event: the command that writes it, the columns, and the function
    from events to integers of shape (events, columns); ``storage`` has options of Parquet.
    """

    command: str
    columns: tuple[str, ...]
    see: Callable[[Sequence[Sequence[Deposits]]], Integers]
    storage: Mapping[str, Any] = {}


OBJECTS = View("level1", FEATURES, reconstruct)
# Splitting numbers into streams of bytes takes a sixth less space than a dictionary.
REGIONS = View(
    "regions",
    REGION_FEATURES,
    regions,
    {
        "use_dictionary": list(_OTHERS),
        "column_encoding": dict.fromkeys(REGION_FEATURES, "BYTE_STREAM_SPLIT"),
        "write_statistics": False,
    },
)


class Source(NamedTuple):
    """Collisions of one kind: the settings of Pythia, and the pT-hat above which they are
    rejected.
    """

    name: str
    settings: tuple[str, ...]
    below: float = np.inf


class Collisions(NamedTuple):
    """``cross_section`` in mb, of all generated collisions, including rejected ones."""

    deposits: list[Deposits]
    cross_section: float


SOFT = Source("soft", ("SoftQCD:inelastic = on",), PT_HAT_EDGES[0])
HARD = tuple(
    Source(
        f"hard{low}",
        ("HardQCD:all = on", f"PhaseSpace:pTHatMin = {low}", f"PhaseSpace:pTHatMax = {high}"),
    )
    for low, high in zip(PT_HAT_EDGES, (*PT_HAT_EDGES[1:], -1), strict=True)
)


def collide(source: Source, count: int, seed: Sequence[int]) -> Collisions:
    """Make ``count`` collisions of one kind."""
    rng = np.random.default_rng(seed)
    pythia = configured(("Beams:eCM = 13600.", *source.settings), int(rng.integers(2**31)))
    deposits: list[Deposits] = []
    while len(deposits) < count:
        if pythia.next() and pythia.infoPython().pTHat() < source.below:
            deposits.append(deposit(_visible(pythia.event), rng))
    return Collisions(deposits, pythia.infoPython().sigmaGen())


def _visible(event: Any) -> Particles:
    rows = [
        (p.pT(), p.eta(), p.phi(), p.charge(), p.id())
        for p in event
        if p.isFinal() and p.pT() > 0.1 and abs(p.eta()) < MAX_ETA
    ]
    return Particles(*np.array(rows, dtype=np.float64).reshape(-1, 5).T)


class Beam(NamedTuple):
    """The collisions for the crossings of one split, by bin of pT-hat, with their mean number per
    crossing.
    """

    bins: list[list[Deposits]]
    rates: np.ndarray

    @classmethod
    def of(cls, soft: Collisions, hard: Sequence[Collisions]) -> "Beam":
        rates = [PILEUP * h.cross_section / soft.cross_section for h in hard]
        return cls(
            [soft.deposits, *(h.deposits for h in hard)], np.array([PILEUP - sum(rates), *rates])
        )

    def strata(self) -> np.ndarray:
        """The fraction of crossings whose hardest collision is in each bin."""
        none_harder = np.exp(-np.append(np.cumsum(self.rates[:0:-1])[::-1], 0))
        return np.append(none_harder[0], -np.expm1(-self.rates[1:]) * none_harder[1:])

    def crossing(self, stratum: int, number: int, rng: np.random.Generator) -> list[Deposits]:
        """A crossing of a stratum, around collision ``number`` of the hardest bin."""
        collisions = self.pileup(rng, stratum)
        if stratum:
            more = _poisson_of_one_or_more(self.rates[stratum], rng) - 1
            collisions += [self._any(stratum, rng) for _ in range(more)]
            collisions.append(_moved(self.bins[stratum][number], rng))
        return collisions

    def pileup(self, rng: np.random.Generator, bins: int | None = None) -> list[Deposits]:
        """An overlay of collisions of all bins, or of the soft one and those below ``bins``."""
        counts = rng.poisson(self.rates[: None if bins is None else max(bins, 1)])
        return [self._any(k, rng) for k, count in enumerate(counts) for _ in range(count)]

    def _any(self, k: int, rng: np.random.Generator) -> Deposits:
        return _moved(self.bins[k][rng.integers(len(self.bins[k]))], rng)


def _moved(collision: Deposits, rng: np.random.Generator) -> Deposits:
    return collision.moved(int(rng.integers(PHI_TOWERS)), bool(rng.integers(2)))


def _poisson_of_one_or_more(mean: float, rng: np.random.Generator) -> int:
    """A truncated Poisson number, by inverting the cumulative distribution."""
    from scipy.stats import poisson

    return int(poisson.ppf(rng.uniform(np.exp(-mean), 1), mean)) or 1


class Sample(NamedTuple):
    """Events of one split: ``x`` (events, columns) integers, ``label`` and ``weight`` (events,)."""

    x: np.ndarray
    label: np.ndarray
    weight: np.ndarray


def sample(
    view: View,
    beam: Beam,
    signals: dict[str, list[Deposits]],
    sizes: Sequence[int],
    rng: np.random.Generator,
) -> Sample:
    """These crossings of each stratum, and all signals. Zero-bias weights are 1 on average."""
    parts = []
    labels = []
    weights = []
    for stratum, (share, count) in enumerate(zip(beam.strata(), sizes, strict=True)):
        parts.append(_seen(view, (beam.crossing(stratum, k, rng) for k in range(count)), count))
        labels.append(np.full(count, ZERO_BIAS))
        weights.append(np.full(count, share * sum(sizes) / count))
    for name, collisions in signals.items():
        parts.append(
            _seen(
                view, ([*beam.pileup(rng), collision] for collision in collisions), len(collisions)
            )
        )
        labels.append(np.full(len(collisions), name))
        weights.append(np.ones(len(collisions)))
    order = rng.permutation(sum(map(len, parts)))
    return Sample(*(np.concatenate(column)[order] for column in (parts, labels, weights)))


def _seen(view: View, crossings: Iterator[list[Deposits]], count: int) -> np.ndarray:
    return np.concatenate(
        [
            view.see([next(crossings) for _ in range(min(_BATCH, count - k))])
            for k in range(0, count, _BATCH)
        ]
    )


def write_events(
    path: Path,
    zero_bias: int,
    signals: int,
    seed: int,
    done: Callable[[int], None] = lambda collisions: None,
    view: View = OBJECTS,
) -> dict[str, Any]:
    """Write a sample to a Parquet file and return its provenance.

    ``zero_bias`` is the number of zero-bias events, ``signals`` that of each signal. The columns
    are those of the view, ``label``, ``weight`` and ``split``. ``done`` is called with the number
    of collisions made since its last call.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted = {
        (split, source.name): (source, count)
        for split, share in SHARES.items()
        for source, count in _sources(_sizes(share * zero_bias), round(share * signals))
    }
    made = {}
    with ProcessPoolExecutor(initializer=end_with_parent) as pool:
        tasks = {
            key: pool.submit(collide, source, count, [seed, number])
            for number, (key, (source, count)) in enumerate(wanted.items())
        }
        for key, task in tasks.items():
            made[key] = task.result()
            done(wanted[key][1])
    columns: dict[str, list[np.ndarray]] = {name: [] for name in (*view.columns, *_OTHERS)}
    for number, (split, share) in enumerate(SHARES.items()):
        beam = Beam.of(made[split, SOFT.name], [made[split, source.name] for source in HARD])
        written = sample(
            view,
            beam,
            {name: made[split, name].deposits for name in SIGNALS},
            _sizes(share * zero_bias),
            np.random.default_rng([seed, len(wanted) + number]),
        )
        for name, values in zip(view.columns, written.x.T, strict=True):
            columns[name].append(values.astype(np.int16))
        columns["label"].append(written.label)
        columns["weight"].append(written.weight.astype(np.float32))
        columns["split"].append(np.full(len(written.x), split))
    text = ("label", "split")
    table = pa.table(
        {
            name: pa.array(np.concatenate(parts)).dictionary_encode()
            if name in text
            else np.concatenate(parts)
            for name, parts in columns.items()
        }
    )
    pq.write_table(table, path, compression="zstd", compression_level=19, **view.storage)
    return {
        "generator": f"trigger events {view.command} --zero-bias {zero_bias} --signals "
        f"{signals} --seed {seed}",
        "classes": list(CLASSES),
        "events": len(table),
        "seed": seed,
        "pileup": PILEUP,
        "cross_sections_mb": {
            name: made["train", name].cross_section for name in (SOFT.name, *(h.name for h in HARD))
        },
        "versions": versions("scipy"),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def collisions(zero_bias: int, signals: int) -> int:
    """The number of collisions that ``write`` makes."""
    return sum(
        count
        for share in SHARES.values()
        for _, count in _sources(_sizes(share * zero_bias), round(share * signals))
    )


def _sizes(zero_bias: float) -> list[int]:
    """The number of crossings of each stratum."""
    return [max(round(zero_bias * part / sum(STRATA)), 1) for part in STRATA]


def _sources(sizes: Sequence[int], signals: int) -> Iterator[tuple[Source, int]]:
    """The kinds and numbers of collisions: one hard collision per crossing of its stratum."""
    yield SOFT, max(sum(sizes) // EVENTS_PER_SOFT, 1)
    yield from zip(HARD, sizes[1:], strict=True)
    for name, settings in SIGNALS.items():
        yield Source(name, settings), signals

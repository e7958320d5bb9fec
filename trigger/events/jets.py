"""Jets like those of the hls4ml LHC jet data set, generated with Pythia 8 ("JSC-like").

Proton-proton collisions at 13 TeV, jets of about 1 TeV from gluons, light quarks, W, Z and top;
anti-kT with R = 0.8, groomed with mMDT at z = 0.1, a simple detector smearing on, multi-parton
interactions off. The sample resembles the published one but differs from it: do not compare
accuracies with published tables.

Plain Pythia WW and ZZ decays are matrix-element corrected in a way that mMDT grooms away, so heavy
objects take two passes: on-shell W, Z and t are written to a Les Houches file, which a second pass
decays and showers.
"""

import hashlib
import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from trigger.errors import TriggerError
from trigger.events.pythia import configured, require, versions

CLASSES = ("g", "q", "W", "Z", "t")
RADIUS = 0.8
Z_CUT = 0.1
PT_HAT = (990.0, 1010.0)
JET_PT = (800.0, 1200.0)
MAX_ETA = 2.5
EVENTS_PER_BLOCK = 5000

_PROCESSES = {
    "g": ("HardQCD:gg2gg = on",),
    "q": ("HardQCD:qq2qq = on",),
    "W": ("WeakDoubleBoson:ffbar2WW = on",),
    "Z": ("WeakDoubleBoson:ffbar2gmZgmZ = on", "WeakZ0:gmZmode = 2"),
    "t": ("Top:gg2ttbar = on", "Top:qqbar2ttbar = on"),
}
_HADRONIC_DECAYS = (
    "23:onMode = off",
    "23:onIfAny = 1 2 3 4 5",
    "24:onMode = off",
    "24:onIfAny = 1 2 3 4 5",
)
_HARD_PROCESS = (
    "Beams:eCM = 13000.",
    f"PhaseSpace:pTHatMin = {PT_HAT[0]}",
    f"PhaseSpace:pTHatMax = {PT_HAT[1]}",
    "PhaseSpace:useBreitWigners = off",
)
_SHOWER = ("PartonLevel:MPI = off", *_HADRONIC_DECAYS)


class Jet(NamedTuple):
    """The particles of a jet: ``measured`` (n, 3), pT in GeV, eta and phi, and ``generated``
    (n, 4), the same and the kind. ``axis`` has its eta and phi, as measured.
    """

    measured: np.ndarray
    generated: np.ndarray
    axis: np.ndarray


def generate(
    label: str, jets: int, seed: int, done: Callable[[int], None] = lambda jets: None
) -> np.ndarray:
    """Jets of one class: float32 array of shape (jets, 16), columns as ``substructure.FEATURES``.

    ``done`` is called with the number of jets made since its last call. Raises TriggerError if the
    packages of the extra ``generator`` are not installed.
    """
    if label not in _PROCESSES:
        raise TriggerError(f"jets: no class {label!r}; available: {', '.join(CLASSES)}")
    substructure = require("trigger.events.substructure")
    out = []
    for jet in itertools.islice(stream(label, seed), jets):
        out.append(substructure.features(jet.measured, Z_CUT).astype(np.float32))
        done(1)
    return np.stack(out)


def stream(label: str, seed: int) -> Iterator[Jet]:
    """An endless stream of the jets of one class: at most the two hardest of each event."""
    substructure = require("trigger.events.substructure")
    rng = np.random.default_rng([seed, CLASSES.index(label)])
    with tempfile.TemporaryDirectory() as folder:
        for particles in _events(label, seed, Path(folder)):
            measured, seen = smear(particles, rng)
            momenta, parents, jets = substructure.cluster(measured, -1, RADIUS)
            pt = np.hypot(momenta[jets, 0], momenta[jets, 1])
            for order in np.argsort(-pt)[:2]:
                px, py, pz, _ = momenta[jets[order]]
                eta = np.arcsinh(pz / np.hypot(px, py))
                if JET_PT[0] < pt[order] < JET_PT[1] and abs(eta) < MAX_ETA:
                    members = substructure.constituents(parents, jets[order])
                    axis = np.array([eta, np.arctan2(py, px)])
                    yield Jet(measured[members], particles[seen][members], axis)


def _events(label: str, seed: int, folder: Path) -> Iterator[np.ndarray]:
    """An endless stream of visible final-state particles: (n, 4) arrays of pT, eta, phi and
    kind.
    """
    block = 0
    while True:
        # Blocks and classes must not share a seed.
        block_seed = seed * 7919 + CLASSES.index(label) * 1009 + block * 13
        if label in ("g", "q"):
            pythia = configured((*_HARD_PROCESS, *_PROCESSES[label], *_SHOWER), block_seed)
        else:
            path = folder / f"{label}{block}.lhe"
            _write_on_shell(label, path, block_seed)
            pythia = configured(
                ("Beams:frameType = 4", f"Beams:LHEF = {path}", *_SHOWER), block_seed
            )
        for _ in range(EVENTS_PER_BLOCK):
            if pythia.next():
                yield _visible(pythia.event)
            elif pythia.infoPython().atEndOfFile():
                break
        block += 1


def _write_on_shell(label: str, path: Path, seed: int) -> None:
    pythia8 = require("pythia8mc")
    settings = (
        "PartonLevel:all = off",
        "HadronLevel:all = off",
        "ProcessLevel:resonanceDecays = off",
    )
    pythia = configured((*_HARD_PROCESS, *_PROCESSES[label], *settings), seed)
    # The writer keeps a bare pointer to it, so it must outlive the writer.
    info = pythia.infoPython()
    writer = pythia8.LHAupFromPYTHIA8(pythia.process, info)
    writer.openLHEF(str(path))
    writer.setInit()
    writer.initLHEF()
    for _ in range(EVENTS_PER_BLOCK):
        if pythia.next():
            writer.setEvent()
            writer.eventLHEF(False)
    # That info is a snapshot before the first event, so the writer does not know the cross section.
    writer.setXSec(0, 1e9 * pythia.infoPython().sigmaGen())
    writer.closeLHEF(True)


CHARGED = 0.0
PHOTON = 1.0
NEUTRAL_HADRON = 2.0
_INVISIBLE = (12, 14, 16)


def _visible(event: Any) -> np.ndarray:
    rows = []
    for p in event:
        if p.isFinal() and p.idAbs() not in _INVISIBLE and abs(p.eta()) < 4.0 and p.pT() > 0.1:
            response = CHARGED if p.isCharged() else PHOTON if p.id() == 22 else NEUTRAL_HADRON
            rows.append((p.pT(), p.eta(), p.phi(), response))
    return np.array(rows)


def smear(particles: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Momentum and position resolutions of a generic collider detector: the measured particles, and
    which of the given ones they are. Those below 0.5 GeV are lost.
    """
    pt, eta, phi, response = particles.T
    energy = pt * np.cosh(eta)
    relative = np.select(
        [response == CHARGED, response == PHOTON],
        [np.hypot(0.01, 1.5e-4 * pt), np.hypot(0.03 / np.sqrt(energy), 0.005)],
        np.hypot(0.8 / np.sqrt(energy), 0.05),
    )
    position = np.select([response == CHARGED, response == PHOTON], [0.001, 0.005], 0.025)
    smeared = np.column_stack(
        (
            pt * (1 + relative * rng.standard_normal(len(pt))),
            eta + position * rng.standard_normal(len(pt)),
            phi + position * rng.standard_normal(len(pt)),
        )
    )
    seen = smeared[:, 0] > 0.5
    return smeared[seen], seen


def write_events(
    path: Path, jets_per_class: int, seed: int, done: Callable[[int], None] = lambda jets: None
) -> dict[str, Any]:
    """Write a shuffled sample to a Parquet file and return its provenance: classes, seeds,
    versions, SHA-256.

    The columns are the 16 features, float32, and ``jet``, the class as text. The rows are shuffled
    with the seed.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = require("trigger.events.substructure").FEATURES
    features = np.concatenate([generate(label, jets_per_class, seed, done) for label in CLASSES])
    labels = np.repeat(CLASSES, jets_per_class)
    order = np.random.default_rng(seed).permutation(len(labels))
    columns = {name: features[order, i] for i, name in enumerate(names)}
    table = pa.table(columns | {"jet": pa.array(labels[order]).dictionary_encode()})
    split = dict.fromkeys(names, "BYTE_STREAM_SPLIT")
    pq.write_table(
        table,
        path,
        compression="zstd",
        compression_level=19,
        use_dictionary=["jet"],
        column_encoding=split,
    )
    return {
        "generator": f"trigger events jets --jets {jets_per_class} --seed {seed}",
        "classes": list(CLASSES),
        "jets": len(labels),
        "seed": seed,
        "versions": versions("numba"),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }

"""The particles of the jets of ``jets``, as a level-1 trigger receives them: integers, the hardest
16 of each jet.

The truth of a jet is its class, and the factor by which the transverse momentum of its particles
must be multiplied to give the generated one.
"""

import hashlib
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from trigger.events.jets import CHARGED, CLASSES, PHOTON, Jet, stream
from trigger.events.pythia import versions

PARTICLES = 16
# LSB of the transverse momentum in GeV, and of distances to the axis, and the largest integers.
PT_LSB = 0.5
ANGLE_LSB = 0.005
MOST_PT = (1 << 11) - 1
MOST_ANGLE = (1 << 8) - 1
FIELDS = ("pt", "deta", "dphi", "kind")
# The field ``kind``: 0 for a neutral hadron.
_KINDS = {CHARGED: 2, PHOTON: 1}


class Constituents(NamedTuple):
    """``fields`` (16, 4) integers of the hardest particles in order, zero where there are fewer;
    and the pT correction.
    """

    fields: np.ndarray
    correction: float


def constituents(jet: Jet) -> Constituents:
    """What the trigger receives of a jet, and its truth.

    pT and the distances to the jet's axis are rounded half to even and saturated.
    """
    order = np.argsort(-jet.measured[:, 0], kind="stable")[:PARTICLES]
    pt, eta, phi = jet.measured[order].T
    distances = np.column_stack([eta, phi]) - jet.axis
    distances[:, 1] = (distances[:, 1] + np.pi) % (2 * np.pi) - np.pi
    angles = np.clip(np.rint(distances / ANGLE_LSB), -MOST_ANGLE, MOST_ANGLE)
    codes = [_KINDS.get(k, 0) for k in jet.generated[order, 3]]
    fields = np.zeros((PARTICLES, len(FIELDS)), dtype=np.int16)
    fields[: len(order)] = np.column_stack(
        [np.minimum(np.rint(pt / PT_LSB), MOST_PT), angles, codes]
    )
    received = fields[:, 0].sum(dtype=np.int64) * PT_LSB
    return Constituents(fields, _pt(jet.generated) / received)


def write_events(
    path: Path, jets_per_class: int, seed: int, done: Callable[[int], None] = lambda jets: None
) -> dict[str, Any]:
    """Write a shuffled sample to a Parquet file and return its provenance: classes, seeds,
    versions, SHA-256.

    The columns ``particle_pt``, ``particle_deta``, ``particle_dphi`` and ``particle_kind`` are
    lists of the particles that there are, hardest first; ``correction`` is float32; ``jet`` is the
    class as text. The rows are shuffled with the seed.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    made = []
    for label in CLASSES:
        for jet in itertools.islice(stream(label, seed), jets_per_class):
            made.append(constituents(jet))
            done(1)
    labels = np.repeat(CLASSES, jets_per_class)
    order = np.random.default_rng(seed).permutation(len(labels))
    fields = np.stack([each.fields for each in made])[order]
    present = fields[..., 0] > 0
    ends = np.concatenate([[0], np.cumsum(present.sum(axis=1))])
    columns = {
        f"particle_{name}": pa.ListArray.from_arrays(
            pa.array(ends, pa.int32()), pa.array(fields[..., k][present])
        )
        for k, name in enumerate(FIELDS)
    }
    columns["correction"] = pa.array([made[k].correction for k in order], pa.float32())
    columns["jet"] = pa.array(labels[order]).dictionary_encode()
    pq.write_table(pa.table(columns), path, compression="zstd", compression_level=19)
    return {
        "generator": f"trigger events constituents --jets {jets_per_class} --seed {seed}",
        "classes": list(CLASSES),
        "jets": len(labels),
        "seed": seed,
        "versions": versions("numba"),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def _pt(particles: np.ndarray) -> float:
    """The transverse momentum, GeV, of the sum of particles (n, 3 or more): pT, eta and phi."""
    pt, phi = particles[:, 0], particles[:, 2]
    return float(np.hypot((pt * np.cos(phi)).sum(), (pt * np.sin(phi)).sum()))

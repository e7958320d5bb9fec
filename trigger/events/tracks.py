"""Pairs of stubs on two layers of a silicon tracker, in hardware integers, from generated tracks.

A barrel of six layers of double modules in a solenoid of 3.8 T. Radii, strips and sectors are those
of the track finder of CMS for the HL-LHC (cms-sw/cmssw, L1Trigger/TrackFindingTracklet,
Settings.h): macro-pixels on layers 1 to 3, strips of 5 cm on 4 to 6, nine sectors in phi. Its
tracker is described in CERN-LHCC-2017-009. Assumed, not taken from there: flat layers, the distance
of the two sensors of a module, material, and beam spot.

A crossing has 200 collisions on average. Their charged particles are pions on helices, with a flat
density in pseudorapidity (CMS, arXiv:1507.05915) and a falling spectrum of pT (mean 0.54 GeV; CMS,
arXiv:1005.3299). Particles are independent: no jets, no decays. Each plane scatters them (Particle
Data Group, "Passage of particles through matter"). A layer gives a stub where the strips in both
sensors are so close that pT may be above 2 GeV; the difference in strips is the bend. As many stubs
again have no track: secondary particles and clusters of different ones.

Pairs are formed as in a track finder: the inner stub lies in the sector, and the outer one in a
coarse bin of phi and z that a track of 2 GeV from the beam spot can reach.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from trigger.events.dataset import SPLITS
from trigger.events.kinematics import angle
from trigger.fixedpoint.types import Integers

FIELD = 3.8  # T
LENGTH = 120.0  # cm, half
SECTORS = 9
MIN_PT = 2.0
PILEUP = 200
DENSITY = 5.5  # charged particles of a collision in a unit of pseudorapidity
MAX_ETA = 3.0
BEAM_SPOT = 4.6  # cm, one standard deviation
BEAM_WINDOW = 15.0  # cm, half: where tracks come from
# Stubs without a track for each with one.
UNMATCHED = 1.0

PHI_LSB = 2.0**-14  # rad
Z_LSB = 2.0**-4  # cm
# Coarse bins: 1/32 rad and 8 cm.
COARSE_PHI = 9
COARSE_Z = 7

FEATURES = ("dphi", "dz", "z", "bend_inner", "bend_outer")
# A pair of stubs of different particles, of one particle below and of one above MIN_PT.
CLASSES = ("combination", "soft", "track")
SHARES = dict(zip(SPLITS, (0.6, 0.2, 0.2), strict=True))

# The spectrum pT (1 + pT / _PT_SCALE) ** -_PT_POWER has the mean 2 _PT_SCALE / (_PT_POWER - 3).
_PT_SCALE = 1.2
_PT_POWER = 7.5
_PION = 0.1396  # GeV


class Layer(NamedTuple):
    """Lengths in cm: ``pitch`` and ``length`` of a strip, ``gap`` between the two sensors."""

    radius: float
    pitch: float
    length: float
    gap: float

    @property
    def most_bend(self) -> int:
        """The largest bend of a stub, in strips: one and a half above that at ``MIN_PT``."""
        return int(bend(self, MIN_PT) + 1.5)


LAYERS = (
    Layer(24.93, 0.01, 0.1467, 0.26),
    Layer(37.18, 0.01, 0.1467, 0.16),
    Layer(52.27, 0.01, 0.1467, 0.16),
    Layer(68.76, 0.009, 5.025, 0.18),
    Layer(86.02, 0.009, 5.025, 0.18),
    Layer(108.31, 0.009, 5.025, 0.18),
)
# Radius in cm and radiation lengths of what scatters: the pixel detector, and the layers.
MATERIAL = (
    *((radius, 0.03) for radius in (3.0, 7.0, 11.0, 16.0)),
    *((layer.radius, 0.04) for layer in LAYERS),
)


class Particles(NamedTuple):
    """Charged particles from the beam axis, arrays (n,): GeV, cm and radians.

    ``kinks`` (2, planes, n) are the changes of azimuth and polar angle in ``MATERIAL``.
    """

    pt: np.ndarray
    eta: np.ndarray
    phi: np.ndarray
    charge: np.ndarray
    z0: np.ndarray
    kinks: np.ndarray


class Stubs(NamedTuple):
    """Stubs of a layer, arrays (n,). ``particle`` is the index of the particle, -1 without one;
    ``phi`` (radians) and ``z`` (cm) are those of the strip in the inner sensor.
    """

    particle: Integers
    phi: np.ndarray
    z: np.ndarray
    bend: Integers


class Pairs(NamedTuple):
    """The pairs of a crossing by sector: ``x`` (n, features) as ``FEATURES``; ``pt`` (n,) of the
    particle that left both stubs, 0 if there is none.
    """

    x: Integers
    pt: np.ndarray
    sector: Integers

    @property
    def label(self) -> np.ndarray:
        """The index in ``CLASSES`` (n,)."""
        found: np.ndarray = (self.pt > 0).astype(np.int64) + (self.pt > MIN_PT)
        return found


def curvature_radius(pt: Any) -> Any:
    """The radius of the circle in the transverse plane, in cm, for pT in GeV."""
    return 100 * pt / (0.299792458 * FIELD)


def dphi(inner: Layer, outer: Layer, pt: Any) -> Any:
    """By how much the azimuth of a negative particle from the axis grows between two layers."""
    diameter = 2 * curvature_radius(pt)
    return np.arcsin(outer.radius / diameter) - np.arcsin(inner.radius / diameter)


def bend(layer: Layer, pt: Any) -> Any:
    """The distance in strips between the two clusters of a stub, of a negative particle."""
    sine = layer.radius / (2 * curvature_radius(pt))
    return layer.gap / layer.pitch * sine / np.sqrt(1 - sine**2)


def particles(rng: np.random.Generator) -> Particles:
    """The charged particles of a crossing."""
    collisions = rng.poisson(PILEUP)
    vertex = rng.normal(0, BEAM_SPOT, collisions)
    counts = rng.poisson(DENSITY * 2 * MAX_ETA, collisions)
    size = int(counts.sum())
    pt = _PT_SCALE * rng.gamma(2, size=size) / rng.gamma(_PT_POWER - 2, size=size)
    eta = rng.uniform(-MAX_ETA, MAX_ETA, size)
    return Particles(
        pt,
        eta,
        rng.uniform(0, 2 * np.pi, size),
        rng.choice((-1, 1), size),
        np.repeat(vertex, counts),
        _kinks(pt, eta, rng),
    )


def _kinks(pt: np.ndarray, eta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    slant = np.cosh(eta)  # one over the sine of the polar angle
    p = pt * slant
    beta = p / np.hypot(p, _PION)
    lengths = np.array([thickness for _, thickness in MATERIAL])[:, None] * slant
    angles = 0.0136 / (beta * p) * np.sqrt(lengths) * (1 + 0.038 * np.log(lengths))
    found: np.ndarray = rng.normal(size=(2, *angles.shape)) * angles
    found[0] *= slant
    return found


def stubs(of: Particles, layer: Layer, rng: np.random.Generator) -> Stubs:
    """The stubs of particles in a layer, and those without a track."""
    reaching = np.flatnonzero(2 * curvature_radius(of.pt) > layer.radius)
    pt, eta, charge = of.pt[reaching], of.eta[reaching], of.charge[reaching]
    diameter = 2 * curvature_radius(pt)
    half = np.arcsin(layer.radius / diameter)
    distance = np.array([max(layer.radius - radius, 0) for radius, _ in MATERIAL])
    sideways, polar = np.tensordot(distance, of.kinks[:, :, reaching], (0, 1))
    phi = of.phi[reaching] - charge * half + sideways / layer.radius
    z = of.z0[reaching] + diameter * half * np.sinh(eta) + polar * np.cosh(eta) ** 2
    place = phi * layer.radius / layer.pitch
    strip = np.floor(place)
    found = np.floor(place - charge * bend(layer, pt)) - strip
    seen = (np.abs(found) <= layer.most_bend) & (np.abs(z) < LENGTH)
    matched = Stubs(
        reaching[seen],
        (strip[seen] + 0.5) * layer.pitch / layer.radius,
        (np.floor(z[seen] / layer.length) + 0.5) * layer.length,
        found[seen].astype(np.int64),
    )
    more = _unmatched(matched, layer, rng)
    return Stubs(*(np.concatenate(parts) for parts in zip(matched, more, strict=True)))


def _unmatched(matched: Stubs, layer: Layer, rng: np.random.Generator) -> Stubs:
    """Stubs of no track, as frequent in z as those of tracks, and of any bend."""
    size = int(rng.poisson(UNMATCHED * len(matched.z))) if len(matched.z) else 0
    return Stubs(
        np.full(size, -1),
        rng.uniform(0, 2 * np.pi, size),
        rng.choice(matched.z, size) if size else np.empty(0),
        rng.integers(-layer.most_bend, layer.most_bend + 1, size),
    )


def pairs(
    of: Particles, stubs_inner: Stubs, stubs_outer: Stubs, inner: Layer, outer: Layer
) -> Pairs:
    """The pairs of stubs on two layers, in all sectors."""
    width = 2 * np.pi / SECTORS
    # Rounding may give an angle just below zero to a tenth sector.
    sector_of = np.minimum(stubs_inner.phi % (2 * np.pi) // width, SECTORS - 1)
    parts = []
    for sector in range(SECTORS):
        first = _chosen(stubs_inner, np.flatnonzero(sector_of == sector))
        start = sector * width
        a, b = np.nonzero(_near(first, stubs_outer, start, inner, outer))
        one, other = _chosen(first, a), _chosen(stubs_outer, b)
        x = np.column_stack(
            [
                _phi(other, start) - _phi(one, start),
                _z(other) - _z(one),
                _z(one),
                one.bend,
                other.bend,
            ]
        )
        same = (one.particle >= 0) & (one.particle == other.particle)
        pt = np.where(same, of.pt[one.particle], 0)
        parts.append(Pairs(x, pt, np.full(len(x), sector)))
    return Pairs(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _chosen(of: Stubs, places: Integers) -> Stubs:
    return Stubs(*(column[places] for column in of))


def _phi(of: Stubs, start: float) -> Integers:
    """The azimuth from the start of a sector, in hardware integers."""
    middle = start + np.pi / SECTORS
    from_start = angle(of.phi - middle) + np.pi / SECTORS
    found: Integers = np.rint(from_start / PHI_LSB).astype(np.int64)
    return found


def _z(of: Stubs) -> Integers:
    found: Integers = np.rint(of.z / Z_LSB).astype(np.int64)
    return found


def _near(first: Stubs, second: Stubs, start: float, inner: Layer, outer: Layer) -> np.ndarray:
    """Which stubs (first, second) lie in coarse bins that a track can link."""
    bins = _phi(second, start)[None] >> COARSE_PHI
    apart = np.abs(bins - (_phi(first, start)[:, None] >> COARSE_PHI))
    # One tenth more than the bend of the track, for its scattering.
    most = int(1.1 * dphi(inner, outer, MIN_PT) / (PHI_LSB * 2**COARSE_PHI)) + 1
    width = Z_LSB * 2**COARSE_Z
    z_first, z_second = ((_z(of) >> COARSE_Z) * width + width / 2 for of in (first, second))
    ratio = outer.radius / inner.radius
    away = np.abs(z_second[None] - ratio * z_first[:, None])
    strips = (outer.length + ratio * inner.length) / 2
    reach = BEAM_WINDOW * (ratio - 1) + (1 + ratio) * width / 2 + strips
    found: np.ndarray = (apart <= most) & (away <= reach)
    return found


def crossing(layer: int, rng: np.random.Generator) -> Pairs:
    """The pairs of a crossing on a layer, counted from 1, and the next one."""
    inner, outer = LAYERS[layer - 1 : layer + 1]
    made = particles(rng)
    return pairs(made, stubs(made, inner, rng), stubs(made, outer, rng), inner, outer)


def write_events(
    path: Path,
    crossings: int,
    layer: int,
    seed: int,
    done: Callable[[int], None] = lambda crossings: None,
) -> dict[str, Any]:
    """Write all pairs of some crossings to a Parquet file and return its provenance.

    The columns are ``FEATURES``, ``pt`` in GeV, ``label``, ``crossing``, ``sector`` and ``split``;
    all pairs of a crossing are in one split. ``done`` is called with the number of crossings made.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    made = []
    for number in range(crossings):
        made.append(crossing(layer, np.random.default_rng([seed, number])))
        done(1)
    all_pairs = Pairs(*(np.concatenate(column) for column in zip(*made, strict=True)))
    of = np.repeat(np.arange(crossings), [len(each.pt) for each in made])
    ends = np.rint(np.cumsum(list(SHARES.values()))[:-1] * crossings)
    text = {
        "label": np.array(CLASSES)[all_pairs.label],
        "split": np.array(list(SHARES))[np.searchsorted(ends, of, side="right")],
    }
    table = pa.table(
        dict(zip(FEATURES, all_pairs.x.astype(np.int16).T, strict=True))
        | {
            "pt": all_pairs.pt.astype(np.float32),
            "crossing": of.astype(np.int32),
            "sector": all_pairs.sector.astype(np.int8),
        }
        | {name: pa.array(values).dictionary_encode() for name, values in text.items()}
    )
    pq.write_table(table, path, compression="zstd", compression_level=19, write_statistics=False)
    return {
        "generator": f"trigger events tracks --crossings {crossings} --layer {layer} --seed {seed}",
        "classes": list(CLASSES),
        "crossings": crossings,
        "pairs": len(table),
        "seed": seed,
        "radii_cm": [each.radius for each in LAYERS[layer - 1 : layer + 1]],
        "steps": {"dphi": PHI_LSB, "dz": Z_LSB, "z": Z_LSB},
        "pileup": PILEUP,
        "unmatched": UNMATCHED,
        "versions": {"numpy": np.__version__},
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }

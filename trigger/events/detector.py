"""From particles to level-1 objects: trigger towers, jets, electrons, muons and missing energy.

A generic hadron-collider detector with the granularity of the CMS level-1 calorimeter trigger:
towers of 0.087 x 0.087, transverse energies in steps of 0.5 GeV. Not simulated: noise, out-of-time
pileup, dead towers, the bending outside the barrel.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.ndimage import maximum_filter, uniform_filter1d

from trigger.fixedpoint.types import Flags, Integers

ETA_TOWERS = 116
PHI_TOWERS = 72
TOWER = 0.087
STEP_GEV = 0.5
MAX_ETA = ETA_TOWERS * TOWER / 2

# The number of each object per event, and the largest integers of its fields.
OBJECTS = {"met": 1, "egamma": 4, "muon": 4, "jet": 10}
LARGEST_PT = {"met": 4095, "egamma": 511, "muon": 511, "jet": 2047}
_NAMES = [
    f"{kind}{number if count > 1 else ''}"
    for kind, count in OBJECTS.items()
    for number in range(1, count + 1)
]
FEATURES = tuple(f"{name}_{field}" for name in _NAMES for field in ("pt", "eta", "phi"))

# The trigger regions of the calorimeter: 18 in phi, each with 14 in eta; of 4 x 5 towers.
REGIONS = (18, 14)
REGION_FEATURES = tuple(f"region{number}_et" for number in range(1, 1 + 18 * 14))

_LARGEST_TOWER = 511
_LARGEST_REGION = 1023
_REGION_TOWERS = (4, 5)
# Fainter towers are mostly pileup.
_REGION_TOWER_LEAST_GEV = 2.0
_CENTRE = ETA_TOWERS // 2
# The least pT, in GeV, with which a charged particle reaches the calorimeter: 1.29 m in 3.8 T.
_CURLING_PT = 0.3 * 3.8 * 1.29 / 2
_JET_SEED_GEV = 4.0
_JET_LEAST_GEV = 10.0
_EGAMMA_SEED_GEV = 1.5
_EGAMMA_LEAST_GEV = 5.0
_EGAMMA_TOWERS = 29
_MET_TOWERS = 35
_MUON_LEAST_GEV = 3.0
_MUON_ETA = 2.4
_MUON_EFFICIENCY = 0.95
_MUON_RESOLUTION = 0.15
_MUON_ETA_STEP = TOWER / 8
_MUON_PHI_STEPS = 576


class Particles(NamedTuple):
    """Final-state particles of one collision, arrays of shape (particles,): pT in GeV, eta, phi,
    charge, PDG number.
    """

    pt: np.ndarray
    eta: np.ndarray
    phi: np.ndarray
    charge: np.ndarray
    pdg: np.ndarray


class Deposits(NamedTuple):
    """The detector response to one collision.

    Transverse energies in GeV, ``em`` and ``had``, at the towers ``eta``, ``phi``; ``muons``
    (muons, 3): pT, eta, phi.
    """

    eta: np.ndarray
    phi: np.ndarray
    em: np.ndarray
    had: np.ndarray
    muons: np.ndarray

    def moved(self, turn: int, mirror: bool) -> "Deposits":
        """The same collision rotated by ``turn`` towers about the beam and, with ``mirror``,
        reflected in eta.
        """
        sign = np.array([1, -1 if mirror else 1, 1])
        muons = self.muons * sign + np.array([0, 0, turn * 2 * np.pi / PHI_TOWERS])
        eta = ETA_TOWERS - 1 - self.eta if mirror else self.eta
        return self._replace(eta=eta, phi=(self.phi + turn) % PHI_TOWERS, muons=muons)


# The fraction of its energy that the calorimeters measure of each hadron, and the fraction of that
# in the electromagnetic one, from the energies in GeV.
Showers = Callable[[np.ndarray, np.random.Generator], tuple[np.ndarray, np.ndarray]]


def compensated(
    energy: np.ndarray,
    rng: np.random.Generator,  # noqa: ARG001 - as all Showers
) -> tuple[np.ndarray, np.ndarray]:
    """Hadrons measured on the same scale as photons, each shared between the calorimeters alike."""
    return np.ones(len(energy)), np.full(len(energy), 0.3)


def deposit(
    particles: Particles, rng: np.random.Generator, showers: Showers = compensated
) -> Deposits:
    """One collision's particles as energies in towers, and its muons, with the resolutions of a
    generic detector. ``showers`` is the response to hadrons.
    """
    is_muon = np.abs(particles.pdg) == 13
    seen = (
        is_muon
        & (particles.pt > _MUON_LEAST_GEV)
        & (np.abs(particles.eta) < _MUON_ETA)
        & (rng.random(len(is_muon)) < _MUON_EFFICIENCY)
    )
    muons = np.column_stack([values[seen] for values in particles[:3]])
    muons[:, 0] *= np.maximum(1 + _MUON_RESOLUTION * rng.standard_normal(len(muons)), 0.1)

    invisible = np.isin(np.abs(particles.pdg), (12, 13, 14, 16))
    reaches = (particles.charge == 0) | (particles.pt > _CURLING_PT)
    pt, eta, phi, charge, pdg = (
        values[~invisible & reaches & (np.abs(particles.eta) < MAX_ETA)] for values in particles
    )
    energy = pt * np.cosh(eta)
    electromagnetic = np.isin(np.abs(pdg), (11, 22))
    relative = np.where(
        electromagnetic,
        np.hypot(0.03 / np.sqrt(energy), 0.005),
        np.hypot(1 / np.sqrt(energy), 0.05),
    )
    pt = np.maximum(pt * (1 + relative * rng.standard_normal(len(pt))), 0)
    bend = np.arcsin(np.minimum(_CURLING_PT / np.maximum(pt, 1e-9), 1)) * np.sign(charge)
    phi = np.where(charge == 0, phi, phi - bend) % (2 * np.pi)
    response, fraction = showers(energy, rng)
    pt = np.where(electromagnetic, pt, pt * response)
    share = np.where(electromagnetic, 1.0, fraction)
    return Deposits(
        (np.floor(eta / TOWER) + _CENTRE).astype(np.int16),
        np.minimum(phi / (2 * np.pi) * PHI_TOWERS, PHI_TOWERS - 1).astype(np.int16),
        (pt * share).astype(np.float32),
        (pt * (1 - share)).astype(np.float32),
        muons.astype(np.float32),
    )


def reconstruct(events: Sequence[Sequence[Deposits]]) -> Integers:
    """Events, each a list of overlaid collisions, as integers of shape (events, 57), columns as
    ``FEATURES``.

    Objects of a kind are sorted by descending pT; missing ones are zero. pT in steps of 0.5 GeV,
    eta in steps of 0.0435 and phi of 2 pi / 144; of muons in steps of 0.010875 and 2 pi / 576. The
    eta of missing energy is zero.
    """
    em, had = towers(events)
    total = np.minimum(em + had, _LARGEST_TOWER)
    objects = [_missing(total), _egammas(em, had), _muons(events), _jets(total)]
    return np.concatenate([part.reshape(len(events), -1) for part in objects], axis=1)


def regions(events: Sequence[Sequence[Deposits]]) -> Integers:
    """Events, each a list of overlaid collisions, as the transverse energies of their trigger
    regions: integers of shape (events, 252) in steps of 0.5 GeV, columns as ``REGION_FEATURES``.

    All regions in eta at the first phi come first. They cover eta up to 3.045, without the towers
    below 2 GeV.
    """
    em, had = towers(events)
    total = np.minimum(em + had, _LARGEST_TOWER)
    total[total < _REGION_TOWER_LEAST_GEV / STEP_GEV] = 0
    (in_phi, in_eta), (phi, eta) = REGIONS, _REGION_TOWERS
    first = _CENTRE - in_eta * eta // 2
    used = total[:, first : first + in_eta * eta].transpose(0, 2, 1)
    sums = used.reshape(len(events), in_phi, phi, in_eta, eta).sum(axis=(2, 4))
    energies: Integers = np.minimum(sums, _LARGEST_REGION).reshape(len(events), -1)
    return energies


def towers(
    events: Sequence[Sequence[Deposits]], largest: int = _LARGEST_TOWER
) -> tuple[Integers, Integers]:
    """Zero-suppressed transverse energies of all towers (events, eta, phi) in steps of 0.5 GeV, in
    the electromagnetic and in the hadronic calorimeter; they saturate at ``largest``.
    """
    shape = (len(events), ETA_TOWERS, PHI_TOWERS)
    flat = [
        np.concatenate([d.eta.astype(np.int64) * PHI_TOWERS + d.phi for d in event])
        for event in events
    ]
    where = np.concatenate([k * ETA_TOWERS * PHI_TOWERS + index for k, index in enumerate(flat)])
    sums = []
    for name in ("em", "had"):
        energy = np.concatenate([getattr(d, name) for event in events for d in event])
        grid = np.bincount(where, energy, minlength=np.prod(shape)).reshape(shape)
        sums.append(np.minimum(grid / STEP_GEV, largest).astype(np.int64))
    return sums[0], sums[1]


def _window(grid: Integers, eta: int, phi: int) -> Integers:
    """The sum over ``eta`` x ``phi`` towers around each tower; zero beyond the ends in eta."""
    sums = uniform_filter1d(grid.astype(np.float64), eta, axis=1, mode="constant") * eta
    sums_of_window: Integers = np.rint(
        uniform_filter1d(sums, phi, axis=2, mode="wrap") * phi
    ).astype(np.int64)
    return sums_of_window


def _is_largest(grid: Integers, size: int) -> Flags:
    """Whether a tower is the maximum of ``size`` x ``size``; ties go to the first in eta, then in
    phi.
    """
    rank = grid * (ETA_TOWERS * PHI_TOWERS) - np.arange(ETA_TOWERS * PHI_TOWERS).reshape(
        1, ETA_TOWERS, PHI_TOWERS
    )
    largest: Integers = maximum_filter(
        rank, (1, size, size), mode=("constant", "constant", "wrap"), cval=rank.min()
    )
    is_largest: Flags = rank == largest
    return is_largest


def _jets(total: Integers) -> Integers:
    """9 x 9 towers about a local maximum, less the three quietest of the four 3 x 9 strips around
    it ("chunky donut").
    """
    strips = [_window(total, 3, 9), _window(total, 9, 3)]
    around = np.sort(
        [
            _shifted(strips[0], 6),
            _shifted(strips[0], -6),
            np.roll(strips[1], 6, 2),
            np.roll(strips[1], -6, 2),
        ],
        0,
    )
    pt = _window(total, 9, 9) - around[:3].sum(axis=0)
    is_jet = (
        _is_largest(total, 9)
        & (total >= _JET_SEED_GEV / STEP_GEV)
        & (pt >= _JET_LEAST_GEV / STEP_GEV)
    )
    return _leading(np.where(is_jet, pt, 0), "jet")


def _shifted(grid: Integers, by: int) -> Integers:
    """The values ``by`` towers away in eta; zero beyond the ends."""
    out = np.zeros_like(grid)
    if by > 0:
        out[:, :-by] = grid[:, by:]
    else:
        out[:, -by:] = grid[:, :by]
    return out


def _egammas(em: Integers, had: Integers) -> Integers:
    """3 x 3 towers of the electromagnetic calorimeter with at most an eighth of their energy behind
    them.
    """
    pt = _window(em, 3, 3)
    behind = _window(had, 3, 3)
    central = np.abs(np.arange(ETA_TOWERS) + 0.5 - _CENTRE) < _EGAMMA_TOWERS
    is_candidate = (
        _is_largest(em, 3)
        & (em >= _EGAMMA_SEED_GEV / STEP_GEV)
        & (pt >= _EGAMMA_LEAST_GEV / STEP_GEV)
    )
    return _leading(
        np.where(is_candidate & (8 * behind <= pt) & central[None, :, None], pt, 0), "egamma"
    )


def _leading(pt: Integers, name: str) -> Integers:
    """The objects of highest pT as integers of shape (events, objects, 3)."""
    count = OBJECTS[name]
    flat = pt.reshape(len(pt), -1)
    place = np.argsort(-flat, axis=1, kind="stable")[:, :count]
    largest = np.minimum(np.take_along_axis(flat, place, axis=1), LARGEST_PT[name])
    eta = 2 * (place // PHI_TOWERS - _CENTRE) + 1
    phi = 2 * (place % PHI_TOWERS) + 1
    return np.where(largest[..., None] > 0, np.stack([largest, eta, phi], axis=-1), 0)


def _muons(events: Sequence[Sequence[Deposits]]) -> Integers:
    count = OBJECTS["muon"]
    out = np.zeros((len(events), count, 3), dtype=np.int64)
    for row, event in zip(out, events, strict=True):
        muons = np.concatenate([d.muons for d in event]).astype(np.float64)
        muons = muons[np.argsort(-muons[:, 0], kind="stable")[:count]]
        row[: len(muons), 0] = np.clip(np.rint(muons[:, 0] / STEP_GEV), 1, LARGEST_PT["muon"])
        row[: len(muons), 1] = np.rint(muons[:, 1] / _MUON_ETA_STEP)
        row[: len(muons), 2] = (
            np.floor(muons[:, 2] / (2 * np.pi) * _MUON_PHI_STEPS) % _MUON_PHI_STEPS
        )
    return out


def _missing(total: Integers) -> Integers:
    """The negative vector sum of all towers up to eta 3."""
    used = total[:, _CENTRE - _MET_TOWERS : _CENTRE + _MET_TOWERS].sum(axis=1)
    phi = (np.arange(PHI_TOWERS) + 0.5) * 2 * np.pi / PHI_TOWERS
    x = -used @ np.cos(phi)
    y = -used @ np.sin(phi)
    pt = np.minimum(np.rint(np.hypot(x, y)), LARGEST_PT["met"])
    angle = np.floor(np.arctan2(y, x) % (2 * np.pi) / (2 * np.pi) * 2 * PHI_TOWERS) % (
        2 * PHI_TOWERS
    )
    return np.where(pt[:, None] > 0, np.stack([pt, np.zeros_like(pt), angle], axis=1), 0).astype(
        np.int64
    )

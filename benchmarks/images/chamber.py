"""Images of single particles in a liquid-argon chamber with three planes of wires: toy physics.

Lengths are in cm, energies in MeV. x is the drift, z the beam; the wires of a plane measure
z cos(angle) + y sin(angle). The window of 64 cm is placed so that the vertex lies near
(0, 0, -20). Left out: diffusion, recombination, dead wires, cosmic rays, decays, delta rays, and
every final state of more than one particle.
"""

from typing import NamedTuple

import numpy as np

KINDS = ("muon", "electron", "photon", "pion", "proton")
PIXELS = 16
PITCH = 4.0
ANGLES = (0.0, np.pi / 3, -np.pi / 3)
LEVELS = 16
# One step of the charge: a particle of minimal loss leaves about 3 steps in a pixel.
LSB = 3.0
NOISE = 0.25
RESOLUTION = 0.1

STEP = 1.0
MINIMAL_LOSS = 2.1
RADIATION_LENGTH = 14.0
MOLIERE_RADIUS = 9.0
CRITICAL_ENERGY = 32.0
# Shorter than in argon, so that most pions interact within the window.
INTERACTION_LENGTH = 30.0
MASS = {"muon": 105.7, "pion": 139.6, "proton": 938.3}
# Kinetic energies.
ENERGY = {
    "muon": (150, 400),
    "electron": (100, 400),
    "photon": (100, 400),
    "pion": (150, 400),
    "proton": (60, 250),
}


class Deposits(NamedTuple):
    """Energies left at places (n, 3), each in the image of its number."""

    image: np.ndarray
    place: np.ndarray
    energy: np.ndarray


class Ends(NamedTuple):
    """Where tracks end, their last directions, and the kinetic energy that they have left."""

    place: np.ndarray
    direction: np.ndarray
    energy: np.ndarray


def joined(parts: list[Deposits]) -> Deposits:
    return Deposits(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def stopping_power(energy: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Mean loss per cm: the minimal one over velocity to the power 5/3, which rises at the end."""
    gamma = 1 + energy / mass
    velocity = np.sqrt(1 - 1 / gamma**2)
    return MINIMAL_LOSS / np.maximum(velocity, 0.1) ** (5 / 3)


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def across(rng: np.random.Generator, direction: np.ndarray) -> np.ndarray:
    """Normal vectors at right angles to the directions."""
    vectors = rng.normal(size=direction.shape)
    return vectors - (vectors * direction).sum(axis=1, keepdims=True) * direction


def tracks(
    rng: np.random.Generator,
    image: np.ndarray,
    start: Ends,
    mass: float,
    reach: np.ndarray,
) -> tuple[Deposits, Ends]:
    """Particles in steps until they stop, have gone as far as ``reach``, or are far outside."""
    place, direction, energy = (part.copy() for part in start)
    rows = np.arange(len(image))
    parts = []
    for gone in np.arange(0, 2 * PIXELS * PITCH, STEP):
        rows = rows[(energy[rows] > 0) & (reach[rows] > gone)]
        if not len(rows):
            break
        here = energy[rows]
        lost = np.minimum(STEP * stopping_power(here, mass), here)
        middle = place[rows] + STEP / 2 * direction[rows]
        parts.append(Deposits(image[rows], middle, lost))
        place[rows] += STEP * direction[rows]
        energy[rows] -= lost
        # Multiple scattering, without its logarithm: momentum times velocity is in MeV.
        hardness = here * (here + 2 * mass) / (here + mass)
        angle = 13.6 / np.maximum(hardness, 10) * np.sqrt(STEP / RADIATION_LENGTH)
        turned = direction[rows] + angle[:, None] * across(rng, direction[rows])
        direction[rows] = unit(turned)
    return joined(parts), Ends(place, direction, energy)


def showers(
    rng: np.random.Generator, image: np.ndarray, start: Ends, rise: float, quanta: int = 60
) -> Deposits:
    """Showers as equal deposits: a gamma distribution along the axis, a normal one across.

    The maximum is at ln(E / critical energy) + ``rise`` radiation lengths; up to it the width grows
    until 90 % lie within the Molière radius.
    """
    falling = 0.5
    maximum = np.log(start.energy / CRITICAL_ENERGY) + rise
    shape = np.repeat(1 + falling * np.maximum(maximum, 0), quanta)
    depth = rng.gamma(shape) / falling
    direction = np.repeat(start.direction, quanta, axis=0)
    width = MOLIERE_RADIUS / 2.146 * np.minimum(1, depth / (shape - 1 + falling) * falling)
    along = RADIATION_LENGTH * depth[:, None] * direction
    place = np.repeat(start.place, quanta, axis=0) + along + width[:, None] * across(rng, direction)
    return Deposits(np.repeat(image, quanta), place, np.repeat(start.energy / quanta, quanta))


def pions(rng: np.random.Generator, image: np.ndarray, start: Ends) -> Deposits:
    """Tracks; one that interacts ends in one to three protons and, in half of the cases, a pion."""
    reach = rng.exponential(INTERACTION_LENGTH, len(image))
    first, ends = tracks(rng, image, start, MASS["pion"], reach)
    hit = np.flatnonzero(ends.energy > 0)
    protons = np.repeat(hit, rng.integers(1, 4, len(hit)))
    scattered = hit[rng.random(len(hit)) < 0.5]
    parts = [first]
    for rows, kind in ((protons, "proton"), (scattered, "pion")):
        if not len(rows):
            continue
        given = rng.uniform(20, 120, len(rows)) if kind == "proton" else ends.energy[rows] / 2
        away = unit(rng.normal(size=(len(rows), 3)))
        starts = Ends(ends.place[rows], away, given)
        far = np.full(len(rows), np.inf)
        parts.append(tracks(rng, image[rows], starts, MASS[kind], far)[0])
    return joined(parts)


def particles(rng: np.random.Generator, kind: str, image: np.ndarray, start: Ends) -> Deposits:
    """All that particles of one kind leave."""
    count = len(image)
    if kind == "electron":
        return showers(rng, image, start, -0.5)
    if kind == "photon":
        # Pairs after 9/7 radiation lengths on average, of those that convert within 24 cm.
        length = 9 / 7 * RADIATION_LENGTH
        gap = -length * np.log1p(-rng.random(count) * (1 - np.exp(-24 / length)))
        return showers(
            rng, image, start._replace(place=start.place + gap[:, None] * start.direction), 0.5
        )
    if kind == "pion":
        return pions(rng, image, start)
    return tracks(rng, image, start, MASS[kind], np.full(count, np.inf))[0]


def vertices(rng: np.random.Generator, image: np.ndarray, place: np.ndarray) -> Deposits:
    """5 to 25 MeV from fragments of the nucleus, within 1 cm, at every vertex."""
    share = np.repeat(rng.uniform(5, 25, len(image)) / 5, 5)
    spread = rng.normal(size=(len(share), 3))
    return Deposits(np.repeat(image, 5), np.repeat(place, 5, axis=0) + spread, share)


def energies(deposits: Deposits, count: int) -> np.ndarray:
    """MeV in each pixel, (images, planes, wires, times); what lies outside of the window is lost."""
    x, y, z = deposits.place.T
    time = np.floor(x / PITCH).astype(int) + PIXELS // 2
    planes = np.zeros((count, len(ANGLES), PIXELS, PIXELS))
    for number, angle in enumerate(ANGLES):
        wire = np.floor((z * np.cos(angle) + y * np.sin(angle)) / PITCH).astype(int) + PIXELS // 2
        seen = (wire >= 0) & (wire < PIXELS) & (time >= 0) & (time < PIXELS)
        places = (deposits.image[seen], number, wire[seen], time[seen])
        np.add.at(planes, places, deposits.energy[seen])
    return planes


def charges(rng: np.random.Generator, energy: np.ndarray) -> np.ndarray:
    """The integers that are read out: smeared, with noise, rounded and saturated."""
    smeared = energy * (1 + RESOLUTION * rng.normal(size=energy.shape)) / LSB
    noisy = np.rint(smeared + NOISE * rng.normal(size=energy.shape))
    return np.clip(noisy, 0, LEVELS - 1).astype(np.uint8)


def images(kinds: np.ndarray, seed: int) -> np.ndarray:
    """An image (planes, wires, times) for each number of a kind."""
    rng = np.random.default_rng(seed)
    count = len(kinds)
    place = rng.uniform(-1, 1, (count, 3)) * (4, 4, 2) - (0, 0, 20)
    forward = rng.uniform(0.4, 1, count)
    turn = rng.uniform(0, 2 * np.pi, count)
    side = np.sqrt(1 - forward**2)
    direction = np.stack([side * np.cos(turn), side * np.sin(turn), forward], axis=1)
    parts = [vertices(rng, np.arange(count), place)]
    for number, kind in enumerate(KINDS):
        rows = np.flatnonzero(kinds == number)
        if len(rows):
            energy = rng.uniform(*ENERGY[kind], len(rows))
            start = Ends(place[rows], direction[rows], energy)
            parts.append(particles(rng, kind, rows, start))
    return charges(rng, energies(joined(parts), count))

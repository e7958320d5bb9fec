"""Four-momenta of many events at once: arrays of shape (events, 4), px, py, pz and E in GeV."""

import numpy as np


def momentum(pt: np.ndarray, eta: np.ndarray, phi: np.ndarray) -> np.ndarray:
    """The four-momenta of massless objects; shape (..., 4)."""
    return np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), pt * np.cosh(eta)], -1)


def mass(momenta: np.ndarray) -> np.ndarray:
    """The invariant masses; zero where rounding makes the square negative."""
    p2 = (momenta[..., :3] ** 2).sum(axis=-1)
    masses: np.ndarray = np.sqrt(np.maximum(momenta[..., 3] ** 2 - p2, 0))
    return masses


def angle(dphi: np.ndarray) -> np.ndarray:
    """An azimuthal difference as an angle from -pi to pi."""
    wrapped: np.ndarray = (dphi + np.pi) % (2 * np.pi) - np.pi
    return wrapped


def neutrino(lepton: np.ndarray, missing: np.ndarray, parent: float) -> np.ndarray:
    """The neutrino with the transverse momentum ``missing`` (events, 2) for which lepton and
    neutrino have the mass ``parent``.

    Of two solutions for pz, the smaller; where there is none, the real part of the complex ones.
    """
    px, py, pz, energy = np.moveaxis(lepton, -1, 0)
    pt2 = px**2 + py**2
    missing2 = (missing**2).sum(axis=-1)
    a = parent**2 / 2 + px * missing[..., 0] + py * missing[..., 1]
    root = energy * np.sqrt(np.maximum(a**2 - pt2 * missing2, 0))
    solutions = np.stack([a * pz - root, a * pz + root]) / pt2
    chosen = np.where(np.abs(solutions[0]) < np.abs(solutions[1]), *solutions)
    return np.stack(
        [missing[..., 0], missing[..., 1], chosen, np.sqrt(missing2 + chosen**2)], axis=-1
    )

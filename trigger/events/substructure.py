"""Jets and their substructure, compiled with numba: anti-kT, mMDT grooming and the 16 high-level
features.

Particles are arrays of shape (n, 3): transverse momentum in GeV, pseudorapidity, azimuth in
radians; they are massless. Sources: anti-kT, arXiv:0802.1189; mMDT, arXiv:1307.0007; C and D,
arXiv:1305.0007 and arXiv:1409.6298; M and N, arXiv:1609.07483; the list of features,
arXiv:1804.06913.
"""

import math
from collections.abc import Callable
from typing import TypeVar

import numba
import numpy as np

FEATURES = (
    "zlogz",
    "c1_b0_mmdt",
    "c1_b1_mmdt",
    "c1_b2_mmdt",
    "c2_b1_mmdt",
    "c2_b2_mmdt",
    "d2_b1_mmdt",
    "d2_b2_mmdt",
    "d2_a1_b1_mmdt",
    "d2_a1_b2_mmdt",
    "m2_b1_mmdt",
    "m2_b2_mmdt",
    "n2_b1_mmdt",
    "n2_b2_mmdt",
    "mass_mmdt",
    "multiplicity",
)

_Kernel = TypeVar("_Kernel", bound=Callable[..., object])


def _compiled(kernel: _Kernel) -> _Kernel:
    """The function as machine code, compiled at its first use and kept on disk between runs."""
    compiled: _Kernel = numba.njit(cache=True)(kernel)
    return compiled


@_compiled
def _four_momenta(particles: np.ndarray) -> np.ndarray:
    out = np.empty((len(particles), 4))
    for i in range(len(particles)):
        pt, eta, phi = particles[i]
        out[i, 0] = pt * math.cos(phi)
        out[i, 1] = pt * math.sin(phi)
        out[i, 2] = pt * math.sinh(eta)
        out[i, 3] = pt * math.cosh(eta)
    return out


@_compiled
def _rapidity(p: np.ndarray) -> float:
    # E - |pz| cancels for forward particles: compute it from the transverse mass instead.
    transverse_mass2 = max(p[3] * p[3] - p[2] * p[2], 1e-300)
    rapidity = 0.5 * math.log((p[3] + abs(p[2])) ** 2 / transverse_mass2)
    return rapidity if p[2] >= 0 else -rapidity


@_compiled
def _distance2(y1: float, phi1: float, y2: float, phi2: float) -> float:
    dphi = abs(phi1 - phi2)
    if dphi > math.pi:
        dphi = 2 * math.pi - dphi
    return (y1 - y2) ** 2 + dphi * dphi


@_compiled
def cluster(
    particles: np.ndarray, power: int, radius: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sequential recombination, E scheme, in O(n²).

    ``power`` is -1 for anti-kT and 0 for Cambridge/Aachen. Returns the four-momenta (px, py, pz, E)
    of the n particles followed by every merged pseudojet, the two parents of each pseudojet (-1, -1
    for a particle), and the indices of the final jets in the order in which they were found.
    """
    n = len(particles)
    momenta = np.empty((2 * n, 4))
    momenta[:n] = _four_momenta(particles)
    parents = np.full((2 * n, 2), -1)
    jets = np.empty(n, dtype=np.int64)
    n_jets = 0
    n_momenta = n
    # The active pseudojets, packed at the front of these arrays.
    index = np.arange(n)
    y = np.empty(n)
    phi = np.empty(n)
    weight = np.empty(n)
    nearest = np.empty(n, dtype=np.int64)
    d_nearest = np.empty(n)
    for i in range(n):
        y[i] = _rapidity(momenta[i])
        phi[i] = math.atan2(momenta[i, 1], momenta[i, 0])
        weight[i] = (momenta[i, 0] ** 2 + momenta[i, 1] ** 2) ** power
    r2 = radius * radius
    live = n
    for i in range(live):
        nearest[i] = -1
        d_nearest[i] = r2
        for j in range(live):
            if j != i:
                d = _distance2(y[i], phi[i], y[j], phi[j])
                if d < d_nearest[i]:
                    nearest[i] = j
                    d_nearest[i] = d
    while live > 0:
        best = 0
        d_best = math.inf
        for i in range(live):
            j = nearest[i]
            w = weight[i] if j < 0 else min(weight[i], weight[j])
            d = w * d_nearest[i]
            if d < d_best:
                best = i
                d_best = d
        i = best
        j = nearest[best]
        if j < 0:
            jets[n_jets] = index[i]
            n_jets += 1
            gone = i
            changed = -1
        else:
            if j < i:
                i, j = j, i
            momenta[n_momenta] = momenta[index[i]] + momenta[index[j]]
            parents[n_momenta, 0] = index[i]
            parents[n_momenta, 1] = index[j]
            index[i] = n_momenta
            p = momenta[n_momenta]
            y[i] = _rapidity(p)
            phi[i] = math.atan2(p[1], p[0])
            weight[i] = (p[0] ** 2 + p[1] ** 2) ** power
            n_momenta += 1
            gone = j
            changed = i
        last = live - 1
        if gone != last:
            index[gone] = index[last]
            y[gone] = y[last]
            phi[gone] = phi[last]
            weight[gone] = weight[last]
            nearest[gone] = nearest[last]
            d_nearest[gone] = d_nearest[last]
            if changed == last:
                changed = gone
        live = last
        for k in range(live):
            stale = k == changed or nearest[k] == gone or (changed >= 0 and nearest[k] == changed)
            if nearest[k] == last and not stale:
                nearest[k] = gone
            if stale:
                nearest[k] = -1
                d_nearest[k] = r2
                for m in range(live):
                    if m != k:
                        d = _distance2(y[k], phi[k], y[m], phi[m])
                        if d < d_nearest[k]:
                            nearest[k] = m
                            d_nearest[k] = d
            elif changed >= 0 and k != changed:
                d = _distance2(y[k], phi[k], y[changed], phi[changed])
                if d < d_nearest[k]:
                    nearest[k] = changed
                    d_nearest[k] = d
    return momenta[:n_momenta], parents[:n_momenta], jets[:n_jets]


@_compiled
def constituents(parents: np.ndarray, jet: int) -> np.ndarray:
    """The indices of the particles in one pseudojet."""
    stack = np.empty(len(parents), dtype=np.int64)
    out = np.empty(len(parents), dtype=np.int64)
    stack[0] = jet
    depth = 1
    n = 0
    while depth > 0:
        depth -= 1
        node = stack[depth]
        if parents[node, 0] < 0:
            out[n] = node
            n += 1
        else:
            stack[depth] = parents[node, 0]
            stack[depth + 1] = parents[node, 1]
            depth += 2
    return out[:n]


@_compiled
def groom(particles: np.ndarray, z_cut: float) -> np.ndarray:
    """The indices of the particles that the modified mass-drop tagger keeps.

    The jet is reclustered with Cambridge/Aachen and its softer branch dropped until min(pT1, pT2) /
    (pT1 + pT2) exceeds ``z_cut``; a jet without such a split keeps its last particle.
    """
    momenta, parents, jets = cluster(particles, 0, 1000.0)
    node = jets[0]
    while parents[node, 0] >= 0:
        a, b = parents[node]
        pt_a = math.hypot(momenta[a, 0], momenta[a, 1])
        pt_b = math.hypot(momenta[b, 0], momenta[b, 1])
        if min(pt_a, pt_b) > z_cut * (pt_a + pt_b):
            break
        node = a if pt_a > pt_b else b
    return constituents(parents, node)


@_compiled
def correlators(particles: np.ndarray, beta: float) -> np.ndarray:
    """e2, e3, 1e3 and 2e3 (arXiv:1609.07483, normalised to the scalar sum of pT) with angular
    exponent ``beta``.
    """
    n = len(particles)
    total = particles[:, 0].sum()
    z = particles[:, 0] / total
    angle = np.zeros((n, n))
    e2 = 0.0
    for i in range(n):
        for j in range(i + 1, n):
            d2 = _distance2(particles[i, 1], particles[i, 2], particles[j, 1], particles[j, 2])
            angle[i, j] = d2 ** (0.5 * beta)
            e2 += z[i] * z[j] * angle[i, j]
    e3 = 0.0
    e3_1 = 0.0
    e3_2 = 0.0
    for i in range(n):
        for j in range(i + 1, n):
            zz = z[i] * z[j]
            a = angle[i, j]
            for k in range(j + 1, n):
                b = angle[i, k]
                c = angle[j, k]
                weight = zz * z[k]
                smallest = min(a, b, c)
                largest = max(a, b, c)
                middle = a + b + c - smallest - largest
                e3 += weight * a * b * c
                e3_1 += weight * smallest
                e3_2 += weight * smallest * middle
    return np.array((e2, e3, e3_1, e3_2))


@_compiled
def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator > 0 else 0.0


@_compiled
def features(particles: np.ndarray, z_cut: float = 0.1) -> np.ndarray:
    """The 16 ``FEATURES`` of one jet, from its constituents; mMDT-groomed where the name says
    so.
    """
    kept = particles[groom(particles, z_cut)]
    z = particles[:, 0] / particles[:, 0].sum()
    momentum = _four_momenta(kept).sum(axis=0)
    mass2 = momentum[3] ** 2 - momentum[0] ** 2 - momentum[1] ** 2 - momentum[2] ** 2
    e2_b1, e3_b1, e3_1_b1, e3_2_b1 = correlators(kept, 1.0)
    e2_b2, e3_b2, e3_1_b2, e3_2_b2 = correlators(kept, 2.0)
    z_kept = kept[:, 0] / kept[:, 0].sum()
    return np.array(
        (
            (z * np.log(z)).sum(),
            0.5 * (1.0 - (z_kept**2).sum()),
            e2_b1,
            e2_b2,
            _ratio(e3_b1, e2_b1**2),
            _ratio(e3_b2, e2_b2**2),
            _ratio(e3_b1, e2_b1**3),
            _ratio(e3_b2, e2_b2**3),
            _ratio(e3_b1, e2_b1**3),
            _ratio(e3_b1, e2_b2**1.5),
            _ratio(e3_1_b1, e2_b1),
            _ratio(e3_1_b2, e2_b2),
            _ratio(e3_2_b1, e2_b1**2),
            _ratio(e3_2_b2, e2_b2**2),
            math.sqrt(max(mass2, 0.0)),
            float(len(particles)),
        )
    )

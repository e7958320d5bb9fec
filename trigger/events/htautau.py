"""Higgs bosons against Z bosons, both to two tau leptons that decay to an electron or a muon each.

P. Baldi, P. Sadowski, D. Whiteson, "Enhanced Higgs to tau+ tau- search with deep learning",
arXiv:1410.3469. Proton-proton collisions at 8 TeV: gg → H with m(H) = 125 GeV, and Z/γ* above 60
GeV. Pythia decays the taus with their spins. Selected: two isolated leptons of opposite charge with
|eta| below 2.5 and pT above 20 and 10 GeV.

The low-level variables are the momenta of both leptons and of the hardest jet (zero without one),
the missing momentum and the number of jets. The high-level ones follow from them:

- ``met_axial``: missing momentum along the direction of both leptons together; ``met_rel``: times
  sin of the angle to the nearest lepton or jet where that is below a right angle; ``sum_pt``: of
  leptons, jet and missing momentum; ``deta``, ``dphi``, ``dr`` and ``m_ll``: between the leptons;
  ``m_vis``: of leptons and jet; ``sphericity`` of leptons and jet: three halves of the two smaller
  eigenvalues of the normalised momentum tensor (Bjorken, Brodsky, Phys. Rev. D 1 (1970) 1416). The
  paper has variables of these kinds. Its missing-mass calculator (arXiv:1012.4686), which
  integrates over the directions of the neutrinos, is replaced by
- ``m_col``, the mass in the collinear approximation (Ellis, Hinchliffe, Soldate, van der Bij, Nucl.
  Phys. B 297 (1988) 221): each tau has the direction of its lepton, and both neutrino systems
  together the missing momentum; zero where a tau would have less momentum than its lepton;
- ``mt_1``, ``mt_2``: the transverse mass of each lepton and the missing momentum; ``mt_tot``: the
  root of the squares of these two and of that of both leptons (arXiv:1409.6064); ``pt_h``: the
  transverse momentum of leptons and missing momentum; ``met_centrality``: where the missing
  momentum points, √2 between the leptons, 1 along one of them and -√2 opposite, as in the
  HiggsML challenge (CERN Open Data 328).
"""

from collections.abc import Sequence

import numpy as np

from trigger.events.collider import Collision, Sample
from trigger.events.higgs import ENERGY_STEP, ETA_STEP, PHI_STEP
from trigger.events.kinematics import angle, mass, momentum

FIRST_PT = 20.0
SECOND_PT = 10.0

_RATIO_STEP = 2.0**-8
_OBJECT = {"pt": ENERGY_STEP, "eta": ETA_STEP, "phi": PHI_STEP}
LOW_LEVEL = {
    **{
        f"{name}_{field}": step
        for name in ("lepton1", "lepton2", "jet1")
        for field, step in _OBJECT.items()
    },
    "met_pt": ENERGY_STEP,
    "met_phi": PHI_STEP,
    "jets": 1.0,
}
HIGH_LEVEL = {
    "met_axial": ENERGY_STEP,
    "met_rel": ENERGY_STEP,
    "sum_pt": ENERGY_STEP,
    "deta": ETA_STEP,
    "dphi": PHI_STEP,
    "dr": ETA_STEP,
    "m_ll": ENERGY_STEP,
    "m_vis": ENERGY_STEP,
    "sphericity": _RATIO_STEP,
    "m_col": ENERGY_STEP,
    "mt_1": ENERGY_STEP,
    "mt_2": ENERGY_STEP,
    "mt_tot": ENERGY_STEP,
    "pt_h": ENERGY_STEP,
    "met_centrality": _RATIO_STEP,
}

_LEPTONIC = ("15:onMode = off", "15:onIfAny = 11 13")
_HIGGS = ("HiggsSM:gg2H = on", "25:m0 = 125", "25:onMode = off", "25:onIfMatch = 15 -15")
_Z = (
    "WeakSingleBoson:ffbar2gmZ = on",
    "23:mMin = 60",
    "PhaseSpace:mHatMin = 60",
    "23:onMode = off",
    "23:onIfMatch = 15 -15",
)


def select(collision: Collision) -> Sequence[float] | None:
    """The low-level variables, as ``LOW_LEVEL``; None for an event that is not selected."""
    leptons = collision.leptons
    if len(leptons) != 2 or leptons[:, 3].sum() != 0 or leptons[0, 0] < FIRST_PT:
        return None
    jets = collision.jets[:, :3]
    hardest = jets[0] if len(jets) else np.zeros(3)
    x, y = collision.missing
    return [*leptons[:, :3].ravel(), *hardest, np.hypot(x, y), np.arctan2(y, x), len(jets)]


def high_level(low: np.ndarray) -> np.ndarray:
    """The high-level variables, columns as ``HIGH_LEVEL``, from the low-level ones (events, 12), in
    GeV and radians.
    """
    objects = low[:, :9].reshape(-1, 3, 3)
    met, met_phi = low[:, 9], low[:, 10]
    missing = np.stack([met * np.cos(met_phi), met * np.sin(met_phi)], axis=1)
    momenta = momentum(*np.moveaxis(objects, -1, 0))
    pt, eta, phi = np.moveaxis(objects, -1, 0)
    both = momenta[:, 0] + momenta[:, 1]
    pt_both = np.maximum(np.hypot(both[:, 0], both[:, 1]), ENERGY_STEP)
    deta = np.abs(eta[:, 0] - eta[:, 1])
    dphi = np.abs(angle(phi[:, 0] - phi[:, 1]))
    m_ll = mass(both)
    transverse = [_transverse_mass(pt[:, k], met, phi[:, k] - met_phi) for k in (0, 1)]
    mt_ll = _transverse_mass(pt[:, 0], pt[:, 1], dphi)
    variables = {
        "met_axial": (missing * both[:, :2]).sum(axis=1) / pt_both,
        "met_rel": _relative(met, met_phi, pt, phi),
        "sum_pt": pt.sum(axis=1) + met,
        "deta": deta,
        "dphi": dphi,
        "dr": np.hypot(deta, dphi),
        "m_ll": m_ll,
        "m_vis": mass(momenta.sum(axis=1)),
        "sphericity": _sphericity(momenta[..., :3]),
        "m_col": _collinear(momenta, missing, m_ll),
        "mt_1": transverse[0],
        "mt_2": transverse[1],
        "mt_tot": np.sqrt(transverse[0] ** 2 + transverse[1] ** 2 + mt_ll**2),
        "pt_h": np.linalg.norm(both[:, :2] + missing, axis=1),
        "met_centrality": _centrality(met_phi, phi[:, 0], phi[:, 1]),
    }
    return np.column_stack([variables[name] for name in HIGH_LEVEL])


def _relative(met: np.ndarray, met_phi: np.ndarray, pt: np.ndarray, phi: np.ndarray) -> np.ndarray:
    away = np.abs(angle(phi - met_phi[:, None]))
    nearest = np.where(pt > 0, away, np.pi).min(axis=1)
    projected: np.ndarray = met * np.sin(np.minimum(nearest, np.pi / 2))
    return projected


def _transverse_mass(one: np.ndarray, other: np.ndarray, dphi: np.ndarray) -> np.ndarray:
    mass_t: np.ndarray = np.sqrt(np.maximum(2 * one * other * (1 - np.cos(dphi)), 0))
    return mass_t


def _sphericity(momenta: np.ndarray) -> np.ndarray:
    """Of momenta (events, objects, 3)."""
    tensor = np.einsum("eoi,eoj->eij", momenta, momenta)
    eigenvalues = np.linalg.eigvalsh(tensor)
    values: np.ndarray = 1.5 * eigenvalues[:, :2].sum(axis=1) / eigenvalues.sum(axis=1)
    return values


def _collinear(momenta: np.ndarray, missing: np.ndarray, m_ll: np.ndarray) -> np.ndarray:
    """The collinear mass. The neutrinos of each tau have ``share`` times the momentum of its
    lepton.
    """
    one, other = momenta[:, 0], momenta[:, 1]
    determinant = _cross(one, other)
    solvable = np.abs(determinant) > 1e-6 * one[:, 3] * other[:, 3]
    divisor = np.where(solvable, determinant, 1.0)
    shares = np.stack([_cross(missing, other), _cross(one, missing)]) / divisor
    physical = solvable & (shares > 0).all(axis=0)
    product = np.where(physical, (1 + shares).prod(axis=0), 0)
    mass_c: np.ndarray = m_ll * np.sqrt(product)
    return mass_c


def _cross(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    product: np.ndarray = one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]
    return product


def _centrality(of: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    between = np.sin(other - one)
    between = np.where(np.abs(between) > 1e-6, between, 1e-6)
    a = np.sin(of - one) / between
    b = np.sin(other - of) / between
    centrality: np.ndarray = (a + b) / np.maximum(np.hypot(a, b), 1e-6)
    return centrality


SAMPLE = Sample(
    command="htautau",
    energy=8000.0,
    lepton_pt=SECOND_PT,
    processes={"z": [(*_Z, *_LEPTONIC)], "higgs": [(*_HIGGS, *_LEPTONIC)]},
    low=LOW_LEVEL,
    high=HIGH_LEVEL,
    select=select,
    derive=high_level,
)

"""Events like those of the HIGGS data set: a heavy Higgs boson against top pairs.

P. Baldi, P. Sadowski, D. Whiteson, "Searching for exotic particles in high-energy physics with deep
learning", arXiv:1402.4735. Signal: gg → H0 → W± H∓ → W± W∓ h0 → W W b b with m(H0) = 425 GeV, m(H±)
= 325 GeV and m(h0) = 125 GeV. Background: top pairs, which end in W W b b, too. One W decays to an
electron or a muon, the other to quarks; 8 TeV. Selected as in the paper: exactly one lepton and at
least four jets with pT above 20 GeV and |eta| below 2.5, at least two jets tagged as b.

The paper used MadGraph, Pythia and Delphes. Here Pythia makes the hard process too, the Higgs
bosons decay by phase space, and ``collider`` is the detector: the sample resembles the published
one but differs from it.

The paper names the seven high-level variables by the particles whose masses they are. Which jet
belongs to which particle is defined here, from the 21 low-level variables alone: the b-jets are the
two hardest of the four that are tagged, the others make the hadronic W; the neutrino is
``kinematics.neutrino``; each W takes the b-jet for which the two top masses are closest to that of
the top quark; and the W of ``m_wbb`` is the one whose mass with both b-jets is closer to m(H±).
"""

from collections.abc import Sequence

import numpy as np

from trigger.events.collider import Collision, Sample
from trigger.events.kinematics import mass, momentum, neutrino

W_MASS = 80.4
TOP_MASS = 173.0
CHARGED_HIGGS_MASS = 325.0
JETS = 4

# GeV, and steps of eta and phi as those of the muons of ``detector``.
ENERGY_STEP = 0.25
ETA_STEP = 0.010875
PHI_STEP = 2 * np.pi / 576

_OBJECT = {"pt": ENERGY_STEP, "eta": ETA_STEP, "phi": PHI_STEP}
LOW_LEVEL = {
    **{f"lepton_{name}": step for name, step in _OBJECT.items()},
    "met_pt": ENERGY_STEP,
    "met_phi": PHI_STEP,
    **{
        f"jet{number}_{name}": step
        for number in range(1, JETS + 1)
        for name, step in {**_OBJECT, "btag": 1.0}.items()
    },
}
HIGH_LEVEL = dict.fromkeys(
    ("m_jj", "m_jjj", "m_lv", "m_jlv", "m_bb", "m_wbb", "m_wwbb"), ENERGY_STEP
)

_HEAVY_HIGGS = (
    "Higgs:useBSM = on",
    "HiggsBSM:gg2H2 = on",
    *(
        f"{particle}:{setting}"
        for particle, central in ((35, 425.0), (37, CHARGED_HIGGS_MASS))
        for setting in (
            f"m0 = {central}",
            "mWidth = 0.1",
            "doForceWidth = on",
            f"mMin = {central - 5}",
            f"mMax = {central + 5}",
            "onMode = off",
        )
    ),
    "35:addChannel = 1 0.5 100 24 -37",
    "35:addChannel = 1 0.5 100 -24 37",
    "37:addChannel = 1 1.0 100 24 25",
    "25:m0 = 125",
    "25:onMode = off",
    "25:onIfMatch = 5 -5",
)
_TOP_PAIRS = ("Top:gg2ttbar = on", "Top:qqbar2ttbar = on")
_LEPTONS = "11 13"
_QUARKS = "1 2 3 4 5"
# The lepton comes from either W.
_SEMILEPTONIC = tuple(
    ("24:onMode = off", f"24:onPosIfAny = {positive}", f"24:onNegIfAny = {negative}")
    for positive, negative in ((_LEPTONS, _QUARKS), (_QUARKS, _LEPTONS))
)


def select(collision: Collision) -> Sequence[float] | None:
    """The 21 low-level variables, as ``LOW_LEVEL``; None for an event that is not selected."""
    jets = collision.jets[:JETS]
    if len(collision.leptons) != 1 or len(jets) < JETS or jets[:, 3].sum() < 2:
        return None
    x, y = collision.missing
    return [*collision.leptons[0, :3], np.hypot(x, y), np.arctan2(y, x), *jets.ravel()]


def high_level(low: np.ndarray) -> np.ndarray:
    """The seven masses in GeV, columns as ``HIGH_LEVEL``, from the low-level variables (events, 21)
    in GeV and radians.
    """
    lepton = momentum(*low[:, :3].T)
    missing = np.stack([low[:, 3] * np.cos(low[:, 4]), low[:, 3] * np.sin(low[:, 4])], axis=-1)
    lv = lepton + neutrino(lepton, missing, W_MASS)
    jets = low[:, 5:].reshape(-1, JETS, 4)
    # Tagged jets first, in order of pT.
    order = np.argsort(-jets[:, :, 3], axis=1, kind="stable")
    jets = np.take_along_axis(jets, order[..., None], axis=1)
    b1, b2, j1, j2 = np.moveaxis(momentum(*np.moveaxis(jets[..., :3], -1, 0)), 1, 0)
    jj = j1 + j2
    bb = b1 + b2
    tops = np.stack([[mass(jj + b1), mass(lv + b2)], [mass(jj + b2), mass(lv + b1)]])
    m_jjj, m_jlv = _chosen(tops, np.abs(tops - TOP_MASS).sum(axis=1))
    with_w = np.stack([mass(jj + bb), mass(lv + bb)])
    m_wbb = _chosen(with_w, np.abs(with_w - CHARGED_HIGGS_MASS))
    return np.column_stack([mass(jj), m_jjj, mass(lv), m_jlv, mass(bb), m_wbb, mass(jj + lv + bb)])


def _chosen(either: np.ndarray, far: np.ndarray) -> np.ndarray:
    """Of two assignments (2, ..., events) the one that is less ``far`` (2, events)."""
    nearer: np.ndarray = np.where(far[0] <= far[1], either[0], either[1])
    return nearer


SAMPLE = Sample(
    command="higgs",
    energy=8000.0,
    lepton_pt=20.0,
    processes={
        "ttbar": [(*_TOP_PAIRS, *decays) for decays in _SEMILEPTONIC],
        "higgs": [(*_HEAVY_HIGGS, *decays) for decays in _SEMILEPTONIC],
    },
    low=LOW_LEVEL,
    high=HIGH_LEVEL,
    select=select,
    derive=high_level,
)

"""Images of regions that are filled one region after the other, and what the network reads of them.

Everything is an integer, so that every machine computes the same.
"""

import numpy as np

PHI, ETA = 18, 14
LARGEST = 1023
# The seven or fewer bits of an input, and the value of one that says yes.
LIMIT, YES = 63, 32
# Regions at these distances in phi and eta. Those that are not filled yet are zero; phi is a circle,
# so that the last rows see the first ones.
NEAR = (
    *((0, -1), (0, -2)),
    *((-1, step) for step in (-2, -1, 0, 1, 2)),
    *((-2, step) for step in (-1, 0, 1)),
    *((1, step) for step in (-1, 0, 1)),
    *((2, 0), (9, 0)),
)
_MARGIN = 2
# Steps of 0.5 GeV. Pile-up rarely leaves more than SOFT in a region; a region above HARD is of a jet.
_SOFT, _HARD = 16, 40
_TURN = 256
_ANGLE = 2 * np.pi * np.arange(PHI) / PHI
_COS = np.rint(_TURN * np.cos(_ANGLE)).astype(np.int64)
_SIN = np.rint(_TURN * np.sin(_ANGLE)).astype(np.int64)
_CODES = np.minimum(np.rint(8 * np.log2(1 + np.arange(LARGEST + 1) / 4)), LIMIT).astype(np.int64)
RUNNING = 10


def features(kinds: int) -> int:
    """The number of inputs of the network for so many kinds of events."""
    return len(NEAR) + RUNNING + PHI + ETA + kinds


class Canvas:
    """Images of some events, of which the first regions are filled, row by row in phi."""

    def __init__(self, kind: np.ndarray, kinds: int) -> None:
        """``kind`` has the number of the kind of each event, of ``kinds``."""
        events = len(kind)
        self._kind = YES * (np.arange(kinds)[:, None] == kind)
        self.energy = np.zeros((PHI, ETA, events), np.int64)
        self._code = np.zeros((PHI, ETA + 2 * _MARGIN, events), np.int64)
        self._sums = np.zeros((6, events), np.int64)
        self._largest = np.zeros(events, np.int64)

    def inputs(self, phi: int, eta: int) -> np.ndarray:
        """What the network reads to fill this region, the next one: (events, inputs)."""
        near = [self._code[(phi + row) % PHI, eta + step + _MARGIN] for row, step in NEAR]
        place = np.zeros((PHI + ETA, len(self._largest)), np.int64)
        place[[phi, PHI + eta]] = YES
        return np.concatenate([near, self._running(phi, eta), place, self._kind]).T

    def put(self, phi: int, eta: int, energy: np.ndarray) -> None:
        """Fill the next region."""
        self.energy[phi, eta] = energy
        self._code[phi, eta + _MARGIN] = _CODES[energy]
        self._sums += [
            energy,
            energy > 0,
            np.minimum(energy, _SOFT),
            np.where(energy >= _HARD, energy, 0),
            _COS[phi] * energy,
            _SIN[phi] * energy,
        ]
        np.maximum(self._largest, energy, out=self._largest)

    def _running(self, phi: int, eta: int) -> np.ndarray:
        """Sums over the filled regions: energies, momenta along and across this direction."""
        total, count, soft, hard, x, y = self._sums
        filled = max(ETA * phi + eta, 1)
        row = self.energy[phi, :eta].sum(axis=0)
        before = self.energy[phi - 1].sum(axis=0)
        column = self.energy[:phi, eta].sum(axis=0)
        found = np.array(
            [
                6 * total // filled,
                LIMIT * count // filled,
                16 * soft // filled,
                _code(hard),
                _CODES[self._largest],
                _signed((_COS[phi] * x + _SIN[phi] * y) // _TURN**2),
                _signed((_COS[phi] * y - _SIN[phi] * x) // _TURN**2),
                6 * row // max(eta, 1),
                6 * before // ETA,
                6 * column // max(phi, 1),
            ]
        )
        return np.clip(found, -LIMIT, LIMIT)


def _code(energy: np.ndarray) -> np.ndarray:
    return _CODES[np.minimum(energy, LARGEST)]


def _signed(momentum: np.ndarray) -> np.ndarray:
    return np.sign(momentum) * _code(np.abs(momentum))

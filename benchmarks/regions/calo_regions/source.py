"""The source of events: a quantised network fills each image region by region.

The network is a fixed-point graph and random numbers are integers, so that a block of events is the
same in every process and on every machine.
"""

import functools
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from calo_regions.canvas import ETA, LARGEST, PHI, Canvas
from trigger.fixedpoint.evaluate import run
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.serialize import from_json

# The network chooses a class of energies: exact values at first, then ranges that begin here.
_RANGES = (32, 34, 36, 38, 40, 44, 48, 52, 56, 64, 72, 80, 96, 112, 128, 160, 192, 224, 256, 320)
FIRST = np.array([0, *range(4, 32), *_RANGES, 384, 448, 512, 640, 768, 896, LARGEST, LARGEST + 1])
CLASSES = len(FIRST) - 1
# Steps of the network's scores in a factor of e, and the probability of the largest as an integer.
STEPS = 32
_WEIGHTS = np.rint(2**20 * np.exp(-np.arange(16 * STEPS) / STEPS)).astype(np.int64)
_BITS = 31


class Learned(NamedTuple):
    """What was learned: the kinds of events, each with its label, its share among the events and its
    weight; the network; and how often each energy occurs, for those of a range.
    """

    labels: np.ndarray
    shares: np.ndarray
    weights: np.ndarray
    graph: Graph
    counts: np.ndarray


@functools.cache
def learned() -> Learned:
    """What ``train.py`` has written beside this file."""
    here = Path(__file__).parent
    found = json.loads((here / "kinds.json").read_text(encoding="utf-8"))
    return Learned(
        np.array([kind["label"] for kind in found["kinds"]]),
        np.array([kind["share"] for kind in found["kinds"]]),
        np.array([kind["weight"] for kind in found["kinds"]]),
        from_json((here / "network.json").read_text(encoding="utf-8")),
        np.array(found["counts"]),
    )


def calo_regions(events: int, seed: int) -> dict[str, np.ndarray]:
    """Events with the columns of ``trigger events regions``, but for the split."""
    model = learned()
    rng = np.random.default_rng(seed)
    kind = rng.choice(len(model.shares), events, p=model.shares / model.shares.sum())
    image = images(model, kind, rng)
    columns = {f"region{k + 1}_et": image[:, k] for k in range(PHI * ETA)}
    return {**columns, "label": model.labels[kind], "weight": model.weights[kind]}


def images(model: Learned, kind: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An image of each kind: (events, regions), in steps of 0.5 GeV."""
    canvas = Canvas(kind, len(model.shares))
    for phi in range(PHI):
        for eta in range(ETA):
            scores = run(model.graph, canvas.inputs(phi, eta))
            canvas.put(phi, eta, within(model.counts, chosen(scores, rng), rng))
    return turned(canvas.energy.transpose(2, 0, 1), rng).reshape(len(kind), -1)


def chosen(scores: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A class for each event, with probabilities that grow as the exponential of its score."""
    below = scores.max(axis=1, keepdims=True) - scores
    ends = np.cumsum(_WEIGHTS[np.minimum(below, len(_WEIGHTS) - 1)], axis=1)
    drawn = rng.integers(2**_BITS, size=len(scores)) * ends[:, -1] >> _BITS
    return (drawn[:, None] >= ends).sum(axis=1)


def within(counts: np.ndarray, number: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An energy of each class, as often as it occurs."""
    ends = np.cumsum(counts)
    low, high = (np.append(0, ends)[FIRST[number + step]] for step in (0, 1))
    return np.searchsorted(ends, rng.integers(low, high), side="right")


def turned(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each image (events, phi, eta) turned about the beam, and half of them reflected in eta."""
    turn = rng.integers(PHI, size=len(image))
    image = image[np.arange(len(image))[:, None], (np.arange(PHI) - turn[:, None]) % PHI]
    return np.where(rng.random(len(image))[:, None, None] < 0.5, image, image[:, :, ::-1])

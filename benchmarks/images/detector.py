"""Occupancy maps of a detector with 16 × 16 regions: toy counts, with and without faults.

A good map holds Poisson counts of a smooth profile, whose centre and height vary from map to map,
as the beam spot and the luminosity do. A fault multiplies the expectation of some regions.
"""

import numpy as np

SIZE = 16
LEVELS = 256
LEVEL = 24.0
WIDTH = 4.0
LUMINOSITY = (0.8, 1.25)
SHIFT = 1.0
# Any region by any factor: not a fault that is looked for, but an example that something changed.
CLASSES = ("good", "dead", "hot", "weak", "exposed")


def profile(rng: np.random.Generator, count: int) -> np.ndarray:
    """Expected counts of good maps, (maps, 16, 16)."""
    centre = (SIZE - 1) / 2 + rng.uniform(-SHIFT, SHIFT, (count, 2, 1, 1))
    across, along = np.meshgrid(np.arange(SIZE), np.arange(SIZE), indexing="ij")
    square = (across - centre[:, 0]) ** 2 + (along - centre[:, 1]) ** 2
    height = rng.uniform(*LUMINOSITY, (count, 1, 1))
    return LEVEL * height * (1 + 2 * np.exp(-square / (2 * WIDTH**2)))


def block(rng: np.random.Generator, low: int, high: int) -> np.ndarray:
    """A rectangle of ``low`` to ``high`` regions a side, anywhere."""
    sides = rng.integers(low, high + 1, 2)
    first = [rng.integers(SIZE - side + 1) for side in sides]
    chosen = np.zeros((SIZE, SIZE), dtype=bool)
    chosen[first[0] : first[0] + sides[0], first[1] : first[1] + sides[1]] = True
    return chosen


def wedge(rng: np.random.Generator) -> np.ndarray:
    """30 to 60 degrees around the centre."""
    across, along = np.meshgrid(*[np.arange(SIZE) - (SIZE - 1) / 2] * 2, indexing="ij")
    angle = (np.degrees(np.arctan2(across, along)) - rng.uniform(0, 360)) % 360
    return angle < rng.uniform(30, 60)


def fault(rng: np.random.Generator, name: str) -> np.ndarray:
    """The factors of the regions of one map."""
    if name == "dead":
        chosen, factor = block(rng, 1, 3), rng.uniform(0, 0.4)
    elif name == "hot":
        chosen, factor = block(rng, 1, 3), rng.uniform(1.3, 2)
    elif name == "weak":
        chosen, factor = wedge(rng), rng.uniform(0.75, 0.92)
    elif name == "exposed":
        chosen, factor = block(rng, 1, 8), rng.uniform(0, 2)
    else:
        chosen, factor = np.zeros((SIZE, SIZE), dtype=bool), 1
    return np.where(chosen, factor, 1)


def maps(labels: np.ndarray, seed: int) -> np.ndarray:
    """A map of counts, saturated at 255, for each number of a class."""
    rng = np.random.default_rng(seed)
    factors = np.stack([fault(rng, CLASSES[label]) for label in labels])
    counts = rng.poisson(profile(rng, len(labels)) * factors)
    return np.minimum(counts, LEVELS - 1).astype(np.uint8)

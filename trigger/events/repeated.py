"""Events that lie in more than one split: a figure on them says nothing of new events."""

from collections.abc import Mapping

import numpy as np

from trigger.events.dataset import Events
from trigger.support.numbers import plain

# The share of a split above which its repeated events are no coincidence. Integers of few bits
# coincide by themselves: of the zoo's events 0.6 % at most.
_COINCIDENCE = 0.01


def repeated(splits: Mapping[str, Events]) -> dict[str, int]:
    """For validation and test, the number of events with all features of a training event."""
    train = _hashes(splits["train"].x)
    return {
        name: int(np.isin(_hashes(splits[name].x), train).sum()) for name in ("validation", "test")
    }


def warnings(repeated: Mapping[str, int], sizes: Mapping[str, int]) -> list[str]:
    """A sentence with its remedy for each split that shares events with training."""
    return [
        f"{plain(count)} of {plain(sizes[name])} {name} events have all features of a training "
        f"event, so their figures are those of events that were learned; remove the copies, or "
        f"keep the copies of an event in one split with data.split.column"
        for name, count in repeated.items()
        if count > _COINCIDENCE * sizes[name]
    ]


def _hashes(x: np.ndarray) -> np.ndarray:
    """64 bits for each row of (events, features), uint64; NaN equals NaN, and -0 equals 0."""
    bits = np.where(np.isnan(x), np.nan, x + 0.0).view(np.uint64)
    hashes = np.zeros(len(x), np.uint64)
    for column in bits.T:
        hashes = _mixed(hashes ^ column)
    return hashes


def _mixed(bits: np.ndarray) -> np.ndarray:
    """Each bit changes about half of all bits: the last steps of SplitMix64
    (https://doi.org/10.1145/2660193.2660195), uint64.
    """
    bits = bits + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = bits ^ (bits >> np.uint64(31))
    return mixed

"""Thresholds at quantiles of events, at integers that take few bits to compare with."""

import numpy as np

from trigger.fixedpoint.types import Reals


def thresholds(x: np.ndarray, number: int, step: np.ndarray | float | None = None) -> Reals:
    """Quantiles of each feature of events (events, features): (features, number), ascending.

    ``step`` is the least difference between two values of each feature. With it, each threshold is
    the multiple of the highest power of two, times the step, that lies between its neighbours.
    """
    ends = (np.arange(2 * number + 1) + 0.5) / (2 * number + 1)
    quantiles: Reals = np.quantile(np.asarray(x, dtype=np.float64), ends, axis=0).T
    if step is None:
        return quantiles[:, 1::2]
    return _roundest(quantiles, np.broadcast_to(step, len(quantiles)))


def _roundest(quantiles: Reals, step: Reals) -> Reals:
    """Between two quantiles each: features by quantiles, of which every second is the middle of two
    others.
    """
    integers = np.rint(quantiles / step[:, None])
    low, found, high = integers[:, :-2:2], integers[:, 1::2], integers[:, 2::2]
    for power in 2.0 ** np.arange(1, 32):
        highest = np.floor(high / power) * power
        found = np.where(highest > low, highest, found)
    places: Reals = found * step[:, None]
    return places

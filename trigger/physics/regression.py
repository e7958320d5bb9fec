"""Bias, resolution and tails of a head of task "regression", with event weights."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from trigger.events.dataset import Events
from trigger.physics.metrics import seen_by
from trigger.spec.head_tables import Scoring

# The central interval of a normal distribution at one standard deviation.
CENTRAL = 0.682689492137086
_TAILS = (0.05, 0.95)
_BINS = 6


class Residuals(NamedTuple):
    """The differences prediction - truth of some events, in the unit of the truth.

    ``bias`` is their median, ``resolution`` half the width of their central 68.3 %, ``rms`` the
    square root of their mean square, ``tails`` their quantiles of 5 % and 95 %.
    """

    events: int
    bias: float
    resolution: float
    rms: float
    tails: tuple[float, float]


class Bin(NamedTuple):
    """The residuals of the events whose truth is at least ``low`` and below ``high``; the last bin
    includes ``high``. None if there are none.
    """

    low: float
    high: float
    residuals: Residuals | None


class Regression(NamedTuple):
    """The residuals of all events, and by bins of the truth."""

    total: Residuals
    bins: tuple[Bin, ...]


def regression(scores: np.ndarray, events: Events, head: Scoring) -> Regression:
    """The residuals of a head, from the scores (events, scores) of all heads.

    The bins have the edges in the spec, or contain equal numbers of events, by weight.
    """
    own, seen = seen_by(head, scores, events)
    difference = own[:, 0] - seen.y
    edges = _edges(seen, head)
    bins = []
    for low, high in pairwise(edges):
        below = seen.y <= high if high == edges[-1] else seen.y < high
        here = (seen.y >= low) & below
        bins.append(Bin(float(low), float(high), _residuals(difference[here], seen.weight[here])))
    total = _residuals(difference, seen.weight)
    assert total is not None  # each split has events with a truth and a weight
    return Regression(total, tuple(bins))


def _edges(seen: Events, head: Scoring) -> np.ndarray:
    if head.head is not None and head.head.bins:
        return np.array(head.head.bins)
    edges = np.unique(_quantiles(seen.y, seen.weight, np.linspace(0, 1, _BINS + 1)))
    return edges if len(edges) > 1 else np.array([edges[0], edges[0]])


def _residuals(difference: np.ndarray, weight: np.ndarray) -> Residuals | None:
    if not weight.any():
        return None
    ends = (0.5 - CENTRAL / 2, 0.5 + CENTRAL / 2)
    low, median, high = _quantiles(difference, weight, np.array([ends[0], 0.5, ends[1]]))
    first, last = _quantiles(difference, weight, np.array(_TAILS))
    rms = float(np.sqrt(np.average(difference**2, weights=weight)))
    return Residuals(
        len(difference), float(median), float(high - low) / 2, rms, (float(first), float(last))
    )


def _quantiles(values: np.ndarray, weight: np.ndarray, shares: np.ndarray) -> np.ndarray:
    return np.asarray(np.quantile(values, shares, weights=weight, method="inverted_cdf"))

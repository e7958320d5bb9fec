"""The intervals of the figures of a head, at one standard deviation, from event weights."""

from typing import NamedTuple

import numpy as np

from trigger.events.dataset import Events
from trigger.physics.metrics import Performance, correct, seen_by, separated
from trigger.physics.paired import of_aucs
from trigger.physics.rates import Estimate, efficiency, estimate
from trigger.spec.head_tables import Scoring


class Rejection(NamedTuple):
    """A background rejection with its interval, and the background ``events`` that it rests on:
    those that the cut accepts.
    """

    value: float
    low: float
    high: float
    events: int


class Intervals(NamedTuple):
    """The figures of ``Performance``, with intervals."""

    accuracy: Estimate | None
    auc: dict[str, Estimate]
    rejection: dict[str, Rejection]


def intervals(
    figures: Performance,
    scores: np.ndarray,
    events: Events,
    head: Scoring,
    signal_efficiency: float,
) -> Intervals:
    """The intervals of the figures of a head, which come from the logits of all heads."""
    own, seen = seen_by(head, scores, events)
    compared = {
        name: separated(own, seen, number, head.background)
        for number, name in enumerate(head.classes)
    }
    return Intervals(
        None if figures.accuracy is None else _accuracy(own, seen, head),
        {name: _area(figures.auc[name], *one) for name, one in compared.items()},
        {
            name: _rejection(figures.rejection[name], signal_efficiency, *one)
            for name, one in compared.items()
        },
    )


def _accuracy(own: np.ndarray, seen: Events, head: Scoring) -> Estimate:
    taught = np.isin(seen.y, head.taught)
    right = correct(own, seen, head.background)[taught]
    return efficiency(right, seen.weight[taught])


def _area(area: float, values: np.ndarray, signal: np.ndarray, weight: np.ndarray) -> Estimate:
    """The interval is that of the difference from scores that say nothing, which have no error."""
    change = of_aucs(np.zeros(len(values)), values, signal, weight)
    error = change.high - change.value
    return Estimate(area, max(area - error, 0.0), min(area + error, 1.0))


def _rejection(
    value: float, share: float, values: np.ndarray, signal: np.ndarray, weight: np.ndarray
) -> Rejection:
    """The interval is that of the background above the cut with this ``share`` of the signal; the
    cut itself is taken as fixed.
    """
    order = np.argsort(-values, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(values[order]) != 0, True))
    background = ~signal
    weights = weight * background

    def summed(what: np.ndarray) -> np.ndarray:
        return np.concatenate([[0.0], np.cumsum(what[order])[ends]])

    found = summed(weight * signal)
    found /= found[-1]
    accepted, squares, events = (
        float(np.interp(share, found, summed(what)))
        for what in (weights, weights**2, background.astype(np.float64))
    )
    fraction = estimate(accepted, weights.sum(), squares, (weights**2).sum() - squares)
    if fraction is None:
        return Rejection(value, 1.0, float("inf"), 0)
    high = 1 / fraction.low if fraction.low > 0 else float("inf")
    return Rejection(value, 1 / fraction.high, high, round(events))

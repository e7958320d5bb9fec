"""The losses that trees are trained with: their values, slopes and best constants.

Scores are of shape (events, scores); truths are classes, or numbers. All losses are in nats or in
those of the unit of the truth, for single events.
"""

from collections.abc import Callable
from functools import reduce
from typing import NamedTuple

import numpy as np
from scipy.special import expit, softmax

from trigger.fixedpoint.types import Integers, Reals

# The least curvature of the loss of an event.
_LEAST = 1e-6


class Loss(NamedTuple):
    """A loss: of each event; its first and second derivative by each score (events, scores); and
    the best constant scores of events with some weights.
    """

    values: Callable[[Reals, Reals], Reals]
    slopes: Callable[[Reals, Reals], tuple[Reals, Reals]]
    start: Callable[[Reals, Reals], Reals]


def cross_entropy(classes: int) -> Loss:
    """Of classes 0 to ``classes`` - 1, each with a score."""
    ones = np.ones(classes)

    def values(scores: Reals, truth: Reals) -> Reals:
        # Several times faster than logsumexp, for many events as for few.
        most = reduce(np.maximum, scores.T)
        own = scores[np.arange(len(scores)), truth.astype(int)]
        found: Reals = np.log(np.exp(scores - most[:, None]) @ ones) + most - own
        return found

    def slopes(scores: Reals, truth: Reals) -> tuple[Reals, Reals]:
        p = softmax(scores, axis=1)
        return p - (truth[:, None] == np.arange(classes)), np.maximum(p * (1 - p), _LEAST)

    def start(truth: Reals, weight: Reals) -> Reals:
        logs = np.log(np.bincount(truth.astype(int), weight, classes) + _LEAST)
        centred: Reals = logs - logs.mean()
        return centred

    return Loss(values, slopes, start)


def _binary_values(scores: Reals, truth: Reals) -> Reals:
    return np.logaddexp(0, scores[:, 0]) - truth * scores[:, 0]


def _binary_slopes(scores: Reals, truth: Reals) -> tuple[Reals, Reals]:
    p = expit(scores)
    return p - truth[:, None], np.maximum(p * (1 - p), _LEAST)


def _binary_start(truth: Reals, weight: Reals) -> Reals:
    ones = np.average(truth, weights=weight)
    return np.log([(ones + _LEAST) / (1 - ones + _LEAST)])


# Of two classes, with a score of the second.
BINARY = Loss(_binary_values, _binary_slopes, _binary_start)


def _squared_values(scores: Reals, truth: Reals) -> Reals:
    return (scores[:, 0] - truth) ** 2 / 2


def _squared_slopes(scores: Reals, truth: Reals) -> tuple[Reals, Reals]:
    return scores - truth[:, None], np.ones_like(scores)


def _squared_start(truth: Reals, weight: Reals) -> Reals:
    return np.array([np.average(truth, weights=weight)])


SQUARED = Loss(_squared_values, _squared_slopes, _squared_start)


def _absolute_values(scores: Reals, truth: Reals) -> Reals:
    return np.abs(scores[:, 0] - truth)


def _absolute_slopes(scores: Reals, truth: Reals) -> tuple[Reals, Reals]:
    """The curvature is that of a parabola that touches the loss, so that steps lead to medians."""
    apart = scores - truth[:, None]
    least = np.median(np.abs(apart)) / 10 or 1.0
    return np.sign(apart), 1 / np.maximum(np.abs(apart), least)


def _absolute_start(truth: Reals, weight: Reals) -> Reals:
    order: Integers = np.argsort(truth)
    sums = np.cumsum(weight[order])
    return truth[order[[np.searchsorted(sums, sums[-1] / 2)]]]


ABSOLUTE = Loss(_absolute_values, _absolute_slopes, _absolute_start)

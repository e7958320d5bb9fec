"""Differences of figures between two outputs, with intervals.

The outputs are for the same events, but for ``of_separate``. An event that both treat alike adds
nothing to the error of a difference.
"""

from collections.abc import Callable

import numpy as np

from trigger.physics.rates import Estimate, efficiency

_RESAMPLES = 200


def of_fractions(before: np.ndarray, after: np.ndarray, weight: np.ndarray) -> Estimate:
    """The change of a weighted fraction, from booleans (events,).

    Its interval joins the Clopper-Pearson intervals of the two fractions that changed sides, with
    their correlation (R. G. Newcombe, Statistics in Medicine 17 (1998) 2635). If none changed to
    one side, the limit is for events with weights like those of the fraction.
    """
    gained = _one_way(after & ~before, before | after, weight)
    lost = _one_way(before & ~after, before | after, weight)
    odds = gained.value * lost.value / max((1 - gained.value) * (1 - lost.value), 1e-300)
    change = gained.value - lost.value
    correlation = -min(np.sqrt(odds), 1.0)
    share = float(np.average(before, weights=weight))
    down = _joined(gained.value - gained.low, lost.high - lost.value, correlation)
    up = _joined(gained.high - gained.value, lost.value - lost.low, correlation)
    return Estimate(change, max(change - down, -share), min(change + up, 1 - share))


def of_separate(before: Estimate, after: Estimate) -> Estimate:
    """The change of a fraction, or of a rate, between different events; its interval joins those of
    the two without a correlation (Newcombe, as above).
    """
    change = after.value - before.value
    down = _joined(after.value - after.low, before.high - before.value, 0.0)
    up = _joined(after.high - after.value, before.value - before.low, 0.0)
    return Estimate(change, change - down, change + up)


def of_aucs(before: np.ndarray, after: np.ndarray, signal: np.ndarray, w: np.ndarray) -> Estimate:
    """The change of the area under a ROC curve, from scores (events,), with the paired interval of
    E. R. DeLong et al., Biometrics 44 (1988) 837.
    """
    parts = []
    for ours, theirs in ((signal, ~signal), (~signal, signal)):
        old, new = (_below(s[ours], s[theirs], w[theirs]) for s in (before, after))
        parts.append((new - old, w[ours] / w[ours].sum()))
    change = float(np.sum(parts[0][0] * parts[0][1]))
    variance = 0.0
    for number, (difference, share) in enumerate(parts):
        own = change if number == 0 else -change
        variance += float(np.sum((share * (difference - own)) ** 2))
    error = float(np.sqrt(variance))
    return Estimate(change, change - error, change + error)


def error_of_quantiles(
    before: np.ndarray,
    after: np.ndarray,
    weight: np.ndarray,
    shares: np.ndarray,
    figure: Callable[[np.ndarray], float],
) -> float:
    """The error of the change of a figure that follows from the quantiles of values (events,): its
    standard deviation in 200 resamples of the events.
    """
    random = np.random.default_rng(1)
    equal = np.full(len(weight), 1 / len(weight))
    orders = [np.argsort(values, kind="stable") for values in (before, after)]
    changes = []
    for _ in range(_RESAMPLES):
        drawn = weight * random.multinomial(len(weight), equal)
        if not drawn.any():
            continue
        old, new = (
            figure(_quantiles(values[order], drawn[order], shares))
            for values, order in zip((before, after), orders, strict=True)
        )
        changes.append(new - old)
    return float(np.std(changes))


def _one_way(changed: np.ndarray, like: np.ndarray, weight: np.ndarray) -> Estimate:
    if changed.any() or not weight[like].any():
        return efficiency(changed, weight)
    share = float(weight[like].sum() / weight.sum())
    return efficiency(changed[like], weight[like]).times(share)


def _joined(first: float, second: float, correlation: float) -> float:
    return float(np.sqrt(first**2 + second**2 - 2 * correlation * first * second))


def _below(values: np.ndarray, others: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """For each value the weighted fraction of others below it; those equal to it count half."""
    order = np.argsort(others, kind="stable")
    sums = np.concatenate([[0.0], np.cumsum(weight[order])])
    left, right = (np.searchsorted(others[order], values, side) for side in ("left", "right"))
    return np.asarray((sums[left] + sums[right]) / 2 / sums[-1])


def _quantiles(ordered: np.ndarray, weight: np.ndarray, shares: np.ndarray) -> np.ndarray:
    sums = np.cumsum(weight)
    places = np.searchsorted(sums, shares * sums[-1], side="left")
    return np.asarray(ordered[np.minimum(places, len(ordered) - 1)])

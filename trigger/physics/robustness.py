"""What a shift of the inputs does to rates, efficiencies and the figures of each head.

Thresholds stay as they are. Both outputs are of the same events, so differences have intervals of
their own.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from trigger.events.dataset import Events
from trigger.physics import paired
from trigger.physics.metrics import correct, roc, seen_by, separated
from trigger.physics.rates import Estimate, crossings_khz
from trigger.physics.regression import CENTRAL, regression
from trigger.spec.head_tables import Scoring
from trigger.spec.spec import Spec

# The part of the effects that belongs to the OR of all accept bits.
TOTAL = "any of them"


class Outputs(NamedTuple):
    """Outputs on the test events: ``bits`` (events, accept bits), None without a decision, and
    ``scores``, the logits of all heads.
    """

    bits: np.ndarray | None
    scores: np.ndarray


class Effect(NamedTuple):
    """The effect of a shift on one figure: ``nominal``, ``shifted``, and their difference.

    ``of`` is an accept bit if ``accept``, and otherwise a head, "" for the only one. ``figure`` is
    rate_khz, accepted, accuracy, auc, bias or resolution; ``what`` is the class of an accepted
    fraction or an area.
    """

    of: str
    accept: bool
    figure: str
    what: str
    nominal: float
    shifted: float
    change: Estimate


def effects(nominal: Outputs, shifted: Outputs, events: Events, spec: Spec) -> list[Effect]:
    """The effects of one shift, by accept bit, then by head."""
    changes: list[Effect] = []
    if nominal.bits is not None and shifted.bits is not None:
        before, after = nominal.bits.astype(bool), shifted.bits.astype(bool)
        for k, name in enumerate(spec.accept):
            changes += of_bit(name, before[:, k], after[:, k], events, spec)
        if len(spec.accept) > 1:
            changes += of_bit(TOTAL, _any(before), _any(after), events, spec)
    if spec.data.label is not None or spec.heads:
        for head in spec.scoring:
            if head.is_regression:
                changes += of_regression(head, nominal.scores, shifted.scores, events)
            else:
                changes += of_classes(head, nominal.scores, shifted.scores, events, spec)
    return changes


def of_bit(
    name: str, before: np.ndarray, after: np.ndarray, events: Events, spec: Spec
) -> list[Effect]:
    """The effects on an accept bit, from booleans (events,)."""
    rate: list[Effect] = []
    shares = []
    for number, name_of_class in enumerate(spec.data.classes if spec.data.label else ["events"]):
        here = events.y == number
        weight = events.weight[here]
        change = paired.of_fractions(before[here], after[here], weight)
        old, new = (float(np.average(kept[here], weights=weight)) for kept in (before, after))
        shares.append(Effect(name, True, "accepted", name_of_class, old, new, change))
        if name_of_class == spec.physics.zero_bias:
            khz = crossings_khz(spec)
            rate = [Effect(name, True, "rate_khz", "", khz * old, khz * new, change.times(khz))]
    return rate + shares


def _any(kept: np.ndarray) -> np.ndarray:
    return np.asarray(kept.any(axis=1))


def of_classes(
    head: Scoring, before: np.ndarray, after: np.ndarray, events: Events, spec: Spec
) -> Iterator[Effect]:
    """The effects on a head that separates classes, from the logits of all heads."""
    old, seen = seen_by(head, before, events)
    new, _ = seen_by(head, after, events)
    taught = np.isin(seen.y, head.taught)
    if spec.task != "anomaly":
        first, second = (correct(s, seen, head.background)[taught] for s in (old, new))
        weight = seen.weight[taught]
        change = paired.of_fractions(first, second, weight)
        share, other = (float(np.average(right, weights=weight)) for right in (first, second))
        yield Effect(head.name, False, "accuracy", "", share, other, change)
    for number, name in enumerate(head.classes):
        areas = [roc(scores, seen, number, head.background).auc for scores in (old, new)]
        first, signal, weight = separated(old, seen, number, head.background)
        second, _, _ = separated(new, seen, number, head.background)
        change = paired.of_aucs(first, second, signal, weight)
        yield Effect(head.name, False, "auc", name, areas[0], areas[1], change)


def of_regression(
    head: Scoring, before: np.ndarray, after: np.ndarray, events: Events
) -> Iterator[Effect]:
    """The effects on a head of task "regression", from the scores of all heads."""
    totals = [regression(scores, events, head).total for scores in (before, after)]
    _, seen = seen_by(head, before, events)
    residuals = [seen_by(head, scores, events)[0][:, 0] - seen.y for scores in (before, after)]
    ends = np.array([0.5 - CENTRAL / 2, 0.5 + CENTRAL / 2])
    for figure, shares in (("bias", np.array([0.5])), ("resolution", ends)):
        old, new = (getattr(total, figure) for total in totals)
        error = paired.error_of_quantiles(
            residuals[0],
            residuals[1],
            seen.weight,
            shares,
            (lambda q: float(q[0])) if figure == "bias" else (lambda q: float(q[1] - q[0]) / 2),
        )
        change = Estimate(new - old, new - old - error, new - old + error)
        yield Effect(head.name, False, figure, "", old, new, change)

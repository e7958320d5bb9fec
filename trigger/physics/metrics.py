"""Accuracy, ROC curves, AUC and background rejection, with event weights."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from trigger.events.dataset import Events
from trigger.spec.head_tables import Scoring


class Roc(NamedTuple):
    """One class against all others: ``efficiency`` of the class and ``background`` efficiency, both
    rising.
    """

    efficiency: np.ndarray
    background: np.ndarray
    auc: float


class Performance(NamedTuple):
    """``rejection`` is 1 / background efficiency at the given signal efficiency; infinite if no
    background is left.
    """

    accuracy: float | None
    auc: dict[str, float]
    rejection: dict[str, float]


def logits(outputs: np.ndarray, ends: Sequence[tuple[str, int]]) -> np.ndarray:
    """The outputs (events, scores) of a network as logits; ``ends`` has the activation of each
    output, and its number of scores.
    """
    starts = np.cumsum([scores for _, scores in ends])[:-1]
    parts = np.split(outputs.astype(np.float64), starts, axis=1)
    return np.concatenate(
        [_logits(part, head) for part, (head, _) in zip(parts, ends, strict=True)], axis=1
    )


def _logits(outputs: np.ndarray, head: str) -> np.ndarray:
    least = np.finfo(np.float64).tiny
    if head not in ("softmax", "sigmoid"):
        return outputs
    logits: np.ndarray = np.log(np.maximum(outputs, least))
    if outputs.shape[1] == 1:
        logits -= np.log(np.maximum(1 - outputs, least))
    return logits


def seen_by(head: Scoring, scores: np.ndarray, events: Events) -> tuple[np.ndarray, Events]:
    """The scores of a head, out of those of all heads (events, scores), and the events with its
    truth as ``y``; both only for events that have a truth.
    """
    seen, rows = events.of(head)
    return scores[rows, head.places], seen


def mean_auc(scores: np.ndarray, events: Events, head: Scoring) -> float:
    """The area under the ROC curve, averaged over the classes of a head, from the logits of all
    heads.
    """
    own, seen = seen_by(head, scores, events)
    numbers = range(len(head.classes))
    return float(np.mean([roc(own, seen, number, head.background).auc for number in numbers]))


def accuracy_of(scores: np.ndarray, events: Events, head: Scoring) -> float:
    """``accuracy`` on the training classes of a head, from the logits of all heads."""
    own, seen = seen_by(head, scores, events)
    taught = np.isin(seen.y, head.taught)
    return accuracy(own[taught], seen.take(np.flatnonzero(taught)), head.background)


def of_classes(metric: str, scores: np.ndarray, events: Events, heads: Sequence[Scoring]) -> float:
    """The metric "auc" or "accuracy", averaged over the heads that separate classes, from the
    logits of all heads.
    """
    of_head = mean_auc if metric == "auc" else accuracy_of
    separating = [head for head in heads if not head.is_regression]
    return float(np.mean([of_head(scores, events, head) for head in separating]))


def separated(
    scores: np.ndarray, events: Events, number: int, background: Sequence[int] | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The values by which ``roc`` separates a class, which events are of the class, and their
    weights; for the events that it compares.
    """
    from scipy.special import softmax  # slow to import, and most commands do without

    signal = events.y == number
    seen = np.full(len(events.y), True)
    if background is None:
        values = softmax(scores, axis=1)[:, number]
    else:
        values = -scores[:, 0] if number in background else scores[:, 0]
        seen = signal | (np.isin(events.y, background) != (number in background))
    return values[seen], signal[seen], events.weight[seen]


def roc(
    scores: np.ndarray, events: Events, number: int, background: Sequence[int] | None = None
) -> Roc:
    """The ROC curve of one class, from logits, shape (events, outputs).

    With an output per class, it is against all other classes. A single output scores the classes in
    ``background`` low: other classes are compared with those, and each of those with all others,
    with the score negated.
    """
    from sklearn.metrics import roc_curve  # slow to import, and most commands do without

    values, signal, weight = separated(scores, events, number, background)
    share, efficiency, _ = roc_curve(signal, values, sample_weight=weight)
    return Roc(efficiency, share, float(np.trapezoid(efficiency, share)))


def accuracy(scores: np.ndarray, events: Events, background: Sequence[int] | None = None) -> float:
    """The weighted fraction of correctly classified events; a single output above 0 means
    signal.
    """
    return float(np.average(correct(scores, events, background), weights=events.weight))


def correct(
    scores: np.ndarray, events: Events, background: Sequence[int] | None = None
) -> np.ndarray:
    """Which events are correctly classified, as ``accuracy`` counts them."""
    if background is None:
        return np.asarray(scores.argmax(axis=1) == events.y)
    return np.asarray((scores[:, 0] > 0) != np.isin(events.y, background))


def curves_of(scores: np.ndarray, events: Events, head: Scoring) -> dict[str, Roc]:
    """The ROC curve of each class of a head, from the logits of all heads."""
    own, seen = seen_by(head, scores, events)
    return {name: roc(own, seen, k, head.background) for k, name in enumerate(head.classes)}


def performance(
    scores: np.ndarray, events: Events, head: Scoring, signal_efficiency: float
) -> Performance:
    """Accuracy on the training classes of a head, and for each class its AUC and its background
    rejection at the signal efficiency, from the logits of all heads.
    """
    curves = curves_of(scores, events, head)
    rejections = {}
    for name, curve in curves.items():
        share = float(np.interp(signal_efficiency, curve.efficiency, curve.background))
        rejections[name] = 1 / share if share > 0 else float("inf")
    right = accuracy_of(scores, events, head)
    return Performance(right, {name: curve.auc for name, curve in curves.items()}, rejections)

"""Accuracy, ROC curves, AUC and background rejection, with event weights."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import softmax
from sklearn.metrics import roc_curve

from trigger.events.dataset import Events


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


def logits(outputs: np.ndarray, head: str) -> np.ndarray:
    """The outputs (events, outputs) of a network as logits; ``head`` is their activation."""
    outputs = outputs.astype(np.float64)
    least = np.finfo(np.float64).tiny
    if head not in ("softmax", "sigmoid"):
        return outputs
    found: np.ndarray = np.log(np.maximum(outputs, least))
    if outputs.shape[1] == 1:
        found -= np.log(np.maximum(1 - outputs, least))
    return found


def mean_auc(
    scores: np.ndarray, events: Events, classes: int, background: Sequence[int] | None = None
) -> float:
    """The area under the ROC curve, the mean over the classes, from logits."""
    return float(
        np.mean([roc(scores, events, number, background).auc for number in range(classes)])
    )


def roc(
    scores: np.ndarray, events: Events, number: int, background: Sequence[int] | None = None
) -> Roc:
    """The ROC curve of one class, from logits, shape (events, outputs).

    With an output per class, it is against all other classes. A single output scores the classes in
    ``background`` low: other classes are compared with those, and each of those with all others,
    with the score negated.
    """
    signal = events.y == number
    seen = np.full(len(events.y), True)
    if background is None:
        values = softmax(scores, axis=1)[:, number]
    else:
        values = -scores[:, 0] if number in background else scores[:, 0]
        seen = signal | (np.isin(events.y, background) != (number in background))
    signal = signal[seen]
    values = values[seen]
    weight = events.weight[seen]
    share, efficiency, _ = roc_curve(signal, values, sample_weight=weight)
    return Roc(efficiency, share, float(np.trapezoid(efficiency, share)))


def accuracy(scores: np.ndarray, events: Events, background: Sequence[int] | None = None) -> float:
    """The weighted fraction of correctly classified events; a single output above 0 means
    signal.
    """
    right = scores.argmax(axis=1) == events.y
    if background is not None:
        right = (scores[:, 0] > 0) != np.isin(events.y, background)
    return float(np.average(right, weights=events.weight))


def performance(
    scores: np.ndarray,
    events: Events,
    classes: list[str],
    signal_efficiency: float,
    background: Sequence[int] | None = None,
) -> Performance:
    """Accuracy, and for each class its AUC and its background rejection at the signal
    efficiency.
    """
    curves = {name: roc(scores, events, number, background) for number, name in enumerate(classes)}
    rejections = {}
    for name, curve in curves.items():
        share = float(np.interp(signal_efficiency, curve.efficiency, curve.background))
        rejections[name] = 1 / share if share > 0 else float("inf")
    right = accuracy(scores, events, background)
    return Performance(right, {name: curve.auc for name, curve in curves.items()}, rejections)

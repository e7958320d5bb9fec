"""Accuracy, ROC curves, areas under them and background rejections, with event weights."""

from typing import NamedTuple

import numpy as np
from scipy.special import softmax
from sklearn.metrics import roc_auc_score, roc_curve

from trigger.events.dataset import Events


class Roc(NamedTuple):
    """One class against all others: ``efficiency`` of the class and ``background`` efficiency, both rising."""

    efficiency: np.ndarray
    background: np.ndarray
    auc: float


class Performance(NamedTuple):
    """``rejection`` is 1 / background efficiency at the asked signal efficiency; infinite where none is left."""

    accuracy: float
    auc: dict[str, float]
    rejection: dict[str, float]


def logits(outputs: np.ndarray, head: str, scored: int | None = None) -> np.ndarray:
    """A network's outputs, shape (events, outputs), as logits, shape (events, classes).

    ``head`` is the activation they went through. One output alone scores the class ``scored`` of two.
    """
    outputs, least = outputs.astype(np.float64), np.finfo(np.float64).tiny
    if head in ("softmax", "sigmoid"):
        shares = outputs
        outputs = np.log(np.maximum(shares, least))
        if scored is not None:
            outputs -= np.log(np.maximum(1 - shares, least))
    if scored is None:
        return outputs
    both = np.zeros((len(outputs), 2))
    both[:, scored] = outputs[:, 0]
    return both


def mean_auc(scores: np.ndarray, events: Events) -> float:
    """The area under the ROC curve, the mean over the classes, from logits."""
    return float(np.mean([roc(scores, events, number).auc for number in range(scores.shape[1])]))


def roc(scores: np.ndarray, events: Events, number: int) -> Roc:
    """The ROC curve of one class, from logits, shape (events, classes)."""
    signal = events.y == number
    values = softmax(scores, axis=1)[:, number]
    background, efficiency, _ = roc_curve(signal, values, sample_weight=events.weight)
    return Roc(efficiency, background, float(roc_auc_score(signal, values, sample_weight=events.weight)))


def performance(scores: np.ndarray, events: Events, classes: list[str], signal_efficiency: float) -> Performance:
    """Accuracy, and for each class its AUC and the background rejection at the signal efficiency."""
    right = scores.argmax(axis=1) == events.y
    curves = {name: roc(scores, events, number) for number, name in enumerate(classes)}
    rejections = {}
    for name, curve in curves.items():
        background = float(np.interp(signal_efficiency, curve.efficiency, curve.background))
        rejections[name] = 1 / background if background > 0 else float("inf")
    accuracy = float(np.average(right, weights=events.weight))
    return Performance(accuracy, {name: curve.auc for name, curve in curves.items()}, rejections)

"""Training of a network with several heads: its outputs side by side, their truth, and the sum of
their losses.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from trigger.errors import TriggerError
from trigger.events.dataset import Events
from trigger.frontends.networks import head as head_of
from trigger.spec.head_tables import Scoring
from trigger.training.fit import temperature

_LARGEST_TRUTH = 1e15


def joined(model: keras.Model) -> keras.Model:
    """The network with one output: all its scores side by side."""
    flat = [keras.layers.Flatten()(tensor) for tensor in model.outputs]
    together = flat[0] if len(flat) == 1 else keras.layers.Concatenate(name="heads_out")(flat)
    return keras.Model(model.input, together)


def targets(events: Mapping[str, Events], heads: Sequence[Scoring]) -> dict[str, Events]:
    """Events whose ``y`` (events, 2 heads) float32 has the truth and the share of each head.

    The share of an event is 0 where it has no truth for the head. Otherwise it is the inverse of
    the fraction of training events that have one: the loss of a head is then the mean over those.
    """
    fractions = [_fraction(events["train"], head) for head in heads]

    def of(split: Events) -> Events:
        columns = []
        for head, fraction in zip(heads, fractions, strict=True):
            truth, present = _truth(split, head)
            _check_size(head, truth[present])
            columns += [np.where(present, truth, 0.0), present / fraction]
        return split._replace(y=np.stack(columns, axis=1).astype(np.float32))

    return {name: of(split) for name, split in events.items()}


def loss(model: keras.Model, heads: Sequence[Scoring]) -> Callable[[Any, Any], Any]:
    """The weighted sum of the losses of all heads, for ``targets`` and ``joined``."""
    parts = [
        of_head(head, head_of(model, number), temperature(model, number))
        for number, head in enumerate(heads)
    ]

    def value(y_true: Any, y_pred: Any) -> Any:
        total = 0.0
        for number, (head, part) in enumerate(zip(heads, parts, strict=True)):
            assert head.head is not None
            truth, share = y_true[:, 2 * number], y_true[:, 2 * number + 1]
            total += head.head.weight * share * part(truth, y_pred[:, head.places])
        return total

    return value


def _truth(events: Events, head: Scoring) -> tuple[np.ndarray, np.ndarray]:
    """The truth (events,), by what the outputs of the head score, and where there is one."""
    assert head.column is not None and events.truth is not None
    truth = events.truth[:, head.column]
    present = ~np.isnan(truth)
    if head.background is not None:
        truth = (~np.isin(truth, head.background)).astype(np.float64)
    return truth, present


def _check_size(head: Scoring, truth: np.ndarray) -> None:
    """Raise TriggerError for a truth whose squared error float32 cannot hold."""
    largest = np.abs(truth).max(initial=0)
    if largest > _LARGEST_TRUTH:
        raise TriggerError(
            f"heads.{head.name}: its truth reaches {largest:.3g}; give it in a unit in which it is "
            f"at most {_LARGEST_TRUTH:g}"
        )


def _fraction(events: Events, head: Scoring) -> float:
    """The fraction of events that have a truth, by weight."""
    _, present = _truth(events, head)
    return float(np.average(present, weights=events.weight))


def of_head(head: Scoring, activation: str, divisor: float = 1.0) -> Callable[[Any, Any], Any]:
    """The loss of each event, from the truth (events,) and the scores (events, scores) of a head;
    ``activation`` is the function at its end, ``divisor`` the ``temperature`` of its classes.
    """
    if head.head is not None and head.is_regression:
        function = getattr(keras.losses, head.head.loss or "mean_squared_error")
        return lambda y, scores: function(y[:, None], scores)
    if len(head.outputs) == 1:
        from_logits = activation != "sigmoid"
        return lambda y, scores: keras.losses.binary_crossentropy(
            y[:, None], scores / divisor, from_logits=from_logits
        )
    logits = activation != "softmax"
    return lambda y, scores: keras.losses.sparse_categorical_crossentropy(
        ops.cast(y, "int32"), scores / divisor, from_logits=logits
    )

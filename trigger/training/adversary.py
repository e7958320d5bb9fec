"""Training against a nuisance: an adversary tries to find it from the scores, and the gradient that
the network gets from it is reversed.

Y. Ganin and V. Lempitsky, arXiv:1409.7495; G. Louppe, M. Kagan and K. Cranmer, arXiv:1611.01046.
The adversary is discarded after training.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from trigger.errors import TriggerError
from trigger.events.dataset import Events
from trigger.spec.spec import Spec
from trigger.spec.tables import Adversary
from trigger.training.fit import Loss, normalized

_UNITS = (32, 32)
# The number of intervals, with equal numbers of events, one of which the adversary names as the
# nuisance.
_INTERVALS = 10


class Contest(NamedTuple):
    """A network with its adversary, the events with what both learn, and the loss of both."""

    model: keras.Model
    events: dict[str, Events]
    loss: Loss


def seen(events: Mapping[str, Events], spec: Spec) -> dict[str, np.ndarray]:
    """Which events the adversary sees: those of its classes, or all. ``y`` are the classes."""
    assert spec.training.adversary is not None
    names = spec.training.adversary.classes or spec.data.classes
    numbers = [spec.data.classes.index(name) for name in names]
    return {
        name: np.isin(split.y, numbers) if numbers else np.full(len(split.y), True)
        for name, split in events.items()
    }


def contest(
    model: keras.Model,
    events: Mapping[str, Events],
    seen_by_adversary: Mapping[str, np.ndarray],
    loss: Loss,
    spec: Spec,
) -> Contest:
    """The contest of a network of one output; ``loss`` is that of each event without an adversary,
    for the ``y`` of the events.

    Raises TriggerError if the nuisance is the same in nearly all training events.
    """
    adversary = spec.training.adversary
    assert adversary is not None
    train = seen_by_adversary["train"]
    edges = _edges(events["train"], train, adversary)
    intervals = len(edges) + 1

    def with_interval(name: str) -> Events:
        split = events[name]
        assert split.nuisance is not None
        share = seen_by_adversary[name] / train.mean()
        weight = normalized(split.weight)
        columns = [split.y, np.digitize(split.nuisance, edges), share, weight]
        return split._replace(y=np.column_stack(columns).astype(np.float32))

    scores = model.outputs[0]
    x = _Reversed(adversary.strength, name="adversary_reversed")(keras.layers.Flatten()(scores))
    x = keras.layers.BatchNormalization(momentum=0.9, name="adversary_scale")(x)
    for number, units in enumerate(_UNITS):
        x = keras.layers.Dense(units, "relu", name=f"adversary_{number}")(x)
    x = keras.layers.Dense(intervals, name="adversary_out")(x)
    outputs = keras.layers.Concatenate(name="adversary_contest")(
        [keras.layers.Flatten()(scores), x]
    )
    flat = events["train"].y.ndim == 1
    return Contest(
        keras.Model(model.input, outputs),
        {name: with_interval(name) for name in ("train", "validation")},
        _both(loss, adversary.strength, intervals, flat),
    )


def _both(loss: Loss, strength: float, intervals: int, flat: bool) -> Loss:
    """The loss of the network plus ``strength`` times the information, in nats, that the adversary
    has about the nuisance. The adversary itself minimises its cross entropy.

    The information is the mean of a batch, and at least 0: an adversary that is worse than a guess
    has none. Otherwise the epochs with the worst adversaries would be the best ones.
    """

    def value(y_true: Any, y_pred: Any) -> Any:
        own = y_true[:, 0] if flat else y_true[:, :-3]
        learned = loss(own, y_pred[:, :-intervals])
        interval, share, weight = ops.cast(y_true[:, -3], "int32"), y_true[:, -2], y_true[:, -1]
        entropy = share * keras.losses.sparse_categorical_crossentropy(
            interval, y_pred[:, -intervals:], from_logits=True
        )
        information = ops.relu(ops.mean(weight * (share * np.log(intervals) - entropy)))
        # Only the value: the gradient of the network comes through the reversal.
        return learned + entropy + ops.stop_gradient(strength * information - entropy)

    return value


def _edges(events: Events, train: np.ndarray, adversary: Adversary) -> np.ndarray:
    """The inner edges of the intervals of the nuisance."""
    assert events.nuisance is not None
    values = events.nuisance[train]
    inner = np.linspace(0, 1, _INTERVALS + 1)[1:-1]
    edges = np.unique(np.quantile(values, inner))
    edges = edges[edges > values.min()]
    if not len(edges):
        raise TriggerError(
            f"training.adversary: {adversary.nuisance or adversary.shift} is the same in nearly "
            "all training events, so there is nothing to be independent of; name another one, or "
            "remove training.adversary"
        )
    return np.asarray(edges)


class _Reversed(keras.layers.Layer):  # type: ignore[misc]
    """The same values; the gradient is multiplied by minus ``strength``."""

    def __init__(self, strength: float, **options: Any) -> None:
        super().__init__(**options)
        self._strength = strength

    def call(self, x: Any) -> Any:
        return ops.stop_gradient((1 + self._strength) * x) - self._strength * x

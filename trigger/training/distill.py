"""Distillation: training on the outputs of the float network besides the labels
(arXiv:1503.02531).
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from trigger.events.dataset import Events
from trigger.frontends.networks import head
from trigger.training.fit import scores, temperature

# The temperature: softer probabilities give more weight to the wrong classes.
_TEMPERATURE = 2.0
_LEAST = 1e-7


def targets(events: dict[str, Events], teacher: keras.Model, share: float) -> dict[str, Events]:
    """Events whose labels are the true class, the fraction of distillation in the loss, and the
    teacher's logits.

    Validation events have a fraction of 0: epochs are chosen by the labels.
    """

    def of(name: str, split: Events) -> Events:
        shares = np.full(len(split.y), share if name == "train" else 0.0)
        return split._replace(
            y=np.column_stack([split.y, shares, scores(teacher, split.x)]).astype(np.float32)
        )

    return {name: of(name, split) for name, split in events.items()}


def loss(model: keras.Model) -> Callable[[Any, Any], Any]:
    """The weighted sum of the cross entropies with the labels and with the teacher."""
    function = head(model)
    divisor = temperature(model)
    binary = model.outputs[0].shape[-1] == 1

    def two_classes(z: Any) -> Any:
        return ops.concatenate([ops.zeros_like(z), z], axis=-1) if binary else z

    def logits(y: Any) -> Any:
        if function == "linear":
            return y / divisor
        y = ops.clip(y, _LEAST, 1 - _LEAST)
        return ops.log(y) - (ops.log(1 - y) if function == "sigmoid" else 0.0)

    def value(y_true: Any, y_pred: Any) -> Any:
        student = two_classes(logits(y_pred))
        taught = two_classes(y_true[:, 2:])
        true = ops.one_hot(ops.cast(y_true[:, 0], "int32"), student.shape[-1])
        hard = -ops.sum(true * ops.log_softmax(student), axis=-1)
        soft = -ops.sum(
            ops.softmax(taught / _TEMPERATURE) * ops.log_softmax(student / _TEMPERATURE), axis=-1
        )
        share = y_true[:, 1]
        return (1 - share) * hard + share * _TEMPERATURE**2 * soft

    return value

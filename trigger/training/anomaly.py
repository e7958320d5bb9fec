"""Training without signals: the encoder of a variational autoencoder as an anomaly detector.

The anomaly score is the sum of squares of the latent values (``keras.layers.Dot`` of a vector with
itself). A float decoder of mirrored widths learns to reconstruct the inputs from the latent values
plus noise of variance 1. This is a variational autoencoder of fixed variance (arXiv:1312.6114); the
sum of squares is the divergence from the prior in its loss. The decoder is discarded after
training.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from trigger.errors import TriggerError
from trigger.events.dataset import Events
from trigger.frontends import tensors
from trigger.frontends.keras_private import maker
from trigger.training.network import moments

# Inputs are clipped at this many standard deviations from the mean.
_CLIP = 8.0


def autoencoder(scoring: keras.Model) -> keras.Model:
    """The network with a decoder: outputs are the reconstructed inputs and, last, the score.

    Raises TriggerError unless the network ends in the sum of squares of a vector.
    """
    last = maker(scoring.outputs[0])
    if not isinstance(last, keras.layers.Dot) or last.input[0] is not last.input[1]:
        raise TriggerError(
            f"training: an anomaly network must end in keras.layers.Dot(axes=1)([latent, latent]); "
            f"{scoring.name!r} ends in {type(last).__name__} {last.name!r}"
        )
    widths = [layer.units for layer in scoring.layers if isinstance(layer, keras.layers.Dense)][:-1]
    x = keras.layers.GaussianNoise(1.0, name="decoder_noise")(last.input[0])
    for number, units in enumerate(reversed(widths)):
        x = keras.layers.Dense(units, "relu", name=f"decoder_{number}")(x)
    inputs = keras.layers.Dense(tensors.features(scoring), name="decoder_inputs")(x)
    return keras.Model(
        scoring.inputs, keras.layers.Concatenate(name="decoder_out")([inputs, scoring.outputs[0]])
    )


def targets(events: dict[str, Events]) -> dict[str, Events]:
    """Events whose labels are the reconstruction targets: their inputs in standard deviations from
    the mean.
    """
    mean, deviation = moments(events["train"])
    return {
        name: split._replace(
            y=np.clip((split.x - mean) / np.maximum(deviation, 1e-9), -_CLIP, _CLIP).astype(
                np.float32
            )
        )
        for name, split in events.items()
    }


def loss(wanted: np.ndarray, beta: float) -> Callable[[Any, Any], Any]:
    """Half the squared error, and ``beta`` times the divergence of the latent values from the
    prior.

    ``wanted`` (features,) selects the features to reconstruct.
    """
    features = len(wanted)
    share = wanted.astype(np.float32)

    def value(y_true: Any, y_pred: Any) -> Any:
        error = keras.ops.sum(share * keras.ops.square(y_true - y_pred[:, :features]), axis=-1)
        return (error + beta * y_pred[:, features]) / 2

    return value

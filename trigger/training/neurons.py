"""Removal of neurons that cost more than they contribute."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras

from trigger.quantizers import LEAST_FRACTION, LearnedActivation


class Worth(NamedTuple):
    """The measures of a network: its ``loss`` on some events, its ``lut`` and its current
    ``target``.
    """

    loss: Callable[[], float]
    lut: Callable[[], Any]
    target: int


def remove(model: keras.Model, worth: Worth, strength: float) -> int:
    """Remove neurons permanently if the LUTs saved, times ``strength``, outweigh the increase in
    loss.

    Training removes a weight bit by bit if the LUTs of a bit, times the strength, outweigh its
    benefit, but it ignores that removing a neuron also removes its inputs. Here each removal is
    tried and the loss evaluated, until the target is reached. Returns the number of removed
    neurons.
    """
    taken = 0
    lut = float(worth.lut())
    least = worth.loss() + strength * lut
    for quantizer in _elementwise(model):
        fraction = keras.ops.convert_to_numpy(quantizer.fraction)
        for element in (keras.ops.convert_to_numpy(quantizer.width()) > 0).nonzero()[0]:
            if lut <= worth.target:
                break
            tried = fraction.copy()
            tried[element] = LEAST_FRACTION
            quantizer.fraction.assign(tried)
            without = float(worth.lut())
            cost = worth.loss() + strength * without
            if cost < least:
                taken += 1
                least = cost
                lut = without
                fraction = tried
        quantizer.fraction.assign(fraction)
    return taken


def _elementwise(model: keras.Model) -> list[LearnedActivation]:
    """Activations with a width per neuron; those before the first Dense layer are inputs."""
    first = next(
        (k for k, layer in enumerate(model.layers) if isinstance(layer, keras.layers.Dense)), 0
    )
    activations = (getattr(layer, "activation", None) for layer in model.layers[first:])
    return [
        q for q in activations if isinstance(q, LearnedActivation) and q.granularity != "tensor"
    ]

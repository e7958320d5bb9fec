"""Whole neurons that are worth less than what they cost."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras

from trigger.quantizers import LEAST_FRACTION, LearnedActivation


class Worth(NamedTuple):
    """What a network is measured by: its ``loss`` on some events, its ``lut`` and the ``target`` that it is on its way to."""

    loss: Callable[[], float]
    lut: Callable[[], Any]
    target: int


def remove(model: keras.Model, worth: Worth, strength: float) -> int:
    """Take the bits of single neurons away for good, where ``strength`` LUT more than pay for the loss.

    Training takes a weight away bit by bit where a bit's LUT, times the strength, outweigh what it is good for; but it does
    not see that with a neuron all goes that goes into it. Here each is tried, and the loss asked, until the target is
    reached. Returns how many have been taken.
    """
    taken, lut = 0, float(worth.lut())
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
            found = worth.loss() + strength * without
            if found < least:
                taken, least, lut, fraction = taken + 1, found, without, tried
        quantizer.fraction.assign(fraction)
    return taken


def _elementwise(model: keras.Model) -> list[LearnedActivation]:
    """The activations of neurons that have widths of their own; what comes before the first Dense layer are inputs."""
    first = next(
        (k for k, layer in enumerate(model.layers) if isinstance(layer, keras.layers.Dense)), 0
    )
    found = (getattr(layer, "activation", None) for layer in model.layers[first:])
    return [q for q in found if isinstance(q, LearnedActivation) and q.granularity != "tensor"]

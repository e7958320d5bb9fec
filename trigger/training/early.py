"""Checks before the first epoch for problems that no training can remove."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import keras

from trigger.fixedpoint.types import Fixed
from trigger.frontends.inexact import Inexact, Problem
from trigger.frontends.networks import lower

# Layers without a quantiser have this problem for any trained weights.
_NOT_QUANTISED = "the kernel is not quantised"


def check(model: keras.Model, types: Sequence[Fixed]) -> None:
    """Raise Inexact for problems of an untrained network that do not depend on its weights.

    A problem that depends on weights, such as a scale that is not yet a power of two, is left for
    the trained network. The network is restored afterwards.
    """
    with _neutral(model):
        certain = _problems(model, types)
    certain += [p for p in _problems(model, types) if p.reason.startswith(_NOT_QUANTISED)]
    free = {layer.name for layer in model.layers if getattr(layer, "kernel_constraint", None)}
    lasting = [p for p in certain if not (p.layer in free and p.reason.startswith(_NOT_QUANTISED))]
    if lasting:
        order = {layer.name: k for k, layer in enumerate(model.layers)}
        raise Inexact(sorted(set(lasting), key=lambda p: order.get(p.layer, -1)))


def _problems(model: keras.Model, types: Sequence[Fixed]) -> list[Problem]:
    try:
        lower(model, types)
    except Inexact as inexact:
        return list(inexact.problems)
    return []


@contextmanager
def _neutral(model: keras.Model) -> Iterator[None]:
    """Set harmless weights: one bit, also for power-of-two quantisers, and unit normalisations."""
    weights = model.get_weights()
    try:
        for layer in model.layers:
            for part in (layer, getattr(layer, "batchnorm", None)):
                _make_neutral(part)
        yield
    finally:
        model.set_weights(weights)


def _make_neutral(layer: keras.layers.Layer | None) -> None:
    if isinstance(layer, keras.layers.BatchNormalization):
        values = {"gamma": 1.0, "beta": 0.5, "moving_mean": 0.5}
        values["moving_variance"] = 1.0 - layer.epsilon
    else:
        values = {"kernel": 0.5, "bias": 0.5}
    for name, value in values.items():
        variable = getattr(layer, name, None)
        if isinstance(variable, keras.Variable):
            variable.assign(keras.ops.full(variable.shape, value, variable.dtype))

"""Transfer: layers that take the weights of a trained network and keep them; the others learn."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from trigger.errors import TriggerError, quoted
from trigger.frontends.loading import load
from trigger.spec.spec import Spec
from trigger.spec.tables import nearest, pattern

# The ends of the names of options that only training uses.
_OF_TRAINING = ("trainable", "_initializer", "_regularizer", "_constraint")

Weights = dict[str, list[np.ndarray]]


def freeze(model: keras.Model, spec: Spec, folder: Path) -> None:
    """Give the layers of ``training.freeze`` the weights of its network, and freeze them.

    Raises TriggerError if there is no such layer in one of both networks, if the two differ in
    shape or configuration, or if no layer is left to learn.
    """
    asked = spec.training.freeze
    if asked is None:
        return
    path = folder / asked.network
    given = {layer.name: layer for layer in load(path).layers}
    for layer in _frozen(model, asked.layers, str(spec.model.function)):
        source = given.get(layer.name)
        if source is None:
            raise TriggerError(
                f"{path}: has no layer {quoted(layer.name)}{nearest(layer.name, given)}"
            )
        if difference := _difference(source, layer):
            raise TriggerError(
                f"{path}: its layer {quoted(layer.name)} is not that of {spec.model.function}(): "
                f"{difference}; make the layer as it was trained, or name others in "
                f"training.freeze.layers"
            )
        layer.set_weights(source.get_weights())
        layer.trainable = False
    if not model.trainable_weights:
        raise TriggerError(
            "training.freeze.layers: no layer is left to learn; leave out the last one"
        )


def frozen_weights(model: keras.Model, spec: Spec) -> Weights:
    """The weights of the frozen layers by the name of the layer."""
    if spec.training.freeze is None:
        return {}
    return {layer.name: layer.get_weights() for layer in model.layers if not layer.trainable}


def check_frozen(model: keras.Model, before: Weights) -> None:
    """Raise TriggerError if training has changed a frozen layer, as some update statistics."""
    for name, weights in before.items():
        now = model.get_layer(name).get_weights()
        if not all(np.array_equal(a, b) for a, b in zip(weights, now, strict=True)):
            raise TriggerError(
                f"training.freeze.layers: training changes the layer {quoted(name)}, a "
                f"{type(model.get_layer(name)).__name__}, although it is frozen; do not freeze it"
            )


def _frozen(model: keras.Model, patterns: Sequence[str], function: str) -> list[Any]:
    """The layers that the patterns name, in the network's order. Those without weights, such as
    activations, are among them: they make the integers of a frozen body, too.
    """
    names = [layer.name for layer in model.layers if layer.weights]
    for text in patterns:
        if not any(pattern(text).fullmatch(name) for name in names):
            raise TriggerError(
                f"training.freeze.layers: no layer of {function}() with weights is called "
                f"{quoted(text)}; they are {', '.join(names)}"
            )
    return [
        layer
        for layer in _inner(model)
        if any(pattern(text).fullmatch(layer.name) for text in patterns)
    ]


def _difference(source: Any, layer: Any) -> str:
    """What of a layer differs in two networks, or ""."""
    before, now = ([tuple(w.shape) for w in each.weights] for each in (source, layer))
    if before != now:
        return f"weights of the shapes {_listed(before)} against {_listed(now)}"
    if type(source) is not type(layer):
        return f"{type(source).__name__} against {type(layer).__name__}"
    if isinstance(layer, keras.Model):
        return _difference_inside(source, layer)
    configs = _config(source), _config(layer)
    for key, value in configs[0].items():
        if configs[1].get(key) != value:
            return f"{key} differs"
    return ""


def _difference_inside(source: keras.Model, model: keras.Model) -> str:
    """What differs in two networks that are layers of others, or ""."""
    layers = _inner(source), _inner(model)
    names = [", ".join(layer.name for layer in each) for each in layers]
    if names[0] != names[1]:
        return f"layers {names[0]} against {names[1]}"
    for before, now in zip(*layers, strict=True):
        if difference := _difference(before, now):
            return f"of its layer {quoted(now.name)} {difference}"
    return ""


def _inner(model: keras.Model) -> list[Any]:
    """The layers that compute: the names of inputs change with the number of networks made."""
    return [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]


def _config(layer: Any) -> Mapping[str, Any]:
    """The options that a trained layer computes with, as Keras saves them."""
    config = keras.saving.serialize_keras_object(layer)["config"]
    return {key: value for key, value in config.items() if not key.endswith(_OF_TRAINING)}


def _listed(shapes: Sequence[tuple[int, ...]]) -> str:
    return ", ".join(map(str, shapes))

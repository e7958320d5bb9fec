"""Saving a network, with a check that its file is complete."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from trigger.frontends import tensors
from trigger.frontends.inexact import Inexact, Problem
from trigger.frontends.loading import load
from trigger.frontends.nested import nodes
from trigger.frontends.networks import outputs

# Compared layer by layer, to find differences that no output shows.
_PROBED = 2048

_REMEDY = (
    "give your own function or class a name that Keras does not use, and register it with "
    "keras.saving.register_keras_serializable; give a quantiser only options that its "
    "get_config() returns"
)


def save(model: keras.Model, path: Path, x: np.ndarray) -> None:
    """Save a network and load it again; every layer must give the same bits.

    ``x`` are real inputs, shape (events, features). Raises Inexact with the first layer that does
    not, and TriggerError if the file does not load.
    """
    write(model, path)
    again = load(path)
    for (name, before), (_, after) in zip(
        _values(model, x[:_PROBED]), _values(again, x[:_PROBED]), strict=True
    ):
        _check(name, path, before, after)
    _check(model.name, path, outputs(model, x), outputs(again, x))


def write(model: keras.Model, path: Path) -> None:
    """Save a network alone, without the loss of its training: Keras would look for that function
    wherever the file is loaded.
    """
    compiled, model.compiled = model.compiled, False
    try:
        model.save(path)
    finally:
        model.compiled = compiled


def _values(model: keras.Model, x: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """The output of every layer, in the order in which they are computed."""
    uses = nodes(model)
    probe = keras.Model(tensors.alone(model.inputs), [node.outputs[0] for node in uses])
    values: Any = probe(tensors.given(model, x.astype(np.float32)), training=False)
    for node, value in zip(uses, keras.tree.flatten(values), strict=True):
        yield node.operation.name, keras.ops.convert_to_numpy(value).reshape(len(x), -1)


def _check(name: str, path: Path, before: np.ndarray, after: np.ndarray) -> None:
    differs = (before != after) & ~(np.isnan(before) & np.isnan(after))
    if not differs.any():
        return
    event, element = (int(i) for i in np.argwhere(differs)[0])
    values = f"{float(before[event, element])!r} became {float(after[event, element])!r}"
    reason = f"saved in {path.name} and loaded again, the network is different: {values}"
    raise Inexact([Problem(name, reason, _REMEDY)])

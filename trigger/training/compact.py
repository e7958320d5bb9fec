"""A network without the neurons that have no bits, to compute the same in a fraction of the
time.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import keras
import numpy as np
from keras import ops
from qkeras import QActivation, QDense

from trigger.frontends.nested import nodes
from trigger.quantizers import LearnedActivation

# The remaining elements of the input and of the output of a layer.
Kept = tuple[np.ndarray, np.ndarray]


def compact(model: keras.Model) -> tuple[keras.Model, Callable[[], None]]:
    """A smaller network equivalent to ``model``, and a function that copies its weights back to
    ``model``.

    Layers before the first QDense and after the last are shared. If there are layers other than
    QDense, QActivation and ReLU in between, or if layers branch, it is ``model`` itself.
    """
    uses = nodes(model)
    layers = [use.operation for use in uses]
    dense = [k for k, layer in enumerate(layers) if isinstance(layer, QDense)]
    in_a_row = all(len(use.arguments.keras_tensors) == 1 for use in uses) and len(
        {*map(id, layers)}
    ) == len(layers)
    if not dense or not in_a_row or not all(map(_is_elementwise, layers[dense[0] : dense[-1] + 1])):
        return model, lambda: None
    following = dict(pairwise(dense))
    x = model.inputs[0]
    kept = np.arange(layers[dense[0]].kernel.shape[0])
    pairs = []
    for k, layer in enumerate(layers):
        before = kept
        part = layer
        if k in dense:
            kept = _with_bits(layers[k + 1 : following.get(k, k)], layer.units)
        if dense[0] <= k <= dense[-1]:
            part = _part(layer, len(kept))
            part(ops.zeros((1, len(before))))  # makes its weights
        x = part(x)
        if part is not layer:
            pairs += [
                (*both, _places(both[0].shape, (before, kept)))
                for both in zip(layer.weights, part.weights, strict=True)
            ]
    for whole, few, places in pairs:
        few.assign(ops.convert_to_numpy(whole)[places])

    def give_back() -> None:
        for whole, few, places in pairs:
            values = np.array(ops.convert_to_numpy(whole))
            values[places] = ops.convert_to_numpy(few)
            whole.assign(values)

    return keras.Model(model.inputs[0], x), give_back


def _is_elementwise(layer: Any) -> bool:
    """Whether a layer is elementwise, apart from the sums of a QDense."""
    if isinstance(layer, QDense):
        return type(layer) is QDense and layer.activation is keras.activations.linear
    return isinstance(layer, QActivation | keras.layers.ReLU)


def _with_bits(after: list[Any], units: int) -> np.ndarray:
    """The neurons with bits, according to the next layer that defines them; all if none has
    bits.
    """
    activations = (getattr(layer, "activation", None) for layer in after)
    width = next(
        (
            ops.convert_to_numpy(one.width())
            for one in activations
            if isinstance(one, LearnedActivation)
        ),
        np.ones(1),
    )
    return np.flatnonzero(np.broadcast_to(width, units)) if width.any() else np.arange(units)


def _part(layer: Any, units: int) -> Any:
    """A copy of a layer with fewer elements, without weights and widths yet; itself if it has
    none.
    """
    if isinstance(layer, QDense):
        names = ("kernel_quantizer", "bias_quantizer")
        quantizers = {name: _quantizer(getattr(layer, f"{name}_internal")) for name in names}
        return QDense(units, name=layer.name, use_bias=layer.use_bias, **quantizers)
    if isinstance(getattr(layer, "activation", None), LearnedActivation):
        return QActivation(_quantizer(layer.activation), name=layer.name)
    return layer


def _quantizer(whole: Any) -> Any:
    return whole and type(whole).from_config({**whole.get_config(), "fraction": 0, "integer": 0})


def _places(shape: tuple[int, ...], kept: Kept) -> tuple[np.ndarray, ...]:
    """The indices of kept elements in a weight, whose last axis is the layer's output.

    A single element is shared.
    """
    return np.ix_(
        *(
            np.zeros(1, int) if size == 1 else places
            for size, places in zip(shape, kept[-len(shape) :], strict=True)
        )
    )

"""Table layers of HGQ2 before they are tables: where their edges lie, and what each gives for a
value of its input, with a bound on the error of float32.

Each edge is a small network of one quantised input. It is computed in float64.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import hgq.layers
import keras
import numpy as np

from trigger.fixedpoint.types import Integers, Reals
from trigger.frontends import numbered, wiring
from trigger.frontends.addends import is_added_elsewhere
from trigger.frontends.constants import as_numpy
from trigger.frontends.floatx import keras_float64
from trigger.frontends.hgq.reference import in_float64, is_elementwise
from trigger.frontends.hgq_private import axes_of_einsum_table, normalisation_of_table
from trigger.frontends.inexact import Refusal
from trigger.verification.float32 import FUNCTION_ERROR

_H = hgq.layers
_ACTIVATIONS = keras.activations
# One rounding of float32, relative to the value.
_ROUNDOFF = 2.0**-24
# Operations of float32 in a normalisation, and beyond the sum of products in a layer.
_OF_NORMALISATION, _BESIDE_SUM = 8, 2
# Values of a function that test whether it is elementwise.
_PROBES = np.linspace(-4, 4, 32)


class Edges(NamedTuple):
    """The edges of a layer, (positions, inputs, outputs): the element that each reads, by number,
    or -1 for zero.

    HGQ2 has them in the ``shape``, which ``axes`` bring into that order; ``order`` is that of the
    elements (positions, outputs) in the layer's output.
    """

    elements: Integers
    shape: tuple[int, ...]
    axes: tuple[int, ...]
    order: Integers

    def arranged(self, of_shape: np.ndarray) -> np.ndarray:
        """Values (…, *shape) as (…, positions, inputs, outputs)."""
        more = of_shape.ndim - len(self.shape)
        axes = (*range(more), *(more + axis for axis in self.axes))
        moved = of_shape.transpose(axes)
        return moved.reshape(*of_shape.shape[:more], *self.elements.shape)


class Values(NamedTuple):
    """Real numbers, and a bound on how far those of float32 are from them."""

    value: Reals
    error: Reals


def edges_of(layer: Any, shape: tuple[int, ...]) -> Edges:
    """The edges of a layer whose input has this shape. Raises Refusal if it mixes events."""
    if isinstance(layer, _H.QEinsumDenseT):
        return _of_einsum(layer, shape)
    read = wiring.numbers_of(shape)
    if isinstance(layer, _H.QConvT1D | _H.QConvT2D):
        read = _patches(layer, shape)
    whole = (*read.shape, layer.n_out)
    elements = np.broadcast_to(read[..., None], whole).reshape(-1, *whole[-2:])
    order = wiring.numbers_of((len(elements), layer.n_out))
    return Edges(elements, whole, tuple(range(len(whole))), order)


def _patches(layer: Any, shape: tuple[int, ...]) -> Integers:
    """The elements that each position of a convolution reads: (…, inputs)."""

    def patches(parts: list[np.ndarray]) -> list[np.ndarray]:
        images = parts[0].astype(np.float64)
        if layer.rank == 1:
            images = images[:, :, None]
        with keras_float64():
            made = keras.ops.image.extract_patches(images, **layer.im2col_params)
        numbers = np.rint(keras.ops.convert_to_numpy(made))
        return [numbers[:, :, 0] if layer.rank == 1 else numbers]

    return numbered.moved([shape], patches)[0]


def _of_einsum(layer: Any, shape: tuple[int, ...]) -> Edges:
    whole, summed, order = axes_of_einsum_table(layer)
    if 0 in summed or order[0] != 0:
        raise numbered.mixed()
    edges = tuple(int(size or 0) for size in whole[1:])
    kept = [axis for axis in range(len(shape)) if axis + 1 not in summed]
    ends = [axis - 1 for axis in summed]
    new = list(range(len(shape), len(edges)))
    read = wiring.numbers_of(shape).reshape(*shape, *(1 for _ in new))
    sizes = [edges[axis] for axis in (*kept, *new)]
    outputs = wiring.numbers_of(tuple(sizes)).transpose([axis - 1 for axis in order[1:]])
    groups = [math.prod(edges[axis] for axis in part) for part in (kept, ends, new)]
    axes = (*kept, *ends, *new)
    elements = np.broadcast_to(read, edges).transpose(axes).reshape(groups)
    return Edges(elements, edges, axes, outputs)


def check_edges(layer: Any, shape: tuple[int, ...]) -> None:
    """Refuse edges of this shape that HGQ2 cannot call, whose function is more than one of single
    values, or whose biases Keras adds elsewhere.
    """
    first = layer.module.layers[0].kernel.shape
    if layer.n_hl and first[-2] != 1:
        raise Refusal(
            f"{type(layer).__name__} of HGQ2 0.2.0 makes edges that read {first[-2]} values and "
            "gives them one, so it cannot be called",
            "use d_hl=1 or n_hl=0, or QDenseT",
        )
    function = layer.subnn_activation
    if isinstance(function, keras.layers.Layer):
        raise Refusal(
            f"its subnn_activation is a layer, {type(function).__name__}",
            'use a function, such as "tanh"',
        )
    known = function in (_ACTIVATIONS.tanh, *_EXACT)
    if not known and not is_elementwise(function, (layer.d_hl,), _PROBES):
        raise Refusal("its subnn_activation is not elementwise", "use an elementwise function")
    *hidden, last = layer.module.layers
    values = [*((part, (*shape, layer.d_hl)) for part in hidden), (last, shape)]
    biases = [(part.bias.shape, whole) for part, whole in values if part.bias is not None]
    if any(is_added_elsewhere(*each) for each in biases):
        raise Refusal(
            f"Keras on {keras.backend.backend()} adds the biases of its edges, of the shape "
            f"{shape}, along the first axis of the input",
            "use another number of outputs, or of positions, or use_bias=False",
        )


def evaluate(layer: Any, x: Reals) -> Values:
    """What the edges give for inputs (events, *shape of the edges), before they are quantised."""
    found = Values(x[..., None], np.zeros_like(x)[..., None])
    for part in layer.module.layers:
        found = _applied(part.activation, _sums(part, found))
    normalisation = normalisation_of_table(layer)
    if normalisation is not None:
        scale, offset, mean, variance = map(as_numpy, normalisation[:4])
        scale = scale / np.sqrt(variance + normalisation.epsilon)
        size = np.abs(found.value * scale) + np.abs(offset) + np.abs(mean * scale)
        error = np.abs(scale) * found.error + _OF_NORMALISATION * _ROUNDOFF * size
        value = found.value * scale + (offset - mean * scale)
        found = Values(value / math.sqrt(layer.n_in), error / math.sqrt(layer.n_in))
    wrong = x[~np.isfinite(found.value)]
    if wrong.size:
        raise Refusal(
            f"one of its tables has no finite value at {wrong[0]:g}",
            "retrain the network with a lower learning rate, or use another subnn_activation",
        )
    return found


def _sums(part: keras.layers.EinsumDense, x: Values) -> Values:
    """The products with a kernel, and their sums."""
    kernel = as_numpy(part.kernel)
    bias = 0.0 if part.bias is None else as_numpy(part.bias)

    def of(values: Reals, factors: Reals) -> Reals:
        sums: Reals = np.einsum(part.equation, values, factors)
        return sums

    size = of(np.abs(x.value), np.abs(kernel)) + np.abs(bias)
    operations = x.value.shape[-1] + _BESIDE_SUM
    error = of(x.error, np.abs(kernel)) + operations * _ROUNDOFF * size
    return Values(of(x.value, kernel) + bias, error)


_EXACT = (_ACTIVATIONS.linear, _ACTIVATIONS.relu)


def _applied(function: Callable[[Any], Any], x: Values) -> Values:
    """A function, whose argument's error moves it by as much as it moves between the two ends."""
    if function is _ACTIVATIONS.linear:
        return x
    low, value, high = (_asked(function, x.value + by * x.error) for by in (-1, 0, 1))
    error = np.maximum(np.abs(high - value), np.abs(value - low))
    if function not in _EXACT:
        # An exact zero of the tangent has no error; other functions may cancel.
        size = np.abs(value)
        if function is not _ACTIVATIONS.tanh:
            size = np.maximum(np.maximum(size, np.abs(x.value)), 1)
        error = error + FUNCTION_ERROR * size
    return Values(value, error)


def _asked(function: Callable[[Any], Any], x: Reals) -> Reals:
    with keras_float64():
        y: Reals = keras.ops.convert_to_numpy(function(keras.ops.convert_to_tensor(x, "float64")))
    return y


def quantised(layer: Any, y: Reals) -> Reals:
    """The quantiser of the edges, in float64, for values (events, *shape of the edges)."""
    with keras_float64():
        quantizer = in_float64(layer.toq, (None, *y.shape[1:]))
        made = quantizer(keras.ops.convert_to_tensor(y, "float64"))
        values: Reals = keras.ops.convert_to_numpy(made)
    return values

"""Random networks of every kind of layer, from a seed: tensors, tables, steps, several inputs and outputs."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import qkeras
from battery import randomize
from keras import layers, ops
from qkeras import QActivation
from random_networks import ACTIVATIONS, KERNELS

# No value has more elements: a network of the campaign is compiled in seconds.
MOST = 48
TABLES = ("gelu", "silu", "elu", "softplus", "selu", "softsign", "mish", "sigmoid", "tanh")


def random_layers(seed: int) -> keras.Model:
    """One to three inputs, two to five layers on each, what joins them, and one or two outputs."""
    draw = _Draw(seed)
    inputs: list[Any] = []
    values: list[Any] = []
    for _ in range(draw.one_of((1, 1, 2, 3))):
        first, value = draw.one_of((_vector, _sequence, _image, _indices))(draw)
        for _ in range(draw.rng.integers(1, 4)):
            value = draw.layer(value)
        inputs.append(first)
        values.append(layers.Flatten()(value) if len(value.shape) > 2 else value)
    joined = layers.Concatenate()(values) if len(values) > 1 else values[0]
    for _ in range(draw.rng.integers(0, 2)):
        joined = draw.layer(joined)
    joined = layers.Flatten()(joined) if len(joined.shape) > 2 else joined
    heads: Any = [
        draw.dense(joined, int(draw.rng.integers(1, 4))) for _ in range(draw.one_of((1, 1, 2)))
    ]
    if draw.rng.random() < 0.25:
        heads = dict(zip("ba", heads, strict=False))
    elif len(heads) == 1:
        (heads,) = heads
    model = randomize(keras.Model(inputs if len(inputs) > 1 else inputs[0], heads), seed)
    for layer in model.layers:
        if isinstance(layer, layers.Embedding | layers.PReLU):
            layer.set_weights([np.rint(w * 16) / 16 for w in layer.get_weights()])
    return model


class _Draw:
    """What is drawn from a seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def one_of(self, choices: Any) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def text(self, templates: Any) -> str:
        return self.one_of(templates).format(b=self.rng.integers(2, 7), i=self.rng.integers(0, 3))

    def quantised(self, x: Any) -> Any:
        return QActivation(self.text(ACTIVATIONS))(x)

    def first(self, shape: tuple[int, ...]) -> tuple[Any, Any]:
        """An input and its quantised value."""
        inputs = keras.Input(shape)
        bits = self.rng.integers(3, 8)
        return inputs, QActivation(f"quantized_bits({bits},{self.rng.integers(0, 4)},alpha=1)")(
            inputs
        )

    def weights(self, *parts: str) -> dict[str, str]:
        return {f"{part}_quantizer": self.text(KERNELS) for part in parts}

    def dense(self, x: Any, units: int) -> Any:
        return qkeras.QDense(units, **self.weights("kernel", "bias"))(x)

    def layer(self, x: Any) -> Any:
        """One layer more, its values quantised if they grow."""
        choices = _BY_RANK[len(x.shape) - 1]
        made = self.one_of(choices)(self, x)
        return made if np.prod(made.shape[1:]) <= MOST else x


def _vector(draw: _Draw) -> tuple[Any, Any]:
    return draw.first((int(draw.rng.integers(2, 7)),))


def _sequence(draw: _Draw) -> tuple[Any, Any]:
    return draw.first((int(draw.rng.integers(2, 6)), int(draw.rng.integers(1, 4))))


def _image(draw: _Draw) -> tuple[Any, Any]:
    height, width = draw.rng.integers(3, 5, 2)
    return draw.first((int(height), int(width), int(draw.rng.integers(1, 3))))


def _indices(draw: _Draw) -> tuple[Any, Any]:
    """Indices, and their rows of a table."""
    bits = int(draw.rng.integers(1, 5))
    inputs = keras.Input((int(draw.rng.integers(1, 5)),))
    x = QActivation(f"quantized_relu({bits},{bits})")(inputs)
    return inputs, layers.Embedding(2**bits, int(draw.rng.integers(1, 4)))(x)


def _dense(draw: _Draw, x: Any) -> Any:
    return draw.quantised(draw.dense(x, int(draw.rng.integers(1, 6))))


def _normalised(draw: _Draw, x: Any) -> Any:
    return draw.quantised(layers.BatchNormalization()(x))


def _table(draw: _Draw, x: Any) -> Any:
    narrow = QActivation(f"quantized_bits({draw.rng.integers(3, 8)},2,alpha=1)")(x)
    return draw.quantised(layers.Activation(draw.one_of(TABLES))(narrow))


def _slopes(draw: _Draw, x: Any) -> Any:
    kinds = (layers.PReLU, lambda: layers.LeakyReLU(negative_slope=0.25), lambda: layers.ReLU(4.0))
    return draw.quantised(draw.one_of(kinds)()(x))


def _merged(draw: _Draw, x: Any) -> Any:
    """A value with itself, quantised in another way."""
    kinds = (
        layers.Add,
        layers.Subtract,
        layers.Multiply,
        layers.Maximum,
        layers.Minimum,
        layers.Average,
        layers.Concatenate,
    )
    return draw.quantised(draw.one_of(kinds)()([x, draw.quantised(x)]))


def _operators(draw: _Draw, x: Any) -> Any:
    y = draw.quantised(x)
    forms: tuple[Callable[[], Any], ...] = (
        lambda: 2 * x - y + 0.25,
        lambda: ops.abs(x) - ops.maximum(y, 0.5),
        lambda: ops.where(x > y, x, -y),
        lambda: ops.where(x >= 0.5, 1.0, y),
        lambda: ops.clip(x * y, -1, 2),
        lambda: ops.square(x) / 4,
        lambda: x - ops.sum(y, axis=-1, keepdims=True),
        lambda: ops.flip(x, axis=-1) + ops.max(y, axis=-1, keepdims=True),
    )
    return draw.quantised(draw.one_of(forms)())


def _average(draw: _Draw, x: Any) -> Any:
    return draw.quantised(ops.mean(x, axis=int(draw.rng.integers(1, len(x.shape)))))


def _twice(draw: _Draw, x: Any) -> Any:
    """A network inside the network, at two places."""
    inner = keras.Input(x.shape[1:])
    last = draw.quantised(draw.dense(inner, int(x.shape[-1])))
    model = keras.Model(inner, draw.quantised(last + inner) if draw.rng.random() < 0.5 else last)
    return draw.quantised(model(x) - model(draw.quantised(model(x))))


def _folded(draw: _Draw, x: Any) -> Any:
    units = int(draw.rng.integers(1, 4))
    return draw.quantised(qkeras.QDenseBatchnorm(units, **draw.weights("kernel", "bias"))(x))


def _repeated(draw: _Draw, x: Any) -> Any:
    return layers.RepeatVector(int(draw.rng.integers(1, 4)))(x)


def _reshaped(draw: _Draw, x: Any) -> Any:
    return layers.Reshape((x.shape[1], 1))(x)


def _flat(draw: _Draw, x: Any) -> Any:
    return layers.Flatten()(x)


def _moved(draw: _Draw, x: Any) -> Any:
    kinds: tuple[Callable[[], Any], ...] = (
        lambda: layers.Permute((2, 1)),
        lambda: layers.ZeroPadding1D((1, 0)),
        lambda: layers.UpSampling1D(2),
        lambda: layers.Cropping1D((x.shape[1] > 1, 0)),
        lambda: layers.Reshape((-1, x.shape[1])),
    )
    return draw.one_of(kinds)()(x)


def _convolution(draw: _Draw, x: Any) -> Any:
    size = int(draw.rng.integers(1, min(3, x.shape[1]) + 1))
    padding = draw.one_of(("valid", "same"))
    options = {"padding": padding, "strides": int(draw.rng.integers(1, 3))}
    return draw.quantised(
        qkeras.QConv1D(
            int(draw.rng.integers(1, 4)), size, **options, **draw.weights("kernel", "bias")
        )(x)
    )


def _odd_convolution(draw: _Draw, x: Any) -> Any:
    """Dilated, in groups, or separable."""
    size = int(draw.rng.integers(1, min(3, x.shape[1]) + 1))
    groups = int(draw.one_of([n for n in (1, 2, 3) if x.shape[2] % n == 0]))
    filters = groups * int(draw.rng.integers(1, 3))
    both = draw.weights("kernel", "bias")
    apart = draw.weights("depthwise", "pointwise", "bias")
    spread = int(draw.rng.integers(1, 3)) if (size - 1) * 2 < x.shape[1] else 1
    kinds: tuple[Callable[[], Any], ...] = (
        lambda: qkeras.QConv1D(filters, size, dilation_rate=spread, padding="same", **both),
        lambda: qkeras.QConv1D(filters, size, dilation_rate=spread, **both),
        lambda: qkeras.QConv1D(filters, size, groups=groups, **both),
        lambda: qkeras.QSeparableConv1D(filters, size, padding="same", **apart),
    )
    return draw.quantised(draw.one_of(kinds)()(x))


def _recurrent(draw: _Draw, x: Any) -> Any:
    kind = draw.one_of((qkeras.QSimpleRNN, qkeras.QGRU, qkeras.QLSTM))
    bits = draw.rng.integers(2, 6)
    options: dict[str, Any] = {"activation": f"quantized_tanh({bits})"}
    if kind is not qkeras.QSimpleRNN:
        options["recurrent_activation"] = f"quantized_sigmoid({bits})"
    if kind is qkeras.QGRU:
        options["reset_after"] = bool(draw.rng.integers(2))
    options |= draw.weights("kernel", "recurrent", "bias")
    options["state_quantizer"] = f"quantized_bits({bits + 1},1,alpha=1)"
    options["return_sequences"] = bool(draw.rng.integers(2))
    options["go_backwards"] = bool(draw.rng.integers(2))
    layer = kind(int(draw.rng.integers(1, 3)), **options)
    if draw.rng.random() < 0.25:
        options["go_backwards"] = False
        layer = layers.Bidirectional(
            kind(int(draw.rng.integers(1, 3)), **options),
            merge_mode=draw.one_of(("concat", "sum", "mul", "ave")),
        )
    return draw.quantised(layer(x))


def _pooled(draw: _Draw, x: Any) -> Any:
    size = int(draw.rng.integers(1, min(3, x.shape[1]) + 1))
    kinds: tuple[Callable[[], Any], ...] = (
        lambda: layers.MaxPooling1D(size, padding=draw.one_of(("valid", "same"))),
        lambda: layers.AveragePooling1D(size),
        layers.GlobalMaxPooling1D,
        layers.GlobalAveragePooling1D,
    )
    return draw.quantised(draw.one_of(kinds)()(x))


def _products(draw: _Draw, x: Any) -> Any:
    y = draw.quantised(x)
    forms: tuple[Callable[[], Any], ...] = (
        lambda: x @ ops.transpose(y, (0, 2, 1)),
        lambda: ops.einsum("eij,eik->ejk", x, y),
        lambda: layers.Dot((1, 1))([x, y]),
        lambda: ops.matmul(x, np.ones((x.shape[2], 2))),
    )
    return draw.quantised(draw.one_of(forms)())


def _over_time(draw: _Draw, x: Any) -> Any:
    inner = qkeras.QDense(int(draw.rng.integers(1, 4)), **draw.weights("kernel", "bias"))
    return draw.quantised(layers.TimeDistributed(inner)(x))


def _plane(draw: _Draw, x: Any) -> Any:
    size = int(draw.rng.integers(1, min(3, *x.shape[1:3]) + 1))
    options = {"padding": draw.one_of(("valid", "same")), "strides": int(draw.rng.integers(1, 3))}
    filters = int(draw.rng.integers(1, 4))
    kinds: tuple[Callable[[], Any], ...] = (
        lambda: qkeras.QConv2D(filters, size, **options, **draw.weights("kernel", "bias")),
        lambda: qkeras.QDepthwiseConv2D(size, **options, **draw.weights("depthwise", "bias")),
        lambda: qkeras.QSeparableConv2D(
            filters, size, **options, **draw.weights("depthwise", "pointwise", "bias")
        ),
    )
    return draw.quantised(draw.one_of(kinds)()(x))


def _odd_plane(draw: _Draw, x: Any) -> Any:
    """Dilated, in groups, folded with a normalisation, or with a kernel that is no square."""
    height, width = (int(draw.rng.integers(1, min(3, side) + 1)) for side in x.shape[1:3])
    groups = int(draw.one_of([n for n in (1, 2) if x.shape[3] % n == 0]))
    filters = groups * int(draw.rng.integers(1, 3))
    padding = draw.one_of(("valid", "same"))
    both = draw.weights("kernel", "bias")
    deep = draw.weights("depthwise", "bias")
    strides = tuple(int(step) for step in draw.rng.integers(1, 3, 2))
    size = (height, width)
    kinds: tuple[Callable[[], Any], ...] = (
        lambda: qkeras.QConv2D(filters, size, strides=strides, padding=padding, **both),
        lambda: qkeras.QConv2D(filters, size, groups=groups, padding=padding, **both),
        lambda: qkeras.QConv2D(filters, (2, 1), dilation_rate=2, padding="same", **both),
        lambda: qkeras.QConv2DBatchnorm(filters, size, padding=padding, **both),
        lambda: qkeras.QDepthwiseConv2D(size, depth_multiplier=2, padding=padding, **deep),
        lambda: qkeras.QDepthwiseConv2DBatchnorm(size, padding=padding, **deep),
    )
    return draw.quantised(draw.one_of(kinds)()(x))


def _moved_plane(draw: _Draw, x: Any) -> Any:
    forms = ("channels_last", "channels_first")
    kinds: tuple[Callable[[], Any], ...] = (
        lambda: layers.Permute(draw.one_of(((2, 1, 3), (3, 1, 2), (1, 3, 2)))),
        lambda: layers.ZeroPadding2D(((1, 0), (0, 1)), data_format=draw.one_of(forms)),
        lambda: layers.Cropping2D(((1, 0), (0, x.shape[2] > 1))),
        lambda: layers.UpSampling2D((1, 2), data_format=draw.one_of(forms)),
        lambda: layers.Flatten(data_format=draw.one_of(forms)),
    )
    return draw.one_of(kinds)()(x)


def _pooled_plane(draw: _Draw, x: Any) -> Any:
    size = tuple(int(draw.rng.integers(1, min(3, side) + 1)) for side in x.shape[1:3])
    kinds: tuple[Callable[[], Any], ...] = (
        lambda: layers.MaxPooling2D(size),
        lambda: layers.AveragePooling2D(size),
        layers.GlobalMaxPooling2D,
        layers.GlobalAveragePooling2D,
        lambda: qkeras.QAveragePooling2D(size, average_quantizer="quantized_bits(8,0,alpha=1)"),
    )
    return draw.quantised(draw.one_of(kinds)()(x))


def _rows(draw: _Draw, x: Any) -> Any:
    return layers.Reshape((x.shape[1], x.shape[2] * x.shape[3]))(x)


_ANY = (_dense, _table, _slopes, _merged, _operators, _average, _twice)
# What is drawn for a value of this rank, without its events.
_BY_RANK: dict[int, tuple[Callable[[_Draw, Any], Any], ...]] = {
    1: (
        *(_dense, _table, _slopes, _merged, _operators, _normalised, _reshaped),
        *(_twice, _folded, _repeated),
    ),
    2: (
        *(*_ANY, _moved, _convolution, _odd_convolution, _recurrent, _recurrent, _pooled),
        *(_products, _over_time, _flat),
    ),
    3: (*_ANY, _plane, _odd_plane, _odd_plane, _moved_plane, _pooled_plane, _rows, _flat),
}

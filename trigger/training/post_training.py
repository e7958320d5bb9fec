"""Post-training quantisation: a float Keras network as the QKeras network of so many bits that is closest to it.

Every weight and every value between two Dense layers gets the same number of bits; where the binary point stands is found
tensor by tensor, as the place that costs the least squared error on the weights or on a sample of events.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import qkeras

from trigger.errors import TriggerError
from trigger.events.dataset import Events
from trigger.frontends import freeze
from trigger.frontends.activations import name_of
from trigger.frontends.networks import is_float
from trigger.frontends.walk import nodes
from trigger.physics.metrics import mean_auc
from trigger.progress import progress
from trigger.spec import Spec
from trigger.training.fit import scores

WIDTHS = range(2, 17)
_CALIBRATION_EVENTS = 10_000

# More integer bits than the largest value needs are of no use, and many fewer clip too much.
_FEWER = 4
# Biases are added once a neuron: their bits are nearly free.
_BIAS_BITS = 16
_BOUNDED = {
    "tanh": "quantized_tanh({bits},use_real_tanh=1)",
    "sigmoid": "quantized_sigmoid({bits},use_real_sigmoid=1)",
}
# These keep the order of the scores: at the end of the network they are left out.
_HEADS = ("linear", "sigmoid", "tanh", "hard_sigmoid")
# Of the values that go into a table.
_TABLE_BITS = 12


class _Value(NamedTuple):
    """A tensor of the quantised network, what the float network holds there, and whether it is yet to be quantised."""

    tensor: Any
    observed: np.ndarray
    wide: bool


class _Use(NamedTuple):
    """One use of a layer: what it is called in the quantised network, what it reads, and what the float one gives there."""

    layer: Any
    name: str
    before: list[_Value]
    after: np.ndarray
    is_head: bool


class Row(NamedTuple):
    """What a width costs: the AUC on the validation events, the mean over the classes; ``loss`` against the float network."""

    bits: int
    auc: float
    loss: float


class Choice(NamedTuple):
    """The quantised network, its bits, and the table that they were chosen from; empty where there are no labels."""

    network: keras.Model
    bits: int
    rows: tuple[Row, ...]


def choose(model: keras.Model, events: Mapping[str, Events], spec: Spec) -> Choice:
    """The network quantised as trigger.toml asks, calibrated on training events.

    Raises TriggerError where no width is good enough.
    """
    wanted = spec.quantization
    assert wanted is not None
    sample, seen = events["train"].x[:_CALIBRATION_EVENTS], events["validation"]

    def auc(network: keras.Model) -> float:
        return mean_auc(scores(network, seen.x), seen, len(spec.data.classes), spec.background)

    rows = []
    if spec.data.label is not None:
        best = auc(model)
        with progress("quantising", len(WIDTHS), "widths") as done:
            for bits in WIDTHS:
                found = auc(quantise(model, sample, bits))
                rows.append(Row(bits, found, best - found))
                done(1)
    if wanted.bits is not None:
        bits = wanted.bits
    else:
        good = [row.bits for row in rows if row.loss <= (wanted.max_auc_loss or 0)]
        if not good:
            nearest = min(rows, key=lambda row: row.loss)
            raise TriggerError(
                f"quantization: no width up to {WIDTHS[-1]} bits loses at most {wanted.max_auc_loss:g} of AUC; "
                f"{nearest.bits} bits lose {nearest.loss:.2g}; raise max_auc_loss, or train with QKeras quantisers"
            )
        bits = good[0]
    return Choice(quantise(model, sample, bits), bits, tuple(rows))


def quantise(model: keras.Model, x: np.ndarray, bits: int) -> keras.Model:
    """The network in QKeras layers of ``bits`` bits, calibrated on ``x``, float of shape (events, features).

    A BatchNormalization behind a linear Dense is folded into it; any other keeps a scale of ``bits`` significant bits for
    each element. A sigmoid or tanh at the end is left out, which does not change the order of the scores. Raises TriggerError
    for a network that is quantised already, or an activation that has no quantised form.
    """
    if not is_float(model):
        raise TriggerError(
            "quantization: the network has layers of QKeras and is quantised already; remove [quantization]"
        )
    uses = nodes(model)
    probe = keras.Model(model.inputs[0], [node.outputs[0] for node in uses])
    found = probe(x.astype(np.float32).reshape(len(x), *model.inputs[0].shape[1:]), training=False)
    folded = _folded(uses)
    inputs = keras.Input(tuple(model.inputs[0].shape[1:]), name=model.inputs[0].name)
    values = {id(model.inputs[0]): _Value(inputs, x, wide=False)}
    taken: Counter[str] = Counter()
    for node, y in zip(uses, found, strict=True):
        output, layer = node.outputs[0], node.operation
        taken[layer.name] += 1
        name = layer.name if taken[layer.name] == 1 else f"{layer.name}_{taken[layer.name]}"
        before = [values[id(tensor)] for tensor in node.arguments.keras_tensors]
        use = _Use(layer, name, before, keras.ops.convert_to_numpy(y), output is model.outputs[0])
        made, wide = _replacement(use, bits, folded)
        tensor: Any = [value.tensor for value in before] if len(before) > 1 else before[0].tensor
        for new in made:
            tensor = new(tensor)
        values[id(output)] = _Value(tensor, use.after, wide)
    return keras.Model(inputs, values[id(model.outputs[0])].tensor, name=model.name)


def _folded(uses: list[Any]) -> dict[str, keras.layers.BatchNormalization]:
    """The normalisation behind each linear Dense layer that nothing else reads, by the name of the Dense layer."""
    found = {}
    for node in uses:
        if isinstance(node.operation, keras.layers.BatchNormalization):
            before = node.arguments.keras_tensors[0]._keras_history.operation
            readers = [
                n
                for n in uses
                if any(t._keras_history.operation is before for t in n.arguments.keras_tensors)
            ]
            if (
                isinstance(before, keras.layers.Dense)
                and name_of(before.activation) == "linear"
                and len(readers) == 1
            ):
                found[before.name] = node.operation
    return found


def _replacement(
    use: _Use, bits: int, folded: dict[str, Any]
) -> tuple[list[keras.layers.Layer], bool]:
    """The layers that stand for one of the float network, and whether what they give is yet to be quantised."""
    layer, wide = use.layer, any(value.wide for value in use.before)
    if isinstance(layer, keras.layers.Dense):
        kernel, bias = _weights(layer)
        first = [_rounded(use.before[0].observed, bits, f"{use.name}_input")] if wide else []
        activation, still_wide = _activation(use, use.before[0].observed @ kernel + bias, bits)
        return [*first, _dense(use, folded.get(layer.name), bits), *activation], still_wide
    if any(layer is normalization for normalization in folded.values()):
        return [], True
    if isinstance(layer, keras.layers.BatchNormalization | keras.layers.Normalization):
        return [_affine(use, bits)], True
    if isinstance(layer, keras.layers.Activation | keras.layers.ReLU | keras.layers.LeakyReLU):
        return _activation(use, use.before[0].observed, bits)
    same = type(layer).from_config({**layer.get_config(), "name": use.name})
    return [same], wide or isinstance(layer, keras.layers.Add)


def _dense(use: _Use, normalization: Any, bits: int) -> keras.layers.Layer:
    kernel, bias = _weights(use.layer)
    if normalization is not None:
        scale, offset = freeze.batch_normalization(normalization)
        kernel, bias = kernel * scale, bias * scale + offset
    quantised = qkeras.QDense(
        use.layer.units,
        kernel_quantizer=_quantizer(kernel, bits),
        bias_quantizer=_quantizer(bias, max(bits, _BIAS_BITS)),
        name=use.name,
    )
    quantised.build((None, len(kernel)))
    quantised.set_weights([kernel, bias])
    return quantised


def _weights(layer: keras.layers.Dense) -> tuple[np.ndarray, np.ndarray]:
    kernel = keras.ops.convert_to_numpy(layer.kernel).astype(np.float64)
    return kernel, keras.ops.convert_to_numpy(layer.bias).astype(
        np.float64
    ) if layer.use_bias else np.zeros(layer.units)


def _affine(use: _Use, bits: int) -> keras.layers.Layer:
    """x * scale + offset as a BatchNormalization with nothing to divide by."""
    layer = use.layer
    if isinstance(layer, keras.layers.Normalization):
        deviation = np.maximum(
            np.sqrt(keras.ops.convert_to_numpy(layer.variance).ravel()), keras.config.epsilon()
        )
        scale, offset = 1 / deviation, -keras.ops.convert_to_numpy(layer.mean).ravel() / deviation
    else:
        scale, offset = freeze.batch_normalization(layer)
    normalization = keras.layers.BatchNormalization(epsilon=0, name=use.name)
    normalization.build((None, len(scale)))
    values = (
        _significant(scale, bits),
        _significant(offset, bits),
        np.zeros_like(scale),
        np.ones_like(scale),
    )
    normalization.set_weights(values)
    return normalization


def _significant(values: np.ndarray | float, bits: int) -> np.ndarray:
    """Each value rounded to so many significant bits."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.rint(np.ldexp(mantissa, bits)), exponent - bits)


def _activation(use: _Use, before: np.ndarray, bits: int) -> tuple[list[keras.layers.Layer], bool]:
    """The layers for an activation of the values ``before``, and whether what they give is yet to be quantised."""
    layer, name = use.layer, f"{use.name}_quantized"
    slope, upper, kind = 0.0, None, name_of(getattr(layer, "activation", None))
    if isinstance(layer, keras.layers.ReLU | keras.layers.LeakyReLU):
        kind, slope, upper = "relu", float(layer.negative_slope), getattr(layer, "max_value", None)
    if use.is_head and kind in _HEADS:
        return [], False
    if use.is_head and kind == "softmax":
        return [keras.layers.Softmax(name=f"{use.name}_softmax")], False
    if kind in _BOUNDED:
        table = qkeras.QActivation(_BOUNDED[kind].format(bits=bits), name=name)
        return [_rounded(before, _TABLE_BITS, f"{use.name}_rounded"), table], False
    match kind:
        case "linear":
            return [], True
        case "leaky_relu":
            slope = 0.2  # what Keras takes where an activation is named by its text
        case "relu6":
            upper = 6.0
        case "relu":
            pass
        case _:
            raise TriggerError(
                f"quantization: layer {layer.name!r}: the activation {kind} has no quantised form; those of relu, relu6, "
                "leaky_relu, tanh, sigmoid and linear are known, and softmax at the end"
            )
    if not slope and upper is None:
        return [_rounded(use.after, bits, name)], False
    exact = keras.layers.ReLU(
        max_value=None if upper is None else float(_significant(upper, bits)),
        negative_slope=2.0 ** np.rint(np.log2(slope)) if slope else 0.0,
        name=f"{use.name}_exact",
    )
    return [exact, _rounded(use.after, bits, name)], False


def _rounded(observed: np.ndarray, bits: int, name: str) -> keras.layers.Layer:
    """The rounding quantiser that fits the observed values best; unsigned where none is negative."""
    if observed.min(initial=0) < 0:
        return qkeras.QActivation(_quantizer(observed, bits), name=name)
    integer = _integer_bits(
        observed, lambda i: (0, np.ldexp(1.0, i) - np.ldexp(1.0, i - bits), i - bits)
    )
    return qkeras.QActivation(f"quantized_relu({bits},{integer})", name=name)


def _quantizer(values: np.ndarray, bits: int) -> str:
    """The signed quantiser that fits the values best. QKeras counts the integer bits without the sign."""
    step = bits - 1
    integer = _integer_bits(
        values, lambda i: (-np.ldexp(1.0, i), np.ldexp(1.0, i) - np.ldexp(1.0, i - step), i - step)
    )
    return f"quantized_bits({bits},{integer},alpha=1)"


def _integer_bits(values: np.ndarray, span: Callable[[int], tuple[float, float, int]]) -> int:
    """The integer bits with the least squared error. ``span`` gives lowest and highest value and the step's exponent."""
    values = np.asarray(values, dtype=np.float64)
    largest = float(np.abs(values).max(initial=0))
    most = int(np.floor(np.log2(largest))) + 1 if largest > 0 else 0

    def error(integer: int) -> float:
        low, high, step = span(integer)
        return float(
            (
                (np.clip(np.ldexp(np.rint(np.ldexp(values, -step)), step), low, high) - values) ** 2
            ).sum()
        )

    return min(range(most, most - _FEWER, -1), key=error)

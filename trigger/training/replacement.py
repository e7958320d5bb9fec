"""Layer-by-layer replacement of a float Keras network by QKeras layers, with or without rounding.

Without rounding the replacement must equal the float network: ``check`` compares them layer by
layer. With rounding, every further difference is in ``notes``, or refused with layer, reason and
remedy.
"""

from typing import Any, NamedTuple

import keras
import numpy as np
import qkeras

from trigger.errors import TriggerError
from trigger.frontends import masks
from trigger.frontends.nested import nodes
from trigger.frontends.qkeras import constants
from trigger.training import float_layers, rounding

# A bias is added once per neuron, so its bits are nearly free.
_BIAS_BITS = 16
# The bits of values that address a table.
_TABLE_BITS = 12
_BOUNDED = {
    "tanh": "quantized_tanh({bits},use_real_tanh=1)",
    "sigmoid": "quantized_sigmoid({bits},use_real_sigmoid=1)",
}
# These keep the order of the scores and are left out at the end of the network.
_HEADS = ("linear", "sigmoid", "tanh", "hard_sigmoid")
_SLOPE_OF_LEAKY_RELU = 0.2  # the default of Keras for an activation given by name
_L = keras.layers
# Layers copied unchanged: wiring, and layers without effect in inference. The second kind gives
# sums, which are rounded again.
_WIRING = (
    _L.Flatten, _L.Reshape, _L.Permute, _L.RepeatVector, _L.Concatenate, _L.Cropping1D,
    _L.ZeroPadding1D, _L.Identity, _L.Dropout, _L.AlphaDropout, _L.GaussianDropout,
    _L.GaussianNoise, _L.ActivityRegularization,
)  # fmt: skip
_SUMS = (_L.Add, _L.Dot)
_TOLERANCE = 1e-4


class _Value(NamedTuple):
    """A tensor of the new network, its float values, and whether it still needs rounding."""

    tensor: Any
    observed: np.ndarray
    wide: bool


class _Use(NamedTuple):
    """One use of a layer: its name in the new network, its inputs, and the float outputs."""

    layer: Any
    name: str
    before: list[_Value]
    after: np.ndarray
    is_head: bool
    # The normalisation to fold into a Dense layer.
    folded: Any


class _Made(NamedTuple):
    """The replacement of a use of a layer; the float outputs; whether they still need rounding."""

    layers: list[Any]
    given: np.ndarray
    wide: bool


class Replaced(NamedTuple):
    """The new network; its changes beyond rounding; its tensor and the float values after each
    layer, by name.
    """

    network: keras.Model
    notes: tuple[str, ...]
    pairs: tuple[tuple[str, Any, np.ndarray], ...]


def replaced(model: keras.Model, x: np.ndarray, bits: int | None) -> Replaced:
    """The network in layers of ``bits`` bits, calibrated on ``x``, shape (events, features); None
    rounds nothing.

    Nested models are flattened. Raises TriggerError for layers without a quantised form.
    """
    return _Replacement(model, bits).of(model, x)


def check_replaceable(model: keras.Model, x: np.ndarray) -> None:
    """Raise TriggerError if the unrounded replacement differs from the float network in any layer
    on ``x``.
    """
    network, _, pairs = replaced(model, x, None)
    probe = keras.Model(network.inputs, [tensor for _, tensor, _ in pairs])
    outputs = probe(_shaped(x, model), training=False)
    for (name, _, wanted), y in zip(pairs, _listed(outputs), strict=True):
        error = np.abs(keras.ops.convert_to_numpy(y) - wanted).max(initial=0)
        if not error <= _TOLERANCE * max(np.abs(wanted).max(initial=0), 1e-6):
            raise TriggerError(
                f"quantization: layer {name!r}: its quantised form differs by "
                f"{error:.3g} before rounding; "
                "train with QKeras quantisers, and report this"
            )


def _listed(outputs: Any) -> list[Any]:
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]


def _shaped(x: np.ndarray, model: keras.Model) -> Any:
    shape = (len(x), *model.inputs[0].shape[1:])
    return keras.ops.convert_to_tensor(x.astype(np.float32).reshape(shape))


class _Replacement:
    """One pass over a network."""

    def __init__(self, model: keras.Model, bits: int | None) -> None:
        self._bits = bits
        self._reserved = float_layers.names(model)
        self._taken: set[str] = set()
        self._notes: list[str] = []
        self._pairs: list[tuple[str, Any, np.ndarray]] = []

    def of(self, model: keras.Model, x: np.ndarray) -> Replaced:
        try:
            float_layers.check_class(model)
        except float_layers.Unfit as unfit:
            raise TriggerError(f"quantization: {': '.join(unfit.args)}") from unfit
        float_layers.check_ends(model)
        for layer, reason, remedy in masks.problems(model):
            raise TriggerError(f"quantization: layer {layer!r}: {reason}; {remedy}")
        first = model.inputs[0]
        if first.dtype not in ("float32", "float64"):
            raise TriggerError(
                f"quantization: the input has the dtype {first.dtype}, to which Keras "
                f"rounds the events; remove dtype from Input"
            )
        inputs = keras.Input(tuple(first.shape[1:]), name=first.name)
        observed = keras.ops.convert_to_numpy(_shaped(x, model))
        last = self._through(model, [_Value(inputs, observed, wide=False)], is_last=True)
        network = keras.Model(inputs, last.tensor, name=model.name)
        return Replaced(network, tuple(self._notes), tuple(self._pairs))

    def _through(self, model: keras.Model, values: list[_Value], is_last: bool) -> _Value:
        uses = nodes(model)
        folded = float_layers.folded(uses)
        absorbed = {id(behind) for behind in folded.values()}
        known = {id(tensor): value for tensor, value in zip(model.inputs, values, strict=True)}
        for node in uses:
            before = [known[id(tensor)] for tensor in node.arguments.keras_tensors]
            is_head = is_last and node.outputs[0] is model.outputs[0]
            name = node.operation.name
            try:
                float_layers.check_call(node)
                if isinstance(node.operation, keras.Model):
                    float_layers.check_ends(node.operation)
                    value = self._through(node.operation, before, is_head)
                elif id(node) in absorbed:
                    value = before[0]._replace(
                        observed=float_layers.computed(node, [value.observed for value in before]),
                        wide=True,
                    )
                    self._pairs.append((name, value.tensor, value.observed))
                else:
                    behind = folded.get(id(node))
                    value = self._replace(node, before, is_head, behind)
            except float_layers.Unfit as unfit:
                reason, remedy = unfit.args
                raise TriggerError(f"quantization: layer {name!r}: {reason}; {remedy}") from unfit
            known[id(node.outputs[0])] = value
        return known[id(model.outputs[0])]

    def _replace(self, node: Any, before: list[_Value], is_head: bool, behind: Any) -> _Value:
        layer = float_layers.layer_of(node)
        folded = None if behind is None else behind.operation
        name = self._name(node.operation.name, is_own=True)
        use = _Use(
            layer,
            name,
            before,
            float_layers.computed(node, [value.observed for value in before]),
            is_head,
            folded,
        )
        made = self._made(use)
        tensors = [value.tensor for value in before]
        if type(layer) is _L.Subtract:
            tensors[1] = self._negated(use)(tensors[1])
        tensor: Any = tensors if len(tensors) > 1 else tensors[0]
        for new in made.layers:
            tensor = new(tensor)
        if folded is None:
            self._pairs.append((node.operation.name, tensor, made.given))
        return _Value(tensor, made.given, made.wide)

    def _name(self, wanted: str, is_own: bool = False) -> str:
        """A unique name; the first use of a layer keeps its name."""
        name = wanted
        number = 1
        while name in self._taken or (name in self._reserved and not is_own):
            number += 1
            name = f"{wanted}_{number}"
            is_own = False
        self._taken.add(name)
        return name

    def _made(self, use: _Use) -> _Made:
        layer_class = type(use.layer)
        wide = any(value.wide for value in use.before)
        if layer_class is _L.Dense:
            return self._dense(use, wide)
        if layer_class in (_L.BatchNormalization, _L.Normalization):
            return _Made([self._affine(use)], use.after, wide=True)
        if layer_class in (_L.Activation, _L.ReLU, _L.LeakyReLU, _L.Softmax):
            return self._activation(use, use.before[0].observed)
        if layer_class is _L.Subtract:
            return _Made([_L.Add(name=use.name)], use.after, wide=True)
        if layer_class in (*_WIRING, *_SUMS):
            same = layer_class.from_config({**use.layer.get_config(), "name": use.name})
            return _Made([same], use.after, wide or layer_class in _SUMS)
        raise float_layers.Unfit(
            f"{layer_class.__name__} has no quantised form",
            "use Dense, BatchNormalization, Normalization, ReLU, LeakyReLU, "
            "Activation, Add, Concatenate, Flatten or "
            "Reshape, or train with QKeras quantisers",
        )

    def _dense(self, use: _Use, wide: bool) -> _Made:
        layer = use.layer
        if getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None):
            raise float_layers.Unfit(
                "its kernel is low-rank or quantised by Keras", "retrain it with a plain kernel"
            )
        kernel, bias = float_layers.weights(layer)
        summed = use.before[0].observed @ kernel + bias
        if use.folded is not None:
            float_layers.check_axis(use.folded, summed)
            scale, offset = constants.batch_normalization(use.folded)
            kernel = kernel * scale
            bias = bias * scale + offset
        first = self._rounded(use.before[0].observed, f"{use.name}_input") if wide else []
        behind = self._activation(use, summed)
        weighted = self._weighted(use.name, kernel, bias)
        return behind._replace(layers=[*first, weighted, *behind.layers])

    def _weighted(self, name: str, kernel: np.ndarray, bias: np.ndarray) -> Any:
        if self._bits is None:
            made = _L.Dense(kernel.shape[1], name=name)
        else:
            made = qkeras.QDense(
                kernel.shape[1],
                kernel_quantizer=rounding.of_weights(kernel, self._bits),
                bias_quantizer=rounding.of_weights(bias, max(self._bits, _BIAS_BITS)),
                name=name,
            )
        made.build((None, len(kernel)))
        made.set_weights([kernel, bias])
        return made

    def _affine(self, use: _Use) -> Any:
        layer = use.layer
        elements = use.after.shape[-1]
        float_layers.check_axis(layer, use.after)
        if isinstance(layer, _L.Normalization):
            scale, offset = float_layers.normalization(layer)
        else:
            scale, offset = constants.batch_normalization(layer)
        scale, offset = (self._significant(np.broadcast_to(p, elements)) for p in (scale, offset))
        return _scaled(use.name, scale, offset)

    def _negated(self, use: _Use) -> Any:
        """The subtrahend of a subtraction, as a term of a sum."""
        elements = use.before[1].observed.shape[-1]
        return _scaled(self._name(f"{use.name}_negated"), -np.ones(elements), np.zeros(elements))

    def _activation(self, use: _Use, before: np.ndarray) -> _Made:
        """The layers for an activation of the values ``before``."""
        layer = use.layer
        name = f"{use.name}_quantized"
        slope = 0.0
        upper = None
        function = float_layers.kind_of(getattr(layer, "activation", None))
        if isinstance(layer, _L.Softmax):
            function = "softmax"
        if isinstance(layer, _L.ReLU | _L.LeakyReLU):
            function = "relu"
            slope = float(layer.negative_slope)
            upper = getattr(layer, "max_value", None)
            if getattr(layer, "threshold", 0):
                raise float_layers.Unfit(
                    f"ReLU jumps at its threshold of {float(layer.threshold):g}", "use threshold=0"
                )
        if function == "softmax":
            return _Made([self._softmax(use)], use.after, wide=False)
        if use.is_head and function in _HEADS:
            if function != "linear":
                self._notes.append(
                    f"{layer.name}: the {function} at the end is left out; this does not "
                    f"change the order of the scores"
                )
            return _Made([], before, wide=False)
        if function in _BOUNDED:
            return _Made(self._table(use, function, before, name), use.after, wide=False)
        if function == "linear":
            return _Made([], use.after, wide=True)
        if function == "leaky_relu":
            slope = _SLOPE_OF_LEAKY_RELU
        if function == "relu6":
            upper = 6.0
        if function not in ("relu", "relu6", "leaky_relu"):
            raise float_layers.Unfit(
                f"the activation {function} has no quantised form",
                "use relu, relu6, leaky_relu, tanh, sigmoid or linear, or softmax at the end",
            )
        if not slope and upper is None and self._bits is not None:
            return _Made(self._rounded(use.after, name), use.after, wide=False)
        exact = _L.ReLU(
            max_value=None if upper is None else float(self._significant(upper)),
            negative_slope=self._slope(layer.name, slope),
            name=self._name(f"{use.name}_exact"),
        )
        return _Made([exact, *self._rounded(use.after, name)], use.after, wide=False)

    def _slope(self, name: str, slope: float) -> float:
        """A power of two, which costs no multiplier."""
        if not slope or self._bits is None:
            return slope
        taken = float(2.0 ** np.rint(np.log2(slope)))
        if taken != slope:
            self._notes.append(f"{name}: the negative slope {slope:g} becomes {taken:g}")
        return taken

    def _softmax(self, use: _Use) -> Any:
        axis = getattr(use.layer, "axis", -1)
        if not use.is_head:
            raise float_layers.Unfit(
                "a softmax inside the network has no quantised form", "use softmax only at the end"
            )
        if axis not in (-1, use.after.ndim - 1):
            raise float_layers.Unfit(f"the softmax is along axis {axis}", "use axis=-1")
        return _L.Softmax(name=self._name(f"{use.name}_softmax"))

    def _table(self, use: _Use, function: str, before: np.ndarray, name: str) -> list[Any]:
        if self._bits is None:
            return [_L.Activation(function, name=self._name(name))]
        first = qkeras.QActivation(
            rounding.of_values(before, _TABLE_BITS), name=self._name(f"{use.name}_rounded")
        )
        table = qkeras.QActivation(
            _BOUNDED[function].format(bits=self._bits), name=self._name(name)
        )
        return [first, table]

    def _rounded(self, observed: np.ndarray, name: str) -> list[Any]:
        if self._bits is None:
            return []
        return [qkeras.QActivation(rounding.of_values(observed, self._bits), name=self._name(name))]

    def _significant(self, values: np.ndarray | float) -> np.ndarray:
        return np.asarray(
            values if self._bits is None else rounding.significant(values, self._bits)
        )


def _scaled(name: str, scale: np.ndarray, offset: np.ndarray) -> Any:
    """x * scale + offset as a BatchNormalization with nothing to divide by."""
    normalization = _L.BatchNormalization(epsilon=0, name=name)
    normalization.build((None, len(scale)))
    normalization.set_weights([scale, offset, np.zeros(len(scale)), np.ones(len(scale))])
    return normalization

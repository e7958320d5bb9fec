"""Keras 3 and qkeras-v3 networks, lowered to the fixed-point graph."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import qkeras
from qkeras.qdense_batchnorm import QDenseBatchnorm

from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ranges import TooWide
from trigger.fixedpoint.types import Fixed
from trigger.frontends import freeze
from trigger.frontends.activations import HEAD_TYPES, lower_activation, lower_relu, name_of, quantizer_types
from trigger.frontends.inexact import Inexact, Problem, Refusal
from trigger.naming import as_identifier

# Layers that do nothing in inference.
_TRAINING_ONLY = (
    keras.layers.Dropout,
    keras.layers.AlphaDropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.ActivityRegularization,
    keras.layers.Identity,
)
_SUPPORTED_LAYERS = (
    "Input, Dense, QDense, QDenseBatchnorm, Activation, QActivation, ReLU, LeakyReLU, Softmax (last), BatchNormalization, "
    "QBatchNormalization, Normalization, Add, Concatenate, Flatten, Reshape and the Dropout layers"
)


class _Value(NamedTuple):
    """What a Keras tensor is in the graph: a node, and the shape its elements have in Keras, batch axis left out."""

    node: str
    shape: tuple[int, ...]


class _Call(NamedTuple):
    """One use of a layer."""

    layer: Any
    name: str
    inputs: tuple[_Value, ...]
    output_shape: tuple[int, ...]
    is_head: bool


def input_types(model: keras.Model) -> tuple[Fixed, ...] | None:
    """The types of the inputs where the network itself says them: its first layer is a rounding quantiser."""
    readers = [
        node.operation for node in nodes(model) if any(tensor is model.inputs[0] for tensor in node.arguments.keras_tensors)
    ]
    quantizer = getattr(readers[0], "activation", None) if len(readers) == 1 else None
    rule = quantizer_types(quantizer) if isinstance(readers[0], qkeras.QActivation | keras.layers.Activation) else None
    return None if rule is None else (rule[0],) * int(np.prod(model.inputs[0].shape[1:]))


def lower(
    model: keras.Model,
    inputs: str | Fixed | Sequence[str | Fixed] | None = None,
    kernels: Mapping[str, str | Fixed] | None = None,
) -> Graph:
    """The network as a fixed-point graph that computes the same integers.

    ``inputs`` is the hardware type of the features, one for all or one for each; it may be left out where the first layer
    is a rounding quantiser. ``kernels`` gives plain Dense layers an explicit type, by layer name, which their kernel and
    bias must already be values of. A final softmax is left out; a final sigmoid or tanh is rounded to 16 bits;
    ``notes`` of the graph say so. Raises Inexact with everything in the network that cannot be exact.
    """
    walk = _Walk(model, inputs, kernels or {})
    if walk.problems:
        raise Inexact(walk.problems)
    return walk.builder.graph(walk.values[id(model.outputs[0])].node, tuple(walk.notes))


def nodes(model: keras.Model) -> list[Any]:
    """Every use of a layer, in an order in which inputs come first."""
    functional = model._functional if isinstance(model, keras.Sequential) else model
    by_depth = getattr(functional, "_nodes_by_depth", None)
    if by_depth is None:
        raise Inexact(
            [Problem(model.name, "a subclassed or unbuilt model has no layers to read", "use the functional API or Sequential")]
        )
    return [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth] if not node.is_input]


class _Walk:
    """One pass over the network. Every problem is collected; past one the walk goes on from a stand-in value."""

    def __init__(self, model: keras.Model, inputs: Any, kernels: Mapping[str, str | Fixed]) -> None:
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self.values: dict[int, _Value] = {}
        self._kernels = kernels
        self._names: set[str] = {"inputs"}
        uses = nodes(model)
        for what, tensors in (("inputs", model.inputs), ("outputs", model.outputs)):
            if len(tensors) != 1:
                raise Inexact([Problem(model.name, f"it has {len(tensors)} {what}", f"Concatenate the {what} into one")])
        shape = tuple(model.inputs[0].shape[1:])
        if None in shape:
            raise Inexact([Problem(model.inputs[0].name, f"the input shape {shape} is open", "give the Input a full shape")])
        self.builder = Builder(self._input_types(model, inputs, int(np.prod(shape))))
        self.values[id(model.inputs[0])] = _Value("inputs", shape)
        for node in uses:
            call = self._call(node, model)
            self.values[id(node.outputs[0])] = _Value(self._lower(call), call.output_shape)
        unknown = set(kernels) - {layer.name for layer in model.layers}
        self.problems += [
            Problem(name, "the network has no layer of this name", "correct the name") for name in sorted(unknown)
        ]

    def _input_types(self, model: keras.Model, inputs: Any, features: int) -> tuple[Fixed, ...]:
        if inputs is None:
            found = input_types(model)
            if found is not None:
                return found
            self.problems.append(
                Problem(
                    "inputs",
                    "the features have no fixed-point type",
                    'name it, as in inputs="fixed<16,6>", or start with QActivation("quantized_bits(16,5,alpha=1)")',
                )
            )
            inputs = "fixed<8,4>"
        many = [inputs] * features if isinstance(inputs, str | Fixed) else list(inputs)
        if len(many) != features:
            raise Inexact([Problem("inputs", f"{len(many)} types for {features} features", "give one type, or one a feature")])
        return tuple(t if isinstance(t, Fixed) else Fixed.parse(t) for t in many)

    def _call(self, node: Any, model: keras.Model) -> _Call:
        layer = node.operation
        base = name = as_identifier(layer.name)
        use = 1
        while name in self._names:  # a layer used twice, or two names that differ in punctuation
            use += 1
            name = f"{base}_{use}"
        self._names.add(name)
        inputs = tuple(self.values[id(tensor)] for tensor in node.arguments.keras_tensors)
        is_head = node.outputs[0] is model.outputs[0]
        return _Call(layer, name, inputs, tuple(node.outputs[0].shape[1:]), is_head)

    def _lower(self, call: _Call) -> str:
        try:
            return self._lowering(call.layer)(call)
        except Refusal as refusal:
            self.problems.append(Problem(call.layer.name, refusal.reason, refusal.remedy))
        except TooWide as wide:
            remedy = "quantise the values before this layer, or use fewer bits"
            self.problems.append(Problem(call.layer.name, f"a value needs {wide.width} bits, float64 holds 53", remedy))
        stand_in = Builder((Fixed(True, 8, 4),) * int(np.prod(call.output_shape)), f"after_{call.name}")
        return self.builder.adopt(stand_in)

    def _lowering(self, layer: Any) -> Callable[[_Call], str]:
        if isinstance(layer, _TRAINING_ONLY):
            return _same
        for kind, method in (
            (keras.layers.Flatten, _same),
            (keras.layers.Reshape, _same),
            (keras.layers.Dense, self._dense),
            (keras.layers.Activation, self._activation),
            (qkeras.QActivation, self._activation),
            (keras.layers.Softmax, self._softmax),
            (keras.layers.ReLU, self._relu),
            (keras.layers.LeakyReLU, self._leaky_relu),
            (keras.layers.BatchNormalization, self._batch_normalization),
            (keras.layers.Normalization, self._normalization),
            (keras.layers.Add, self._add),
            (keras.layers.Concatenate, self._concatenate),
        ):
            if isinstance(layer, kind):
                _refuse_subclass(layer, kind)
                return method
        raise Refusal(f"a layer of the type {type(layer).__name__} has no exact lowering", f"use {_SUPPORTED_LAYERS}")

    def _dense(self, call: _Call) -> str:
        layer, (value,) = call.layer, call.inputs
        if len(value.shape) != 1:
            raise Refusal(f"it acts on the last axis of the shape {value.shape}", "put a Flatten layer before it")
        if getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None):
            raise Refusal("its kernel is a low-rank or Keras-quantised one", "use QDense with a kernel_quantizer")
        frozen = freeze.dense(layer)
        kernel, bias = freeze.kernel_constant(layer, frozen.kernel), constant(frozen.bias)
        if layer.name in self._kernels:
            kernel, bias = (_explicit(self._kernels[layer.name], part) for part in (kernel, bias))
        elif bias.type.width > freeze.MAX_KERNEL_BITS - 4 and layer.use_bias:
            self.notes.append(
                f"{layer.name}: the bias is not quantised and takes {bias.type.width} bits; a bias_quantizer saves area"
            )
        name = call.name if name_of(layer.activation) == "linear" else f"{call.name}_sum"
        dense = self.builder.dense(name, value.node, kernel, bias)
        return self._activate(call, call.name, dense, layer.activation)

    def _activation(self, call: _Call) -> str:
        return self._activate(call, call.name, call.inputs[0].node, call.layer.activation)

    def _activate(self, call: _Call, name: str, source: str, activation: Any) -> str:
        kind = name_of(activation)
        if call.is_head and kind == "softmax":
            self.notes.append(f"{call.layer.name}: the softmax is left out; it cannot change the order of the classes")
            return source
        if call.is_head and kind in HEAD_TYPES and not isinstance(activation, qkeras.base_quantizer.BaseQuantizer):
            self.notes.append(
                f"{call.layer.name}: the {kind} is a table, its values rounded half to even to {HEAD_TYPES[kind]}"
            )
        return lower_activation(self.builder, name, source, activation, call.is_head)

    def _softmax(self, call: _Call) -> str:
        return self._activate(call, call.name, call.inputs[0].node, keras.activations.softmax)

    def _relu(self, call: _Call) -> str:
        layer = call.layer
        if layer.threshold:
            raise Refusal(f"ReLU with a threshold of {float(layer.threshold):g} jumps", "use threshold=0")
        upper = None if layer.max_value is None else float(layer.max_value)
        return lower_relu(self.builder, call.name, call.inputs[0].node, float(layer.negative_slope), upper)

    def _leaky_relu(self, call: _Call) -> str:
        return lower_relu(self.builder, call.name, call.inputs[0].node, float(call.layer.negative_slope), None)

    def _batch_normalization(self, call: _Call) -> str:
        layer = call.layer
        frozen = freeze.batch_normalization(layer)
        axis = layer.axis[0] if isinstance(layer.axis, list | tuple) else layer.axis
        name = self._affine(call, frozen, axis)
        widest = constant(frozen.scale).type.width
        if widest > 12:
            self.notes.append(
                f"{layer.name}: its {widest}-bit scale is kept exactly and costs a multiplier a neuron; "
                "QDenseBatchnorm folds it into quantised weights"
            )
        return name

    def _normalization(self, call: _Call) -> str:
        axes = call.layer.axis
        if len(axes) > 1:
            raise Refusal(f"it normalises over the axes {axes}", "use axis=-1")
        return self._affine(call, freeze.normalization(call.layer), axes[0] if axes else None)

    def _affine(self, call: _Call, frozen: freeze.AffineConstants, axis: int | None) -> str:
        shape = call.inputs[0].shape
        if axis is not None and axis not in (-1, len(shape)):
            raise Refusal(f"it normalises axis {axis} of the shape {shape}", "use axis=-1")
        scale, offset = (np.broadcast_to(part, shape).ravel() for part in frozen)
        return self.builder.affine(call.name, call.inputs[0].node, constant(scale), constant(offset))

    def _add(self, call: _Call) -> str:
        if len({value.shape for value in call.inputs}) != 1:
            raise Refusal("it adds tensors of different shapes", "give all inputs the same shape")
        return self.builder.add(call.name, tuple(value.node for value in call.inputs))

    def _concatenate(self, call: _Call) -> str:
        rank = len(call.output_shape)
        if rank > 1 and call.layer.axis not in (1,):
            raise Refusal(f"it joins tensors of rank {rank} along axis {call.layer.axis}", "put Flatten layers before it")
        return self.builder.concatenate(call.name, tuple(value.node for value in call.inputs))


def _same(call: _Call) -> str:
    return call.inputs[0].node


def _explicit(kind: str | Fixed, part: Any) -> Any:
    kind = kind if isinstance(kind, Fixed) else Fixed.parse(kind)
    shift = kind.fraction - part.type.fraction
    scaled = part.values << shift if shift >= 0 else part.values
    if shift < 0 or scaled.min() < kind.minimum or scaled.max() > kind.maximum:
        raise Refusal(f"its kernel or bias has values that {kind} does not hold", f"use a type as wide as {part.type}")
    return type(part)(scaled, kind)


# A subclass may compute anything; these are the ones whose arithmetic is known.
_KNOWN_SUBCLASSES = (qkeras.QDense, QDenseBatchnorm, qkeras.QBatchNormalization)


def _refuse_subclass(layer: Any, kind: type) -> None:
    if type(layer) is not kind and not isinstance(layer, _TRAINING_ONLY) and type(layer) not in _KNOWN_SUBCLASSES:
        raise Refusal(
            f"{type(layer).__name__} is a subclass of {kind.__name__} and may compute anything", f"use {kind.__name__}"
        )

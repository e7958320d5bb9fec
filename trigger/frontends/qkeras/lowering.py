"""Keras 3 and qkeras-v3 networks, lowered to the fixed-point graph."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import qkeras

from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import Constant, GraphError
from trigger.fixedpoint.types import Fixed
from trigger.frontends import given, heads, kernels
from trigger.frontends.calls import Call, Value
from trigger.frontends.constants import exact
from trigger.frontends.inexact import Problem, Refusal
from trigger.frontends.kernels import has_bias
from trigger.frontends.nested import every_layer, inlined, nodes
from trigger.frontends.qkeras import constants, pooling, recurrent, rounded
from trigger.frontends.qkeras.activations import lower_activation
from trigger.frontends.qkeras.functions import known_as
from trigger.frontends.qkeras.quantizers import quantizer_types
from trigger.frontends.walk import Method, Walk


def input_types(model: keras.Model) -> tuple[Fixed, ...] | None:
    """The types of the inputs if only rounding quantisers read them; otherwise None."""
    model = inlined(model)
    if any(tensor is first for tensor in model.outputs for first in model.inputs):
        return None
    uses = nodes(model)
    types: list[Fixed] = []
    for first in model.inputs:
        readers = [
            node.operation
            for node in uses
            if any(tensor is first for tensor in node.arguments.keras_tensors)
        ]
        kinds = (qkeras.QActivation, keras.layers.Activation)
        if len(readers) != 1 or not isinstance(readers[0], kinds):
            return None
        rule = quantizer_types(readers[0].activation)
        if rule is None:
            return None
        types += (rule[0],) * int(np.prod(first.shape[1:]))
    return tuple(types)


def lower(
    model: keras.Model,
    inputs: str | Fixed | Sequence[str | Fixed] | None = None,
    kernels: Mapping[str, str | Fixed] | None = None,
    reloadable: bool | Graph = False,
) -> Graph:
    """The network as a fixed-point graph that computes the same integers.

    ``inputs`` is the hardware type of the features, one for all or one for each; it may be omitted
    if the first layer is a rounding quantiser. ``kernels`` gives plain Dense layers an explicit
    type, by layer name; their kernel and bias must already be values of it. A final softmax is left
    out; a final sigmoid or tanh is rounded to 16 bits, or left out if its input is too wide for a
    table; the graph's ``notes`` say so. If ``reloadable``, kernels and biases are values that may
    be loaded anew, within the ranges of their quantisers, or within those of a reloadable graph.
    Raises Inexact with everything in the network that cannot be exact.
    """
    kernel_types = given.kernel_types(kernels)
    return _KerasWalk(model, given.input_types(inputs), kernel_types, reloadable).graph()


class _KerasWalk(Walk):
    layers = (
        "Dense, Conv1D, Conv2D, DepthwiseConv1D, DepthwiseConv2D, SeparableConv1D, "
        "SeparableConv2D and their Q forms, QDenseBatchnorm, QConv2DBatchnorm, "
        "QDepthwiseConv2DBatchnorm, QAveragePooling2D, QGlobalAveragePooling2D, Activation, ELU, "
        "QActivation, SimpleRNN, GRU, LSTM, QSimpleRNN, QGRU, QLSTM, BatchNormalization, "
        "QBatchNormalization, Normalization"
    )
    softmax_remedy = (
        "keep softmax for the last layer, or write it with quantisers: "
        'e = QActivation("quantized_relu(8,1)")(keras.ops.exp(keras.ops.minimum(x - '
        "keras.ops.max(x, -1, keepdims=True), 0))), s = keras.ops.maximum(keras.ops.sum(e, -1, "
        "keepdims=True), 1), and "
        'e * QActivation("quantized_relu(8,1)")(1 / s)'
    )
    input_remedy = f'{Walk.input_remedy}, or start with QActivation("quantized_bits(16,5,alpha=1)")'

    def __init__(
        self,
        model: keras.Model,
        inputs: Any,
        kernels: Mapping[str, Fixed],
        reloadable: bool | Graph,
    ) -> None:
        self._kernels = kernels
        self._leaves_out: dict[int, bool] = {}
        super().__init__(model, inputs, reloadable)
        unknown = set(kernels) - {layer.name for layer in every_layer(model)}
        self.problems += [
            Problem(name, "the network has no layer with this name", "correct the name")
            for name in sorted(unknown)
        ]

    def methods(self) -> tuple[tuple[type, Method], ...]:
        return (
            *((layer_class, self._linear) for layer_class in constants.LINEAR),
            *((layer_class, self._pooling) for layer_class in pooling.KINDS),
            *((layer_class, self._recurrent) for layer_class in recurrent.LAYERS),
            (keras.layers.Activation, self._activation),
            (keras.layers.ELU, self._elu),
            (qkeras.QActivation, self._activation),
            (keras.layers.BatchNormalization, self._batch_normalization),
            (qkeras.QBatchNormalization, self._batch_normalization),
            (keras.layers.Normalization, self._normalization),
        )

    def own_input_types(self, model: keras.Model) -> tuple[Fixed, ...] | None:
        return input_types(model)

    def _linear(self, call: Call) -> str | Value:
        layer = call.layer
        (value,) = call.inputs
        if getattr(layer, "lora_enabled", False):
            raise Refusal("its kernel is low-rank", "use QDense with a kernel_quantizer")
        frozen = constants.linear(layer)
        exact_kernels = {
            part: constants.kernel_constant(layer, part, kernel)
            for part, kernel in frozen.kernels.items()
        }
        bias = constants.bias_constant(frozen.bias)
        if layer.name in self._kernels:
            kernel_type = self._kernels[layer.name]
            exact_kernels = {part: _explicit(kernel_type, k) for part, k in exact_kernels.items()}
            bias = _explicit(kernel_type, bias)
        else:
            self._note_unquantised(layer, exact_kernels, bias)
        is_linear = known_as(layer.activation) == "linear"
        name = call.name if is_linear else f"{call.name}_sum"
        if self.builder.reloadable:
            exact_kernels, bias = self._in_their_ranges(layer, exact_kernels, bias)
        try:
            dense = kernels.lower(self.builder, name, layer, value, exact_kernels, bias)
        except GraphError:
            if len(exact_kernels) == 1:
                (kernel,) = exact_kernels.values()
                constants.check_bias_step(bias, kernel, self.builder[value.node])
            raise
        return self._activate(call, call.name, dense, layer.activation)

    def _in_their_ranges(
        self, layer: Any, exact_kernels: dict[str, Constant], bias: Constant
    ) -> tuple[dict[str, Constant], Constant]:
        """The constants of the next kernels in the types of all values that may be loaded."""
        unknown = [(None, None)] * len(exact_kernels)
        built = [*self.loaded[self.builder.kernels :], *unknown][: len(exact_kernels)]
        in_range = {
            part: constants.in_its_range(layer, part, kernel, fixed)
            for (part, kernel), (fixed, _) in zip(exact_kernels.items(), built, strict=True)
        }
        if has_bias(layer):
            bias = constants.in_its_range(layer, "bias", bias, built[-1][1])
        return in_range, bias

    def _recurrent(self, call: Call) -> tuple[str, ...]:
        layer = call.layer
        frozen = constants.of_recurrent(layer)
        exact_kernels = {
            part: constants.kernel_constant(layer, part, kernel)
            for part, kernel in frozen.kernels.items()
        }
        bias = constants.bias_constant(frozen.bias)
        self._note_unquantised(layer, exact_kernels, bias)
        kernel, inner = exact_kernels.values()
        weights = recurrent.Weights(kernel, inner, bias)
        return recurrent.lower(self.builder, call, weights)

    def _note_unquantised(
        self, layer: Any, exact_kernels: dict[str, Constant], bias: Constant
    ) -> None:
        for part, kernel in exact_kernels.items():
            if getattr(layer, f"{part}_quantizer_internal", None) is None:
                self.notes.append(
                    f"{layer.name}: the {constants.kernel_name(part)} is not quantised; "
                    f"its weights happen to fit {kernel.type.width} bits"
                )
        if bias.type.width > constants.MAX_KERNEL_BITS - 4 and layer.use_bias:
            self.notes.append(
                f"{layer.name}: the bias is not quantised and takes {bias.type.width} "
                f"bits; a bias_quantizer saves area"
            )

    def rounds(self, layer: Any) -> bool:
        kinds = (keras.layers.Activation, qkeras.QActivation)
        return type(layer) in kinds and rounded.is_rounding(layer)

    def _pooling(self, call: Call) -> str | Value:
        if call.layer.activation is None:
            return pooling.lower(self.builder, call.name, call)
        mean = pooling.lower(self.builder, f"{call.name}_mean", call)
        value = mean if isinstance(mean, Value) else Value(mean, call.output_shape)
        return self._activated(call, value)

    def _activation(self, call: Call) -> str | Value:
        if call.layer.activation is None:
            raise Refusal(
                "its activation was set to None by hand, which cannot be called",
                'use Activation("linear")',
            )
        return self._activated(call, *call.inputs)

    def _elu(self, call: Call) -> Value:
        return call.inputs[0]._replace(unrounded=rounded.elu(call.layer))

    def _activated(self, call: Call, value: Value) -> str | Value:
        """The activation of a layer, joined with a real-valued function before it."""
        activation = call.layer.activation
        if value.unrounded is None:
            return self._activate(call, call.name, value.node, activation)
        if not rounded.is_rounding(call.layer):
            raise value.unrounded.refusal
        table, notes = rounded.lower(
            self.builder, call.name, value.node, value.unrounded, activation
        )
        self.notes += notes
        return table

    def _activate(self, call: Call, name: str, source: str, activation: Any) -> str | Value:
        known = known_as(activation)
        if known == "softmax":
            return self.leave_out_softmax(call._replace(inputs=(Value(source, call.output_shape),)))
        head = heads.kind_of(activation)
        if call.is_head and head:
            output, note = heads.lower(self.builder, name, source, call.layer.name, head)
            self._check_everywhere(call.layer, head, output == source)
            self.notes.append(note)
            return output
        if head:
            self._check_everywhere(call.layer, head, False)
        try:
            return lower_activation(self.builder, name, source, activation)
        except Refusal as refusal:
            function = rounded.unrounded(call.layer.name, activation, refusal)
            if function is None:
                raise
            return Value(source, call.output_shape, function)

    def _check_everywhere(self, layer: Any, head: str, is_left_out: bool) -> None:
        """Refuse a layer whose function is left out at one use and computed at another."""
        if self._leaves_out.setdefault(id(layer), is_left_out) != is_left_out:
            raise Refusal(
                f"its {head} is left out at one place, for its input there is too wide for a "
                "table, and computed at another",
                "use a layer of its own at each place",
            )

    def _batch_normalization(self, call: Call) -> str:
        layer = call.layer
        frozen = constants.batch_normalization(layer)
        axis = layer.axis[0] if isinstance(layer.axis, list | tuple) else layer.axis
        rank = len(call.output_shape)
        axis = axis % (rank + 1)
        if axis == 0:
            raise Refusal("it normalises over the event axis (axis 0)", "use axis=-1")
        along = tuple(-1 if k == axis else 1 for k in range(1, rank + 1))
        scale, offset = (part.reshape(along) for part in frozen)
        name = self._affine(call, constants.AffineConstants(scale, offset))
        widest = exact("scale", frozen.scale, constants.AFFINE_REMEDY).type.width
        if widest > 12:
            self.notes.append(
                f"{layer.name}: its {widest}-bit scale is kept exactly and costs a "
                f"multiplier a neuron; "
                "QDenseBatchnorm folds it into quantised weights"
            )
        return name

    def _normalization(self, call: Call) -> str:
        return self._affine(call, constants.normalization(call.layer))

    def _affine(self, call: Call, frozen: constants.AffineConstants) -> str:
        scale, offset = (np.broadcast_to(part, call.inputs[0].shape).ravel() for part in frozen)
        return self.builder.affine(
            call.name,
            call.inputs[0].node,
            exact("scale", scale, constants.AFFINE_REMEDY),
            exact("offset", offset, constants.AFFINE_REMEDY),
        )


def _explicit(fixed: Fixed, part: Any) -> Any:
    shift = fixed.fraction - part.type.fraction
    scaled = part.values << shift if shift >= 0 else part.values
    if shift < 0 or scaled.min() < fixed.minimum or scaled.max() > fixed.maximum:
        raise Refusal(
            f"its kernel or bias has values that {fixed} does not hold",
            f"use a type as wide as {part.type}",
        )
    return type(part)(scaled, fixed)

"""Keras 3 and qkeras-v3 networks, lowered to the fixed-point graph."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import qkeras
from qkeras.qdense_batchnorm import QDenseBatchnorm

from trigger.fixedpoint.build import constant
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.types import Fixed
from trigger.frontends import freeze, given, heads
from trigger.frontends.activations import lower_activation, name_of, quantizer_types
from trigger.frontends.inexact import Problem, Refusal
from trigger.frontends.walk import Call, Method, Walk, check_channel_axis, check_rank, nodes


def input_types(model: keras.Model) -> tuple[Fixed, ...] | None:
    """The types of the inputs where the network itself says them: its first layer is a rounding quantiser."""
    readers = [
        node.operation
        for node in nodes(model)
        if any(tensor is model.inputs[0] for tensor in node.arguments.keras_tensors)
    ]
    quantizer = getattr(readers[0], "activation", None) if len(readers) == 1 else None
    rule = (
        quantizer_types(quantizer)
        if isinstance(readers[0], qkeras.QActivation | keras.layers.Activation)
        else None
    )
    return None if rule is None else (rule[0],) * int(np.prod(model.inputs[0].shape[1:]))


def lower(
    model: keras.Model,
    inputs: str | Fixed | Sequence[str | Fixed] | None = None,
    kernels: Mapping[str, str | Fixed] | None = None,
) -> Graph:
    """The network as a fixed-point graph that computes the same integers.

    ``inputs`` is the hardware type of the features, one for all or one for each; it may be left out where the first layer
    is a rounding quantiser. ``kernels`` gives plain Dense layers an explicit type, by layer name, which their kernel and
    bias must already be values of. A final softmax is left out; a final sigmoid or tanh is rounded to 16 bits, or left
    out where its input is too wide for a table; ``notes`` of the graph say so. Raises Inexact with everything in the
    network that cannot be exact.
    """
    return _KerasWalk(model, given.input_types(inputs), given.kernel_types(kernels)).graph()


class _KerasWalk(Walk):
    layers = "Dense, QDense, QDenseBatchnorm, Activation, QActivation, BatchNormalization, QBatchNormalization, Normalization"
    input_remedy = f'{Walk.input_remedy}, or start with QActivation("quantized_bits(16,5,alpha=1)")'
    subclasses = (qkeras.QDense, QDenseBatchnorm, qkeras.QBatchNormalization)

    def __init__(self, model: keras.Model, inputs: Any, kernels: Mapping[str, Fixed]) -> None:
        self._kernels = kernels
        super().__init__(model, inputs)
        unknown = set(kernels) - {layer.name for layer in model.layers}
        self.problems += [
            Problem(name, "the network has no layer of this name", "correct the name")
            for name in sorted(unknown)
        ]

    def methods(self) -> tuple[tuple[type, Method], ...]:
        return (
            (keras.layers.Dense, self._dense),
            (keras.layers.Activation, self._activation),
            (qkeras.QActivation, self._activation),
            (keras.layers.BatchNormalization, self._batch_normalization),
            (keras.layers.Normalization, self._normalization),
        )

    def own_input_types(self, model: keras.Model) -> tuple[Fixed, ...] | None:
        return input_types(model)

    def _dense(self, call: Call) -> str:
        layer, (value,) = call.layer, call.inputs
        check_rank(value)
        if getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None):
            raise Refusal(
                "its kernel is a low-rank or Keras-quantised one",
                "use QDense with a kernel_quantizer",
            )
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

    def _activation(self, call: Call) -> str:
        return self._activate(call, call.name, call.inputs[0].node, call.layer.activation)

    def _activate(self, call: Call, name: str, source: str, activation: Any) -> str:
        kind = name_of(activation)
        if kind == "softmax":
            self.leave_out_softmax(call)
            return source
        if call.is_head and heads.kind_of(activation):
            output, note = heads.lower(self.builder, name, source, call.layer.name, kind)
            self.notes.append(note)
            return output
        return lower_activation(self.builder, name, source, activation)

    def _batch_normalization(self, call: Call) -> str:
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

    def _normalization(self, call: Call) -> str:
        axes = call.layer.axis
        if len(axes) > 1:
            raise Refusal(f"it normalises over the axes {axes}", "use axis=-1")
        return self._affine(call, freeze.normalization(call.layer), axes[0] if axes else None)

    def _affine(self, call: Call, frozen: freeze.AffineConstants, axis: int | None) -> str:
        shape = call.inputs[0].shape
        check_channel_axis(axis, shape)
        scale, offset = (np.broadcast_to(part, shape).ravel() for part in frozen)
        return self.builder.affine(
            call.name, call.inputs[0].node, constant(scale), constant(offset)
        )


def _explicit(kind: Fixed, part: Any) -> Any:
    shift = kind.fraction - part.type.fraction
    scaled = part.values << shift if shift >= 0 else part.values
    if shift < 0 or scaled.min() < kind.minimum or scaled.max() > kind.maximum:
        raise Refusal(
            f"its kernel or bias has values that {kind} does not hold",
            f"use a type as wide as {part.type}",
        )
    return type(part)(scaled, kind)

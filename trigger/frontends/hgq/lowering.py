"""HGQ2 networks, lowered to the fixed-point graph: every element has its own type.

HGQ2 and QKeras cannot share an environment; this module needs the extra [hgq]. Quantised kernels
and folded normalisations are those that HGQ2 computes in the network's float32; its quantisers are
read, element by element.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import hgq.layers
import keras
import numpy as np
from hgq.quantizer.internal import FixedPointQuantizerBase

from trigger.fixedpoint.build import Builder
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.types import Fixed, Overflow, Rounding
from trigger.frontends import given, heads, plain, rules
from trigger.frontends.calls import Call, Value
from trigger.frontends.constants import exact
from trigger.frontends.hgq.constants import (
    affine_constants,
    dense_constants,
    input_quantizers,
    is_left_out_head,
)
from trigger.frontends.hgq.reference import elementwise, is_elementwise
from trigger.frontends.inexact import Problem, Refusal
from trigger.frontends.piecewise import lower_relu, staircase
from trigger.frontends.walk import Method, Walk, check_channel_axis

_NARROWER = "use quantisers of fewer bits for the weights"
# The number of input values that test whether a function is elementwise.
_PROBES = 32
_ROUNDINGS = {"S_RND": "RND", "S_RND_CONV": "RND_CONV"}


def lower(
    model: keras.Model,
    inputs: str | Fixed | Sequence[str | Fixed] | None = None,
    kernels: Mapping[str, str | Fixed] | None = None,
) -> Graph:
    """The network as a fixed-point graph that computes the same integers.

    ``inputs`` is the hardware type of the features, one for all or one for each. ``kernels`` must
    be empty: these networks have no Dense layers without quantisers. Raises Inexact with everything
    in the network that cannot be exact.
    """
    walk = _HgqWalk(model, given.input_types(inputs))
    walk.problems += [
        Problem(name, "a layer of HGQ2 has its own types", "give no kernel type")
        for name in kernels or {}
    ]
    return walk.graph()


def input_types(model: keras.Model) -> tuple[Fixed, ...] | None:  # noqa: ARG001
    """None: HGQ2 quantisers wrap around, so the hardware types must be given."""
    return None


def rule(quantizer: hgq.layers.Quantizer, shape: tuple[int, ...]) -> rules.Rule | None:
    """The effect of a quantiser on values of a shape (without batch axis); None if it has none.

    Raises Refusal for options that no fixed-point type provides.
    """
    inner = quantizer.quantizer
    if getattr(inner, "__dummy__", False):
        return None
    if not isinstance(inner, FixedPointQuantizerBase):
        raise Refusal(
            f"{quantizer.name} is of the type {quantizer.q_type}",
            'use a quantiser of the type "kif" or "kbi"',
        )
    if quantizer.scaler is not None or quantizer.affine is not None:
        raise Refusal(f"{quantizer.name} scales its values", "use no scaler and no affine")
    rounding = _ROUNDINGS.get(inner.round_mode, inner.round_mode)
    if rounding not in tuple(Rounding):
        raise Refusal(f"{quantizer.name} rounds by {rounding}", f"use one of {', '.join(Rounding)}")
    if inner.overflow_mode not in tuple(Overflow):
        raise Refusal(
            f"{quantizer.name} overflows by {inner.overflow_mode}",
            f"use one of {', '.join(Overflow)}",
        )
    k, i, f = (
        keras.ops.convert_to_numpy(inner.bw_mapper.bw_to_x(part, (1, *shape))) for part in inner.kif
    )
    return rules.rule(k, i, f, rounding, inner.overflow_mode)


class _HgqWalk(Walk):
    layers = "QDense, QBatchNormDense, QBatchNormalization, QAdd, QUnaryFunctionLUT, Quantizer"

    def methods(self) -> tuple[tuple[type, Method], ...]:
        return (
            (hgq.layers.Quantizer, self._quantizer),
            (hgq.layers.QDense, self._dense),
            (hgq.layers.QBatchNormDense, self._dense),
            (hgq.layers.QBatchNormalization, self._batch_normalization),
            (hgq.layers.QAdd, self._quantised_add),
            (hgq.layers.QUnaryFunctionLUT, self._table),
        )

    def _quantizer(self, call: Call) -> str:
        return self._quantised(call.name, call.inputs[0], call.layer)

    def _quantised(self, name: str, value: Value, quantizer: Any) -> str:
        found = rule(quantizer, value.shape)
        if found is None:
            return value.node
        return rules.lower_rule(self.builder, name, value.node, found)

    def _inputs(self, call: Call) -> list[str]:
        values = call.inputs
        names = (
            [f"{call.name}_iq"]
            if len(values) == 1
            else [f"{call.name}_iq_{k}" for k in range(len(values))]
        )
        quantizers = input_quantizers(call.layer) or (None,) * len(values)
        return [
            value.node if quantizer is None else self._quantised(name, value, quantizer)
            for name, value, quantizer in zip(names, values, quantizers, strict=True)
        ]

    def _output_of(self, call: Call, source: str) -> str:
        return (
            self._quantised(f"{call.name}_oq", Value(source, call.output_shape), call.layer.oq)
            if call.layer.enable_oq
            else source
        )

    def _dense(self, call: Call) -> str:
        _check_rank(call.inputs[0], call.layer.units)
        kernel, bias = dense_constants(call.layer)
        (source,) = self._inputs(call)
        dense = self.builder.dense(
            call.name, source, exact("kernel", kernel, _NARROWER), exact("bias", bias, _NARROWER)
        )
        return self._output_of(call, self._activated(call, dense))

    def _activated(self, call: Call, source: str) -> str:
        activation = call.layer.activation
        if activation in (None, keras.activations.linear):
            return source
        if activation is keras.activations.relu:
            return lower_relu(self.builder, f"{call.name}_relu", source, 0.0, None)
        if activation is keras.activations.softmax:
            if call.is_head and call.layer.enable_oq:
                raise Refusal(
                    "its output quantiser acts on the values of the softmax, which "
                    "have no exact fixed-point form",
                    "use enable_oq=False, or remove the softmax",
                )
            return self.leave_out_softmax(
                call._replace(inputs=(call.inputs[0]._replace(node=source),))
            )
        name = getattr(activation, "__name__", type(activation).__name__)
        if is_left_out_head(call.layer, call.is_head):
            self.notes.append(heads.left_out_note(call.layer.name, name))
            return source
        raise Refusal(
            f"the activation {name} has no exact fixed-point form",
            "use relu, or a QUnaryFunctionLUT after the layer",
        )

    def _batch_normalization(self, call: Call) -> str:
        layer = call.layer
        (value,) = call.inputs
        axis = layer.axis[0] if isinstance(layer.axis, list | tuple) else layer.axis
        check_channel_axis(axis, value.shape)
        (source,) = self._inputs(call)
        scale, offset = (
            np.broadcast_to(part, value.shape).ravel() for part in affine_constants(layer)
        )
        return self._output_of(
            call,
            self.builder.affine(
                call.name,
                source,
                exact("scale", scale, _NARROWER),
                exact("offset", offset, _NARROWER),
            ),
        )

    def _quantised_add(self, call: Call) -> str:
        inputs = (
            v._replace(node=source)
            for v, source in zip(call.inputs, self._inputs(call), strict=True)
        )
        return self._output_of(call, plain.add(self.builder, call._replace(inputs=tuple(inputs))))

    def _table(self, call: Call) -> str:
        (source,) = self._inputs(call)
        if call.layer.activation in (keras.activations.linear, keras.activations.relu):
            return self._output_of(call, self._activated(call, source))
        shape = call.inputs[0].shape
        if not is_elementwise(call.layer.activation, shape, _probes(self.builder, source)):
            raise Refusal("the function is not elementwise", "use an elementwise function")
        if not call.layer.enable_oq:
            raise Refusal("its table has values without a type", "use enable_oq=True")
        found = rule(call.layer.oq, shape)
        if found is None or len(set(found.types)) > 1 or found.dead.any() != found.dead.all():
            raise Refusal(
                "its elements have tables of different types", "use allow_heterogeneous_table=False"
            )
        function = elementwise(call.layer, shape)
        return staircase(self.builder, call.name, source, function, bisectable=False)


def _probes(builder: Builder, source: str) -> np.ndarray:
    """Real values from the minimum to the maximum of a node, on its finest step."""
    fractions = builder[source].fractions
    low, high = (np.ldexp(end.astype(float), -fractions) for end in builder.range(source))
    step = np.ldexp(1.0, -int(fractions.max()))
    return np.unique(np.rint(np.linspace(low.min(), high.max(), _PROBES) / step) * step)


def _check_rank(value: Value, units: int) -> None:
    """Refuse a Dense layer on more than one vector."""
    positions = math.prod(value.shape[:-1])
    if positions != 1:
        raise Refusal(
            f"it acts on each of the {positions} positions of the shape {value.shape}",
            f"use Flatten and one Dense of {positions * units} units with the kernel "
            f"np.kron(np.eye({positions}), kernel) "
            f"and the bias np.tile(bias, {positions}), which gives the same numbers",
        )

"""HGQ2 networks, lowered to the fixed-point graph: every element has its own type.

HGQ2 and QKeras cannot share an environment; this module needs the extra [hgq]. Quantised kernels
and folded normalisations are those that HGQ2 computes in the network's float32; its quantisers are
read, element by element.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import hgq.layers
import keras
import numpy as np
from hgq.quantizer.internal import FixedPointQuantizerBase

from trigger.fixedpoint.build import Builder
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.types import Fixed, Overflow, Rounding
from trigger.frontends import einsum, given, heads, kernels, merging, numbered, plain, rules, wiring
from trigger.frontends.calls import Call, Value
from trigger.frontends.constants import exact
from trigger.frontends.hgq import plain as own_plain
from trigger.frontends.hgq import rounded, tables
from trigger.frontends.hgq.constants import (
    TABLE_LAYERS,
    affine_constants,
    input_quantizers,
    is_left_out_head,
    kernel_constants,
)
from trigger.frontends.hgq.edges import check_edges, edges_of
from trigger.frontends.hgq.reference import (
    elementwise,
    is_elementwise,
    of_vectors,
    quantised,
)
from trigger.frontends.inexact import Problem, Refusal
from trigger.frontends.piecewise import Decreases, lookup, lower_relu, staircase
from trigger.frontends.walk import Method, Walk, check_channel_axis
from trigger.verification.float32 import near_note, near_steps

_ROUNDED = "put a Quantizer after it, which makes the two tables"
_TABLES = "use quantisers of fewer bits: stable=True with an exp_iq_conf, and an inv_iq_conf"
_NARROWER = "use quantisers of fewer bits for the weights"
# The number of input values that test whether a function is elementwise.
_PROBES = 32
_ROUNDINGS = {"S_RND": "RND", "S_RND_CONV": "RND_CONV"}


def lower(
    model: keras.Model,
    inputs: str | Fixed | Sequence[str | Fixed] | None = None,
    kernels: Mapping[str, str | Fixed] | None = None,
    reloadable: bool | Graph = False,
) -> Graph:
    """The network as a fixed-point graph that computes the same integers.

    ``inputs`` is the hardware type of the features, one for all or one for each. ``kernels`` must
    be empty: these networks have no Dense layers without quantisers. Raises Inexact with everything
    in the network that cannot be exact, and if it shall be ``reloadable``: HGQ2 learns a width for
    each weight, which fits no others.
    """
    walk = _HgqWalk(model, given.input_types(inputs))
    if reloadable:
        learned = "its weights each have a learned width, so no others can be loaded"
        walk.problems.append(Problem(model.name, learned, "use QKeras, or constant weights"))
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
    layers = (
        "QDense, QBatchNormDense, QConv1D, QConv2D, QEinsumDense, QEinsumDenseBatchnorm, "
        f"QBatchNormalization, {own_plain.NAMES}, {tables.NAMES}, QUnaryFunctionLUT, QSoftmax, "
        "Quantizer"
    )

    softmax_remedy = "keep softmax for the last layer, or use QSoftmax"

    def methods(self) -> tuple[tuple[type, Method], ...]:
        return (
            (hgq.layers.Quantizer, self._quantizer),
            (hgq.layers.QDense, self._kernel),
            (hgq.layers.QBatchNormDense, self._kernel),
            (hgq.layers.QConv1D, self._convolution),
            (hgq.layers.QConv2D, self._kernel),
            (hgq.layers.QEinsumDense, self._einsum),
            (hgq.layers.QEinsumDenseBatchnorm, self._einsum),
            (hgq.layers.QBatchNormalization, self._batch_normalization),
            *(
                (layer_class, partial(self._between_quantisers, lower))
                for layer_class, lower in own_plain.LAYERS.items()
            ),
            *((layer_class, self._edges) for layer_class in TABLE_LAYERS),
            (hgq.layers.QUnaryFunctionLUT, self._table),
            (hgq.layers.QSoftmax, self._softmax),
        )

    def _quantizer(self, call: Call) -> str:
        return self._quantised(call.name, call.inputs[0], call.layer)

    def _quantised(self, name: str, value: Value, quantizer: Any) -> str:
        applied = rule(quantizer, value.shape)
        if applied is None:
            return self._rounded(value).node
        if value.unrounded is not None:
            made, notes = rounded.lower(
                self.builder, name, value, value.unrounded, quantizer, applied
            )
            self.notes += notes
            return made
        return rules.lower_rule(self.builder, name, value.node, applied)

    def _inputs(self, call: Call) -> list[str]:
        values = call.inputs
        names = (
            [f"{call.name}_iq"]
            if len(values) == 1
            else [f"{call.name}_iq_{k}" for k in range(len(values))]
        )
        quantizers = input_quantizers(call.layer) or (None,) * len(values)
        return [
            self._rounded(value).node
            if quantizer is None
            else self._quantised(name, value, quantizer)
            for name, value, quantizer in zip(names, values, quantizers, strict=True)
        ]

    def _output_of(self, call: Call, source: str) -> str:
        return (
            self._quantised(f"{call.name}_oq", Value(source, call.output_shape), call.layer.oq)
            if call.layer.enable_oq
            else source
        )

    def _kernel(self, call: Call) -> str:
        kernel, bias = kernel_constants(call.layer)
        (source,) = self._inputs(call)
        made = kernels.lower(
            self.builder,
            call.name,
            call.layer,
            call.inputs[0]._replace(node=source),
            {kernels.KERNEL: exact("kernel", kernel, _NARROWER)},
            exact("bias", bias, _NARROWER),
        )
        return self._output_of(call, self._activated(call, made))

    def _convolution(self, call: Call) -> str:
        _check_causal(call.layer, call.inputs[0].shape)
        return self._kernel(call)

    def _einsum(self, call: Call) -> str:
        layer = call.layer
        (value,) = call.inputs
        kernel, bias = kernel_constants(layer)
        equation, letters = einsum.read(layer.equation, value.shape, kernel.shape)
        (source,) = self._inputs(call)
        windows = equation.windows(value.shape, letters)
        made = self._matrices(
            call.name,
            wiring.gather(self.builder, f"{call.name}_windows", source, windows),
            equation.matrix(kernel),
            equation.by_position(np.zeros(1) if layer.bias is None else bias),
        )
        made = wiring.gather(self.builder, f"{call.name}_order", made, equation.order())
        return self._output_of(call, self._activated(call, made))

    def _edges(self, call: Call) -> str:
        """A layer whose edges are tables."""
        layer = call.layer
        (value,) = call.inputs
        edges = edges_of(layer, value.shape)
        check_edges(layer, edges.shape)
        if rule(layer.toq, edges.shape) is None:
            raise Refusal(
                "its tables have values without a type",
                'use a toq_conf of the type "kif" or "kbi"',
            )
        types = rule(layer.iq, edges.shape) if layer.enable_iq else None
        inputs = tables.inputs_of(self.builder, call.name, value.node, edges, types)
        made = tables.lower(self.builder, call.name, layer, edges, inputs)
        self.notes += made.notes
        if len(made.weights):
            sums = self._matrices(call.name, made.node, made.weights, made.biases)
        else:
            sums = self._constants(call.name, made.node, made.biases.ravel())
        sums = wiring.gather(self.builder, f"{call.name}_order", sums, edges.order)
        return self._output_of(call, self._activated(call, sums))

    def _constants(self, name: str, source: str, values: np.ndarray) -> str:
        """Constants, whatever the elements of the source are."""
        nothing = np.zeros((len(self.builder[source].types), len(values)))
        return self.builder.dense(
            name, source, exact("kernel", nothing, _NARROWER), exact("bias", values, _NARROWER)
        )

    def _matrices(self, name: str, source: str, matrix: np.ndarray, biases: np.ndarray) -> str:
        """One matrix at each position, with the biases (positions, outputs)."""
        weights = exact("kernel", matrix, _NARROWER)
        if (biases == biases[0]).all():
            bias = exact("bias", biases[0], _NARROWER)
            return self.builder.dense(name, source, weights, bias, len(biases))
        zero = exact("bias", np.zeros(biases.shape[1]), _NARROWER)
        product = self.builder.dense(f"{name}_product", source, weights, zero, len(biases))
        ones = exact("scale", np.ones(biases.size), _NARROWER)
        return self.builder.affine(name, product, ones, exact("bias", biases.ravel(), _NARROWER))

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

    def _between_quantisers(self, lower: plain.Lower, call: Call) -> str | Value:
        sources = self._inputs(call)
        inputs = (
            v._replace(node=s, unrounded=None) for v, s in zip(call.inputs, sources, strict=True)
        )
        made = lower(self.builder, call._replace(inputs=tuple(inputs)))
        if isinstance(made, str):
            return self._output_of(call, made)
        if not call.layer.enable_oq:
            return made
        return self._quantised(f"{call.name}_oq", made, call.layer.oq)

    def rounds(self, layer: Any) -> bool:
        return isinstance(layer, hgq.layers.Quantizer) or bool(input_quantizers(layer))

    def _rounded(self, value: Value) -> Value:
        """A problem, with the remedy of HGQ2, if a value is not rounded."""
        if value.unrounded is not None:
            refusal = Refusal(value.unrounded.refusal.reason, _ROUNDED)
            value = value._replace(unrounded=value.unrounded._replace(refusal=refusal))
        return super()._rounded(value)

    def _table(self, call: Call) -> str:
        (source,) = self._inputs(call)
        if call.layer.activation in (keras.activations.linear, keras.activations.relu):
            return self._output_of(call, self._activated(call, source))
        shape = call.inputs[0].shape
        if not is_elementwise(call.layer.activation, shape, _probes(self.builder, source)):
            raise Refusal("the function is not elementwise", "use an elementwise function")
        _check_table(call.layer, shape)
        function = elementwise(call.layer, shape)
        try:
            return staircase(self.builder, call.name, source, function, bisectable=False)
        except Decreases:
            return self._entries(
                call.name, source, call.layer, shape, "use an iq_conf of fewer bits"
            )

    def _softmax(self, call: Call) -> str:
        """HGQ2's softmax is made of tables: the largest value, exponentials, and one division."""
        layer = call.layer
        (value,) = call.inputs
        groups = numbered.along(value.shape, layer.axes)
        place = np.empty(groups.size, dtype=np.int64)
        place[groups] = np.arange(len(groups))[:, None]
        (source,) = self._inputs(call)
        if layer.stable:
            largest = self.builder.maximum(f"{call.name}_largest", source, groups)
            each = wiring.gather(self.builder, f"{call.name}_largest_each", largest, place)
            source = self.builder.add(f"{call.name}_below", (each, source), (1, -1))
        exponentials = self._lookup(f"{call.name}_exp", layer.exp_table, Value(source, value.shape))
        total = merging.sums(self.builder, f"{call.name}_sum", exponentials, groups)
        one = tuple(1 if k in layer.axes else size for k, size in enumerate(value.shape, 1))
        inverse = self._lookup(f"{call.name}_inv", layer.inv_table, Value(total, one))
        each = wiring.gather(self.builder, f"{call.name}_inv_each", inverse, place)
        return self._output_of(call, self.builder.multiply(call.name, exponentials, each))

    def _lookup(self, name: str, layer: hgq.layers.QUnaryFunctionLUT, value: Value) -> str:
        """One of the tables of a softmax."""
        _check_table(layer, value.shape)
        source = value.node
        if layer.enable_iq:
            source = self._quantised(f"{name}_iq", value, layer.iq)
        return self._entries(name, source, layer, value.shape, _TABLES)

    def _entries(
        self, name: str, source: str, layer: Any, shape: tuple[int, ...], remedy: str
    ) -> str:
        """A table of any function; ``remedy`` is for an input that is too wide."""
        function = elementwise(layer, shape)
        try:
            table = lookup(self.builder, name, source, function)
        except Refusal as refusal:
            raise Refusal(refusal.reason, remedy) from refusal
        near, entries = _near_entries(self.builder, source, layer, shape)
        if near:
            self.notes.append(near_note(table, near, entries))
        return table


def _near_entries(
    builder: Builder, source: str, layer: hgq.layers.QUnaryFunctionLUT, shape: tuple[int, ...]
) -> tuple[int, int]:
    """How many entries of a table float32 may round to another level, and how many it has."""
    fraction = int(builder[source].fractions.max())
    up = fraction - builder[source].fractions
    low, high = builder.range(source)
    integers = np.arange(int((low << up).min()), int((high << up).max()) + 1)
    x = np.ldexp(integers.astype(np.float64), -fraction)
    real = of_vectors(layer.activation, shape)
    rounded = of_vectors(partial(quantised, layer, shape), shape)
    return near_steps(real(x), rounded), len(x)


def _check_table(layer: hgq.layers.QUnaryFunctionLUT, shape: tuple[int, ...]) -> None:
    """Refuse a table whose output quantiser is off, or differs between elements."""
    if not layer.enable_oq:
        raise Refusal("its table has values without a type", "use enable_oq=True")
    applied = rule(layer.oq, shape)
    if applied is None or len(set(applied.types)) > 1 or applied.dead.any() != applied.dead.all():
        raise Refusal(
            "its elements have tables of different types", "use allow_heterogeneous_table=False"
        )


def _probes(builder: Builder, source: str) -> np.ndarray:
    """Real values from the minimum to the maximum of a node, on its finest step."""
    fractions = builder[source].fractions
    low, high = (np.ldexp(end.astype(float), -fractions) for end in builder.range(source))
    step = np.ldexp(1.0, -int(fractions.max()))
    return np.unique(np.rint(np.linspace(low.min(), high.max(), _PROBES) / step) * step)


def _check_causal(layer: hgq.layers.QConv1D, shape: tuple[int, ...]) -> None:
    """Refuse causal padding with types for each position: HGQ2 pads before it quantises."""
    padding = layer.dilation_rate[0] * (layer.kernel_size[0] - 1)
    if layer.padding != "causal" or not padding or not layer.enable_iq:
        return
    applied = rule(layer.iq, shape)
    weights = layer.iq.quantizer.weights
    if applied is not None and any(len(w.shape) > 1 and w.shape[1] > 1 for w in weights):
        raise Refusal(
            f"HGQ2 pads its input to {shape[0] + padding} positions and then quantises it by types "
            f"for {shape[0]}, which fails",
            f'use ZeroPadding1D(({padding}, 0)) before it and padding="valid"',
        )

"""Recurrent layers of Keras and QKeras, unrolled over their steps.

Keras computes the same with each ``implementation``, ``unroll`` and, in inference, dropout. QKeras
quantises the state where a step reads it, not where it is passed on.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import qkeras

from trigger.fixedpoint.build import Builder
from trigger.fixedpoint.ops import Constant
from trigger.fixedpoint.ranges import TooWide
from trigger.fixedpoint.types import Integers
from trigger.frontends import own, wiring
from trigger.frontends.calls import Call
from trigger.frontends.inexact import Refusal
from trigger.frontends.piecewise import scaled
from trigger.frontends.qkeras.activations import lower_activation
from trigger.frontends.qkeras.float64 import promoted
from trigger.quantizers import LearnedActivation

LAYERS = (
    keras.layers.SimpleRNN,
    keras.layers.GRU,
    keras.layers.LSTM,
    qkeras.QSimpleRNN,
    qkeras.QGRU,
    qkeras.QLSTM,
)
RECURRENT = "recurrent"
_QUANTIZERS = ("kernel_quantizer", "recurrent_quantizer", "bias_quantizer", "state_quantizer")


class Weights(NamedTuple):
    """The constants of a layer: ``bias`` has two rows where the state is reset after its kernel."""

    kernel: Constant
    recurrent: Constant
    bias: Constant


def check(layer: Any) -> None:
    """Refuse a layer that keeps a state, or whose quantisers have a type for each element."""
    own.check_precision(layer.cell)
    if layer.stateful:
        raise Refusal(
            "it is stateful: what it gives depends on the events before", "use stateful=False"
        )
    for name in ("activation", "recurrent_activation"):
        if type(getattr(layer.cell, name, None)) is LearnedActivation:
            raise Refusal(
                f"its {name} has a type for each element",
                "use one quantiser for all elements, such as FixedPoint",
            )


def lower(builder: Builder, call: Call, weights: Weights) -> tuple[str, ...]:
    """Append all steps of a layer; returns the nodes of its outputs and, if asked for, states.

    Raises Refusal if an activation is not exact, or the values grow too wide.
    """
    layer = call.layer
    value, *given = call.inputs
    steps = value.shape[0]
    order = np.arange(steps)[:: -1 if layer.go_backwards else 1]
    projected = _projected(builder, call, weights, steps)
    width = len(builder[projected].types) // steps
    unrolled = _Steps(builder, call, weights)
    states = [state.node for state in given] or _zeros(builder, call, projected)
    outputs = []
    for count, step in enumerate(order, 1):
        is_last = count == steps and not layer.return_sequences
        name = call.name if is_last else f"{call.name}_step_{count}"
        x = wiring.gather(builder, f"{name}_x", projected, np.arange(width) + width * int(step))
        try:
            states = unrolled.after(name, x, states)
        except TooWide as wide:
            raise _too_wide(layer, count, wide.width) from wide
        outputs.append(states[0])
    output = builder.concatenate(call.name, tuple(outputs)) if layer.return_sequences else states[0]
    return (output, *states) if layer.return_state else (output,)


def _projected(builder: Builder, call: Call, weights: Weights, steps: int) -> str:
    """The inputs of all steps times the kernel, with the bias: one kernel at each step."""
    bias = Constant(np.atleast_2d(weights.bias.values)[0], weights.bias.type)
    return builder.dense(f"{call.name}_projected", call.inputs[0].node, weights.kernel, bias, steps)


def _zeros(builder: Builder, call: Call, source: str) -> list[str]:
    """The states before the first step."""
    units = int(call.layer.cell.units)
    zero = builder.select(f"{call.name}_zero", source, np.full(units, -1))
    return [zero] * len(call.layer.state_size)


def _too_wide(layer: Any, count: int, width: int) -> Refusal:
    state = "a state_quantizer such as quantized_bits(8,1,alpha=1), and " * hasattr(
        layer, "state_quantizer"
    )
    return Refusal(
        f"at step {count} a value needs {width} bits, but float64 holds 53",
        f"give it {state}quantised activations such as quantized_tanh(8) and quantized_sigmoid(8)",
    )


class _Steps:
    """The steps of one layer, each made of the same kernels and activations."""

    def __init__(self, builder: Builder, call: Call, weights: Weights) -> None:
        self._builder = builder
        self._cell = call.layer.cell
        self._units = int(self._cell.units)
        self._weights = weights
        self._step = self._step_of()

    def _step_of(self) -> Callable[[str, str, list[str]], list[str]]:
        if isinstance(self._cell, keras.layers.LSTMCell):
            return self._lstm
        return self._gru if isinstance(self._cell, keras.layers.GRUCell) else self._simple

    def after(self, name: str, x: str, states: Sequence[str]) -> list[str]:
        """The states after a step, the output first; ``x`` is what its input adds to the gates."""
        quantizer = getattr(self._cell, "state_quantizer_internal", None)
        read = [
            lower_activation(self._builder, f"{name}_state_{k}", state, quantizer)
            for k, state in enumerate(states)
        ]
        return self._step(name, x, read)

    def _simple(self, name: str, x: str, states: list[str]) -> list[str]:
        total = self._builder.add(f"{name}_sum", (x, self._recurrent(name, states[0])))
        return [self._activated(name, total)]

    def _gru(self, name: str, x: str, states: list[str]) -> list[str]:
        builder, units = self._builder, self._units
        (state,) = states
        both, last = np.arange(2 * units), np.arange(2 * units, 3 * units)
        if self._cell.reset_after:
            inner = self._recurrent(f"{name}_all", state)
            gates = self._part(f"{name}_recurrent", inner, both)
        else:
            inner = ""
            gates = self._recurrent(name, state, both)
        gates = builder.add(f"{name}_gates_sum", (self._part(f"{name}_gates_x", x, both), gates))
        gates = self._gated(f"{name}_gates", gates)
        update = self._part(f"{name}_update", gates, np.arange(units))
        reset = self._part(f"{name}_reset", gates, np.arange(units, 2 * units))
        if self._cell.reset_after:
            before = self._part(f"{name}_before", inner, last)
            before = builder.multiply(f"{name}_kept", reset, before)
        else:
            kept = builder.multiply(f"{name}_kept", reset, state)
            before = self._recurrent(f"{name}_candidate", kept, last)
        total = (self._part(f"{name}_candidate_x", x, last), before)
        candidate = builder.add(f"{name}_candidate_sum", total)
        candidate = self._activated(f"{name}_candidate", candidate)
        rest = scaled(builder, f"{name}_rest", update, -1.0, 1.0)
        new = builder.multiply(f"{name}_new", rest, candidate)
        old = builder.multiply(f"{name}_old", update, state)
        return [builder.add(name, (old, new))]

    def _lstm(self, name: str, x: str, states: list[str]) -> list[str]:
        builder, units = self._builder, self._units
        state, carry = states
        total = builder.add(f"{name}_sum", (x, self._recurrent(name, state)))
        # Keras has the input, forget and output gates around the candidate.
        places = np.concatenate([np.arange(2 * units), np.arange(3 * units, 4 * units)])
        gates = self._gated(f"{name}_gates", self._part(f"{name}_gates_sum", total, places))
        enter, forget, leave = (
            self._part(f"{name}_{part}", gates, np.arange(k * units, (k + 1) * units))
            for k, part in enumerate(("input", "forget", "output"))
        )
        candidate = self._part(f"{name}_candidate_sum", total, np.arange(2 * units, 3 * units))
        candidate = self._activated(f"{name}_candidate", candidate)
        old = builder.multiply(f"{name}_old", forget, carry)
        new = builder.multiply(f"{name}_new", enter, candidate)
        carry = builder.add(f"{name}_carry", (old, new))
        shown = self._activated(f"{name}_shown", carry)
        return [builder.multiply(name, leave, shown), carry]

    def _recurrent(self, name: str, state: str, columns: Integers | None = None) -> str:
        """A state times columns of the recurrent kernel (all by default), with their bias."""
        weights = self._weights
        kernel, bias = weights.recurrent.values, weights.bias.values
        bias = bias[1] if bias.ndim == 2 else np.zeros(kernel.shape[1], dtype=np.int64)
        if columns is not None:
            kernel, bias = kernel[:, columns], bias[columns]
        return self._builder.dense(
            f"{name}_recurrent",
            state,
            Constant(kernel, weights.recurrent.type),
            Constant(bias, weights.bias.type),
        )

    def _part(self, name: str, source: str, elements: Integers) -> str:
        return wiring.gather(self._builder, name, source, elements)

    def _activated(self, name: str, source: str) -> str:
        return lower_activation(self._builder, name, source, self._cell.activation)

    def _gated(self, name: str, source: str) -> str:
        return lower_activation(self._builder, name, source, self._cell.recurrent_activation)


def in_float64(layer: Any) -> Any:
    """The same layer without quantisers of its weights, in float64; to be used in ``float64()``."""
    config = layer.get_config()
    config |= {name: None for name in _QUANTIZERS if name in config}
    config |= {name: "linear" for name in ("activation", "recurrent_activation") if name in config}
    for initializer in ("kernel_initializer", "recurrent_initializer", "bias_initializer"):
        config[initializer] = "zeros"
    twin = type(layer).from_config({**config, "dtype": "float64"})
    twin.name = layer.name
    for name in ("activation", "recurrent_activation"):
        if hasattr(layer.cell, name):
            setattr(twin.cell, name, promoted(getattr(layer.cell, name)))
    quantizer = getattr(layer.cell, "state_quantizer_internal", None)
    if quantizer is not None:
        twin.cell.state_quantizer = twin.cell.state_quantizer_internal = promoted(quantizer)
    return twin

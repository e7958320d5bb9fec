"""The hardware cost of learned widths, and training towards a target cost."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from trigger.errors import TriggerError
from trigger.fixedpoint.types import Fixed
from trigger.frontends.nested import nodes
from trigger.frontends.qkeras.quantizers import quantizer_types
from trigger.frontends.tensors import alone
from trigger.layers import LookupLayer, PopCount, TableDense, Thermometer
from trigger.quantizers import LearnedActivation, LearnedWeights
from trigger.training import weightless
from trigger.training.fit import Shrinking

# A weight of b bits takes about 1 + (b - 1) / 2 adders, each wider than the value by the growth of
# the sum. This is the number of LUTs per adder bit, fitted to Yosys counts of jet taggers of 2,000
# to 3,300 LUT; larger ones take less.
_ADDERS_A_BIT = 0.5
GROWTH = 4.0
LUT_A_BIT = 0.82
# The cost falls to its target in this fraction of the epochs; the weights settle in the others.
_DESCENT = 0.5
# Neurons are removed at this fraction of the descent, and once more after it.
_REMOVALS = (0.6, 0.8, 1.0, 1.3)
# They use the minimum strength of this many epochs, because it sometimes overshoots and removals
# are permanent.
_PRICES = 5
# From here on the ranges of the first training steps have settled.
_FIRST_EPOCH = 2
# The margin below the target for remaining fluctuations of the cost.
_AIM = 0.99
_FIRST_STRENGTH = 1e-6
_STRENGTHS = (1e-9, 1e-2)
# The approximate strength that keeps a network of some thousand LUTs constant.
SETTLED_STRENGTH = 8e-6
# The gains of the strength for the error of the cost and for its change, in logarithms per epoch.
_GAIN = 0.5
_DAMPING = 4.0

Tensor = Any
Terms = Callable[[], Tensor]


class DenseLayer(NamedTuple):
    """A Dense layer, the bits of its inputs (inputs,), and 1 for each active neuron, else 0
    (units,).
    """

    layer: Any
    bits: Terms
    neurons: Terms


class Cost(NamedTuple):
    """``effective_bit_operations``: the sum over all multiplications of weight bits times value
    bits, and the bits of the biases (arXiv:2405.00645); ``lut``: an estimate for those
    multiplications as sums of shifted values.

    The inputs of a neuron that has no bits, or that no weight reads, count nothing.
    """

    effective_bit_operations: float
    lut: float


def is_learned(model: keras.Model) -> bool:
    """Whether the network has learned widths."""
    parts = (
        getattr(layer, name, None)
        for layer in model.layers
        for name in ("kernel_quantizer_internal", "activation")
    )
    tables = any(isinstance(layer, TableDense) for layer in model.layers)
    return tables or any(isinstance(part, LearnedWeights | LearnedActivation) for part in parts)


def cost(model: keras.Model, inputs: tuple[Fixed, ...]) -> Cost:
    """The current cost of a network for inputs of these types. Raises as ``lut_of``."""
    return Cost(float(_sum(model, inputs, _bit_operations)()), float(lut_of(model, inputs)()))


def lut_of(model: keras.Model, inputs: tuple[Fixed, ...]) -> Terms:
    """``Cost.lut`` as a function of the network's weights, differentiable in the widths.

    Raises TriggerError if a Dense layer reads values of unknown width.
    """
    dense = _sum(model, inputs, _lut)
    tables = weightless.lut_of(model, inputs)
    return lambda: dense() + tables()


def dense_layers(model: keras.Model, inputs: tuple[Fixed, ...]) -> list[DenseLayer]:
    """The Dense layers of a network in order, for inputs of these types. Raises as ``lut_of``."""
    order = nodes(model)
    bits: dict[int, Terms | None] = {
        tensor: _constant([t.width - t.signed for t in types], len(types))
        for tensor, types in weightless.types_of_inputs(model, inputs).items()
    }
    neurons = _neurons(order, model.outputs)
    layers: list[DenseLayer] = []
    for node in order:
        layer = node.operation
        sources = [bits[id(tensor)] for tensor in node.arguments.keras_tensors]
        if isinstance(layer, keras.layers.Dense):
            if math.prod(node.outputs[0].shape[1:-1]) != 1:
                raise TriggerError(
                    f"training: {layer.name} has one kernel for several positions; learned widths "
                    f"need Dense layers on one vector"
                )
            if sources[0] is None:
                raise TriggerError(
                    f"training: {layer.name} reads values of unknown width; put a "
                    f"QActivation before it"
                )
            for name in ("kernel", "bias") if layer.use_bias else ("kernel",):
                if not isinstance(
                    getattr(layer, f"{name}_quantizer_internal", None), LearnedWeights
                ):
                    raise TriggerError(
                        f"training: {layer.name} has a kernel or bias without learned "
                        f"widths; use LearnedWeights"
                    )
            layers.append(DenseLayer(layer, sources[0], neurons[id(node)]))
        bits[id(node.outputs[0])] = _after(layer, sources, _elements(node.outputs[0]))
    return layers


class Steered(keras.Model):
    """The layers of a network, with ``strength`` times a cost added to its loss."""

    def __init__(self, model: keras.Model, lut: Terms) -> None:
        given = model.input if isinstance(model.input, dict) else alone(model.inputs)
        super().__init__(given, model.outputs[0])
        self._lut = lut
        self.strength = self.add_weight(
            name="strength", shape=(), initializer="zeros", trainable=False
        )

    def compute_loss(self, *args: Any, training: bool = True, **kwargs: Any) -> Tensor:
        loss = super().compute_loss(*args, training=training, **kwargs)
        return loss + self.strength * self._lut() if training else loss


class Steering(Shrinking):
    """Controls the strength of ``Steered`` so that the cost follows a path to its target.

    ``lut`` is the cost after the epoch. ``removal``, a function of the strength, removes neurons.
    """

    def __init__(
        self,
        lut: Terms,
        target: int,
        epochs: int,
        removal: Callable[[float], int] = lambda strength: 0,
        strength: float = _FIRST_STRENGTH,
    ) -> None:
        super().__init__()
        self._cost = lut
        self._target = target
        self._removal = removal
        self._end = max(_DESCENT * epochs, _FIRST_EPOCH + 1)
        self._removals = [
            round(_FIRST_EPOCH + share * (self._end - _FIRST_EPOCH)) for share in _REMOVALS
        ]
        self._strength = strength
        self._error = 0.0
        self._prices: list[float] = []
        self._from = (_FIRST_EPOCH, 0.0)  # the start of the path: epoch and cost
        self.lut = math.inf

    def counts(self, epoch: int) -> bool:
        return self.lut <= self._target

    def check(self) -> None:
        lut = float(self._cost())
        if lut > self._target:
            raise TriggerError(
                f"training: the network reached {lut:,.0f} LUT by estimate, above the "
                f"target of {self._target:,}; train for more epochs, or raise training.target_lut"
            )

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == _FIRST_EPOCH:
            self._from = (epoch, self.lut)
        if epoch >= _FIRST_EPOCH:
            begin, first = self._from
            share = min((epoch - begin) / max(self._end - begin, 1), 1.0)
            wanted = first ** (1 - share) * (_AIM * self._target) ** share
            error = math.log(max(self.lut, 1.0) / wanted)
            change = error - self._error if epoch > begin else 0.0
            self._error = error
            low, high = _STRENGTHS
            self._strength = min(
                max(self._strength * math.exp(_GAIN * error + _DAMPING * change), low), high
            )
        self.model.strength.assign(self._strength)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._prices = [*self._prices[1 - _PRICES :], self._strength]
        removed = epoch in self._removals and self._removal(min(self._prices))
        self.lut = float(self._cost())
        if removed and epoch < self._end:
            self._from = (
                epoch + 1,
                self.lut,
            )  # the path continues from there: the strength is not too high
        if logs is not None:
            logs["lut"] = self.lut
            logs["strength"] = self._strength


def _sum(
    model: keras.Model, inputs: tuple[Fixed, ...], term: Callable[[Tensor, Tensor], Tensor]
) -> Terms:
    """The sum over all Dense layers of ``term`` of weight bits (inputs, units) and value bits
    (inputs, 1), and of bias bits.
    """
    terms = [_dense(*layer, term) for layer in dense_layers(model, inputs)]
    return lambda: sum((one() for one in terms), ops.convert_to_tensor(0.0))


def _neurons(order: list[Any], outputs: list[Any]) -> dict[int, Terms]:
    """1 for each active neuron of a Dense layer, 0 for one without bits or readers, by the id of
    its node.
    """
    one = _constant([1], 1)
    readers: dict[int, list[Terms]] = {id(tensor): [one] for tensor in outputs}
    neurons: dict[int, Terms] = {}
    for node in reversed(order):
        layer = node.operation
        tensors = node.arguments.keras_tensors
        reader = read = _present(readers[id(node.outputs[0])], getattr(layer, "activation", None))
        if isinstance(layer, keras.layers.Dense):
            neurons[id(node)] = read
            reader = partial(_bits_out, layer, read)
        elif len(tensors) != 1 or _elements(tensors[0]) != _elements(node.outputs[0]):
            reader = one
        for tensor in tensors:
            readers.setdefault(id(tensor), []).append(reader)
    return neurons


def _present(readers: list[Terms], activation: Any) -> Terms:
    """1 for each element, or 0 if no reader or its activation has a bit of it. No gradient."""
    parts: list[Terms] = [lambda: sum(reader() for reader in readers)]
    if isinstance(activation, LearnedActivation):
        parts.append(activation.width)
    return lambda: ops.stop_gradient(math.prod(ops.minimum(part(), 1.0) for part in parts))


def _bits_out(layer: Any, neurons: Terms) -> Tensor:
    """The bits of the weights of each input (inputs,) to active neurons."""
    return ops.sum(layer.kernel_quantizer_internal.used(layer.kernel) * neurons(), axis=1)


def _elements(tensor: Any) -> int:
    return math.prod(tensor.shape[1:])


def _after(layer: Any, sources: list[Terms | None], elements: int) -> Terms | None:
    """The bits of each output element of a layer, without the sign; None if unknown."""
    activation = getattr(layer, "activation", None)
    if isinstance(activation, LearnedActivation):
        return lambda: ops.broadcast_to(activation.width(), (elements,))
    if isinstance(layer, Thermometer | LookupLayer):
        return _constant([1], elements)
    if isinstance(layer, PopCount):
        return _constant([(layer.input.shape[-1] // layer.groups).bit_length()], elements)
    rule = quantizer_types(activation)
    if rule is not None:
        return _constant([rule[0].width - rule[0].signed], elements)
    if isinstance(layer, keras.layers.Concatenate) and None not in sources:
        return lambda: ops.concatenate([source() for source in sources if source])
    harmless = isinstance(
        layer,
        keras.layers.ReLU | keras.layers.Flatten | keras.layers.Reshape | keras.layers.Dropout,
    )
    return sources[0] if harmless else None


def _constant(values: list[int], elements: int) -> Terms:
    array = np.broadcast_to(np.asarray(values, dtype=np.float32), elements)
    return lambda: ops.convert_to_tensor(array)


def _dense(
    layer: Any, source: Terms, neurons: Terms, term: Callable[[Tensor, Tensor], Tensor]
) -> Terms:
    kernel = layer.kernel_quantizer_internal
    bias = layer.bias_quantizer_internal

    def total(weights: Tensor, biases: Tensor) -> Tensor:
        return ops.sum(term(weights, source()[:, None]), axis=0) + biases

    def value() -> Tensor:
        used = total(kernel.used(layer.kernel), bias.used(layer.bias) if layer.use_bias else 0.0)
        may = ops.sum(
            total(
                ops.broadcast_to(kernel.width(), layer.kernel.shape),
                bias.width() if layer.use_bias else 0.0,
            )
        )
        # The value is that of the actual bits, but the gradient that of the possible bits: so zero
        # weights also lose bits, and do not flicker back at every step.
        return may + ops.stop_gradient(ops.sum(used * neurons()) - may)

    return value


def _bit_operations(weight: Tensor, value: Tensor) -> Tensor:
    return weight * value


def _lut(weight: Tensor, value: Tensor) -> Tensor:
    # Both are linear between zero and one bit, so that there is a gradient towards no bits.
    adders = ops.minimum(weight, 1.0) + _ADDERS_A_BIT * ops.relu(weight - 1.0)
    return LUT_A_BIT * adders * (value + GROWTH * ops.minimum(value, 1.0))

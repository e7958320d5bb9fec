"""The LUTs of the layers of ``trigger.layers``: of comparators in use, of neurons, of counts of
ones, and of tables on edges and their sums.

A comparator counts once, however many neurons read it, and by the bits that it compares: an integer
with k zeros at the end compares k bits fewer. So training that pays for LUTs shares comparators,
prefers round thresholds and drops features.
"""

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import keras
import numpy as np
from keras import ops

from trigger.fixedpoint.types import Fixed
from trigger.frontends.nested import nodes
from trigger.frontends.qkeras.quantizers import quantizer_types
from trigger.layers import LookupLayer, PopCount, TableDense, Thermometer
from trigger.quantizers import LearnedWeights

LAYERS = (Thermometer, LookupLayer, PopCount, TableDense)
# A table of an FPGA reads this many bits; each further one of a comparison reads its carry, too.
_INPUTS = 6
# Bits of a value of unknown type.
_UNKNOWN = 8
# Comparators of a feature share tables: LUTs of one, and of each table in its chain. LUTs of a bit
# of a sum. Rough, read off Yosys' counts of eight jet taggers of 45 to 250 LUT. For five random
# networks, `benchmarks/table_prices.py --networks 5` finds 0, 1.02 and 0.41 (root mean square of
# the relative error 4 %; of these prices 9 %).
_A_COMPARATOR = 0.5
_A_LINK = 0.4
_A_BIT = 0.8
# LUTs of a bit of a sum of tables, of each table in it, and of an input that saturates. Fitted by
# the same command to five random layers (1 %).
_A_SUM = 0.86
_A_GROWTH = 0.58
_A_SATURATION = 6.6
# The margin to a probability of one, which has no logarithm.
_CERTAIN = 1e-6
# A spread that has a logarithm, and no table that is not constant.
_LEAST_SPREAD = 1e-6

Tensor = Any
Terms = Callable[[], Tensor]


def has_tables(model: keras.Model) -> bool:
    """Whether a network has weightless neurons or tables on edges."""
    return any(isinstance(layer, LookupLayer | TableDense) for layer in model.layers)


def adapt(model: keras.Model, x: np.ndarray, types: tuple[Fixed, ...]) -> None:
    """Place the thresholds of every Thermometer that learns at quantiles of events (events,
    features), where they read the inputs at integers of few bits; and set the ranges of every
    TableDense that reads inputs, or values that training does not change.
    """
    for node in nodes(model):
        layer = node.operation
        if not isinstance(layer, Thermometer | TableDense) or not layer.trainable:
            continue
        (source,) = node.arguments.keras_tensors
        # The ranges of values that training moves are its own.
        if isinstance(layer, TableDense) and keras.Model(model.input, source).trainable_weights:
            continue
        read = types_of_inputs(model, types).get(id(source))
        step = None if read is None else np.array([2.0**-t.fraction for t in read])
        layer.adapt(_values(model, source, x), step)


def _values(model: keras.Model, tensor: Any, x: np.ndarray) -> np.ndarray:
    """The values of a tensor inside a network for events."""
    from trigger.frontends.networks import outputs

    return outputs(keras.Model(model.input, tensor), x)


def lut_of(model: keras.Model, inputs: tuple[Fixed, ...]) -> Terms:
    """The LUTs of the weightless layers of a network as a function of its weights.

    The value is that of the wires as they are; its gradient is that of the probabilities of the
    wires to be there.
    """
    uses = _Uses(model)
    terms = [_lut(model, node, uses, inputs) for node in nodes(model) if _is_counted(node)]
    return lambda: sum((term() for term in terms), ops.convert_to_tensor(0.0))


def _is_counted(node: Any) -> bool:
    return isinstance(node.operation, LAYERS)


def _lut(model: keras.Model, node: Any, uses: "_Uses", inputs: tuple[Fixed, ...]) -> Terms:
    """The LUTs of one use of a layer."""
    layer = node.operation
    (source,) = node.arguments.keras_tensors
    used = uses.of(node.outputs[0])
    if isinstance(layer, Thermometer):
        return partial(_priced, partial(comparators, layer, _types(model, source, inputs)), used)
    if isinstance(layer, LookupLayer):
        return partial(_priced, partial(table, layer.n), uses.active(node.outputs[0]))
    if isinstance(layer, TableDense):
        return partial(_edges, layer, address_prices(model, inputs, node), used)
    return partial(_sums, layer.groups, uses.active(source))


def prices(model: keras.Model, inputs: tuple[Fixed, ...], reader: Any) -> np.ndarray:
    """The LUTs of each bit that a LookupLayer may read, 0 of one that others read."""
    uses = _Uses(model, without=reader)
    costs: dict[int, np.ndarray] = {}
    for node in nodes(model):
        layer, tensors = node.operation, node.arguments.keras_tensors
        if layer is reader:
            return costs.get(id(tensors[0]), np.zeros(_elements(tensors[0])))
        output = node.outputs[0]
        free = ops.convert_to_numpy(uses.of(output)()) > 0
        if isinstance(layer, Thermometer):
            each = ops.convert_to_numpy(comparators(layer, _types(model, tensors[0], inputs)))
        elif isinstance(layer, LookupLayer):
            each = np.full(layer.units, table(layer.n))
        elif isinstance(layer, keras.layers.Concatenate):
            parts = [costs.get(id(t), np.zeros(_elements(t))) for t in tensors]
            each = np.concatenate(parts)
        else:
            continue
        costs[id(output)] = np.where(free, 0.0, each)
    raise AssertionError("the network has no such layer")


def comparators(layer: Thermometer, types: tuple[Fixed, ...] | None) -> Tensor:
    """The LUTs of each comparator, in the order of the bits."""
    count = layer.places.shape[1]
    if types is None:
        return ops.full((layer.places.shape[0] * count,), _chain(_UNKNOWN))
    steps = np.array([[2.0**-t.fraction] for t in types], dtype=np.float32)
    # Signed integers are compared with the highest bit inverted, as unsigned ones.
    first = np.array([[float(t.minimum)] for t in types], dtype=np.float32)
    integers = ops.ceil(ops.stop_gradient(layer.values()) / steps) - first
    widths = np.array([[t.width] for t in types], dtype=np.float32)
    zeros = sum(
        ops.cast(ops.equal(ops.floor(integers / power) * power, integers), "float32")
        for power in 2.0 ** np.arange(1, int(widths.max()))
    )
    bits = ops.maximum(widths - zeros, 1.0)
    # One bit is a wire.
    return ops.reshape(ops.where(bits > 1, _chain(bits), 0.0), (-1,))


def _chain(bits: Any) -> Any:
    """The LUTs of a comparison of so many bits."""
    return _A_COMPARATOR + _A_LINK * ops.maximum(ops.ceil((bits - 1.0) / (_INPUTS - 1)), 1.0)


def comparator(bits: np.ndarray) -> np.ndarray:
    """The LUTs of comparisons of so many bits, as those of a Thermometer."""
    links = np.maximum(np.ceil((bits - 1) / (_INPUTS - 1)), 1)
    return np.where(bits > 1, _A_COMPARATOR + _A_LINK * links, 0.0)


def table(n: int) -> float:
    """The LUTs of a table of n bits."""
    return 2.0 ** max(n - _INPUTS, 0)


def _priced(prices: Callable[[], Tensor], used: Terms) -> Tensor:
    return ops.sum(prices() * used())


def _edges(layer: TableDense, address: np.ndarray, used: Terms) -> Tensor:
    """The LUTs of tables, of the sums of their values, and of the addresses in use."""
    bits, there = edge_bits(layer)
    each = edge(layer.bits, bits, there)
    return ops.sum(each * used()) + ops.sum(address * _tabled(layer, used))


def edge(address: int, bits: Any, there: Any) -> Any:
    """The LUTs of a table of ``bits``, and of adding its values; 0 if it is not there."""
    return bits * (table(address) + _A_SUM) + _A_GROWTH * there


def edge_bits(layer: TableDense) -> tuple[Tensor, Tensor]:
    """The bits of the values of each table (inputs, units), and 1 where there are any.

    The value is that of the entries as they are. Its gradient is that of the spread of a table in
    steps: so cost enlarges the steps, and levels tables until they are constant.
    """
    fraction = layer.fraction + ops.stop_gradient(ops.round(layer.fraction) - layer.fraction)
    entries = layer.entries()
    most = (ops.max(entries, axis=2) - ops.min(entries, axis=2)) * 2.0**fraction
    used = ops.where(most > 0, ops.floor(ops.log2(ops.maximum(most, 1.0) + 0.5)) + 1.0, 0.0)
    lines = layer.unrounded()
    spread = ops.std(lines, axis=2) + _LEAST_SPREAD
    span = ops.stop_gradient((ops.max(lines, axis=2) - ops.min(lines, axis=2)) / spread) * spread
    may = ops.relu(ops.log2(span + _LEAST_SPREAD) + fraction + 1.0)
    there = ops.minimum(may, 1.0)
    return (
        may + ops.stop_gradient(used - may),
        there + ops.stop_gradient(ops.minimum(used, 1.0) - there),
    )


def address_prices(model: keras.Model, inputs: tuple[Fixed, ...], node: Any) -> np.ndarray:
    """The LUTs to saturate each input of a TableDense, 0 if no value of its type is outside."""
    layer = node.operation
    (source,) = node.arguments.keras_tensors
    types = _types(model, source, inputs)
    if types is None:
        return np.full(layer.range.shape, _A_SATURATION, dtype=np.float32)
    ranges = ops.convert_to_numpy(ops.round(layer.range))
    signed = ops.convert_to_numpy(layer.is_signed()) > 0
    fits = [
        t.integer - t.signed <= range_ and t.signed <= sign
        for t, range_, sign in zip(types, ranges, signed, strict=True)
    ]
    return np.where(fits, 0.0, _A_SATURATION).astype(np.float32)


def _sums(groups: int, used: Terms) -> Tensor:
    """The LUTs of counts of ones."""
    bits = ops.sum(ops.reshape(used(), (groups, -1)), axis=1)
    return ops.sum(_A_BIT * bits)


class _Uses:
    """How much each element of a tensor is used: 1 or 0, with the gradient of a probability."""

    def __init__(self, model: keras.Model, without: Any = None) -> None:
        one = partial(ops.ones, ())
        self._active: dict[int, Terms] = {}
        self._readers: dict[int, list[Terms]] = {id(tensor): [one] for tensor in model.outputs}
        for node in reversed(nodes(model)):
            self._read(node, without)

    def active(self, tensor: Any) -> Terms:
        """1 for each element that is not constant."""
        return self._active.get(id(tensor), partial(ops.ones, (_elements(tensor),)))

    def of(self, tensor: Any) -> Terms:
        readers = self._readers.get(id(tensor), [])
        return partial(_any, readers, _elements(tensor))

    def _read(self, node: Any, without: Any) -> None:
        layer = node.operation
        used = self.of(node.outputs[0])
        if isinstance(layer, LookupLayer):
            used = self._active[id(node.outputs[0])] = _active(layer, used)
        start = 0
        for tensor in node.arguments.keras_tensors:
            stop = start + _elements(tensor)
            reader = (
                partial(ops.zeros, ()) if layer is without else _reader(node, used, start, stop)
            )
            self._readers.setdefault(id(tensor), []).append(reader)
            start = stop


def _reader(node: Any, used: Terms, start: int, stop: int) -> Terms:
    """How much a use of a layer reads the elements of a tensor, which is this part of its inputs,
    where its outputs are used.
    """
    layer = node.operation
    if isinstance(layer, LookupLayer):
        return partial(_wired, layer, used)
    if isinstance(layer, keras.layers.Concatenate) and len(node.outputs[0].shape) == 2:
        return partial(_part, used, start, stop)
    if isinstance(layer, TableDense):
        return partial(_tabled, layer, used)
    if isinstance(getattr(layer, "kernel_quantizer_internal", None), LearnedWeights):
        return partial(_weighted, layer)
    if len(node.arguments.keras_tensors) == 1 and stop == _elements(node.outputs[0]):
        return used
    return partial(ops.ones, ())


def _any(readers: list[Terms], elements: int) -> Tensor:
    """1 where one of the readers reads."""
    unread = ops.ones((elements,))
    for reader in readers:
        unread = unread * (1.0 - reader())
    return 1.0 - unread


def _part(used: Terms, start: int, stop: int) -> Tensor:
    return used()[start:stop]


def _weighted(layer: Any) -> Tensor:
    """1 for each input of a Dense layer that has a weight."""
    bits = layer.kernel_quantizer_internal.used(layer.kernel)
    return ops.stop_gradient(ops.minimum(ops.max(bits, axis=1), 1.0))


def _tabled(layer: TableDense, used: Terms) -> Tensor:
    """1 for each input of a TableDense with a table that is not constant."""
    return ops.stop_gradient(ops.max(edge_bits(layer)[1] * used(), axis=1))


def _active(layer: LookupLayer, used: Terms) -> Terms:
    """1 for each neuron that is used and whose table is not constant."""

    def active() -> Tensor:
        ones = ops.mean(ops.cast(layer.tables > 0, "float32"), axis=1)
        return ops.stop_gradient(used() * ops.cast((ones > 0) & (ones < 1), "float32"))

    return active


def _wired(layer: LookupLayer, active: Terms) -> Tensor:
    """1 for each bit that an active neuron reads, with the gradient of the probability that none
    does.
    """
    wires = ops.repeat(active(), layer.n)
    likely = ops.softmax(layer.wiring, axis=0) * wires
    soft = 1.0 - ops.exp(ops.sum(ops.log1p(-likely * (1 - _CERTAIN)), axis=1))
    chosen = ops.one_hot(ops.argmax(layer.wiring, axis=0), layer.wiring.shape[0]) * wires[:, None]
    return soft + ops.stop_gradient(ops.max(chosen, axis=0) - soft)


def _types(model: keras.Model, tensor: Any, inputs: tuple[Fixed, ...]) -> tuple[Fixed, ...] | None:
    """The type of each element of a tensor; None if it is unknown."""
    given = types_of_inputs(model, inputs)
    if id(tensor) in given:
        return given[id(tensor)]
    for node in nodes(model):
        if node.outputs[0] is tensor:
            rule = quantizer_types(getattr(node.operation, "activation", None))
            return None if rule is None else (rule[0],) * _elements(tensor)
    return None


def types_of_inputs(model: keras.Model, types: tuple[Fixed, ...]) -> dict[int, tuple[Fixed, ...]]:
    """The types of the elements of each input of a network, by tensor."""
    ends = np.cumsum([0, *map(_elements, model.inputs)])
    parts = (types[start:stop] for start, stop in pairwise(ends))
    return dict(zip(map(id, model.inputs), parts, strict=True))


def _elements(tensor: Any) -> int:
    return math.prod(tensor.shape[1:])

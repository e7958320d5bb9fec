"""Layers of weightless networks: comparators, truth tables with learned wiring, and counts of ones.

``Thermometer`` turns values into bits, ``LookupLayer`` reads bits through learned truth tables, and
``PopCount`` counts ones. Each computes on hard bits, in training too, so that training sees what
the hardware computes. The gradients are those of DWN (arXiv:2410.11112).
"""

from typing import Any

import keras
import numpy as np
from keras import ops
from quantizers import get_fixed_quantizer

from trigger.support.quantiles import thresholds

# A table of this many bits is 64 six-input tables of an FPGA.
MOST_INPUTS = 12
# The temperature of the softmax over the candidates of a wire, which has only a gradient.
_SOFTNESS = 1.0
# The fraction of events within the range of an input.
_MOST = 0.99
_LARGEST_FRACTION = 16.0
# The pieces of a learned function, and the size and fractional bits of their ends: a line between
# two has 24 significant bits at most, also with tables of 12 bits.
_PIECES = 8
_LARGEST_KNOT = 8.0
_KNOT_FRACTION = 12
_FIXED = get_fixed_quantizer("RND_CONV", "SAT")


@keras.saving.register_keras_serializable(package="trigger")
class Thermometer(keras.layers.Layer):
    """Bits x >= threshold, 1.0 or 0.0: (events, features) to (events, features * thresholds), all
    of the first feature first.

    ``thresholds`` is the number for each feature, for ``adapt`` to place, or a list of thresholds
    for each feature. With ``learned``, training moves them. Raises ValueError for lists of several
    lengths, or none.
    """

    def __init__(
        self, thresholds: int | list[list[float]] = 16, learned: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.thresholds = thresholds
        self.learned = learned
        _check_thresholds(self.name, thresholds)

    def build(self, shape: tuple[int | None, ...]) -> None:
        features = _elements(self.name, shape)
        if isinstance(self.thresholds, int):
            first = np.tile(np.linspace(-1.0, 1.0, self.thresholds + 2)[1:-1], (features, 1))
        else:
            first = np.asarray(self.thresholds, dtype=np.float64)
        if len(first) != features:
            raise ValueError(
                f"{self.name}: thresholds has {len(first)} lists, but the layer reads {features} "
                "features: give one list for each"
            )
        self.places = self._add("places", first)
        self.spacing = self._add("spacing", _spacing(first))
        if self.learned:
            self.shift = self.add_weight(name="shift", shape=first.shape, initializer="zeros")

    def _add(self, name: str, values: np.ndarray) -> Any:
        initializer = keras.initializers.Constant(values)
        return self.add_weight(
            name=name, shape=values.shape, initializer=initializer, trainable=False
        )

    def adapt(self, x: np.ndarray, step: np.ndarray | float | None = None) -> None:
        """Place thresholds at quantiles of events (events, features), unless they were given.

        ``step`` is the least difference between two values of each feature. With it, each threshold
        is the multiple of the highest power of two that lies between its neighbours, so that its
        comparator reads few bits.
        """
        if not self.built:
            self.build(x.shape)
        if not isinstance(self.thresholds, int):
            return
        places = thresholds(x, self.thresholds, step)
        self.places.assign(places)
        self.spacing.assign(_spacing(places))

    def values(self) -> Any:
        """The thresholds (features, thresholds) of now."""
        return self.places + self.spacing * self.shift if self.learned else self.places

    def call(self, x: Any, training: bool | None = None) -> Any:
        x = ops.convert_to_tensor(x)[..., None]
        values = self.values()
        bits = ops.cast(x >= values, self.compute_dtype)
        if self.learned and training:
            # The slope of a comparator is a bump of the width of the spacing.
            distance = (ops.stop_gradient(x) - values) / self.spacing
            slope = ops.stop_gradient(ops.exp(-ops.square(distance)))
            bits = bits + slope * (distance - ops.stop_gradient(distance))
        return ops.reshape(bits, (-1, int(np.prod(self.places.shape))))

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        features = _elements(self.name, shape)
        count = self.thresholds if isinstance(self.thresholds, int) else len(self.thresholds[0])
        return shape[0], features * count

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "thresholds": self.thresholds, "learned": self.learned}


@keras.saving.register_keras_serializable(package="trigger")
class LookupLayer(keras.layers.Layer):
    """Weightless neurons: each is a truth table of ``n`` bits, chosen among those that it reads.

    It reads bits, 1.0 or 0.0, and gives bits (events, units). ``tables`` (units, 2**n) is a one
    where it is positive; the first wire of a neuron is the lowest bit of the address. Wire k of
    neuron u reads the bit c with the highest ``wiring[c, u * n + k]``. Equal seeds give equal
    weights to begin with. Raises ValueError for fewer than one bit, or more than 12.
    """

    def __init__(self, units: int, n: int = 6, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.n = n
        self.seed = seed
        if units < 1:
            raise ValueError(f"{self.name}: units is {units}; a LookupLayer needs at least 1")
        if not 1 <= n <= MOST_INPUTS:
            raise ValueError(
                f"{self.name}: n is {n}, but a truth table has 1 to {MOST_INPUTS} bits: use n=6, "
                "the tables of an FPGA, and more units or another LookupLayer"
            )

    def build(self, shape: tuple[int | None, ...]) -> None:
        candidates = _elements(self.name, shape)
        uniform = keras.initializers.RandomUniform
        seeds = (None, None) if self.seed is None else (2 * self.seed, 2 * self.seed + 1)
        self.tables = self.add_weight(
            name="tables",
            shape=(self.units, 2**self.n),
            initializer=uniform(-1.0, 1.0, seeds[0]),
            constraint=_Within(),
        )
        self.wiring = self.add_weight(
            name="wiring",
            shape=(candidates, self.units * self.n),
            initializer=uniform(-1.0, 1.0, seeds[1]),
        )

    def wires(self) -> Any:
        """The number of the bit that each wire reads, (units, n)."""
        return ops.reshape(self._chosen(), (self.units, self.n))

    def call(self, x: Any, training: bool | None = None) -> Any:
        x = ops.convert_to_tensor(x)
        read = self._read(x) if training else ops.take(x, self._chosen(), axis=1)
        read = ops.reshape(read, (-1, self.units, self.n))
        bits = ops.cast(ops.stop_gradient(read) > 0.5, "int32")
        address = ops.sum(bits * (2 ** np.arange(self.n, dtype=np.int32)), axis=-1)
        cells = address + np.arange(self.units, dtype=np.int32) * 2**self.n
        ones = ops.cast(self.tables > 0, self.compute_dtype)
        if not training:
            return ops.take(ops.reshape(ones, (-1,)), cells)
        ones = self.tables + ops.stop_gradient(ones - self.tables)
        slopes = ops.stop_gradient(_differences(self.tables, self.n))
        slope = ops.take(ops.reshape(slopes, (-1, self.n)), cells, axis=0)
        change = ops.sum(slope * (read - ops.stop_gradient(read)), axis=-1)
        return ops.take(ops.reshape(ones, (-1,)), cells) + change

    def _chosen(self) -> Any:
        return ops.argmax(self.wiring, axis=0)

    def _read(self, x: Any) -> Any:
        """The bits at the wires (events, units * n), with the gradient of a softmax over all."""
        soft = ops.matmul(x, ops.softmax(self.wiring / _SOFTNESS, axis=0))
        hard = ops.take(x, self._chosen(), axis=1)
        return soft + ops.stop_gradient(hard - soft)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shape[0], self.units

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "n": self.n, "seed": self.seed}


@keras.saving.register_keras_serializable(package="trigger")
class PopCount(keras.layers.Layer):
    """Class scores: the number of ones in each of ``groups`` equal parts of the bits that it reads.

    Raises ValueError where the bits do not divide into the groups.
    """

    def __init__(self, groups: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.groups = groups
        if groups < 1:
            raise ValueError(f"{self.name}: groups is {groups}; a PopCount needs at least 1")

    def build(self, shape: tuple[int | None, ...]) -> None:
        bits = _elements(self.name, shape)
        if bits % self.groups:
            raise ValueError(
                f"{self.name}: {bits} bits do not divide into {self.groups} groups: use "
                f"{-(-bits // self.groups) * self.groups} units before it"
            )

    def call(self, x: Any) -> Any:
        return ops.sum(ops.reshape(x, (-1, self.groups, x.shape[1] // self.groups)), axis=-1)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shape[0], self.groups

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "groups": self.groups}


@keras.saving.register_keras_serializable(package="trigger")
class TableDense(keras.layers.Layer):
    """Sums of learned functions of each input, (events, inputs) to (events, units): a Dense layer
    whose weights are tables (KANELE, arXiv:2512.12850; HGQ-LUT, arXiv:2604.22293).

    Output j is the sum over i of ``entries()[i, j, a]``, a multiple of 2**-``fraction[i, j]``. The
    address a has ``bits`` bits: input i rounded down to a step of a power of two, and saturated.
    The range of inputs is -2 to 2; ``adapt`` finds that of events. Training learns straight lines
    between ``knots`` (inputs, units, knots), and the steps, from ``fraction`` on; ``details``
    (inputs, units, 2**bits) are added to the lines. Equal seeds give equal weights to begin with.
    Raises ValueError for fewer than one bit, or more than 12.
    """

    def __init__(
        self,
        units: int,
        bits: int = 6,
        fraction: float = 4.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.bits = bits
        self.first_fraction = fraction
        self.seed = seed
        if units < 1:
            raise ValueError(f"{self.name}: units is {units}; a TableDense needs at least 1")
        if not 1 <= bits <= MOST_INPUTS:
            raise ValueError(
                f"{self.name}: bits is {bits}, but an input has 1 to {MOST_INPUTS} bits: use "
                "bits=6, the tables of an FPGA, and more units or another TableDense"
            )

    def build(self, shape: tuple[int | None, ...]) -> None:
        inputs = _elements(self.name, shape)
        edges = (inputs, self.units)
        self._lines = _lines(self.bits)
        self.knots = self.add_weight(
            name="knots",
            shape=(*edges, self._lines.shape[0]),
            initializer=self._first_knots,
            constraint=_Within(_LARGEST_KNOT),
        )
        self.fraction = self.add_weight(
            name="fraction",
            shape=edges,
            initializer=keras.initializers.Constant(self.first_fraction),
            constraint=_Within(_LARGEST_FRACTION),
        )
        self.details = self.add_weight(
            name="details", shape=(*edges, 2**self.bits), initializer="zeros", trainable=False
        )
        self.range = self.add_weight(
            name="range", shape=(inputs,), initializer="ones", trainable=False
        )
        self.signed = self.add_weight(
            name="signed", shape=(inputs,), initializer="ones", trainable=False
        )

    def _first_knots(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        """Straight lines through zero, whose sums are about as large as the inputs."""
        slopes = keras.random.normal((*shape[:2], 1), 0.0, 1.0, dtype, self.seed)
        line = np.linspace(-2.0, 2.0, shape[2]) / np.sqrt(shape[0])
        return slopes * ops.cast(line, slopes.dtype)

    def adapt(self, x: np.ndarray, step: np.ndarray | float | None = None) -> None:
        """Set ``range``, the integer bits of each input without the sign, to the fewest that hold
        99 % of events (events, inputs), and ``signed`` where one is negative.

        ``step`` is the least difference between two values of each input; no address is finer.
        """
        if not self.built:
            self.build(x.shape)
        x = np.asarray(x, dtype=np.float64)
        signed = (x < 0).any(axis=0)
        largest = np.quantile(np.where(x < 0, -x, x + (0 if step is None else step)), _MOST, axis=0)
        bits = np.ceil(np.log2(np.maximum(largest, 2.0**-_LARGEST_FRACTION)))
        if step is not None:
            bits = np.maximum(bits, self.bits - signed + np.log2(step))
        self.range.assign(bits)
        self.signed.assign(signed)

    def is_signed(self) -> Any:
        """1 for each input whose range has negative values, (inputs,)."""
        return ops.cast(self.signed > 0.5, self.signed.dtype)

    def address_fraction(self) -> Any:
        """The fractional bits of the address of each input, (inputs,)."""
        return self.bits - self.is_signed() - ops.round(self.range)

    def entries(self) -> Any:
        """The entries of the tables (inputs, units, 2**bits), rounded half to even."""
        fraction = self.fraction + ops.stop_gradient(ops.round(self.fraction) - self.fraction)
        return _FIXED.round(self.unrounded(), fraction[..., None])

    def unrounded(self) -> Any:
        # Knots are multiples of a small step, so that float32 computes lines exactly.
        knots = _FIXED.round(self.knots, float(_KNOT_FRACTION))
        return ops.matmul(knots, ops.cast(self._lines, knots.dtype)) + self.details

    def addresses(self, x: Any) -> Any:
        """The whole numbers that tables are read at for inputs (events, inputs)."""
        place = ops.floor(ops.stop_gradient(self._places(x)))
        return ops.clip(place, 0, 2**self.bits - 1)

    def _places(self, x: Any) -> Any:
        return x * 2.0 ** self.address_fraction() + self.is_signed() * 2 ** (self.bits - 1)

    def call(self, x: Any, training: bool | None = None) -> Any:
        x = ops.convert_to_tensor(x)
        address = self.addresses(x)
        rows = ops.reshape(ops.transpose(self.entries(), (0, 2, 1)), (-1, self.units))
        inputs = x.shape[1]
        if not training:
            first = np.arange(inputs, dtype=np.int32) * 2**self.bits
            return ops.sum(ops.take(rows, ops.cast(address, "int32") + first, axis=0), axis=1)
        # The slope of a table is that of straight lines between the middles of its steps.
        every = np.arange(2**self.bits, dtype=np.float32)
        middle = ops.clip(self._places(x) - 0.5, 0, 2**self.bits - 1)[..., None]
        soft = ops.relu(1.0 - ops.abs(middle - every))
        hard = ops.cast(ops.equal(address[..., None], every), soft.dtype)
        hot = soft + ops.stop_gradient(hard - soft)
        return ops.matmul(ops.reshape(hot, (-1, inputs * 2**self.bits)), rows)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shape[0], self.units

    def get_config(self) -> dict[str, Any]:
        own = {"units": self.units, "bits": self.bits, "fraction": self.first_fraction}
        return {**super().get_config(), **own, "seed": self.seed}


@keras.saving.register_keras_serializable(package="trigger")
class _Within(keras.constraints.Constraint):
    """Weights stay between two ends, where a few steps can change them."""

    def __init__(self, most: float = 1.0) -> None:
        self._most = most

    def __call__(self, w: Any) -> Any:
        return ops.clip(w, -self._most, self._most)

    def get_config(self) -> dict[str, Any]:
        return {"most": self._most}


def _elements(name: str, shape: tuple[int | None, ...]) -> int:
    if len(shape) != 2 or shape[1] is None:
        raise ValueError(
            f"{name}: it reads one vector for each event, not the shape {tuple(shape[1:])}: put a "
            "Flatten before it"
        )
    return shape[1]


def _check_thresholds(name: str, thresholds: int | list[list[float]]) -> None:
    counts = {thresholds} if isinstance(thresholds, int) else {len(row) for row in thresholds}
    if len(counts) != 1 or min(counts) < 1:
        raise ValueError(
            f"{name}: thresholds is {thresholds}; give a number above 0, or as many thresholds "
            "for each feature"
        )


def _lines(bits: int) -> np.ndarray:
    """The share of each knot (knots, 1) in each entry (1, 2**bits) of straight lines between."""
    pieces = min(_PIECES, 2**bits)
    places = np.arange(2**bits) * pieces / 2**bits
    shares: np.ndarray = np.maximum(1 - abs(places - np.arange(pieces + 1)[:, None]), 0)
    return shares.astype(np.float32)


def _spacing(places: np.ndarray) -> np.ndarray:
    """The mean distance between the thresholds of each feature (features, 1)."""
    span = places.max(axis=1, keepdims=True) - places.min(axis=1, keepdims=True)
    mean = span / max(places.shape[1] - 1, 1)
    spacing: np.ndarray = np.where(mean > 0, mean, 1.0)
    return spacing


def _differences(tables: Any, n: int) -> Any:
    """The extended finite differences (units, 2**n, n) of tables (units, 2**n): how the entry at an
    address changes with each of its bits.

    It is the sum over all addresses of the entry, with the sign of the bit, over 1 and the number
    of the other bits that differ; so a convolution over bitwise differences, which a Walsh
    transform makes a product.
    """
    address = np.arange(2**n)
    bits = (address[:, None] >> np.arange(n)) & 1
    others = bits.sum(axis=1, keepdims=True) - bits
    weights = _walsh(np.asarray(1.0 / (1.0 + others), dtype=np.float32).T, n)
    signed = tables[:, None, :] * ops.cast(2 * bits.T - 1, tables.dtype)
    sums = _walsh(_walsh(signed, n) * weights, n) / 2**n
    return ops.transpose(sums, (0, 2, 1))


def _walsh(x: Any, n: int) -> Any:
    """The Walsh-Hadamard transform of the last axis, of 2**n elements."""
    shape = x.shape
    for bit in range(n):
        pairs = ops.reshape(x, (-1, 2, 2**bit))
        x = ops.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], axis=1)
    return ops.reshape(x, shape)

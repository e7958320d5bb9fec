"""Layers of weightless networks: comparators, truth tables with learned wiring, and counts of ones.

``Thermometer`` turns values into bits, ``LookupLayer`` reads bits through learned truth tables, and
``PopCount`` counts ones. Each computes on hard bits, in training too, so that training sees what
the hardware computes. The gradients are those of DWN (arXiv:2410.11112).
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from trigger.layers.common import MOST_INPUTS, Within, elements
from trigger.support.quantiles import thresholds

# The temperature of the softmax over the candidates of a wire, which has only a gradient.
_SOFTNESS = 1.0


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
        features = elements(self.name, shape)
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
        features = elements(self.name, shape)
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
    weights to begin with. Without ``learned_wiring``, training keeps the wires. Raises ValueError
    for fewer than one bit, or more than 12.
    """

    def __init__(
        self,
        units: int,
        n: int = 6,
        seed: int | None = None,
        learned_wiring: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.n = n
        self.seed = seed
        self.learned_wiring = learned_wiring
        if units < 1:
            raise ValueError(f"{self.name}: units is {units}; a LookupLayer needs at least 1")
        if not 1 <= n <= MOST_INPUTS:
            raise ValueError(
                f"{self.name}: n is {n}, but a truth table has 1 to {MOST_INPUTS} bits: use n=6, "
                "the tables of an FPGA, and more units or another LookupLayer"
            )

    def build(self, shape: tuple[int | None, ...]) -> None:
        candidates = elements(self.name, shape)
        uniform = keras.initializers.RandomUniform
        seeds = (None, None) if self.seed is None else (2 * self.seed, 2 * self.seed + 1)
        self.tables = self.add_weight(
            name="tables",
            shape=(self.units, 2**self.n),
            initializer=uniform(-1.0, 1.0, seeds[0]),
            constraint=Within(),
        )
        self.wiring = self.add_weight(
            name="wiring",
            shape=(candidates, self.units * self.n),
            initializer=uniform(-1.0, 1.0, seeds[1]),
            trainable=self.learned_wiring,
        )

    def wires(self) -> Any:
        """The number of the bit that each wire reads, (units, n)."""
        return ops.reshape(self._chosen(), (self.units, self.n))

    def call(self, x: Any, training: bool | None = None) -> Any:
        x = ops.convert_to_tensor(x)
        soft = training and self.wiring.trainable
        read = self._read(x) if soft else ops.take(x, self._chosen(), axis=1)
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
        own = {"units": self.units, "n": self.n, "seed": self.seed}
        return {**super().get_config(), **own, "learned_wiring": self.learned_wiring}


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
        bits = elements(self.name, shape)
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


def _check_thresholds(name: str, thresholds: int | list[list[float]]) -> None:
    counts = {thresholds} if isinstance(thresholds, int) else {len(row) for row in thresholds}
    if len(counts) != 1 or min(counts) < 1:
        raise ValueError(
            f"{name}: thresholds is {thresholds}; give a number above 0, or as many thresholds "
            "for each feature"
        )


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

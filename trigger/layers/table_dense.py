"""A layer of learned functions of single inputs, as tables."""

from typing import Any

import keras
import numpy as np
from keras import ops
from quantizers import get_fixed_quantizer

from trigger.layers.common import MOST_INPUTS, Within, elements

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
        inputs = elements(self.name, shape)
        edges = (inputs, self.units)
        self._lines = _lines(self.bits)
        self.knots = self.add_weight(
            name="knots",
            shape=(*edges, self._lines.shape[0]),
            initializer=self._first_knots,
            constraint=Within(_LARGEST_KNOT),
        )
        self.fraction = self.add_weight(
            name="fraction",
            shape=edges,
            initializer=keras.initializers.Constant(self.first_fraction),
            constraint=Within(_LARGEST_FRACTION),
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


def _lines(bits: int) -> np.ndarray:
    """The share of each knot (knots, 1) in each entry (1, 2**bits) of straight lines between."""
    pieces = min(_PIECES, 2**bits)
    places = np.arange(2**bits) * pieces / 2**bits
    shares: np.ndarray = np.maximum(1 - abs(places - np.arange(pieces + 1)[:, None]), 0)
    return shares.astype(np.float32)

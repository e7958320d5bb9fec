"""The operations of the fixed-point graph: a sealed union of small frozen nodes.

Every value is a vector of integers; element i of a node has the type ``types[i]`` and is worth its
integer times 2^-fraction. Only ``Quantize``, ``Clip``, ``Staircase``, ``Lookup``, ``TruthTable``
and ``Threshold`` lose information; ``Dense``, ``Affine``, ``Add`` and ``Multiply`` are exact;
interval analysis gives their widths. ``arithmetic`` defines each operation on integers. A ``match``
over ``Operation`` ends in ``assert_never``, so that a missing operation is a type error.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple, cast, get_args

import numpy as np

from trigger.fixedpoint.types import Fixed, Flags, Integers, Overflow, Rounding, fractions

# The longest table.
MAX_ENTRIES = 1 << 16


class GraphError(ValueError):
    """A malformed graph, or a value outside its types."""


@dataclass(frozen=True, eq=False)
class Constant:
    """Integers with one type for all: the value is ``values`` times 2^-type.fraction."""

    values: Integers
    type: Fixed

    @property
    def real(self) -> np.ndarray:
        return np.ldexp(self.values.astype(np.float64), -self.type.fraction)


class Ends(NamedTuple):
    """The smallest and the largest value of each element, as integers or as real numbers."""

    low: np.ndarray
    high: np.ndarray


def _ends(constant: Constant, loaded: Flags) -> Ends:
    values, fixed = constant.values, constant.type
    return Ends(np.where(loaded, fixed.minimum, values), np.where(loaded, fixed.maximum, values))


@dataclass(frozen=True, eq=False)
class Node:
    """One operation. ``inputs`` names the nodes it reads; ``types`` has one entry per element of
    its value.

    The name is used in C++ and HDL. Raises GraphError if it is not an identifier.
    """

    name: str
    inputs: tuple[str, ...]
    types: tuple[Fixed, ...]

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", self.name):
            raise GraphError(
                f"node {self.name!r}: names are letters, digits and underscores, a letter first"
            )

    @property
    def fractions(self) -> Integers:
        return fractions(tuple(self.types))

    @property
    def op(self) -> str:
        """The name of the operation in graph.json and in reports."""
        return _NAMES[type(self)]


@dataclass(frozen=True, eq=False)
class Input(Node):
    """The inputs of the hardware. Real numbers are rounded half to even and saturated."""


@dataclass(frozen=True, eq=False)
class Dense(Node):
    """x @ weights + bias at each position, exact. ``weights`` (inputs, outputs), ``bias``
    (outputs,).

    It reads ``positions`` vectors of ``inputs`` elements, one after the other, and gives as many
    vectors of ``outputs`` elements. A ``Select`` before it gathers the windows of a convolution.

    ``parameters`` (inputs + 1, outputs), the bias last, numbers what hardware may load anew: any
    value of the type. Where it is -1 the value is zero and stays. None: all values stay.
    """

    weights: Constant
    bias: Constant
    positions: int = 1
    parameters: Integers | None = None

    @property
    def reads(self) -> Flags:
        """Whether each input has a weight, shape (inputs,)."""
        used = self.weights.values != 0
        if self.parameters is not None:
            used |= self.parameters[:-1] >= 0
        read: Flags = used.any(axis=1)
        return read

    @property
    def ends(self) -> tuple[Ends, Ends]:
        """The smallest and the largest integers of the weights, and of the bias."""
        weights, bias = self.weights, self.bias
        if self.parameters is None:
            return Ends(weights.values, weights.values), Ends(bias.values, bias.values)
        loaded = self.parameters >= 0
        return _ends(weights, loaded[:-1]), _ends(bias, loaded[-1])


@dataclass(frozen=True, eq=False)
class Affine(Node):
    """x * scale + bias for each element, exact. ``scale`` and ``bias`` (elements,)."""

    scale: Constant
    bias: Constant


@dataclass(frozen=True, eq=False)
class Quantize(Node):
    """Each element rounded and limited to its type."""

    rounding: Rounding
    overflow: Overflow


@dataclass(frozen=True, eq=False)
class Clip(Node):
    """min(max(x, low), high); ``low`` and ``high`` (elements,) are integers with the input's
    fractional bits.
    """

    low: Integers
    high: Integers


@dataclass(frozen=True, eq=False)
class LeakyRelu(Node):
    """x where it is positive, x * 2^-shift elsewhere, exact."""

    shift: int


@dataclass(frozen=True, eq=False)
class Staircase(Node):
    """A non-decreasing staircase: ``levels[k]`` where k thresholds are at or below x.

    ``thresholds`` (k,) increase strictly and hold for all elements; ``levels`` has one more entry.
    """

    thresholds: Constant
    levels: Constant


@dataclass(frozen=True, eq=False)
class Lookup(Node):
    """``levels[x - first]``: any function of a quantised value, as a table.

    All elements have one number of fractional bits; ``first`` is the integer of the lowest address.
    """

    first: int
    levels: Constant

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_entries(self.name, self.levels.values.size)


@dataclass(frozen=True, eq=False)
class TruthTable(Node):
    """A table over several elements for each output: ``levels[i, address]``.

    The address has the lowest ``widths[i, m]`` bits of ``x[elements[i, m]]``, the first member's
    lowest; negative integers are in two's complement. ``elements`` and ``widths`` (outputs,
    members), ``levels`` (outputs, 2^bits of the address).
    """

    elements: Integers
    widths: Integers
    levels: Constant

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_entries(self.name, self.levels.values.shape[-1])

    @property
    def offsets(self) -> Integers:
        """The lowest bit of each member in its address, shape (outputs, members)."""
        return np.cumsum(self.widths, axis=1) - self.widths


@dataclass(frozen=True, eq=False)
class Threshold(Node):
    """Accept bits: 1 where x[elements[i]] >= bounds[i], 0 elsewhere.

    ``elements`` and ``bounds`` (accept bits,) are integers; a bound has the fractional bits of its
    element.
    """

    elements: Integers
    bounds: Integers


@dataclass(frozen=True, eq=False)
class Add(Node):
    """The sum of the inputs, each times its sign, exact. Without ``signs`` all are 1."""

    signs: tuple[int, ...] = ()

    @property
    def factors(self) -> tuple[int, ...]:
        """1 or -1 for each input."""
        return self.signs or (1,) * len(self.inputs)


@dataclass(frozen=True, eq=False)
class Multiply(Node):
    """The product of two inputs, element by element, exact; both may be the same node."""


@dataclass(frozen=True, eq=False)
class Concatenate(Node):
    """The concatenated elements of the inputs."""


@dataclass(frozen=True, eq=False)
class Select(Node):
    """Elements by number: pure wiring. ``elements`` (elements,); -1 is zero."""

    elements: Integers


@dataclass(frozen=True, eq=False)
class Maximum(Node):
    """The largest element of each group, exact. ``groups`` (elements, members) are numbers."""

    groups: Integers


@dataclass(frozen=True, eq=False)
class Minimum(Node):
    """The smallest element of each group, exact. ``groups`` (elements, members) are numbers."""

    groups: Integers


def _check_entries(name: str, entries: int) -> None:
    if entries > MAX_ENTRIES:
        raise GraphError(
            f"{name}: a table of {entries} entries; at most {MAX_ENTRIES} fit the "
            "hardware: use fewer bits before it"
        )


Operation = (
    Input
    | Dense
    | Affine
    | Quantize
    | Clip
    | LeakyRelu
    | Staircase
    | Lookup
    | TruthTable
    | Threshold
    | Add
    | Multiply
    | Concatenate
    | Select
    | Maximum
    | Minimum
)

# Version 1 of graph.json calls a staircase "steps".
_NAMES: dict[type[Node], str] = {
    operation: "steps" if operation is Staircase else operation.__name__.lower()
    for operation in get_args(Operation)
}
OPERATIONS = {name: cast("type[Operation]", operation) for operation, name in _NAMES.items()}

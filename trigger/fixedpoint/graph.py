"""The fixed-point graph: a layer-level program in integers, and the heart of the compiler.

Every value is a vector of integers; element i of a node has the type ``types[i]`` and is worth its integer times
2^-fraction. Only ``Quantize``, ``Clip``, ``Steps`` and ``Threshold`` lose information; ``Dense``, ``Affine`` and ``Add`` are
exact and as wide as interval analysis says they must be. ``build.Builder`` makes graphs; ``serialize.from_json`` reads and
checks them.
"""

import re
from dataclasses import dataclass

import numpy as np

from trigger.fixedpoint.types import Fixed, Integers, Overflow, Rounding


class GraphError(ValueError):
    """A graph that is not well formed, or a value that does not belong to it."""


@dataclass(frozen=True, eq=False)
class Constant:
    """Integers with one type for all: the value is ``values`` times 2^-type.fraction."""

    values: Integers
    type: Fixed

    @property
    def real(self) -> np.ndarray:
        return np.ldexp(self.values.astype(np.float64), -self.type.fraction)


@dataclass(frozen=True, eq=False)
class Node:
    """One operation. ``inputs`` names the nodes it reads; ``types`` has one entry per element of its value.

    A name becomes one in C++ and HDL. Raises GraphError for one that cannot.
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
        return np.array([t.fraction for t in self.types], dtype=np.int64)

    @property
    def op(self) -> str:
        return type(self).__name__.lower()


@dataclass(frozen=True, eq=False)
class Input(Node):
    """What the hardware is given. Real numbers enter with round-half-even and saturation."""


@dataclass(frozen=True, eq=False)
class Dense(Node):
    """x @ weights + bias, exact. ``weights`` (inputs, outputs), ``bias`` (outputs,)."""

    weights: Constant
    bias: Constant


@dataclass(frozen=True, eq=False)
class Affine(Node):
    """x * scale + bias for each element, exact. ``scale`` and ``bias`` (elements,)."""

    scale: Constant
    bias: Constant


@dataclass(frozen=True, eq=False)
class Quantize(Node):
    """Each element into its type."""

    rounding: Rounding
    overflow: Overflow


@dataclass(frozen=True, eq=False)
class Clip(Node):
    """min(max(x, low), high); ``low`` and ``high`` (elements,) are integers with the input's fractional bits."""

    low: Integers
    high: Integers


@dataclass(frozen=True, eq=False)
class LeakyRelu(Node):
    """x where it is positive, x * 2^-shift elsewhere, exact."""

    shift: int


@dataclass(frozen=True, eq=False)
class Steps(Node):
    """A non-decreasing staircase: ``levels[k]`` where k thresholds are at or below x.

    ``thresholds`` (k,) increase strictly and hold for all elements; ``levels`` has one more entry.
    """

    thresholds: Constant
    levels: Constant


@dataclass(frozen=True, eq=False)
class Threshold(Node):
    """Accept bits: 1 where x[elements[i]] >= bounds[i], 0 elsewhere.

    ``elements`` and ``bounds`` (accept bits,) are integers, a bound with the fractional bits of the element it is for.
    """

    elements: Integers
    bounds: Integers


@dataclass(frozen=True, eq=False)
class Add(Node):
    """The sum of the inputs, exact."""


@dataclass(frozen=True, eq=False)
class Concatenate(Node):
    """The elements of the inputs one after the other."""


OPERATIONS: dict[str, type[Node]] = {
    kind.__name__.lower(): kind
    for kind in (
        Input,
        Dense,
        Affine,
        Quantize,
        Clip,
        LeakyRelu,
        Steps,
        Threshold,
        Add,
        Concatenate,
    )
}


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes in the order of evaluation: the first is the only ``Input``, the last is the output.

    ``notes`` say in plain words what the frontend decided and the user should know.
    """

    nodes: tuple[Node, ...]
    notes: tuple[str, ...] = ()

    @property
    def input(self) -> Input:
        node = self.nodes[0]
        assert isinstance(node, Input)
        return node

    @property
    def output(self) -> Node:
        return self.nodes[-1]

    def __getitem__(self, name: str) -> Node:
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def __repr__(self) -> str:
        return f"Graph({len(self.nodes)} nodes, {len(self.input.types)} inputs, {len(self.output.types)} outputs)"

    def quantize_inputs(self, x: np.ndarray) -> Integers:
        """Real inputs, shape (events, features), to the integers the hardware receives; see ``evaluate``."""
        from trigger.fixedpoint.evaluate import quantize_inputs

        return quantize_inputs(self, x)

    def run(self, x: Integers) -> Integers:
        """Integer inputs, shape (events, features), to integer outputs, shape (events, outputs)."""
        from trigger.fixedpoint.evaluate import run

        return run(self, x)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Real inputs, shape (events, features), to the exact real outputs, float64 of shape (events, outputs)."""
        return np.ldexp(
            self.run(self.quantize_inputs(x)).astype(np.float64), -self.output.fractions
        )

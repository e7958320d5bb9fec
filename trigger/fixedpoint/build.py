"""Construction of graphs: each method of ``Builder`` appends one node and derives its types."""

import dataclasses
import itertools
from collections.abc import Container, Iterable

import numpy as np

from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import (
    Add,
    Affine,
    Clip,
    Concatenate,
    Constant,
    Dense,
    GraphError,
    Input,
    LeakyRelu,
    Lookup,
    Maximum,
    Minimum,
    Multiply,
    Operation,
    Quantize,
    Select,
    Staircase,
    Threshold,
    TruthTable,
)
from trigger.fixedpoint.ranges import Interval, TooWide, interval
from trigger.fixedpoint.shapes import check_shapes
from trigger.fixedpoint.types import MAX_WIDTH, Fixed, Flags, Integers, Overflow, Rounding, smallest

# One value for all elements, one for each, or none.
Bound = float | np.ndarray | None


def constant(values: np.ndarray, largest_width: int = MAX_WIDTH) -> Constant:
    """Real numbers as integers of the narrowest common type.

    Raises ValueError if a number is not finite, or if the type is wider than ``largest_width``
    bits.
    """
    values = np.asarray(values, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("not every value is finite")
    fraction = int(fraction_bits(values).max(initial=-MAX_WIDTH))
    fraction = 0 if fraction == -MAX_WIDTH else fraction
    scaled = np.ldexp(values, fraction)
    width = int(np.frexp(np.abs(scaled).max(initial=0.0))[1]) + bool((values < 0).any())
    if width > largest_width:
        raise ValueError(f"the values need {width} bits")
    integers = scaled.astype(np.int64)
    low, high = int(integers.min(initial=0)), int(integers.max(initial=0))
    return Constant(integers, smallest(low, high, fraction))


def fraction_bits(values: np.ndarray) -> Integers:
    """The fewest fractional bits that hold each float64 exactly; -53 for zero."""
    mantissa, exponent = np.frexp(values)
    integers = np.ldexp(mantissa, MAX_WIDTH).astype(np.int64)
    lowest_bit = integers & -integers
    trailing = np.where(integers == 0, 0, np.frexp(lowest_bit.astype(np.float64))[1] - 1)
    return np.where(integers == 0, -MAX_WIDTH, MAX_WIDTH - trailing - exponent).astype(np.int64)


class Builder:
    """Builds a graph from its inputs. Each method appends one node and returns its name.

    A name that is taken or reserved gets a number appended. Names that differ only in case count as
    equal, because hls4ml and VHDL do not distinguish them. Exact operations raise ``TooWide`` if a
    value would need more than 53 bits.

    If the graph is ``reloadable``, trained kernels are values that may be loaded anew, and all
    types hold what any of their values gives; ``kernels`` counts those so far.
    """

    def __init__(
        self, types: tuple[Fixed, ...], name: str = "inputs", reloadable: bool = False
    ) -> None:
        self.reloadable = reloadable
        self.kernels = 0
        self._parameters = 0
        self._nodes: dict[str, Operation] = {}
        self._ranges: dict[str, Interval] = {}
        self._taken: set[str] = set()
        self.last = self._append(Input(name, (), types))

    def __getitem__(self, name: str) -> Operation:
        return self._nodes[name]

    def range(self, name: str) -> Interval:
        return self._ranges[name]

    def graph(self, output: str, notes: tuple[str, ...] = ()) -> Graph:
        """The finished graph, without nodes that the output does not depend on."""
        needed = {output}
        for node in reversed(self._nodes.values()):
            if node.name in needed:
                needed.update(node.inputs)
        first = next(iter(self._nodes))
        return Graph(tuple(n for n in self._nodes.values() if n.name in needed | {first}), notes)

    def reserve(self, names: Iterable[str]) -> None:
        """Reserve these names until ``claim`` releases one for the next node."""
        self._taken.update(name.casefold() for name in names)

    def claim(self, name: str) -> None:
        self._taken.discard(name.casefold())

    def dense(
        self,
        name: str,
        source: str,
        weights: Constant,
        bias: Constant,
        positions: int = 1,
        trained: Flags | None = None,
    ) -> str:
        """The products with constants and their sums.

        ``trained`` (inputs + 1, outputs), the bias last, says where a reloadable graph may get
        other values; all others must be zero.
        """
        fraction = max(
            int(self[source].fractions.max()) + weights.type.fraction, bias.type.fraction
        )
        types = _placeholder(fraction, positions * len(bias.values))
        parameters = None
        if self.reloadable and trained is not None:
            parameters = np.full(trained.shape, -1, dtype=np.int64)
            count = int(np.count_nonzero(trained))
            parameters[trained] = self._parameters + np.arange(count)
            self._parameters += count
            self.kernels += 1
        return self._exact(Dense(name, (source,), types, weights, bias, positions, parameters))

    def affine(self, name: str, source: str, scale: Constant, bias: Constant) -> str:
        fractions = np.maximum(self[source].fractions + scale.type.fraction, bias.type.fraction)
        types = tuple(Fixed(True, MAX_WIDTH, MAX_WIDTH - int(f)) for f in fractions)
        return self._exact(Affine(name, (source,), types, scale, bias))

    def add(self, name: str, sources: tuple[str, ...], signs: tuple[int, ...] = ()) -> str:
        """The sum of the sources, each times its sign, 1 or -1; by default all signs are 1."""
        fraction = max(int(self[s].fractions.max()) for s in sources)
        types = _placeholder(fraction, len(self[sources[0]].types))
        return self._exact(Add(name, sources, types, signs if -1 in signs else ()))

    def multiply(self, name: str, first: str, second: str) -> str:
        """The product, element by element; both may be the same value."""
        fractions = self[first].fractions + self[second].fractions
        types = tuple(Fixed(True, MAX_WIDTH, MAX_WIDTH - int(f)) for f in fractions)
        return self._exact(Multiply(name, (first, second), types))

    def leaky_relu(self, name: str, source: str, shift: int) -> str:
        types = tuple(
            Fixed(True, MAX_WIDTH, MAX_WIDTH - int(f) - shift) for f in self[source].fractions
        )
        return self._exact(LeakyRelu(name, (source,), types, shift))

    def clip(self, name: str, source: str, low: Bound, high: Bound) -> str:
        """``low`` and ``high`` are real numbers on the source's grid, one for all elements or one
        for each; None means no bound.

        Raises GraphError if a bound lies between two values of the source.
        """
        x = self.range(source)
        fractions = self[source].fractions

        def integers(bound: Bound, end: Integers) -> Integers:
            if bound is None:
                return end
            scaled = np.ldexp(np.asarray(bound, dtype=np.float64), fractions)
            if (scaled != np.rint(scaled)).any():
                raise GraphError(f"{name}: the bound {bound} lies between two values of {source}")
            # No value exceeds 2^60, and no type holds such a bound.
            return np.clip(scaled, -(2.0**60), 2.0**60).astype(np.int64)

        least, most = integers(low, x.low), integers(high, x.high)
        if low is None:
            least = np.minimum(least, most)
        if high is None:  # all values of the source may lie below ``low``
            most = np.maximum(least, most)
        return self._exact(Clip(name, (source,), self[source].types, least, most))

    def quantize(
        self,
        name: str,
        source: str,
        types: tuple[Fixed, ...],
        rounding: Rounding,
        overflow: Overflow,
    ) -> str:
        if types == self[source].types and overflow is not Overflow.SAT_SYM:
            return source
        return self._append(Quantize(name, (source,), types, rounding, overflow))

    def steps(self, name: str, source: str, thresholds: Constant, levels: Constant) -> str:
        types = (levels.type,) * len(self[source].types)
        return self._append(Staircase(name, (source,), types, thresholds, levels))

    def lookup(self, name: str, source: str, first: int, levels: Constant) -> str:
        """``levels[x - first]``, x being the integers of the source."""
        types = (levels.type,) * len(self[source].types)
        return self._exact(Lookup(name, (source,), types, first, levels))

    def truth_table(
        self,
        name: str,
        source: str,
        elements: Integers,
        levels: Constant,
        widths: Integers | None = None,
    ) -> str:
        """``levels[i, address]`` for output i, whose address has the lowest ``widths[i]`` bits of
        the source's elements ``elements[i]``, the first one's lowest; by default all their bits.

        ``elements`` and ``widths`` (outputs, members), ``levels`` (outputs, 2^bits of the address).
        """
        if widths is None:
            widths = np.array([t.width for t in self[source].types])[elements]
        types = (levels.type,) * len(elements)
        node = TruthTable(name, (source,), types, elements, widths, levels)
        check_shapes(node, [self[source]])
        return self._exact(node)

    def threshold(self, name: str, source: str, elements: Integers, bounds: Integers) -> str:
        """One accept bit per entry of ``elements`` (repeats allowed): 1 if it reaches its integer
        bound.
        """
        return self._append(
            Threshold(name, (source,), (Fixed(False, 1, 1),) * len(elements), elements, bounds)
        )

    def concatenate(self, name: str, sources: tuple[str, ...]) -> str:
        types = tuple(t for s in sources for t in self[s].types)
        return self._append(Concatenate(name, sources, types))

    def select(self, name: str, source: str, elements: Integers) -> str:
        """Elements of the source by number; -1 is zero."""
        types = self[source].types
        zero = Fixed(False, 1, 1 - min(t.fraction for t in types))
        chosen = tuple(types[e] if e >= 0 else zero for e in elements)
        return self._append(Select(name, (source,), chosen, elements))

    def maximum(self, name: str, source: str, groups: Integers) -> str:
        """The largest of each group of the source's elements, given by number: (elements,
        members).
        """
        return self._exact(Maximum(name, (source,), self._widest(source, groups), groups))

    def minimum(self, name: str, source: str, groups: Integers) -> str:
        """The smallest of each group of the source's elements, given by number: (elements,
        members).
        """
        return self._exact(Minimum(name, (source,), self._widest(source, groups), groups))

    def _widest(self, source: str, groups: Integers) -> tuple[Fixed, ...]:
        fractions = self[source].fractions[groups].max(axis=1)
        return tuple(Fixed(True, MAX_WIDTH, MAX_WIDTH - int(f)) for f in fractions)

    def stand_in(self, name: str, types: tuple[Fixed, ...]) -> str:
        """A stand-in input for a value that could not be built; such a graph is never finished."""
        return self._append(Input(name, (), types))

    def _append(self, node: Operation) -> str:
        name = free_name(node.name, self._taken)
        self._taken.add(name.casefold())
        if name != node.name:
            node = dataclasses.replace(node, name=name)
        self._ranges[node.name] = interval(node, self._inputs(node))
        self._nodes[node.name] = node
        self.last = node.name
        return node.name

    def _exact(self, node: Operation) -> str:
        """Append a node with the narrowest types for its interval and the given fractions."""
        low, high = interval(node, self._inputs(node))
        types = tuple(
            smallest(a, b, f)
            for a, b, f in zip(low.tolist(), high.tolist(), node.fractions.tolist(), strict=True)
        )
        widest = max(t.width for t in types)
        if widest > MAX_WIDTH:
            raise TooWide(node.name, widest)
        return self._append(dataclasses.replace(node, types=types))

    def _inputs(self, node: Operation) -> dict[str, tuple[Operation, Interval]]:
        return {name: (self._nodes[name], self._ranges[name]) for name in node.inputs}


def free_name(name: str, taken: Container[str]) -> str:
    """The name, with the first number appended that is not in ``taken`` (lower-case names)."""
    numbered = (f"{name}_{k}" for k in itertools.count(2))
    return next(n for n in itertools.chain([name], numbered) if n.casefold() not in taken)


def _placeholder(fraction: int, elements: int) -> tuple[Fixed, ...]:
    return (Fixed(True, MAX_WIDTH, MAX_WIDTH - fraction),) * elements

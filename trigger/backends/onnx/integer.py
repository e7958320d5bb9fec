"""The graph as standard ONNX operators on 64-bit integers, which onnxruntime runs to the bit.

Inputs and outputs are the graph's integers, int64 of shape (events, elements); the metadata of the
model holds their types.
"""

from pathlib import Path
from typing import assert_never

import numpy as np
import onnx
from onnx import TensorProto, helper

from trigger.backends.onnx.writer import Writer, sealed
from trigger.fixedpoint.arithmetic import (
    add_shifts,
    affine_terms,
    dense_terms,
    group_shifts,
    thresholds,
)
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import (
    Add,
    Affine,
    Clip,
    Concatenate,
    Dense,
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
from trigger.fixedpoint.types import (
    FARTHEST_SHIFT,
    Fixed,
    Integers,
    Overflow,
    Rounding,
    bounds,
)

_OPSET = 18
# Up to this many input values a staircase is a table; beyond, it compares with every threshold.
_TABLE = 1 << 20


def to_onnx(graph: Graph) -> onnx.ModelProto:
    """The checked ONNX model of a graph; equal graphs give equal bytes."""
    writer = _Writer(graph)
    for node in graph.nodes[1:]:
        writer.write(node)
    model = writer.model(TensorProto.INT64, [helper.make_opsetid("", _OPSET)])
    helper.set_model_props(
        model,
        {
            f"{name} types": " ".join(map(str, node.types))
            for name, node in (("input", graph.input), ("output", graph.output))
        },
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def save(graph: Graph, path: Path) -> None:
    """Write the ONNX model of a graph to a file."""
    path.write_bytes(sealed(to_onnx(graph)).SerializeToString(deterministic=True))


class _Writer(Writer):
    def constant(self, values: Integers | np.int64) -> str:
        return self.tensor(values, np.int64)

    def binary(self, operator: str, x: str, values: Integers | np.int64) -> str:
        return self.node(operator, [x, self.constant(values)])

    def write(self, node: Operation) -> None:
        self.names[node.name] = self._value(node, *self.sources(node))

    def _value(self, node: Operation, sources: list[Operation], values: list[str]) -> str:
        assert not isinstance(node, Input)  # it is given, not computed
        source, x = sources[0], values[0]
        match node:
            case Dense():
                up, shift, bias = dense_terms(node, source)
                vectors = self.at_positions(node, self.raised(x, up))
                product = self.binary("MatMul", vectors, node.weights.values)
                scaled = self.raised(product, np.full(len(bias), shift))
                return self.side_by_side(node, self.binary("Add", scaled, bias))
            case Affine():
                shifts, bias = affine_terms(node, source)
                scaled = self.raised(self.binary("Mul", x, node.scale.values), shifts)
                return self.binary("Add", scaled, bias)
            case Quantize():
                return self.quantized(x, source.fractions, node)
            case Clip():
                return self.clipped(x, node.low, node.high)
            case LeakyRelu():
                negative = self.binary("Less", x, np.int64(0))
                return self.node(
                    "Where", [negative, x, self.raised(x, np.full(len(node.types), node.shift))]
                )
            case Staircase():
                return self.steps(node, source, x)
            case Lookup():
                address = self.binary("Sub", x, np.int64(node.first))
                return self.node("Gather", [self.constant(node.levels.values), address])
            case TruthTable():
                return self.truth_table(node, x)
            case Threshold():
                chosen = self.node("Gather", [x, self.constant(node.elements)], axis=1)
                return self.integers(self.binary("GreaterOrEqual", chosen, node.bounds))
            case Add():
                shifts_of = zip(values, add_shifts(node, sources), strict=True)
                parts = [self.raised(value, up) for value, up in shifts_of]
                return self.signed_sum(node, parts)
            case Select():
                taken = self.gathered(x, np.maximum(node.elements, 0))
                zeros = node.elements < 0
                return (
                    self.binary("Mul", taken, 1 - zeros.astype(np.int64)) if zeros.any() else taken
                )
            case Maximum() | Minimum():
                return self.extremum(node, source, x)
            case Multiply():
                return self.node("Mul", values)
            case Concatenate():
                return self.node("Concat", values, axis=1)
            case _:
                assert_never(node)

    def truth_table(self, node: TruthTable, x: str) -> str:
        """All tables behind each other as one."""
        outputs, entries = node.levels.values.shape
        address = self.constant(np.arange(outputs) * entries)
        columns = zip(node.elements.T, node.widths.T, node.offsets.T, strict=True)
        for elements, widths, offsets in columns:
            bits = self.binary("Mod", self.gathered(x, elements), np.int64(1) << widths)
            address = self.node("Add", [self.raised(bits, offsets), address])
        return self.node("Gather", [self.constant(node.levels.values.ravel()), address])

    def integers(self, x: str) -> str:
        return self.node("Cast", [x], to=TensorProto.INT64)

    def gathered(self, x: str, elements: Integers) -> str:
        return self.node("Gather", [x, self.constant(elements)], axis=1)

    def extremum(self, node: Maximum | Minimum, source: Operation, x: str) -> str:
        """Member by member. Not by Max and Min, see ``clipped``."""
        shifts = group_shifts(node, source)
        operator = "Greater" if isinstance(node, Maximum) else "Less"
        best = ""
        for members, ups in zip(node.groups.T, shifts.T, strict=True):
            member = self.raised(self.gathered(x, members), ups)
            better = self.node(operator, [member, best]) if best else ""
            best = self.node("Where", [better, member, best]) if best else member
        return best

    def raised(self, x: str, shifts: Integers) -> str:
        """x * 2^shifts, no shift below 0."""
        return self.binary("Mul", x, np.int64(1) << shifts) if np.any(shifts) else x

    def floored(self, x: str, divisors: Integers) -> str:
        """The floor of x / divisors; the integer division of ONNX rounds towards zero."""
        rest = self.node("Mod", [x, self.constant(divisors)])
        return self.binary("Div", self.node("Sub", [x, rest]), divisors)

    def clipped(self, x: str, low: Integers, high: Integers) -> str:
        """min(max(x, low), high).

        Without Min and Max, which onnxruntime gets wrong above 32 bits on some processors.
        """
        capped = self.node("Where", [self.binary("Less", x, high), x, self.constant(high)])
        return self.node("Where", [self.binary("Less", capped, low), self.constant(low), capped])

    def quantized(self, x: str, fractions: Integers, node: Quantize) -> str:
        """The same as ``fixedpoint.types.requantize``, for all elements at once."""
        shifts = fractions - node.fractions
        low, high = bounds(node.types, node.overflow)
        if (shifts < 0).any():
            up = np.clip(-shifts, 0, FARTHEST_SHIFT)
            if (
                node.overflow is not Overflow.WRAP
            ):  # a value that saturates must not overflow int64 first
                x = self.clipped(x, *_before(up, low, high))
            x = self.raised(x, up)
        if (shifts > 0).any():
            x = self.rounded(x, np.clip(shifts, 0, FARTHEST_SHIFT), node.rounding)
        if node.overflow is not Overflow.WRAP:
            return self.clipped(x, low, high)
        return self.binary(
            "Add", self.binary("Mod", self.binary("Sub", x, low), high - low + 1), low
        )

    def rounded(self, x: str, shifts: Integers, rounding: Rounding) -> str:
        divisors = np.int64(1) << shifts
        half, rounds = divisors >> 1, (shifts > 0).astype(np.int64)
        match rounding:
            case Rounding.TRN:
                return self.floored(x, divisors)
            case Rounding.RND:
                return self.floored(self.binary("Add", x, half), divisors)
            case Rounding.RND_CONV:
                odd = self.binary(
                    "Mul", self.binary("Mod", self.floored(x, divisors), np.int64(2)), rounds
                )
                return self.floored(
                    self.node("Add", [self.binary("Add", x, half - rounds), odd]), divisors
                )
            case Rounding.RND_INF:
                negative = self.binary(
                    "Mul", self.integers(self.binary("Less", x, np.int64(0))), rounds
                )
                return self.floored(
                    self.node("Sub", [self.binary("Add", x, half), negative]), divisors
                )

    def steps(self, node: Staircase, source: Operation, x: str) -> str:
        low, high = self.ranges[source.name]
        groups = [source.fractions == f for f in np.unique(source.fractions)]
        if sum(int(high[at].max()) - int(low[at].min()) + 1 for at in groups) <= _TABLE:
            tables, offsets = [np.empty(0, dtype=np.int64)], np.empty_like(low)
            for at in groups:
                least, most = int(low[at].min()), int(high[at].max())
                offsets[at] = sum(map(len, tables)) - least
                places = thresholds(node, source.fractions[at][0])
                reached = np.searchsorted(places, np.arange(least, most + 1), side="right")
                tables.append(node.levels.values[reached])
            index = self.binary("Add", x, offsets)
            return self.node("Gather", [self.constant(np.concatenate(tables)), index])
        places = np.stack([thresholds(node, fraction) for fraction in source.fractions])
        alone = self.node("Unsqueeze", [x, self.constant(np.array([2]))])
        passed = self.integers(self.binary("GreaterOrEqual", alone, places))
        count = self.node("ReduceSum", [passed, self.constant(np.array([2]))], keepdims=0)
        return self.node("Gather", [self.constant(node.levels.values), count])


def _before(up: Integers, low: Integers, high: Integers) -> tuple[Integers, Integers]:
    """Bounds before a shift by ``up``: one step beyond saturation after it; unshifted elements have
    none.
    """
    widest = Fixed(True, 63, 63)
    shifted = up > 0
    return np.where(shifted, (low >> up) - 1, widest.minimum), np.where(
        shifted, (high >> up) + 1, widest.maximum
    )

"""The graph in QONNX: real numbers in float32, quantisers as operators of their own, for tools that
read trained networks.

Inputs and outputs are real numbers, shape (events, elements). Anything that float32 or the
operators of QONNX cannot express exactly is refused.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, assert_never

import numpy as np
import onnx
from onnx import TensorProto, helper

from trigger.backends.onnx.writer import Writer, sealed
from trigger.errors import TriggerError
from trigger.fixedpoint.arithmetic import at_positions, side_by_side
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import (
    Add,
    Affine,
    Clip,
    Concatenate,
    Constant,
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
from trigger.fixedpoint.ranges import magnitude
from trigger.fixedpoint.types import Fixed, Overflow, Rounding

_OPSET = 18
_DOMAIN = "qonnx.custom_op.general"
_FLOAT_BITS = 24
_ROUNDINGS = {
    Rounding.RND_CONV: "ROUND",
    Rounding.TRN: "FLOOR",
    Rounding.RND: "FLOOR",
    Rounding.RND_INF: "HALF_UP",
}
_MAX_THRESHOLDS = 4096


def to_qonnx(graph: Graph) -> onnx.ModelProto:
    """The QONNX model of a graph; equal graphs give equal bytes.

    Raises TriggerError if it is not exact.
    """
    writer = _Writer(graph)
    _check_width(graph.input, writer.reach(graph.input))
    writer.quantised("inputs", graph.input.types, Rounding.RND_CONV, Overflow.SAT, graph.input.name)
    for node in graph.nodes[1:]:
        writer.write(node)
    return writer.model(
        TensorProto.FLOAT, [helper.make_opsetid("", _OPSET), helper.make_opsetid(_DOMAIN, 1)]
    )


def save(graph: Graph, path: Path) -> None:
    """Write the QONNX model of a graph to a file."""
    path.write_bytes(sealed(to_qonnx(graph)).SerializeToString(deterministic=True))


class _Writer(Writer):
    def constant(self, values: Any, dtype: type = np.float32) -> str:
        return self.tensor(values, dtype)

    def write(self, node: Operation) -> None:
        _check_width(node, self.reach(node))
        self.names[node.name] = self._value(node, *self.sources(node))

    def quantised(
        self,
        x: str,
        types: tuple[Fixed, ...],
        rounding: Rounding,
        overflow: Overflow,
        name: str,
        before: Sequence[Fixed] = (),
    ) -> str:
        """Quant nodes, one per width and sign, with steps per element; ``before`` are the types of
        x.
        """
        if overflow is Overflow.WRAP:
            raise TriggerError(
                f"export: {name} wraps around, which QONNX cannot express; use `trigger "
                f"export onnx`"
            )
        if any(t.signed and t.width == 1 for t in types):
            reason = "has only a sign bit, which means -1 or 1 in QONNX"
            raise TriggerError(f"export: {name} {reason}; use `trigger export onnx`")
        steps = np.array([2.0**-t.fraction for t in types])
        if (
            rounding is Rounding.RND
        ):  # ties upwards: the floor of x plus half a step, for elements that are rounded
            coarser = [t.fraction < s.fraction for t, s in zip(types, before, strict=True)]
            x = self.node("Add", [x, self.constant(np.where(coarser, steps / 2, 0))])
        kinds = sorted({(t.width, t.signed) for t in types})
        parts, order = [], []
        for width, signed in kinds:
            at = np.array(
                [k for k, t in enumerate(types) if (t.width, t.signed) == (width, signed)]
            )
            part = (
                x
                if len(kinds) == 1
                else self.node("Gather", [x, self.constant(at, np.int64)], axis=1)
            )
            narrow = int(overflow is Overflow.SAT_SYM and signed)
            parts.append(self.quant(part, steps[at], width, signed, narrow, _ROUNDINGS[rounding]))
            order += list(at)
        if len(parts) > 1:
            joined = self.node("Concat", parts, axis=1)
            parts = [
                self.node("Gather", [joined, self.constant(np.argsort(order), np.int64)], axis=1)
            ]
        self.names[name] = parts[0]
        return parts[0]

    def quant(
        self, x: str, steps: np.ndarray, width: int, signed: bool, narrow: int, rounding: str
    ) -> str:
        scale = self.constant(steps[0] if (steps == steps[0]).all() else steps)
        inputs = [x, scale, self.constant(0), self.constant(width)]
        return self.node(
            "Quant",
            inputs,
            domain=_DOMAIN,
            signed=int(signed),
            narrow=narrow,
            rounding_mode=rounding,
        )

    def weights(self, constant: Constant) -> str:
        """Weights with a quantiser that states their type and changes no value."""
        width = max(constant.type.width, 1 + constant.type.signed)
        step = np.array([2.0**-constant.type.fraction])
        return self.quant(
            self.constant(constant.real), step, width, constant.type.signed, 0, "ROUND"
        )

    def _value(self, node: Operation, sources: list[Operation], values: list[str]) -> str:
        assert not isinstance(node, Input)  # it is given, not computed
        source, x = sources[0], values[0]
        match node:
            case Dense():
                vectors = self.at_positions(node, x)
                product = self.node("MatMul", [vectors, self.weights(node.weights)])
                total = self.node("Add", [product, self.weights(node.bias)])
                return self.side_by_side(node, total)
            case Affine():
                return self.node(
                    "Add",
                    [self.node("Mul", [x, self.weights(node.scale)]), self.weights(node.bias)],
                )
            case Quantize():
                return self.quantised(
                    x, node.types, node.rounding, node.overflow, node.name, source.types
                )
            case Clip():
                low, high = (
                    self.constant(np.ldexp(b.astype(float), -source.fractions))
                    for b in (node.low, node.high)
                )
                return self.node("Max", [self.node("Min", [x, high]), low])
            case LeakyRelu():
                return self.node("LeakyRelu", [x], alpha=2.0**-node.shift)
            case Staircase():
                return self.steps(node, x)
            case Lookup() | TruthTable():
                raise TriggerError(
                    f"export: {node.name} is a table, which no operator of QONNX is; use `trigger "
                    "export onnx`, which has tables"
                )
            case Threshold():
                chosen = self.node("Gather", [x, self.constant(node.elements, np.int64)], axis=1)
                bounds = np.ldexp(node.bounds.astype(float), -source.fractions[node.elements])
                return self.threshold(chosen, bounds[:, None], 1.0, 0.0)
            case Add():
                return self.signed_sum(node, values)
            case Select():
                numbers = self.constant(np.maximum(node.elements, 0), np.int64)
                taken = self.node("Gather", [x, numbers], axis=1)
                kept = (node.elements >= 0).astype(float)
                return taken if kept.all() else self.node("Mul", [taken, self.constant(kept)])
            case Maximum() | Minimum():
                members = [
                    self.node("Gather", [x, self.constant(member, np.int64)], axis=1)
                    for member in node.groups.T
                ]
                operator = "Max" if isinstance(node, Maximum) else "Min"
                return self.node(operator, members) if len(members) > 1 else members[0]
            case Multiply():
                return self.node("Mul", values)
            case Concatenate():
                return self.node("Concat", values, axis=1)
            case _:
                assert_never(node)

    def steps(self, node: Staircase, x: str) -> str:
        """A step of several levels is a repeated threshold."""
        rises = np.diff(node.levels.values)
        if rises.sum() > _MAX_THRESHOLDS:
            raise TriggerError(
                f"export: {node.name} rises by {rises.sum()} steps, too many thresholds for QONNX; "
                "use `trigger export onnx`, which has tables"
            )
        thresholds = np.repeat(node.thresholds.real, rises)
        if not len(thresholds):
            thresholds = node.thresholds.real[:1]
        step = 2.0**-node.levels.type.fraction if len(rises) and rises.any() else 0.0
        return self.threshold(x, thresholds[None, :], step, float(node.levels.real[0]))

    def threshold(self, x: str, thresholds: np.ndarray, scale: float, bias: float) -> str:
        """scale * (the number of thresholds at or below x) + bias; ``thresholds`` (1 or elements,
        thresholds).
        """
        options: dict[str, Any] = {
            "out_dtype": "FLOAT32",
            "out_scale": scale,
            "out_bias": bias,
            "data_layout": "NC",
        }
        return self.node(
            "MultiThreshold", [x, self.constant(thresholds)], domain=_DOMAIN, **options
        )

    def reach(self, node: Operation) -> int:
        """The bits of the largest intermediate value of a node, for any order of summation."""
        largest = [magnitude(self.graph[name], self.ranges[name]) for name in node.inputs]
        match node:
            case Dense():
                terms = at_positions(node, largest[0])
                sums = side_by_side(terms @ np.abs(node.weights.real) + np.abs(node.bias.real))
            case Affine():
                sums = largest[0] * np.abs(node.scale.real) + np.abs(node.bias.real)
            case Add():
                sums = np.sum(largest, axis=0)
            case Multiply():
                sums = np.prod(largest, axis=0)
            case (
                Input()
                | Quantize()
                | Clip()
                | LeakyRelu()
                | Staircase()
                | Lookup()
                | TruthTable()
                | Threshold()
                | Concatenate()
                | Select()
                | Maximum()
                | Minimum()
            ):
                return max(t.width for t in node.types)
            case _:
                assert_never(node)
        return int(np.frexp(np.ldexp(sums, node.fractions).max())[1])


def _check_width(node: Operation, bits: int) -> None:
    if bits > _FLOAT_BITS:
        raise TriggerError(
            f"export: {node.name} needs {bits} bits; QONNX computes in float32, which "
            f"holds {_FLOAT_BITS}; "
            "use `trigger export onnx`, which computes in integers"
        )

"""A walk over the nodes of an ONNX file, into the fixed-point graph."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from trigger.fixedpoint.build import Builder, free_name
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import GraphError
from trigger.fixedpoint.ranges import TooWide
from trigger.fixedpoint.types import Fixed, Integers
from trigger.frontends.inexact import Inexact, Problem, Refusal
from trigger.frontends.onnx import ends, folding
from trigger.frontends.onnx.calls import Call, Joined
from trigger.frontends.onnx.operators import OPERATORS
from trigger.frontends.onnx.reading import MISFITS, Model, Node
from trigger.frontends.onnx.sums import Sum
from trigger.frontends.onnx.values import Value, real
from trigger.support.names import as_identifier

_OTHER_FORMATS = (
    "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger", "DynamicQuantizeLinear",
    "QLinearAdd", "QLinearMul", "QGemm", "QLinearSigmoid", "QLinearGlobalAveragePool",
)  # fmt: skip


# float32 holds integers of so many bits.
_FLOAT_BITS = 24


class Lowered(NamedTuple):
    """A graph, the heads of its outputs with the number of their scores, and the common factor of
    all outputs that was left out, 1 if none was. ``fractions`` are those of the scores before
    heads. In a ``plain`` one no factor had to be joined with
    a quantiser: all are powers of two, or nearly so.
    """

    graph: Graph
    heads: tuple[tuple[ends.Head, int], ...]
    factor: Fraction
    plain: bool
    fractions: Integers


def lower(model: Model, types: Sequence[Fixed] | None) -> Graph:
    """The graph of a network for inputs of these types, one for each feature.

    Raises Inexact with everything in the network that cannot be exact.
    """
    return lowered(model, types).graph


def lowered(model: Model, types: Sequence[Fixed] | None) -> Lowered:
    """The same, with what the graph does not say."""
    types = types or input_types(model)
    if types is None or len(types) != model.features:
        reason = (
            "the features have no fixed-point type"
            if types is None
            else f"{len(types)} types for {model.features} features"
        )
        remedy = 'give one type, or one per feature, as in inputs="fixed<16,6>"'
        raise Inexact([Problem("inputs", reason, remedy)])
    return _Walk(model, tuple(types)).lowered()


def input_types(model: Model) -> tuple[Fixed, ...] | None:
    """The types of the features if quantisers of powers of two read them first; else None."""
    known, left, _ = folding.folded(model)
    found: list[Fixed] = []
    for name, shape in model.inputs.items():
        readers = [node for node in left if name in node.inputs]
        each = [ends.input_types(node, known, shape) for node in readers]
        first = each[0] if each else None
        if first is None or any(other != first for other in each):
            return None
        found += first
    return tuple(found)


class _Walk:
    """It collects every problem; nodes that read the values of a refused one are left out."""

    def __init__(self, model: Model, types: tuple[Fixed, ...]) -> None:
        self.model = model
        self.notes: list[str] = []
        self.joined: list[Joined] = []
        self.sums: dict[str, Sum] = {}
        known, left, self.problems = folding.folded(model)
        self.constants: dict[str, np.ndarray] = known
        self.builder = Builder(types)
        names = _names(left)
        self.builder.reserve(names)
        self.values: dict[str, Value] = {}
        start = 0
        for name, shape in model.inputs.items():
            size = int(np.prod(shape))
            self.values[name] = Value("inputs", np.arange(start, start + size).reshape(shape))
            start += size
        self.ends = ends.trimmed(model, left)
        kept = {node.outputs for node in self.ends.nodes}
        for node, name in zip(left, names, strict=True):
            if node.outputs in kept:
                self._visit(node, name)

    def lowered(self) -> Lowered:
        if self.problems:
            raise Inexact(self.problems)
        try:
            return self._finished()
        except Refusal as refusal:
            problem = Problem("outputs", refusal.reason, refusal.remedy)
            raise Inexact([problem]) from refusal
        except TooWide as wide:
            raise Inexact([_too_wide("outputs", wide)]) from wide
        except MISFITS as error:
            raise Inexact([_misfit("outputs", error)]) from error

    def _finished(self) -> Lowered:
        values = [self._output(head) for head in self.ends.heads]
        factor = Fraction(1)
        if len(values) == 1:
            value, factor = ends.without_factor(self.builder, "outputs", values[0])
            values = [value]
        if factor != 1:
            self._leave_out(factor)
        nodes: list[str] = []
        steps: list[Integers] = []
        for head, value in zip(self.ends.heads, values, strict=True):
            node = real(self.builder, "outputs", value)
            steps.append(self.builder[node].fractions)
            nodes.append(ends.lowered_head(self.builder, node, head, self.notes.append))
        if len(nodes) > 1:
            listed = ", ".join(self.model.outputs)
            self.notes.append(f"outputs: those of {listed}, in this order")
            nodes = [self.builder.concatenate("outputs", tuple(nodes))]
        sizes = [value.elements.size for value in values]
        heads = tuple(zip(self.ends.heads, sizes, strict=True))
        graph = self.builder.graph(nodes[0], self._all_notes())
        widest = max(fixed.width for node in graph.nodes for fixed in node.types)
        rounds = any(joined.rounds for joined in self.joined)
        plain = factor == 1 and not rounds and (not self.joined or widest <= _FLOAT_BITS)
        return Lowered(graph, heads, factor, plain, np.concatenate(steps))

    def _all_notes(self) -> tuple[str, ...]:
        names = [joined.node for joined in self.joined if joined.rounds]
        if not names:
            return tuple(self.notes)
        note = (
            f"{', '.join(names)}: factors that are no powers of two, joined with the "
            f"quantiser into a step function of integers that is the same for every input"
        )
        return (*self.notes, note)

    def _output(self, head: ends.Head) -> Value:
        value = self.values.get(head.before)
        if value is None:
            raise Refusal(f"the output {head.before} is constant", "remove it from the network")
        if not value.elements.size:
            raise Refusal(f"the output {head.before} has no elements", "remove it from the network")
        if value.shape[:1] != (1,):
            raise Refusal(
                f"the output {head.before} of the shape {value.shape} has no batch axis",
                "keep the events on the first axis",
            )
        if head.kind == "softmax":
            ends.check_softmax(value, int(head.axis))
        return value.moved(lambda x: x.reshape(1, -1))

    def _leave_out(self, factor: Fraction) -> None:
        (head,) = self.ends.heads
        if head.kind in ("sigmoid", "tanh"):
            raise Refusal(
                f"the {head.kind} of {head.node} reads multiples of {float(factor):.6g}, which no "
                f"fixed-point type has",
                "put a quantiser before it, or remove it from the network",
            )
        self.notes.append(
            f"outputs: their common factor {float(factor):.9g} is left out; it cannot change the "
            f"order of the scores, and thresholds on them are moved through it"
        )

    def _visit(self, node: Node, name: str) -> None:
        if any(i and i not in self.values and i not in self.constants for i in node.inputs):
            return  # it reads a value that was refused
        self.builder.claim(name)
        try:
            self._lower(node, name)
        except Refusal as refusal:
            self.problems.append(Problem(node.name, refusal.reason, refusal.remedy))
        except TooWide as wide:
            self.problems.append(_too_wide(node.name, wide))
        except GraphError as error:
            remedy = "use constants of fewer bits"
            self.problems.append(Problem(node.name, str(error), remedy))
        except MISFITS as error:
            self.problems.append(_misfit(node.name, error))

    def _lower(self, node: Node, name: str) -> None:
        if all(i in self.constants or not i for i in node.inputs):
            made: Sequence[Any] = folding.computed(node, self.constants)
        else:
            made = self._operator(node)(self._call(node, name))
        for output, value in zip(node.outputs, made, strict=False):
            (self.values if isinstance(value, Value) else self.constants)[output] = value

    def _call(self, node: Node, name: str) -> Call:
        given = [self.values.get(i, self.constants.get(i)) for i in node.inputs]
        return Call(
            self.builder, node, name, given, self.constants.get, self.notes, self.joined, self.sums
        )

    def _operator(self, node: Node) -> Callable[[Call], Sequence[Any]]:
        if node.operator in OPERATORS:
            return OPERATORS[node.operator]
        if node.operator in _OTHER_FORMATS:
            raise Refusal(
                f"the operator {node.operator} is of another format of quantised networks",
                "export with QuantizeLinear and DequantizeLinear (QDQ), in onnxruntime with "
                "quant_format=QuantFormat.QDQ",
            )
        raise Refusal(
            f"the operator {node.operator} has no exact lowering",
            f"use one of {', '.join(sorted(OPERATORS))}",
        )


def _names(nodes: Sequence[Node]) -> list[str]:
    """Names in the graph, all different: that of the node, or its operator."""
    names: list[str] = []
    taken = {"inputs"}
    for node in nodes:
        given = node.operator.lower() if " that makes " in node.name else node.name
        name = free_name(as_identifier(given.strip("/").replace("/", "_")), taken)
        taken.add(name.casefold())
        names.append(name)
    return names


def _misfit(name: str, error: Exception) -> Problem:
    text = " ".join(str(error).split())
    return Problem(name, f"its inputs do not fit: {text}", "export the network again")


def _too_wide(name: str, wide: TooWide) -> Problem:
    return Problem(
        name,
        f"a value needs {wide.width} bits, but float64 holds 53",
        "quantise the values before this node, or use fewer bits",
    )

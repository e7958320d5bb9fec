"""A file as the network of a build, with the same functions as ``frontends.networks``."""

import math
from fractions import Fraction

import numpy as np

from trigger.errors import TriggerError
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.passes.decision import LeftOut, scores
from trigger.fixedpoint.types import Reals
from trigger.frontends.onnx import lowering, reference
from trigger.frontends.onnx.lowering import input_types, lower
from trigger.frontends.onnx.reading import Model
from trigger.frontends.onnx.reading import read as load
from trigger.frontends.onnx.reference import output_sizes
from trigger.verification.oracle import LINEAR, Head, Recording

__all__ = [
    "Reference",
    "ends",
    "input_types",
    "left_out",
    "load",
    "lower",
    "output_sizes",
    "record",
]

# Outputs without their common factor are whole steps; float64 is much nearer to them than this.
_NEAR_STEP = 2.0**-6
# So near are outputs in float32 to whole steps, and so far are its values from a tie.
_NEAR_WHOLE = 2.0**-4
_MARGIN = 2.0**-18
_FLOAT32 = "onnx's reference evaluator (float32)"


class Reference:
    """The network in float64, by onnx's reference evaluator; its outputs as those of the graph."""

    def __init__(self, model: Model, graph: Graph) -> None:
        self._made = _made(model, graph)
        self._run = reference.in_float64(model, snap=not self._made.plain)

    def predict(self, x: np.ndarray) -> Reals:
        """Real inputs, shape (events, features), to outputs, float64 of shape (events, outputs)."""
        y = self._run(x)
        if not self._made.plain:
            y = self._on_steps(y)
        parts = np.split(y, np.cumsum([size for _, size in self._made.heads])[:-1], axis=1)
        return np.concatenate(
            [self._ended(head, part) for head, part in zip(_heads(self._made), parts, strict=True)],
            axis=1,
        )

    def _ended(self, head: Head, y: Reals) -> Reals:
        if not _is_table(head, self._made.graph):
            return y
        from trigger.frontends import heads, piecewise

        return piecewise.round_to(heads.TYPES[head.kind], heads.evaluate(head.kind, y))

    def _on_steps(self, y: Reals) -> Reals:
        """Outputs on the steps of the graph, where float64 left them next to one."""
        fractions = self._made.fractions
        scaled = np.ldexp(y / float(self._made.factor), fractions)
        whole = np.rint(scaled)
        return np.ldexp(np.where(np.abs(scaled - whole) <= _NEAR_STEP, whole, scaled), -fractions)


def record(model: Model, graph: Graph, x: np.ndarray) -> Recording:
    """The outputs of the file itself in float32 for real inputs (events, features).

    Where factors are no powers of two, float32 rounds every value. Then only those events are
    recorded in which no value comes next to a tie of a quantiser, and their outputs before heads,
    on the steps of the graph.
    """
    made = _made(model, graph)
    if made.plain:
        y = reference.in_float32(model)(x)
        if not np.isfinite(y).all():
            raise TriggerError(f"{model.path}: it gives outputs that are not finite")
        return Recording(x, y, tuple(_heads(made)), _FLOAT32)
    heads = (Head(LINEAR, "outputs", sum(size for _, size in made.heads)),)
    steps = _float32_steps(model, made, x)
    whole = np.rint(steps)
    sure = (np.abs(steps - whole) <= _NEAR_WHOLE).all(axis=1)
    sure &= reference.margins(model)(x) > _MARGIN
    if not sure.any() or any(_is_table(head, graph) for head in _heads(made)):
        y = Reference(model, graph).predict(x)
        return Recording(x, y, heads, "onnx's reference evaluator (float64)")
    return Recording(x[sure], np.ldexp(whole[sure], -made.fractions), heads, _FLOAT32)


def apart(model: Model, graph: Graph, x: np.ndarray) -> int:
    """In how many events float32 gives another output before heads than exact arithmetic, by more
    than half a step; 0 where it cannot.
    """
    made = _made(model, graph)
    if made.plain:
        return 0
    exact = reference.in_float64(model, snap=True)(x)
    steps = np.ldexp(exact / float(made.factor), made.fractions)
    return int((np.abs(_float32_steps(model, made, x) - steps) > 0.5).any(axis=1).sum())


def _float32_steps(model: Model, made: lowering.Lowered, x: np.ndarray) -> Reals:
    """The outputs before heads in float32, in steps of the graph."""
    y = reference.in_float32(model, heads=False)(x).astype(np.float64)
    return np.ldexp(y / float(made.factor), made.fractions)


def ends(model: Model, graph: Graph) -> list[tuple[str, int]]:
    """The head of each output, and its number of scores; "linear" for one that was left out."""
    return [
        (head.kind if head.kind == "sigmoid" and _is_table(head, graph) else LINEAR, head.elements)
        for head in _heads(_made(model, graph))
    ]


def left_out(model: Model, graph: Graph) -> list[LeftOut | None]:
    """What was left out of the graph at the end of each score."""
    from trigger.frontends import heads

    made = _made(model, graph)
    found: list[LeftOut | None] = []
    for head in _heads(made):
        omitted = None
        if head.kind == "softmax":
            omitted = heads.SOFTMAX
        elif head.kind != LINEAR and not _is_table(head, graph):
            omitted = heads.omitted(head.kind, graph)
        elif made.factor != 1:
            omitted = _factor(made.factor, graph)
        found += [omitted] * head.elements
    return found


def _made(model: Model, graph: Graph) -> lowering.Lowered:
    """The network lowered for the inputs of a graph."""
    return lowering.lowered(model, graph.input.types)


def _heads(made: lowering.Lowered) -> list[Head]:
    return [Head(head.kind, head.node, size) for head, size in made.heads]


def _is_table(head: Head, graph: Graph) -> bool:
    """Whether the graph has the function at an end as a table."""
    from trigger.frontends import heads

    if head.kind in (LINEAR, "softmax"):
        return False
    return heads.left_out_note(head.layer, head.kind) not in graph.notes


def _factor(factor: Fraction, graph: Graph) -> LeftOut:
    fractions = scores(graph).output.fractions

    def before(element: int, threshold: float) -> float:
        if not np.isfinite(threshold):
            raise TriggerError("a threshold is not a finite number")
        steps = Fraction(2) ** int(fractions[element])
        return float(math.ceil(Fraction(threshold) / factor * steps) / steps)

    return LeftOut("factor", before, lambda x: x * float(factor))

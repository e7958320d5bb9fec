"""The trained network itself as a witness: the outputs of the user's own object, against the graph.

These outputs do not involve the compiler: Keras computes them, in float32, from the object that was
trained or loaded, before anything is saved or lowered. The graph must give the same numbers where
float32 is exact, and numbers within its rounding elsewhere.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from trigger.errors import TriggerError
from trigger.fixedpoint.evaluate import quantize_inputs
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import Operation, Staircase
from trigger.fixedpoint.passes.decision import scores
from trigger.fixedpoint.types import Integers
from trigger.support.files import regular
from trigger.verification.compare import Comparison, Disagreement
from trigger.verification.float32 import FUNCTION_ERROR, Bounds, output_bounds

LINEAR = "linear"
NAME = "trained network (float32)"

# Smaller probabilities lose precision in float32.
_LEAST = 2.0**-120

_FUNCTIONS = {
    "sigmoid": expit,
    "tanh": np.tanh,
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
}


class Head(NamedTuple):
    """The end of one output of a network: Keras' own function there, the layer, and the number of
    elements.

    ``kind`` is "softmax", "sigmoid", "tanh", "hard_sigmoid", or "linear" for any other.
    """

    kind: str
    layer: str
    elements: int


class Recording(NamedTuple):
    """Recorded float32 outputs of a network: ``y`` (events, outputs) for ``x`` (events, features).

    ``heads`` are those of its outputs, in order; ``name`` says what gave the outputs.
    """

    x: np.ndarray
    y: np.ndarray
    heads: tuple[Head, ...]
    name: str = NAME

    def save(self, path: Path) -> None:
        heads = np.array(self.heads, dtype=str)
        np.savez(path, x=self.x, y=self.y, heads=heads, name=np.array(self.name))


class Agreement(NamedTuple):
    """The comparison, and the number of its events in which float32 is exact."""

    comparison: Comparison
    exact: int


def load(path: Path) -> Recording:
    """Read the output of ``Recording.save``. Raises TriggerError if it is missing or damaged."""
    try:
        with np.load(regular(path)) as file:
            heads = tuple(
                Head(function, layer, int(n)) for function, layer, n in file["heads"].tolist()
            )
            recording = Recording(file["x"], file["y"], heads, str(file["name"]))
        if len(recording.x) == 0 or len(recording.x) != len(recording.y):
            raise ValueError(f"{len(recording.x)} events and {len(recording.y)} outputs")
        return recording
    except (OSError, ValueError, KeyError) as error:
        raise TriggerError(
            f"{path}: the recorded outputs of the trained network cannot be read: {error}; "
            "run `trigger build` again"
        ) from error


def agreement(graph: Graph, recording: Recording) -> Agreement:
    """Compare a graph, or the scores before its accept bits, with the recorded outputs.

    Raises GraphError if the recorded inputs do not fit the graph's input types.
    """
    graph = scores(graph)
    x = on_grid(graph, recording.x)
    scored = output_bounds(graph, x)
    y = recording.y.astype(np.float64)
    if y.shape != scored.low.shape:
        text = f"it gives {y.shape[1]} outputs, the graph {scored.low.shape[1]}"
        return Agreement(Comparison(recording.name, len(y), 0, None, text), 0)
    bounds = _through_heads(recording.heads, graph, scored)
    outside = ~((bounds.low <= y) & (y <= bounds.high))
    differs = outside.any(axis=1)
    exact = int((scored.known.all(axis=1) & ~differs).sum())
    witness = _first(recording, bounds, outside) if differs.any() else None
    comparison = Comparison(recording.name, len(y), int(differs.sum()), witness)
    return Agreement(comparison, exact)


def on_grid(graph: Graph, x: np.ndarray) -> Integers:
    """Real inputs as integers. Raises TriggerError if one lies between two steps."""
    real = np.asarray(x, dtype=np.float64)
    integers = quantize_inputs(graph, real)
    if (np.ldexp(integers.astype(np.float64), -graph.input.fractions) != real).any():
        raise TriggerError("the trained network was evaluated on values outside its input types")
    return integers


def _first(recording: Recording, bounds: Bounds, outside: np.ndarray) -> Disagreement:
    event, output = (int(i) for i in np.argwhere(outside)[0])
    given, low, high = (float(y[event, output]) for y in (recording.y, *bounds))
    inputs = tuple(float(value) for value in recording.x[event])
    return Disagreement(event, output, given, low, high, inputs)


def _through_heads(heads: Sequence[Head], graph: Graph, y: Bounds) -> Bounds:
    """Bounds on the outputs of the network, from those on the outputs of the graph."""
    ends = np.cumsum([head.elements for head in heads])[:-1]
    nodes = [graph[name] for name in graph.output.inputs] if len(heads) > 1 else [graph.output]
    parts = zip(*(np.split(end, ends, axis=1) for end in y), strict=True)
    bounds = [
        _through_head(head, node, graph, Bounds(*part))
        for head, node, part in zip(heads, nodes, parts, strict=True)
    ]
    return Bounds(*(np.concatenate(ends, axis=1) for ends in zip(*bounds, strict=True)))


def _through_head(head: Head, node: Operation, graph: Graph, y: Bounds) -> Bounds:
    """Bounds on one output of the network, from those on the node of the graph that gives it."""
    if head.kind == "softmax":
        return _softmax(y)
    if head.kind == LINEAR:
        return y
    left_out = any(
        note.startswith(f"{head.layer}: the {head.kind} is left out") for note in graph.notes
    )
    if isinstance(node, Staircase) and not left_out:  # the rounded values of the head
        step = np.ldexp(1.0, -node.fractions)
        greatest = step * [fixed.maximum for fixed in node.types]
        low = y.low - step / 2
        high = np.where(y.high == greatest, greatest + step, y.high + step / 2)
        return Bounds(low - FUNCTION_ERROR, high + FUNCTION_ERROR)
    low, high = (_FUNCTIONS[head.kind](end) for end in y)
    return Bounds(low - FUNCTION_ERROR, high + FUNCTION_ERROR)


def _softmax(y: Bounds) -> Bounds:
    """Each probability is smallest where its own logit is smallest and the others are largest."""
    top = y.high.max(axis=1, keepdims=True)
    low, high = (np.exp(end - top) for end in y)
    least = low / (low + high.sum(axis=1, keepdims=True) - high)
    greatest = high / (high + low.sum(axis=1, keepdims=True) - low)
    # The argument of exp, a difference of logits, is rounded before exp magnifies its error.
    error = FUNCTION_ERROR * (1 + (top - y.low))
    return Bounds(least * (1 - error) - _LEAST, greatest * (1 + error) + _LEAST)

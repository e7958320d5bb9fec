"""The head: a real-valued function at the end of a network, without an exact fixed-point value.

It is non-decreasing. If its input is narrow enough, it becomes a table rounded to 16 fractional
bits. Otherwise it is left out, like a softmax: the outputs are then its arguments, and thresholds
on its values are moved through it.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np

from trigger.errors import TriggerError
from trigger.fixedpoint.build import Builder
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.passes.decision import LeftOut, scores
from trigger.fixedpoint.ranges import ranges
from trigger.fixedpoint.types import Fixed
from trigger.frontends import plain
from trigger.frontends.floatx import keras_float64
from trigger.frontends.inexact import Refusal
from trigger.frontends.keras_private import inner, maker, read_by
from trigger.frontends.piecewise import round_to, staircase
from trigger.verification.oracle import LINEAR, Head

TYPES = {
    "sigmoid": Fixed(False, 16, 0),
    "hard_sigmoid": Fixed(False, 16, 0),
    "tanh": Fixed(True, 17, 1),
}
# Their range for any weights; a sigmoid and a tanh reach its ends only by rounding.
REACH = {"sigmoid": (0.0, 1.0), "hard_sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}
# Keras may round the last bit of a value differently if it is alone or at the end of a batch.
_BATCH = 16


def kind_of(activation: Any) -> str | None:
    """The name of an activation among Keras' real-valued functions; None for any other."""
    return next((n for n in TYPES if getattr(keras.activations, n) is activation), None)


def is_sigmoid(activation: Any) -> bool:
    """Whether an activation is one of Keras' own sigmoids: its values are probabilities."""
    return kind_of(activation) in ("sigmoid", "hard_sigmoid")


def recorded(model: keras.Model) -> tuple[Head, ...]:
    """What an oracle must know of the end of each output of a network."""
    return tuple(
        Head(_kind(layer), layer.name, math.prod(tensor.shape[1:]))
        for layer, tensor in zip(last_layers(model), model.outputs, strict=True)
    )


def kinds(model: keras.Model) -> list[str]:
    """The function at the end of each score of a network, in the order of the scores: "softmax",
    ``kind_of`` it, or "linear".
    """
    return [end.kind for end in recorded(model) for _ in range(end.elements)]


def _kind(layer: Any) -> str:
    return "softmax" if is_softmax(layer) else kind_of(getattr(layer, "activation", None)) or LINEAR


def lower(builder: Builder, name: str, source: str, layer: str, function: str) -> tuple[str, str]:
    """Append the head of a layer as a table, or leave it out: the output's node, and a note that
    says so.
    """
    try:
        rounded = partial(_rounded, function)
        table = staircase(builder, name, source, rounded, bisectable=False)
    except Refusal:
        return source, left_out_note(layer, function)
    return (
        table,
        f"{layer}: the {function} is a table, its values rounded half to even to {TYPES[function]}",
    )


def left_out_note(layer: str, function: str) -> str:
    """The note of a graph about a head that was left out."""
    return (
        f"{layer}: the {function} is left out, for its input is too wide for a table; it "
        f"cannot change the order of the "
        f"events, and thresholds on its values are moved through it exactly"
    )


def leaves_out(layer: Any, graph: Graph) -> bool:
    """Whether the sigmoid or tanh at the end of a layer was left out of a graph."""
    function = kind_of(getattr(layer, "activation", None))
    return function is not None and left_out_note(layer.name, function) in graph.notes


def left_out(model: keras.Model, graph: Graph) -> list[LeftOut | None]:
    """The head that was left out of a network's graph, for each of its scores; None if there is
    none.
    """
    heads: list[LeftOut | None] = []
    for layer, tensor in zip(last_layers(model), model.outputs, strict=True):
        heads += [_left_out(layer, graph)] * math.prod(tensor.shape[1:])
    return heads


def _left_out(layer: Any, graph: Graph) -> LeftOut | None:
    if is_softmax(layer):
        return SOFTMAX
    function = kind_of(getattr(layer, "activation", None))
    return omitted(function, graph) if function and leaves_out(layer, graph) else None


def omitted(function: str, graph: Graph) -> LeftOut:
    """A sigmoid or tanh that a graph leaves out."""
    return LeftOut(function, partial(_bound, function, scores(graph)), partial(_value, function))


def is_softmax(layer: Any) -> bool:
    """Whether a layer ends in Keras' softmax."""
    softmax = keras.activations.softmax
    return isinstance(layer, keras.layers.Softmax) or getattr(layer, "activation", 0) is softmax


def evaluate(name: str, x: np.ndarray) -> np.ndarray:
    """A head's values as Keras gives them in float64."""
    function: Callable[[Any], Any] = getattr(keras.activations, name)
    with keras_float64():
        y = function(keras.ops.convert_to_tensor(x, dtype="float64"))
        return np.asarray(keras.ops.convert_to_numpy(y), dtype=np.float64)


def last_layers(model: keras.Model) -> list[Any]:
    """The layer that gives each output of a network its values."""
    return [maker(end(tensor)) for tensor in model.outputs]


def end(output: Any) -> Any:
    """The tensor whose elements an output of a network has, in their order."""
    return passed(output)[-1]


def passed(output: Any) -> list[Any]:
    """An output, and the tensors before it whose elements it has, in their order."""
    tensors = [inner(output)]
    while _passes_on(maker(tensors[-1])):
        tensors.append(inner(read_by(tensors[-1])[0]))
    return tensors


def _passes_on(layer: Any) -> bool:
    """Whether a layer passes its elements on unchanged and in their order."""
    if type(layer) is keras.layers.Flatten:
        return bool(layer.data_format == "channels_last")
    return type(layer) in (*plain.TRAINING_ONLY, keras.layers.Reshape)


def _rounded(function: str, x: np.ndarray) -> np.ndarray:
    return round_to(TYPES[function], evaluate(function, x))


def _value(function: str, x: float) -> float:
    return float(evaluate(function, np.array([x]))[0])


def _no_bound(element: int, threshold: float) -> float:  # noqa: ARG001
    raise TriggerError(
        f"a threshold of {threshold:g} on a softmax depends on the scores of all "
        f"classes, but the softmax is left out; remove "
        "it from the network and set a threshold on the scores, or set rate_khz"
    )


SOFTMAX = LeftOut("softmax", _no_bound, None)


def _bound(function: str, graph: Graph, element: int, threshold: float) -> float:
    """The smallest value of an output whose head reaches the threshold; one step above the maximum
    if none does.

    Raises TriggerError if the threshold is not finite, or so near an end of the head's range that
    the rounding of Keras is not monotonic across it.
    """
    if not np.isfinite(threshold):
        raise TriggerError("a threshold is not a finite number")
    interval = ranges(graph)[graph.output.name]
    least = int(interval.low[element])
    most = int(interval.high[element])
    fraction = graph.output.types[element].fraction

    def passes(integers: np.ndarray) -> np.ndarray:
        x = np.ldexp(np.append(integers, [integers[-1]] * _BATCH).astype(np.float64), -fraction)
        return np.asarray(evaluate(function, x)[:-_BATCH] >= threshold)

    low = least
    high = most + 1
    while low < high:
        middle = (low + high) >> 1
        if passes(np.array([middle]))[0]:
            high = middle
        else:
            low = middle + 1
    others = _around(low, least, most)
    if (passes(others) != (others >= low)).any():
        raise TriggerError(
            f"a threshold of {threshold!r} on the {function}: Keras' values cross it "
            f"several times because of float64 rounding, so no bound on "
            "the score is equivalent; set a threshold farther from the ends of the range"
        )
    return float(np.ldexp(float(low), -fraction))


def _around(place: int, least: int, most: int) -> np.ndarray:
    """Distinct integers from ``least`` to ``most``: all near ``place``, fewer farther away."""
    far = np.unique(np.geomspace(1, max(most - least, 1), 2000).astype(np.int64))
    offsets = np.union1d(far, np.arange(512))
    return np.unique(np.clip(np.concatenate([place - offsets, place + offsets]), least, most))

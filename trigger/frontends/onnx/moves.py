"""Operators that move elements: what each does with an array, of constants or of numbers of
elements. The meaning is that of the ONNX specification, in operator sets 7 to 23.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from onnx import TensorProto

from trigger.frontends.inexact import Refusal
from trigger.frontends.onnx.reading import MOST_ELEMENTS, MOST_WEIGHTS, Node
from trigger.frontends.onnx.steps import Move

# The values of the other inputs of a node, or of an attribute that was one before.
Known = Callable[[str], np.ndarray | None]


def moved(node: Node, given: Sequence[Any], known: Known) -> list[np.ndarray]:
    """The outputs of a node that moves the elements of its first input."""
    return [move(given[0]) for move in moves_of(node, known, given[0].shape)]


def moves_of(node: Node, known: Known, shape: tuple[int, ...]) -> list[Move]:
    """What a node does with an array of this shape, for each of its outputs.

    Raises Refusal if that depends on the event.
    """
    made = OPERATORS[node.operator](node, known, shape)
    return made if isinstance(made, list) else [made]


def integers(node: Node, known: Known, place: int, attribute: str) -> list[int] | None:
    """Integers from an input of a node or, in older operator sets, from an attribute."""
    if place < len(node.inputs) and node.inputs[place]:
        values = known(node.inputs[place])
        if values is None:
            raise Refusal(
                f"its {attribute} depend on the event",
                "export the network with fixed shapes, or simplify it with onnxsim",
            )
        return [int(value) for value in values.ravel()]
    given = node.get(attribute)
    if given is None:
        return None
    return [int(value) for value in (given if isinstance(given, list | tuple) else [given])]


def keeps(node: Node) -> bool:
    """Whether Cast gives numbers of 32 or 64 bits, and keeps them as they are."""
    return int(node.get("to", TensorProto.FLOAT)) in (TensorProto.FLOAT, TensorProto.DOUBLE)


def sizes(node: Node, shape: tuple[int, ...]) -> np.ndarray:
    """Shape: the sizes of a tensor, from ``start`` to ``end``."""
    return np.array(shape[node.get("start", 0) : node.get("end")], dtype=np.int64)


def _reshape(node: Node, known: Known, shape: tuple[int, ...]) -> Move:
    wanted = integers(node, known, 1, "shape") or []
    if not node.get("allowzero", 0):
        wanted = [shape[k] if n == 0 and k < len(shape) else n for k, n in enumerate(wanted)]
    return lambda x: x.reshape(wanted)


def _flatten(node: Node, known: Known, shape: tuple[int, ...]) -> Move:  # noqa: ARG001
    axis = int(node.get("axis", 1))
    axis = axis + len(shape) if axis < 0 else axis
    return lambda x: x.reshape(math.prod(shape[:axis]), -1)


def _transpose(node: Node, known: Known, shape: tuple[int, ...]) -> Move:  # noqa: ARG001
    order = node.get("perm")
    return lambda x: x.transpose(order)


def _squeeze(node: Node, known: Known, shape: tuple[int, ...]) -> Move:  # noqa: ARG001
    axes = integers(node, known, 1, "axes")
    return lambda x: x.squeeze(None if axes is None else tuple(axes))


def _unsqueeze(node: Node, known: Known, shape: tuple[int, ...]) -> Move:  # noqa: ARG001
    axes = integers(node, known, 1, "axes") or []
    return lambda x: np.expand_dims(x, tuple(axes))


def _slice(node: Node, known: Known, shape: tuple[int, ...]) -> Move:
    starts = integers(node, known, 1, "starts") or []
    stops = integers(node, known, 2, "ends") or []
    axes = integers(node, known, 3, "axes") or list(range(len(starts)))
    steps = integers(node, known, 4, "steps") or [1] * len(starts)
    cut = [slice(None)] * len(shape)
    for axis, start, stop, step in zip(axes, starts, stops, steps, strict=True):
        size = shape[axis]
        first = start + size if start < 0 else start
        last = stop + size if stop < 0 else stop
        if step > 0:
            cut[axis] = slice(min(max(first, 0), size), min(max(last, 0), size), step)
        else:
            first, last = min(max(first, 0), size - 1), min(max(last, -1), size - 1)
            cut[axis] = slice(first, None if last < 0 else last, step)
    return lambda x: x[tuple(cut)]


def _split(node: Node, known: Known, shape: tuple[int, ...]) -> list[Move]:
    axis = int(node.get("axis", 0))
    sizes = integers(node, known, 1, "split")
    if sizes is None:
        parts = len(node.outputs)
        each = -(-shape[axis] // parts)
        sizes = [each] * (parts - 1) + [shape[axis] - each * (parts - 1)]
    if sum(sizes) != shape[axis]:
        raise Refusal(f"its parts {sizes} do not fit its axis {axis}", "export it again")
    ends = np.cumsum([0, *sizes])

    def part(start: int, stop: int) -> Move:
        return lambda x: x.take(np.arange(start, stop), axis)

    return [part(int(a), int(b)) for a, b in pairwise(ends)]


def _gather(node: Node, known: Known, shape: tuple[int, ...]) -> Move:
    numbers = known(node.inputs[1])
    if numbers is None or numbers.dtype.kind not in "iu":
        raise Refusal(
            "its indices depend on the event",
            "give constant indices; elements of the graph are wires",
        )
    axis = int(node.get("axis", 0))
    others = math.prod(shape) // max(shape[axis], 1)
    if numbers.size * max(others, 1) > MOST_WEIGHTS:
        raise Refusal("it gathers too many elements", "gather fewer")
    return lambda x: x.take(numbers.astype(np.int64), axis)


def _expand(node: Node, known: Known, shape: tuple[int, ...]) -> Move:
    wanted = np.broadcast_shapes(shape, tuple(integers(node, known, 1, "shape") or ()))
    if math.prod(wanted) > MOST_ELEMENTS:
        raise Refusal("it makes too many elements", "make fewer")
    return lambda x: np.broadcast_to(x, wanted)


def _same(node: Node, known: Known, shape: tuple[int, ...]) -> Move:  # noqa: ARG001
    return lambda x: x


def _dropout(node: Node, known: Known, shape: tuple[int, ...]) -> Move:  # noqa: ARG001
    if any(integers(node, known, 2, "training_mode") or ()):
        raise Refusal("it drops values at random", "export it for inference")
    return lambda x: x


OPERATORS: dict[str, Callable[[Node, Known, tuple[int, ...]], Move | list[Move]]] = {
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Transpose": _transpose,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Slice": _slice,
    "Split": _split,
    "Gather": _gather,
    "Expand": _expand,
    "Identity": _same,
    "Dropout": _dropout,
}

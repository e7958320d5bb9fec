"""Constants: the nodes of a network that read nothing but weights.

Numbers are computed in float32, as executors compute them, with one exception: a quantised weight
is its integer times the scale of its quantiser, without the rounding of float32.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
from onnx import helper

from trigger.frontends.inexact import Problem, Refusal
from trigger.frontends.onnx import moves, quantisers
from trigger.frontends.onnx.reading import MISFITS, MOST_WEIGHTS, Model, Node, as_array

Constants = dict[str, np.ndarray]


def folded(model: Model) -> tuple[Constants, list[Node], list[Problem]]:
    """All constants of a network, the nodes that are left, and those constants that cannot be
    computed.
    """
    known: Constants = {name: widened(values) for name, values in model.constants.items()}
    left: list[Node] = []
    problems: list[Problem] = []
    for node in model.nodes:
        if not all(name in known or name == "" for name in node.inputs):
            left.append(node)
            continue
        try:
            known.update(zip(node.outputs, computed(node, known), strict=False))
        except Refusal as refusal:
            problems.append(Problem(node.name, refusal.reason, refusal.remedy))
    return known, left, problems


def widened(values: np.ndarray) -> np.ndarray:
    """Real numbers in float64; integers as they are."""
    return values.astype(np.float64) if values.dtype.kind == "f" else values


def computed(node: Node, known: Mapping[str, np.ndarray]) -> Sequence[np.ndarray]:
    """The outputs of a node of constants. Raises Refusal if they cannot be computed."""
    try:
        return _computed(node, known)
    except MISFITS as error:
        text = " ".join(str(error).split())
        raise Refusal(f"its constants do not fit: {text}", "export the network again") from error


def _computed(node: Node, known: Mapping[str, np.ndarray]) -> Sequence[np.ndarray]:
    if node.operator == "Constant":
        return [_constant(node)]
    given = [known[name] if name else None for name in node.inputs]
    if node.operator in quantisers.OPERATORS:
        return [quantisers.of_constants(node, [values for values in given if values is not None])]
    if node.operator in moves.OPERATORS:
        return moves.moved(node, given, known.get)
    if node.operator in _ARITHMETIC:
        return [_arithmetic(node.operator, [v for v in given if v is not None])]
    if node.operator in _OTHERS:
        return [_OTHERS[node.operator](node, given)]
    raise Refusal(
        f"the operator {node.operator} of constants is not computed",
        "simplify the network before, for example with onnxsim or qonnx-cleanup",
    )


def _constant(node: Node) -> np.ndarray:
    for key in ("value_float", "value_floats", "value_int", "value_ints"):
        if key in node.attributes:
            kind = np.float64 if "float" in key else np.int64
            return np.array(node.attributes[key], dtype=kind)
    if "value" not in node.attributes:
        raise Refusal("its constant is no number", "export the network again")
    return widened(as_array(node.attributes["value"]))


def _arithmetic(operator: str, given: Sequence[np.ndarray]) -> np.ndarray:
    if any(values.dtype.kind not in "fiub" for values in given):
        raise Refusal("its constants are no numbers", "export the network again")
    _check_size(np.broadcast_shapes(*(values.shape for values in given)))
    real = any(values.dtype.kind == "f" for values in given)
    narrow = [values.astype(np.float32) if real else values for values in given]
    if not real and operator == "Div":
        if not narrow[1].all():
            raise Refusal("it divides by zero", "divide by other constants")
        signs = np.sign(narrow[0]) * np.sign(narrow[1])
        return np.asarray(np.abs(narrow[0]) // np.abs(narrow[1]) * signs)  # towards zero
    with np.errstate(all="ignore"):
        return widened(np.asarray(_ARITHMETIC[operator](*narrow)))


def _check_size(shape: Sequence[int]) -> None:
    if math.prod(shape) > MOST_WEIGHTS:
        raise Refusal("its constant is too large", "export the network again")


_ARITHMETIC: dict[str, Callable[..., Any]] = {
    "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide, "Neg": np.negative,
    "Sqrt": np.sqrt, "Reciprocal": np.reciprocal, "Abs": np.abs, "Exp": np.exp, "Log": np.log,
    "Pow": np.power, "Floor": np.floor, "Ceil": np.ceil, "Round": np.rint,
    "Min": lambda *given: reduce(np.minimum, given),
    "Max": lambda *given: reduce(np.maximum, given),
    "Greater": np.greater, "Less": np.less, "Equal": np.equal,
}  # fmt: skip


def _cast(node: Node, given: Sequence[Any]) -> np.ndarray:
    to = int(node.get("to", 1))
    whole = {2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16, 6: np.int32, 7: np.int64, 9: bool}
    if to in (1, 10, 11, 16):
        x = np.asarray(given[0], dtype=np.float64)
        if to in (10, 16) and (x.astype(helper.tensor_dtype_to_np_dtype(to)) != x).any():
            raise Refusal("its constants do not fit a shorter float", "keep constants in float32")
        return x
    if to not in whole:
        raise Refusal("it casts constants to a type that is not read", "export the network again")
    return np.asarray(given[0]).astype(whole[to])


def _filled(node: Node, given: Sequence[Any]) -> np.ndarray:
    shape = [int(size) for size in given[0]]
    _check_size([max(size, 0) for size in shape])
    value = node.get("value")
    fill = np.zeros(1) if value is None else widened(as_array(value))
    return np.full(shape, fill.ravel()[0], dtype=fill.dtype)


def _clip(node: Node, given: Sequence[Any]) -> np.ndarray:
    ends = [*given[1:], None, None]
    low, high = (
        node.get(name) if end is None else end
        for name, end in zip(("min", "max"), ends, strict=False)
    )
    x = given[0] if low is None else np.maximum(given[0], low)
    x = x if high is None else np.minimum(x, high)
    return np.asarray(x, dtype=given[0].dtype)


_OTHERS: dict[str, Callable[[Node, Sequence[Any]], np.ndarray]] = {
    "Cast": _cast,
    "Clip": _clip,
    "Where": lambda node, given: np.where(*given),
    "ConstantOfShape": _filled,
    "Concat": lambda node, given: np.concatenate(given, axis=int(node.get("axis", 1))),
    "Shape": lambda node, given: moves.sizes(node, given[0].shape),
}

"""A network as executors of ONNX compute it, without its graph: onnx's own reference evaluator.

The quantisers of QONNX are written from its specification. In float32 it is what an executor gives;
in float64, with quantised weights that are not rounded, it is the reference of a build.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from trigger.errors import TriggerError
from trigger.fixedpoint.types import Reals
from trigger.frontends.inexact import Refusal
from trigger.frontends.onnx import folding, moves, quantisers, spatial
from trigger.frontends.onnx.ends import trimmed
from trigger.frontends.onnx.levels import limits, rounding
from trigger.frontends.onnx.reading import QONNX, Model, Node

_BATCH = 2048
# Two numbers this near, in steps, are the same number where factors are no powers of two.
_NEAR = 2.0**-36
_FAR = 1 << 40

Run = Callable[[np.ndarray], np.ndarray]


class _Arithmetic(NamedTuple):
    """How numbers are computed. With ``snap`` one next to a quantiser's tie is the tie.

    ``margins`` collects, for each quantiser, how far the values of each event stay away from its
    ties, relative to the largest value.
    """

    kind: type
    snap: bool = False
    margins: list[np.ndarray] | None = None


def in_float32(model: Model, heads: bool = True) -> Run:
    """The outputs (events, scores) of a file for real inputs, in float32; also before its heads."""
    outputs = list(model.outputs)
    if not heads:
        outputs = [head.before for head in trimmed(model, folding.folded(model)[1]).heads]
    evaluator = _evaluator(model, _prepared(model), _Arithmetic(np.float32))
    return _runner(model, evaluator, np.float32, outputs)


def output_sizes(model: Model) -> list[int]:
    """The number of scores of each output."""
    evaluator = _evaluator(model, _prepared(model), _Arithmetic(np.float32))
    outputs = _outputs(model, evaluator, np.zeros((2, model.features), np.float32), model.outputs)
    return [y.shape[1] for y in outputs]


def in_float64(model: Model, snap: bool) -> Run:
    """The outputs before their heads in float64; with ``snap`` a number next to a quantiser's tie
    is the tie.
    """
    return _in_float64(model, _Arithmetic(np.float64, snap))


def margins(model: Model) -> Run:
    """How far the values of each event stay away from the ties of all quantisers, relative to the
    largest value before one.
    """
    found: list[np.ndarray] = []
    run = _in_float64(model, _Arithmetic(np.float64, True, found))

    def least(x: np.ndarray) -> np.ndarray:
        parts = []
        for part in np.split(x, range(_BATCH, len(x), _BATCH)):
            found.clear()
            run(part)
            parts.append(np.min([np.ones(len(part)), *found], axis=0))
        return np.concatenate(parts)

    return least


def _in_float64(model: Model, arithmetic: _Arithmetic) -> Run:
    known, left, _ = folding.folded(model)
    parts = trimmed(model, left)
    proto = _prepared(model)
    kept = {node.outputs for node in parts.nodes}
    nodes = [node for node in proto.graph.node if tuple(node.output) in kept]
    wanted = list(dict.fromkeys(head.before for head in parts.heads))
    shapes = _shapes(proto)
    for field in (proto.graph.node, proto.graph.initializer, proto.graph.output):
        del field[:]
    proto.graph.node.extend(nodes)
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted)
    evaluator = _evaluator(model, proto, arithmetic)
    for name, values in known.items():
        evaluator.rt_inits_[name] = _freed(values) if name in shapes else values
    return _runner(model, evaluator, np.float64, [head.before for head in parts.heads])


def _evaluator(model: Model, proto: onnx.ModelProto, arithmetic: _Arithmetic) -> ReferenceEvaluator:
    with _readable_errors(model):
        return ReferenceEvaluator(proto, new_ops=_operators(arithmetic))


@contextmanager
def _readable_errors(model: Model) -> Iterator[None]:
    try:
        with np.errstate(all="ignore"):
            yield
    except Exception as error:  # an evaluator may raise anything
        text = re.sub(r"\s+", " ", str(error))[:300]
        raise TriggerError(
            f"{model.path}: onnx's reference evaluator cannot run it: {type(error).__name__}: "
            f"{text}"
        ) from error


def _runner(model: Model, evaluator: ReferenceEvaluator, kind: type, outputs: Sequence[str]) -> Run:
    def run(x: np.ndarray) -> np.ndarray:
        x = np.asarray(x, dtype=np.float64).reshape(len(x), -1).astype(kind)
        parts = np.split(x, range(_BATCH, len(x), _BATCH))
        made = [np.concatenate(_outputs(model, evaluator, p, outputs), axis=1) for p in parts]
        return np.concatenate(made)

    return run


def _outputs(
    model: Model, evaluator: ReferenceEvaluator, x: np.ndarray, outputs: Sequence[str]
) -> list[np.ndarray]:
    """Each output for events (events, features), as (events, scores)."""
    sizes = [int(np.prod(shape)) for shape in model.inputs.values()]
    parts: list[np.ndarray] = np.split(x, np.cumsum(sizes)[:-1], axis=1)
    given = {
        name: part.reshape(len(x), *shape[1:])
        for (name, shape), part in zip(model.inputs.items(), parts, strict=True)
    }
    with _readable_errors(model):
        made = evaluator.run(list(outputs), given)
    for name, y in zip(outputs, made, strict=True):
        if np.ndim(y) < 1 or len(y) != len(x):
            raise TriggerError(
                f"{model.path}: for {len(x)} events its output {name!r} has the shape "
                f"{np.shape(y)}; keep the events on the first axis"
            )
    return [np.asarray(y).reshape(len(x), -1) for y in made]


def _prepared(model: Model) -> onnx.ModelProto:
    """A copy of the file in which quantisers have one domain, and shapes any number of events."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    for node in proto.graph.node:
        if node.op_type in _SPECIFIED and node.domain:
            node.domain = QONNX
    if all(opset.domain != QONNX for opset in proto.opset_import):
        proto.opset_import.add(domain=QONNX, version=1)
    return _with_free_batch(proto)


def _shapes(proto: onnx.ModelProto) -> set[str]:
    return {
        name for node in proto.graph.node if node.op_type == "Reshape" for name in node.input[1:]
    }


def _with_free_batch(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Reshape to (1, …) as to any number of events: a file may have been written for one."""
    shapes = _shapes(proto)
    for tensor in proto.graph.initializer:
        if tensor.name in shapes:
            _free(tensor)
    for node in proto.graph.node:
        if node.op_type == "Constant" and node.output[0] in shapes:
            for attribute in node.attribute:
                if attribute.name == "value":
                    _free(attribute.t)
    return proto


def _free(tensor: onnx.TensorProto) -> None:
    freed = _freed(onnx.numpy_helper.to_array(tensor))
    tensor.CopyFrom(onnx.numpy_helper.from_array(freed, tensor.name))


def _freed(shape: np.ndarray) -> np.ndarray:
    """A shape whose first size is any number of events instead of one."""
    if shape.ndim != 1 or not len(shape) or shape[0] != 1:
        return shape
    return np.concatenate([[0 if (shape == -1).any() else -1], shape[1:]]).astype(np.int64)


def _operators(arithmetic: _Arithmetic) -> list[type[OpRun]]:
    """The operators of QONNX, and those of ONNX that onnx does not have for every operator set, or
    computes event by event.
    """
    made = [_operator(QONNX, name, made, arithmetic) for name, made in _SPECIFIED.items()]
    return made + [_operator("", name, made, arithmetic) for name, made in _OWN.items()]


def _operator(
    domain: str, name: str, function: Callable[..., Any], arithmetic: _Arithmetic
) -> type[OpRun]:
    def run(self: Any, *given: Any, **attributes: Any) -> tuple[Any]:  # noqa: ARG001
        options = {key: value for key, value in attributes.items() if value is not None}
        node = Node(name, name, (), (), options, 1, domain)
        try:
            return (np.asarray(function(node, arithmetic, *given)),)
        except Refusal as refusal:
            raise ValueError(refusal.reason) from refusal

    return type(name, (OpRun,), {"op_domain": domain, "_run": run})


def _steps(
    arithmetic: _Arithmetic, steps: Reals, ends: tuple[int, int], mode: str = "ROUND"
) -> Reals:
    """Numbers before they are rounded and limited to ``ends``; those next to a half or a whole are
    that.
    """
    if arithmetic.margins is not None:
        inside = 0.0 if mode in _AT_WHOLES else 0.5
        ties = np.clip(np.rint(steps - inside), ends[0], ends[1] - 2 * inside) + inside
        _note(arithmetic, np.abs(steps - ties), steps)
    if not arithmetic.snap:
        return steps
    halves = np.rint(2 * steps) / 2
    error = _NEAR * np.maximum(np.abs(steps), 1)
    return np.where(np.abs(steps - halves) <= error, halves, steps)


# Roundings whose steps lie at whole numbers.
_AT_WHOLES = ("CEIL", "FLOOR", "UP", "DOWN", "ROUND_TO_ZERO")


def _note(arithmetic: _Arithmetic, distance: np.ndarray, values: np.ndarray) -> None:
    """Add the margins of a quantiser, for each event."""
    if arithmetic.margins is not None:
        flat = [np.asarray(part).reshape(len(values), -1) for part in (distance, np.abs(values))]
        arithmetic.margins.append(flat[0].min(axis=1) / np.maximum(flat[1].max(axis=1), 1))


def _quant(node: Node, how: _Arithmetic, x: Any, scale: Any, zero: Any, bits: Any) -> Any:
    parameters = quantisers.quant(node, [np.asarray(part) for part in (scale, zero, bits)])
    if parameters.is_binary:
        signs = _bipolar(node, how, x / scale + zero, np.ones((), x.dtype))
        return ((signs - zero) * scale).astype(x.dtype)
    ends = parameters.low, parameters.high
    limited = np.clip(_steps(how, x / scale + zero, ends, parameters.rounding), *ends)
    whole = quantisers.ROUND[parameters.rounding](limited)
    return ((whole - zero) * scale).astype(x.dtype)


def _bipolar(node: Node, how: _Arithmetic, x: Any, scale: Any) -> Any:
    del node
    largest = float(np.abs(x).max(initial=0.0))
    _note(how, np.abs(x) / max(largest, 1e-300), np.ones_like(x))
    least = -_NEAR * largest if how.snap else 0.0
    return (np.where(x >= least, x.dtype.type(1), x.dtype.type(-1)) * scale).astype(x.dtype)


def _trunc(
    node: Node, how: _Arithmetic, x: Any, scale: Any, zero: Any, bits: Any, *out: Any
) -> Any:
    steps = np.rint(_steps(how, x / scale + zero, (-_FAR, _FAR)))
    rounded = quantisers.ROUND[rounding(str(node.get("rounding_mode", "FLOOR")))]
    if len(out) == 1:
        whole = rounded(steps / 2.0 ** float(bits - out[0]))
        return ((whole - zero) * scale).astype(x.dtype)
    ratio = 2.0 ** np.rint(np.log2(out[0] / scale))
    low, high = limits(out[1], bool(node.get("signed", 1)), bool(node.get("narrow", 0)))
    whole = rounded(np.clip(steps / ratio, low, high))
    return ((whole - zero / ratio) * out[0]).astype(x.dtype)


def _thresholds(node: Node, how: _Arithmetic, x: Any, bounds: Any) -> Any:
    layout = str(node.get("data_layout", "")) or {2: "NC", 3: "NWC", 4: "NCHW"}.get(x.ndim, "NC")
    axis = layout.index("C") if "C" in layout else 1
    last = np.moveaxis(x, axis, -1)[..., None]
    size = np.maximum(np.abs(bounds), np.abs(x).max(initial=0.0)) + 1e-300
    _note(how, np.abs(last - bounds) / size, np.ones_like(x))
    near = _NEAR * np.abs(bounds) if how.snap else 0.0
    made = np.moveaxis((last >= bounds - near).sum(axis=-1).astype(x.dtype), -1, axis)
    scale, offset = (
        np.float32(node.get(key, default)) for key, default in (("out_scale", 1), ("out_bias", 0))
    )
    return (made * scale + offset).astype(x.dtype)


def _quantize(node: Node, how: _Arithmetic, x: Any, *given: Any) -> Any:
    given = tuple(part for part in given if part is not None)
    integers = quantisers.integer_type(node, given)
    parts = quantisers.linear(node, [np.asarray(part) for part in given], x.shape, integers)
    least, most = (int(end - parts.zero.min()) for end in (parts.low, parts.high))
    steps = _steps(how, x / parts.scale.astype(x.dtype), (least, most))
    whole = np.rint(steps).astype(np.float64)
    return np.clip(whole + parts.zero, parts.low, parts.high).astype(np.int64)


def _dequantize(node: Node, how: _Arithmetic, x: Any, *given: Any) -> Any:
    given = tuple(part for part in given if part is not None)
    parts = quantisers.linear(node, [np.asarray(part) for part in given], x.shape, np.int8)
    return (x.astype(np.int64) - parts.zero).astype(how.kind) * parts.scale.astype(how.kind)


def _cast(node: Node, how: _Arithmetic, x: Any) -> Any:
    exact = how.kind is np.float64 and moves.keeps(node)
    return x.astype(np.float64 if exact else helper.tensor_dtype_to_np_dtype(node.get("to")))


def _normalise(node: Node, how: _Arithmetic, x: Any, *given: Any) -> Any:
    shape = [1, -1, *([1] * (x.ndim - 2))]
    gamma, beta, mean, variance = (part.astype(np.float32).reshape(shape) for part in given)
    deviation = np.sqrt(variance + np.float32(node.get("epsilon", 1e-5)))
    if how.kind is np.float32:
        return (x - mean) / deviation * gamma + beta
    scale = gamma / deviation  # executors fold these constants, in float32
    return x * scale.astype(np.float64) + (beta - mean * scale).astype(np.float64)


_SPECIFIED: dict[str, Callable[..., Any]] = {
    "Quant": _quant,
    "IntQuant": _quant,
    "BipolarQuant": _bipolar,
    "Trunc": _trunc,
    "MultiThreshold": _thresholds,
}
_OWN: dict[str, Callable[..., Any]] = {
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
    "BatchNormalization": _normalise,
    "Cast": _cast,
    "Conv": lambda node, how, *given: spatial.convolved(node, *given),
    "MaxPool": lambda node, how, x: spatial.largest(node, x),
    "AveragePool": lambda node, how, x: spatial.mean(node, x),
    # onnx's own takes the last two axes, whatever the rank.
    "GlobalMaxPool": lambda node, how, x: x.max(axis=tuple(range(2, x.ndim)), keepdims=True),
}

"""A network as executors of ONNX compute it, without its graph: onnx's own reference evaluator.

The quantisers of QONNX are written from its specification. In float32 it is what an executor gives;
in float64, with quantised weights that are not rounded, it is the reference of a build.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from trigger.errors import TriggerError
from trigger.fixedpoint.types import Reals
from trigger.frontends.inexact import Refusal
from trigger.frontends.onnx import folding, operators, quantisers
from trigger.frontends.onnx.ends import trimmed
from trigger.frontends.onnx.levels import limits
from trigger.frontends.onnx.reading import QONNX, Model, Node

_BATCH = 2048
# Two numbers this near, in steps, are the same number where factors are no powers of two.
_NEAR = 2.0**-36

Run = Callable[[np.ndarray], np.ndarray]


def in_float32(model: Model) -> Run:
    """The outputs (events, scores) of a file for real inputs, in float32."""
    proto = _prepared(model)
    evaluator = ReferenceEvaluator(proto, new_ops=_operators(0.0, in_64=False))
    return _runner(model, evaluator, np.float32, [value.name for value in model.proto.graph.output])


def output_sizes(model: Model) -> list[int]:
    """The number of scores of each output."""
    names = [value.name for value in model.proto.graph.output]
    evaluator = ReferenceEvaluator(_prepared(model), new_ops=_operators(0.0, in_64=False))
    outputs = _outputs(model, evaluator, np.zeros((2, model.features), np.float32), names)
    return [y.shape[1] for y in outputs]


def in_float64(model: Model, snap: bool) -> Run:
    """The outputs before their heads in float64; with ``snap`` a number next to a quantiser's tie
    is the tie.
    """
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
    evaluator = ReferenceEvaluator(proto, new_ops=_operators(_NEAR if snap else 0.0, in_64=True))
    for name, values in known.items():
        evaluator.rt_inits_[name] = _freed(values) if name in shapes else values
    return _runner(model, evaluator, np.float64, [head.before for head in parts.heads])


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
    try:
        with np.errstate(all="ignore"):
            made = evaluator.run(list(outputs), given)
    except Exception as error:  # an evaluator may raise anything
        text = re.sub(r"\s+", " ", str(error))[:300]
        raise TriggerError(
            f"{model.path}: onnx's reference evaluator cannot run it on {len(x)} events: "
            f"{type(error).__name__}: {text}"
        ) from error
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


def _operators(near: float, in_64: bool) -> list[type[OpRun]]:
    """The operators of QONNX; in float64 also those of ONNX that round."""
    made = [_operator(QONNX, name, function, near) for name, function in _SPECIFIED.items()]
    if in_64:
        made += [_operator("", name, function, near) for name, function in _ROUNDING.items()]
    return made


def _operator(domain: str, name: str, function: Callable[..., Any], near: float) -> type[OpRun]:
    def run(self: Any, *given: Any, **attributes: Any) -> tuple[Any]:  # noqa: ARG001
        node = Node(name, name, (), (), attributes, 1, domain)
        try:
            return (np.asarray(function(node, near, *given)),)
        except Refusal as refusal:
            raise ValueError(refusal.reason) from refusal

    return type(name, (OpRun,), {"op_domain": domain, "_run": run})


def _snapped(steps: Reals, near: float) -> Reals:
    """Steps, where those next to a half or a whole are that."""
    if not near:
        return steps
    halves = np.rint(2 * steps) / 2
    error = near * np.maximum(np.abs(steps), 1)
    return np.where(np.abs(steps - halves) <= error, halves, steps)


def _quant(node: Node, near: float, x: Any, scale: Any, zero: Any, bits: Any) -> Any:
    parameters = quantisers.quant(node, [np.asarray(part) for part in (scale, zero, bits)])
    steps = _snapped(x / scale + zero, near)
    if quantisers.is_binary(parameters):
        return np.where(steps >= 0, x.dtype.type(1), x.dtype.type(-1)) * scale
    limited = np.clip(steps, parameters.low, parameters.high)
    whole = quantisers.ROUND[parameters.rounding](limited)
    return ((whole - zero) * scale).astype(x.dtype)


def _bipolar(node: Node, near: float, x: Any, scale: Any) -> Any:
    del node
    least = -near * float(np.abs(x).max(initial=0.0))
    return (np.where(x >= least, x.dtype.type(1), x.dtype.type(-1)) * scale).astype(x.dtype)


def _trunc(node: Node, near: float, x: Any, scale: Any, zero: Any, bits: Any, *out: Any) -> Any:
    steps = np.rint(_snapped(x / scale + zero, near))
    rounded = quantisers.ROUND[str(node.get("rounding_mode", "FLOOR"))]
    if len(out) == 1:
        whole = rounded(steps / 2.0 ** float(bits - out[0]))
        return ((whole - zero) * scale).astype(x.dtype)
    ratio = 2.0 ** np.rint(np.log2(out[0] / scale))
    low, high = limits(out[1], bool(node.get("signed", 1)), bool(node.get("narrow", 0)))
    whole = rounded(np.clip(steps / ratio, low, high))
    return ((whole - zero / ratio) * out[0]).astype(x.dtype)


def _thresholds(node: Node, near: float, x: Any, bounds: Any) -> Any:
    layout = str(node.get("data_layout", "")) or {2: "NC", 3: "NWC", 4: "NCHW"}.get(x.ndim, "NC")
    last = np.moveaxis(x, layout.index("C") if "C" in layout else 1, -1)[..., None]
    count = (last >= bounds - near * np.abs(bounds)).sum(axis=-1).astype(x.dtype)
    made = np.moveaxis(count, -1, layout.index("C") if "C" in layout else 1)
    scale, offset = (
        np.float32(node.get(key, default)) for key, default in (("out_scale", 1), ("out_bias", 0))
    )
    return (made * scale + offset).astype(x.dtype)


def _quantize(node: Node, near: float, x: Any, *given: Any) -> Any:
    integers = given[1].dtype if len(given) > 1 else np.dtype(np.uint8)
    parts = quantisers.linear(node, [np.asarray(part) for part in given], x.shape, integers)
    whole = np.rint(_snapped(x / parts.scale, near)) + parts.zero
    return np.clip(whole, parts.low, parts.high).astype(np.int64)


def _dequantize(node: Node, near: float, x: Any, *given: Any) -> Any:
    del near
    parts = quantisers.linear(node, [np.asarray(part) for part in given], x.shape, np.int8)
    return (x.astype(np.int64) - parts.zero) * parts.scale


def _normalise(node: Node, near: float, x: Any, *given: Any) -> Any:
    del near
    scale, offset = operators.normalisation(node, given)
    shape = [1, -1, *([1] * (x.ndim - 2))]
    return x * scale.reshape(shape) + offset.reshape(shape)


_SPECIFIED: dict[str, Callable[..., Any]] = {
    "Quant": _quant,
    "IntQuant": _quant,
    "BipolarQuant": _bipolar,
    "Trunc": _trunc,
    "MultiThreshold": _thresholds,
}
_ROUNDING: dict[str, Callable[..., Any]] = {
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
    "BatchNormalization": _normalise,
}

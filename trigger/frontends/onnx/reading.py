"""ONNX files, without executing any code in them and without opening any other file."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from trigger.errors import TriggerError, quoted
from trigger.support.files import regular

try:
    import onnx
    from google.protobuf.message import DecodeError
    from onnx import helper, numpy_helper
except ImportError as error:
    raise TriggerError(
        "reading .onnx files needs onnx; run: pip install 'trigger-compiler[onnx]'"
    ) from error

SUFFIX = ".onnx"
# The domain of the operators of QONNX; Brevitas and FINN write them under names of their own.
QONNX = "qonnx.custom_op.general"
DOMAINS = ("", "ai.onnx", QONNX, "onnx.brevitas", "finn.custom_op.general", "com.microsoft")
# Far more than any network for an FPGA.
MOST_ELEMENTS = 1 << 20
MOST_WEIGHTS = 1 << 26
_MOST_BYTES = 1 << 28
# What Python and NumPy raise for inputs and attributes that are missing, or do not fit; a
# RuntimeError for too many axes.
MISFITS = (ValueError, IndexError, TypeError, AttributeError, ArithmeticError, RuntimeError)
_MOST_NODES = 10_000
# Since then, operators broadcast as NumPy does.
_FIRST_OPSET = 7


def as_array(tensor: onnx.TensorProto) -> np.ndarray:
    """The numbers of a tensor."""
    return np.asarray(numpy_helper.to_array(tensor))


class Node(NamedTuple):
    """One node; ``name`` is its own, or says what it makes. An input that is left out is ""."""

    name: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    opset: int
    domain: str = ""

    def get(self, attribute: str, default: Any = None) -> Any:
        return self.attributes.get(attribute, default)


class Model(NamedTuple):
    """A checked file; shapes have 1 in place of the batch. ``outputs`` are those that depend on the
    event.
    """

    path: Path
    proto: onnx.ModelProto
    nodes: tuple[Node, ...]
    inputs: Mapping[str, tuple[int, ...]]
    outputs: tuple[str, ...]
    constants: Mapping[str, np.ndarray]

    @property
    def features(self) -> int:
        return sum(math.prod(shape) for shape in self.inputs.values())


def read(path: Path) -> Model:
    """Read a network. Raises TriggerError for a file that is none, or that needs other files."""
    if not regular(path).exists():
        raise TriggerError(f"{path}: no such file")
    size = path.stat().st_size
    if size > _MOST_BYTES:
        raise TriggerError(
            f"{path}: it takes {size:,} bytes; a network for a trigger has at most "
            f"{_MOST_BYTES:,}. Is it the right file?"
        )
    try:
        proto = onnx.ModelProto.FromString(path.read_bytes())
    except (DecodeError, RecursionError) as error:
        raise TriggerError(f"{path}: not an ONNX file, or damaged") from error
    if not proto.graph.node:
        raise TriggerError(f"{path}: not an ONNX file, or it has no nodes")
    _check_whole(path, proto)
    try:
        return _checked(path, proto)
    except (ValueError, TypeError, KeyError, RuntimeError, AttributeError) as error:
        text = str(error).partition("\n")[0]
        raise TriggerError(f"{path}: a damaged ONNX file: {text}") from error


def _check_whole(path: Path, proto: onnx.ModelProto) -> None:
    """Raise TriggerError unless one file has one graph of plain nodes and their weights."""
    if len(proto.graph.node) > _MOST_NODES:
        raise TriggerError(
            f"{path}: it has {len(proto.graph.node):,} nodes; a network for a trigger has at most "
            f"{_MOST_NODES:,}. Is it the right file?"
        )
    if proto.functions:
        raise TriggerError(
            f"{path}: it defines functions of its own; write it with "
            f"onnx.inliner.inline_local_functions"
        )
    for node in proto.graph.node:
        kinds = {attribute.type for attribute in node.attribute}
        if kinds & {onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS}:
            raise TriggerError(
                f"{path}: its node {quoted(node.name)} ({node.op_type}) has a graph inside, which "
                f"only running the network could follow; export it without control flow"
            )
    if proto.graph.sparse_initializer:
        raise TriggerError(f"{path}: it has sparse weights; write them as plain tensors")
    weights = 0
    for tensor in _tensors(proto.graph):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise TriggerError(
                f"{path}: the weights {quoted(tensor.name)} are in another file, which is never "
                f"opened; write one file with onnx.save_model(model, {quoted(path.name)}, "
                f"save_as_external_data=False)"
            )
        weights += math.prod(max(int(size), 0) for size in tensor.dims)
        if weights > MOST_WEIGHTS:
            raise TriggerError(
                f"{path}: with {quoted(tensor.name)} it has {weights:,} weights; a network for a "
                f"trigger has at most {MOST_WEIGHTS:,}. Is it the right file?"
            )


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                yield attribute.t
            yield from attribute.tensors


def _checked(path: Path, proto: onnx.ModelProto) -> Model:
    graph = proto.graph
    for values in (graph.initializer, graph.input):
        for name, times in Counter(value.name for value in values).items():
            if times > 1:
                raise ValueError(f"it has {name!r} {times} times")
    constants = {tensor.name: as_array(tensor) for tensor in graph.initializer}
    inputs = {
        value.name: _shape(path, value) for value in graph.input if value.name not in constants
    }
    if not inputs or not graph.output:
        raise TriggerError(f"{path}: the network has no inputs, or no outputs")
    if sum(map(math.prod, inputs.values())) > MOST_ELEMENTS:
        raise TriggerError(
            f"{path}: its inputs have more than {MOST_ELEMENTS:,} elements. Is it the right file?"
        )
    opsets = {opset.domain: int(opset.version) for opset in proto.opset_import}
    opset = opsets.get("", opsets.get("ai.onnx", 1))
    if opset < _FIRST_OPSET:
        raise TriggerError(
            f"{path}: its operator set {opset} broadcasts in another way; convert it with "
            f"onnx.version_converter.convert_version(model, 13)"
        )
    nodes = tuple(_node(node, opsets) for node in graph.node)
    known = {*constants, *inputs, ""}
    for node in nodes:
        if missing := [name for name in node.inputs if name not in known]:
            raise ValueError(f"{node.name} reads {missing[0]!r}, which no node before it makes")
        if made := [name for name in node.outputs if name and name in known]:
            raise ValueError(f"{node.name} makes {made[0]!r} a second time")
        known.update(node.outputs)
    if missing := [value.name for value in graph.output if value.name not in known]:
        raise ValueError(f"no node makes its output {missing[0]!r}")
    depends = set(inputs)
    for node in nodes:
        if depends.intersection(node.inputs):
            depends.update(node.outputs)
    # Brevitas also gives the scale and the bits of its outputs.
    outputs = tuple(value.name for value in graph.output if value.name in depends)
    if not outputs:
        raise ValueError("its outputs do not depend on its inputs")
    return Model(path, proto, _needed(nodes, outputs), inputs, outputs, constants)


def _needed(nodes: tuple[Node, ...], outputs: tuple[str, ...]) -> tuple[Node, ...]:
    """The nodes that the outputs depend on."""
    read = set(outputs)
    kept = []
    for node in reversed(nodes):
        if read.intersection(node.outputs):
            read.update(node.inputs)
            kept.append(node)
    return tuple(reversed(kept))


def _node(node: onnx.NodeProto, opsets: Mapping[str, int]) -> Node:
    attributes = {
        attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute
    }
    decoded = {key: v.decode() for key, v in attributes.items() if isinstance(v, bytes)}
    texts = (node.name, node.op_type, node.domain, *node.input, *node.output)
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("a name in it is no text")
    if not node.output:
        raise ValueError(f"the node {quoted(node.name)} ({node.op_type}) makes nothing")
    if node.domain not in DOMAINS:
        raise ValueError(
            f"{node.name} has the operator {quoted(node.op_type)} of {quoted(node.domain)}"
        )
    domain = "" if node.domain == "ai.onnx" else node.domain
    name = node.name or f"{node.op_type} that makes {quoted(node.output[0])}"
    return Node(
        name,
        node.op_type,
        tuple(node.input),
        tuple(node.output),
        {**attributes, **decoded},
        opsets.get(domain, opsets.get(node.domain, 1)),
        domain,
    )


def _shape(path: Path, value: onnx.ValueInfoProto) -> tuple[int, ...]:
    """The shape of an input, with 1 for the batch."""
    tensor = value.type.tensor_type
    if tensor.elem_type not in (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE):
        kind = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
        raise TriggerError(
            f"{path}: its input {value.name!r} is of the type {kind}; a network reads real numbers "
            f"(float): export it with float inputs and a quantiser after them"
        )
    sizes = [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
    if len(sizes) < 2 or None in sizes[1:] or any(size <= 0 for size in sizes[1:] if size):
        shape = tuple("?" if size is None else size for size in sizes)
        raise TriggerError(
            f"{path}: its input {value.name!r} has the open shape {shape}; export it with a "
            f"batch axis first, and a size for every other axis"
        )
    if sizes[0] not in (None, 0, 1):
        raise TriggerError(
            f"{path}: its input {value.name!r} takes {sizes[0]} events at a time; export it with a "
            f"batch of 1, or an open one"
        )
    return (1, *(int(size) for size in sizes[1:] if size is not None))

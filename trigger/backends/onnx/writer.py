"""Shared code of the two ONNX forms of a graph: collecting nodes and constants."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import helper, numpy_helper

from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import Add, Dense, Operation
from trigger.fixedpoint.ranges import ranges

PRODUCER = "trigger"
_SEAL = "trigger.sha256"


def is_ours(data: bytes) -> bool:
    """Whether these are the bytes of an ONNX file as this program wrote it."""
    try:
        model = onnx.ModelProto.FromString(data)
    except DecodeError:
        return False
    seals = [p.value for p in model.metadata_props if p.key == _SEAL]
    return seals == [_digest(model)]


def sealed(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with a digest of its content, which reveals an edited file."""
    model.metadata_props.add(key=_SEAL, value=_digest(model))
    return model


def _digest(model: onnx.ModelProto) -> str:
    """SHA-256 of a model without its own seal."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    others = [p for p in bare.metadata_props if p.key != _SEAL]
    del bare.metadata_props[:]
    bare.metadata_props.extend(others)
    return hashlib.sha256(bare.SerializeToString(deterministic=True)).hexdigest()


class Writer:
    """Values are identified by tensor names; ``names`` maps the nodes of the graph to them."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.ranges = ranges(graph)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.names = {graph.input.name: "inputs"}

    def node(
        self, operator: str, inputs: list[str], output: str | None = None, **attributes: Any
    ) -> str:
        """Append an ONNX node; returns the name of its value."""
        output = output or f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def tensor(self, values: Any, dtype: type) -> str:
        """Append a constant; returns its name."""
        name = f"c{len(self.constants)}"
        self.constants.append(
            numpy_helper.from_array(np.array(values, dtype=dtype, order="C"), name)
        )
        return name

    def signed_sum(self, node: Add, parts: Sequence[str]) -> str:
        """The sum of the aligned inputs of an ``Add``."""
        total = parts[0] if node.factors[0] > 0 else self.node("Neg", [parts[0]])
        for part, sign in zip(parts[1:], node.factors[1:], strict=True):
            total = self.node("Add" if sign > 0 else "Sub", [total, part])
        return total

    def at_positions(self, node: Dense, x: str) -> str:
        """What a ``Dense`` reads as (events, positions, inputs); as it is for one position."""
        return self.shaped(node, x, (node.positions, len(node.weights.values)))

    def side_by_side(self, node: Dense, y: str) -> str:
        """The results of a ``Dense`` as (events, elements)."""
        return self.shaped(node, y, (len(node.types),))

    def shaped(self, node: Dense, x: str, shape: tuple[int, ...]) -> str:
        if node.positions == 1:
            return x
        return self.node("Reshape", [x, self.tensor((-1, *shape), np.int64)])

    def model(self, element_type: int, opsets: list[onnx.OperatorSetIdProto]) -> onnx.ModelProto:
        """The finished model, with inputs and outputs of this ONNX element type."""
        self.node("Identity", [self.names[self.graph.output.name]], output="outputs")
        ends = [
            helper.make_tensor_value_info(name, element_type, ["events", len(node.types)])
            for name, node in (("inputs", self.graph.input), ("outputs", self.graph.output))
        ]
        body = helper.make_graph(self.nodes, "network", ends[:1], ends[1:], self.constants)
        return helper.make_model(body, opset_imports=opsets, producer_name=PRODUCER, ir_version=10)

    def sources(self, node: Operation) -> tuple[list[Operation], list[str]]:
        """The nodes that a node reads, and their tensors."""
        return [self.graph[name] for name in node.inputs], [
            self.names[name] for name in node.inputs
        ]

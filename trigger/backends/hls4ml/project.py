"""The fixed-point graph as an hls4ml project.

A ``Dense`` of one position becomes hls4ml's own Dense layer, every other operation one of our
layers (see ``elementwise``), because hls4ml's convolutions are not exact with every backend. All
types are explicit, and checked after the passes of hls4ml. Its type inference and QKeras parser are
not used.
"""

import contextlib
import hashlib
import inspect
import io
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard
from unittest import mock

import hls4ml
import numpy as np
from hls4ml.backends.template import FunctionCallTemplate
from hls4ml.model import ModelGraph
from hls4ml.model.layers import Layer, register_layer
from hls4ml.model.optimizer import get_optimizer

from trigger.backends.hls4ml import elementwise
from trigger.backends.hls4ml.csim import Csim, firmware, open_project, with_output_node
from trigger.errors import TriggerError
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import Dense, Operation
from trigger.fixedpoint.serialize import to_json
from trigger.fixedpoint.types import Fixed, enclosing
from trigger.spec.parts import Part
from trigger.spec.parts import part as find_part
from trigger.spec.target_tables import strategy_problem
from trigger.support import files
from trigger.support.names import identifier
from trigger.support.templates import PLAIN_PATH

BACKENDS = {
    "Vitis": elementwise.AP,
    "Vivado": elementwise.AP,
    "Quartus": elementwise.AC_STRUCT,
    "oneAPI": elementwise.AC_STRUCT,
    "Catapult": elementwise.AC_ARRAY,
}
STRATEGIES = ("latency", "resource", "distributed_arithmetic")
NODES_HEADER = "trigger_nodes.h"
# hls4ml's pass fix_input_precision narrows wider inputs.
_INPUT_BITS = 100


class Hls4mlOptions(NamedTuple):
    """Options for hls4ml.

    ``clock_mhz`` in MHz; up to ``reuse_factor`` multiplications share one multiplier.
    """

    part: str | Part
    clock_mhz: float
    backend: str = "Vitis"
    io_type: str = "io_parallel"
    strategy: str = "latency"
    reuse_factor: int = 1
    project_name: str = "network"

    def check(self) -> None:
        """Raises TriggerError for a value that hls4ml does not support or would ignore."""
        find_part(self.part)
        for what, value, known in (
            ("backend", self.backend, tuple(BACKENDS)),
            ("strategy", self.strategy, STRATEGIES),
        ):
            if value not in known:
                raise TriggerError(f"hls4ml: no {what} {value!r}; available: {', '.join(known)}")
        if self.io_type != "io_parallel":
            raise TriggerError(
                f"hls4ml: io_type {self.io_type!r} is not supported; use io_parallel"
            )
        if self.reuse_factor < 1:
            raise TriggerError(
                f"hls4ml: reuse_factor {self.reuse_factor} is not a positive whole number"
            )
        problem = strategy_problem(self.backend, self.strategy, self.reuse_factor)
        if problem is not None:
            raise TriggerError(f"hls4ml: {problem}")
        if self.clock_mhz <= 0:
            raise TriggerError(f"hls4ml: clock_mhz must be above 0; got {self.clock_mhz:g}")
        try:
            identifier(self.project_name)
        except ValueError as error:
            raise TriggerError(f"hls4ml: {error}") from error


class TriggerNode(Layer):
    """One elementwise operation of the graph, implemented in the project's ``trigger_nodes.h``."""

    def initialize(self) -> None:
        self.add_output_variable([self.attributes["n_out"]])


class _Call(FunctionCallTemplate):
    def __init__(self) -> None:
        super().__init__(TriggerNode, include_header=[])

    def format(self, node: Any) -> str:
        inputs = [node.get_input_variable(name).name for name in node.inputs]
        arguments = ", ".join([*inputs, node.get_output_variable().name])
        return f"trigger_nodes::{node.name}({arguments});"


def _register() -> None:
    register_layer("TriggerNode", TriggerNode)
    for name in BACKENDS:
        hls4ml.backends.get_backend(name).register_template(_Call)


_register()


def write(graph: Graph, directory: Path, options: Hls4mlOptions) -> Csim:
    """Write the project into ``directory``, which may exist; returns its csim, not yet compiled.

    Raises TriggerError for options that cannot be met.
    """
    options.check()
    graph = with_output_node(graph)
    directory = Path(directory).resolve()
    _check_sizes(graph)
    _check_sharing(graph, options.reuse_factor)
    layers, precisions = zip(*(_layer(node) for node in graph.nodes), strict=True)
    backend = hls4ml.backends.get_backend(options.backend)
    wanted = {
        "part": find_part(options.part).name,
        "clock_period": 1000 / options.clock_mhz,
        "io_type": options.io_type,
        "write_weights_txt": False,
    }
    known = inspect.signature(backend.create_initial_config).parameters
    config: dict[str, Any] = {
        "ProjectName": options.project_name,
        "TraceOutput": True,
        "Backend": options.backend,
        **backend.create_initial_config(
            **{name: value for name, value in wanted.items() if name in known}
        ),
    }
    config["HLSConfig"] = {
        "Model": {
            "Precision": {"default": "fixed<16,6>"},
            "ReuseFactor": options.reuse_factor,
            "Strategy": options.strategy,
        },
        "LayerName": {
            node.name: {
                "Precision": precision,
                "Trace": True,
                "ReuseFactor": _shared(node, options.reuse_factor, backend),
            }
            for node, precision in zip(graph.nodes, precisions, strict=True)
        },
    }
    flavor = BACKENDS[options.backend]
    nodes: list[tuple[Operation, list[Operation]]] = [
        (n, [graph[name] for name in n.inputs]) for n in graph.nodes[1:] if not _is_dense(n)
    ]
    text = elementwise.header(nodes, "TRIGGER_NODES_H_", "trigger_nodes", flavor)
    with contextlib.redirect_stdout(io.StringIO()), _plain_folder() as plain:
        config["OutputDir"] = str(plain)
        model = ModelGraph.from_layer_list(config, list(layers), ["inputs"], [graph.output.name])
        _check_types(model, graph)
        with _stamped(graph):
            model.write()
        parameters = firmware(plain, options.backend) / "parameters.h"
        (parameters.parent / NODES_HEADER).write_text(text)
        _include_nodes(parameters)
        _remove_paths(plain)
        files.put(plain, directory)
    return open_project(directory, graph, options.project_name, options.backend)


def _is_dense(node: Operation) -> TypeGuard[Dense]:
    """Whether a node is hls4ml's own Dense layer."""
    return isinstance(node, Dense) and node.positions == 1


def _shared(node: Operation, most: int, backend: Any) -> int:
    """The most multiplications, up to ``most``, of which a layer of hls4ml can share a multiplier.

    Asked for a number that does not divide a layer, hls4ml takes the closest, which may be larger.
    """
    if most == 1 or not _is_dense(node):
        return 1
    possible = backend.get_valid_reuse_factors(*node.weights.values.shape)
    return int(max(number for number in possible if number <= most))


def _check_sharing(graph: Graph, reuse_factor: int) -> None:
    """Raises TriggerError for a layer that would ignore the reuse factor."""
    for node in graph.nodes:
        if isinstance(node, Dense) and not _is_dense(node) and reuse_factor > 1:
            raise TriggerError(
                f"hls4ml: {node.name} has one kernel for {node.positions} positions, all computed "
                f"at once; it does not share multipliers: use reuse_factor 1"
            )


def _check_sizes(graph: Graph) -> None:
    """Raises TriggerError for values that hls4ml would accept and change."""
    width = enclosing(graph.input.types).width
    if width > _INPUT_BITS:
        raise TriggerError(
            f"hls4ml: the inputs need {width} bits in an array of one type; hls4ml "
            f"narrows types above {_INPUT_BITS}"
        )
    for node in graph.nodes:
        for constant in (node.weights, node.bias) if _is_dense(node) else ():
            # hls4ml writes numbers without fractional bits as C++ integers.
            if constant.type.fraction <= 0 and np.abs(constant.real).max() >= 2.0**63:
                raise TriggerError(
                    f"hls4ml: {node.name} has a weight or bias of 2^63 or more, which "
                    f"no C++ integer holds"
                )


def _layer(node: Operation) -> tuple[dict[str, Any], dict[str, str]]:
    """The entry of hls4ml's layer list, and the precision of everything in it."""
    result = str(enclosing(node.types))
    common = {"name": node.name, "inputs": list(node.inputs)}
    if not node.inputs:
        return {"name": node.name, "class_name": "InputLayer", "input_shape": [len(node.types)]}, {
            "result": result
        }
    if not _is_dense(node):
        return {**common, "class_name": "TriggerNode", "n_out": len(node.types)}, {"result": result}
    n_in, n_out = node.weights.values.shape
    entry = {
        **common,
        "class_name": "Dense",
        "data_format": "channels_last",
        "n_in": n_in,
        "n_out": n_out,
        "weight_data": node.weights.real,
        "bias_data": node.bias.real,
    }
    # A bias may need more fractional bits than any product, and a product more integer bits than
    # the sum: hold them all.
    accumulator = enclosing((enclosing(node.types), node.bias.type))
    return entry, {
        "result": result,
        "weight": str(node.weights.type),
        "bias": str(node.bias.type),
        "accum": str(accumulator),
    }


def _check_types(model: ModelGraph, graph: Graph) -> None:
    """Check that hls4ml's passes, which may replace layers and types, kept those of the graph."""
    for node in graph.nodes:
        layer = model.graph.get(node.name)
        if layer is None:
            raise TriggerError(
                f"hls4ml: its passes removed the layer {node.name}; this version of "
                f"hls4ml is not supported"
            )
        precision = layer.get_output_variable().type.precision
        written, wanted = (
            Fixed(bool(precision.signed), precision.width, precision.integer),
            enclosing(node.types),
        )
        if written != wanted:
            raise TriggerError(
                f"hls4ml: the layer {node.name} has the type {written} instead of {wanted}"
            )


def _include_nodes(path: Path) -> None:
    lines = path.read_text().splitlines(keepends=True)
    last = max(i for i, line in enumerate(lines) if line.startswith("#include"))
    lines.insert(last + 1, f'#include "{NODES_HEADER}"\n')
    path.write_text("".join(lines))


@contextlib.contextmanager
def _stamped(graph: Graph) -> Iterator[None]:
    """A stamp derived from the graph, instead of hls4ml's random one, so that equal graphs give
    equal bytes.

    It is set, not replaced afterwards, because hls4ml quotes a stamp that looks like a number (one
    in forty).
    """
    stamp = hashlib.sha256(to_json(graph).encode()).hexdigest()[:8]
    with mock.patch.object(
        get_optimizer("make_stamp"),
        "transform",
        lambda model: model.config.config.update(Stamp=stamp),
    ):
        yield


@contextlib.contextmanager
def _plain_folder() -> Iterator[Path]:
    """A folder with a plain path: hls4ml is inconsistent about quoting blanks and accents."""
    usual = Path(tempfile.gettempdir()).resolve()
    candidates = (usual, Path("/tmp"))  # noqa: S108
    parents = [p for p in candidates if PLAIN_PATH.fullmatch(str(p)) and p.is_dir()]
    with tempfile.TemporaryDirectory(dir=parents[0] if parents else usual) as folder:
        yield Path(folder) / "project"


_TEXT_FILES = (".sh", ".tcl", ".yml", ".cpp", ".h", ".txt")


def _remove_paths(directory: Path) -> None:
    """Remove the paths of this machine from a project."""
    whole = re.compile(
        rf"(?<![\w./-]){re.escape(str(directory))}(?![\w.-])"
    )  # for a project in /b, do not replace the /b of /bin/sh
    for path in directory.rglob("*"):
        if path.is_file() and (path.suffix in _TEXT_FILES or path.name == "Makefile"):
            text = path.read_text(errors="surrogateescape")
            if whole.search(text):
                path.write_text(whole.sub(".", text), errors="surrogateescape")

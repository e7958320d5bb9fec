"""LUT of the zoo's jet tagger as it is, and with sums that saturate and are rounded half to even instead: the same weights."""

import dataclasses
import tempfile
from pathlib import Path

from trigger.frontends import keras_backend

keras_backend.start()

from trigger.backends.rtl import RtlOptions, write
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import Clip, Dense, Quantize
from trigger.fixedpoint.types import Overflow, Rounding
from trigger.frontends.loading import load as load_network
from trigger.frontends.networks import lower
from trigger.spec.parts import part
from trigger.spec.spec import Spec, find, load
from trigger.synthesis.run import synthesise
from trigger.synthesis.tool import Job


def saturated(graph: Graph) -> Graph:
    """Behind every layer: rounding half to even and saturation, which takes what is negative to zero, so without its ReLU."""
    nodes = {}
    for node in graph.nodes:
        nodes[node.name] = node
        if isinstance(node, Quantize) and node.overflow is Overflow.WRAP:
            relu = nodes.pop(node.inputs[0])
            assert isinstance(relu, Clip) and isinstance(nodes[relu.inputs[0]], Dense)
            nodes[node.name] = dataclasses.replace(
                node, inputs=relu.inputs, rounding=Rounding.RND_CONV, overflow=Overflow.SAT
            )
    return Graph(tuple(nodes.values()), graph.notes)


def lut(graph: Graph, spec: Spec) -> int | None:
    """By Yosys, for the spec's part and clock."""
    target = spec.target
    with tempfile.TemporaryDirectory() as work:
        project = write(
            graph,
            Path(work) / "rtl",
            RtlOptions(target.part, target.clock_mhz, project_name="core"),
        )
        job = Job(project, Path(work), target.backend, part(target.part), target.clock_mhz)
        return synthesise("yosys", job, Path(work) / "yosys").lut


def main() -> None:
    path = find("jet_mlp")
    spec = load(path)
    graph = lower(load_network(path.parent / spec.training.warm_start.network), spec.input_types)
    wraps, saturates = lut(graph, spec), lut(saturated(graph), spec)
    print(
        f"{wraps:,} LUT as it is, {saturates:,} with saturation and ties to even: {wraps / saturates:.2f}"
    )


if __name__ == "__main__":
    main()

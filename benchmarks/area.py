"""LUT of one network by Yosys: this project's RTL, with and without its passes, and alkaid's own converter."""

import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from alkaid.codegen import RTLModel
from alkaid.trace import FVArrayInput, trace
from alkaid.trace.ops import quantize

from trigger.artifacts.folder import read_graph
from trigger.backends import rtl
from trigger.fixedpoint.ops import Affine, Clip, Dense, Quantize
from trigger.fixedpoint.passes import PASSES
from trigger.spec.parts import part
from trigger.synthesis.run import synthesise
from trigger.synthesis.tool import Job
from trigger.workflow.build import open_build


def alkaid_comb(graph):
    """The graph as one writes it for alkaid: its own quantiser, x @ W + b, everything traced at once."""

    def kif(types):
        return (
            np.array([t.signed for t in types]),
            np.array([t.integer - t.signed for t in types]),
            np.array([t.fraction for t in types]),
        )

    inputs = FVArrayInput(len(graph.input.types))
    values = {graph.input.name: quantize(inputs, *kif(graph.input.types))}
    for node in graph.nodes[1:]:
        x = values[node.inputs[0]]
        match node:
            case Dense():
                y = x @ node.weights.real + node.bias.real
            case Affine():
                y = x * node.scale.real + node.bias.real
            case Clip():
                low, high = (
                    np.ldexp(end.astype(float), -node.fractions) for end in (node.low, node.high)
                )
                y = np.minimum(np.maximum(x, low), high)
            case Quantize():
                y = quantize(x, *kif(node.types), str(node.overflow), str(node.rounding))
            case _:
                raise SystemExit(f"{node.name}: this comparison knows no {node.op}")
        values[node.name] = y
    return trace(inputs, values[graph.output.name])


def without(left_out):
    """All passes but some."""

    def run(graph):
        for name, change in PASSES.items():
            graph = change(graph) if name not in left_out else graph
        return graph

    return run


def main(folder: str) -> None:
    this = open_build(Path(folder))
    graph, target = read_graph(this.root), this.spec.target
    jobs = {}
    with tempfile.TemporaryDirectory() as work:
        for name, passes in (("all passes", without(())), ("no passes", without(tuple(PASSES)))):
            rtl.optimize = passes
            options = rtl.RtlOptions(target.part, target.clock_mhz, project_name="core")
            project = rtl.write(graph, Path(work) / f"rtl{len(jobs)}", options)
            jobs[name] = Job(
                project, Path(work), target.backend, part(target.part), target.clock_mhz
            )
        stages = jobs["all passes"].rtl.interface.latency - 1
        for fused in (True, False):
            path = Path(work) / f"alkaid{fused}"
            RTLModel(alkaid_comb(graph), path, "core", n_stages=stages, ternary_fuse=fused).write()
            sources = tuple(p for p in sorted(path.glob("src/**/*.v")) if "wrapper" not in p.name)
            own = jobs["all passes"].rtl
            other = rtl.Rtl(
                path, graph, own.interface, "verilog", target.part, target.clock_mhz, sources
            )
            name = f"alkaid's converter{'' if fused else ', no 3-input adders'}"
            jobs[name] = jobs["all passes"]._replace(rtl=other)
        with ThreadPoolExecutor(2) as pool:
            folders = [Path(work) / f"yosys{k}" for k in range(len(jobs))]
            found = pool.map(
                lambda job, folder: synthesise("yosys", job, folder), jobs.values(), folders
            )
            rows = dict(zip(jobs, found, strict=True))
    base = rows["all passes"].lut
    print(f"{'':<42} {'LUT':>8} {'FF':>8} {'ratio':>7}")
    for name, row in rows.items():
        print(f"{name:<42} {row.lut:>8,} {row.ff:>8,} {row.lut / base:>7.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:])

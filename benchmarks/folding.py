"""LUT, FF and latency of a network whose parts share hardware, by initiation interval.

Every core is simulated at its interval, with pauses and resets, before it is counted.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import scaling

from trigger.artifacts.folder import integer_events, read_graph
from trigger.backends.rtl import RtlOptions, plan, write
from trigger.backends.rtl.planning import MULTIPLIERS
from trigger.fixedpoint import evaluate
from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import Constant
from trigger.fixedpoint.types import Fixed, Integers, bounds
from trigger.frontends import loaded_tables
from trigger.spec.parts import part
from trigger.synthesis.run import synthesise
from trigger.synthesis.tool import Job
from trigger.workflow.build import open_build

PART = "xcvu13p-flga2577-2-e"
EVENTS = 2000


def of_build(folder: Path) -> tuple[Graph, Integers]:
    """The graph of a build, and test events."""
    build = open_build(folder)
    return read_graph(build.root), integer_events(build)["test"].x[:EVENTS]


def of_sizes(sizes: str, reloadable: bool) -> tuple[Graph, Integers]:
    """A random MLP of benchmarks/scaling.py, and random events."""
    graph = scaling.network(sizes, reloadable=reloadable)
    low, high = bounds(graph.input.types)
    return graph, np.random.default_rng(0).integers(low, high + 1, (EVENTS, len(low)))


def of_neurons(count: int, reloadable: bool) -> tuple[Graph, Integers]:
    """A random weightless network: 8 thresholds for each of 16 values of 8 bits, truth tables of
    six bits, and counts of two classes; and random events.
    """
    rng = np.random.default_rng(0)
    builder = Builder((Fixed(False, 8, 8),) * 16, reloadable=reloadable)
    elements, bounds = np.repeat(np.arange(16), 8), rng.integers(1, 256, 128)
    wires = rng.integers(0, len(elements), (count, 6))
    ones = rng.integers(0, 2, (count, 64))
    if reloadable:
        bits = loaded_tables.threshold(builder, "bits", "inputs", elements, bounds)
        bits = loaded_tables.truth_table(builder, "neurons", bits, wires, ones)
    else:
        bits = builder.threshold("bits", "inputs", elements, bounds)
        bits = builder.truth_table("neurons", bits, wires, Constant(ones, loaded_tables.BIT))
    classes = constant(np.eye(2)[np.arange(count) % 2])
    graph = builder.graph(builder.dense("counts", bits, classes, constant(np.zeros(2))))
    return graph, rng.integers(0, 256, (EVENTS, 16))


def measured(graph: Graph, x: Integers, options: RtlOptions) -> str:
    """A row of the table."""
    with tempfile.TemporaryDirectory() as work:
        rtl = write(graph, Path(work) / "rtl", options)
        found = rtl.compile().with_stalls().run(x)
        np.testing.assert_array_equal(found, evaluate.run(graph, x))
        job = Job(rtl, Path(work), "Vitis", part(PART), options.clock_mhz)
        synthesis = synthesise("yosys", job, Path(work) / "yosys")
    return (
        f"| {options.interval} | {rtl.estimate['lut']:,} | {synthesis.lut:,} | {synthesis.ff:,} | "
        f"{synthesis.dsp:,} | {rtl.interface.latency} |"
    )


def estimated(graph: Graph, options: RtlOptions) -> str:
    """A row of the table without synthesis."""
    planned = plan(graph, options)
    estimate = planned.estimate
    latency = planned.core.interface.latency
    return (
        f"| {options.interval} | {estimate['lut']:,} | | {estimate['ff']:,} | "
        f"{estimate['dsp']:,} | {latency} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "network",
        help="the folder of a build, sizes such as 16-64-32-32-5, or the number of truth tables",
    )
    parser.add_argument("--ii", type=int, nargs="*", default=[1, 2, 4, 8], help="the intervals")
    parser.add_argument("--clock", type=float, default=360.0, help="MHz")
    parser.add_argument("--reloadable", action="store_true", help="weights or tables are loaded")
    parser.add_argument("--multipliers", choices=MULTIPLIERS, default="lut")
    parser.add_argument("--estimate", action="store_true", help="neither simulated nor synthesised")
    arguments = parser.parse_args()
    folder = Path(arguments.network)
    if folder.is_dir():
        graph, x = of_build(folder)
    elif arguments.network.isdecimal():
        graph, x = of_neurons(int(arguments.network), arguments.reloadable)
    else:
        graph, x = of_sizes(arguments.network, arguments.reloadable)
    flip_flops = "FF, estimated" if arguments.estimate else "FF, Yosys"
    print(f"| interval | LUT, estimated | LUT, Yosys | {flip_flops} | DSP | cycles |")
    print("|---:|---:|---:|---:|---:|---:|")
    for interval in arguments.ii:
        options = RtlOptions(
            PART,
            arguments.clock,
            project_name="core",
            interval=interval,
            multipliers=arguments.multipliers,
        )
        if arguments.estimate:
            print(estimated(graph, options), flush=True)
        else:
            print(measured(graph, x, options), flush=True)


if __name__ == "__main__":
    main()

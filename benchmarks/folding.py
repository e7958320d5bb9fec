"""LUT, FF and latency of a built trigger whose positions share hardware, by initiation interval.

Every core is simulated at its interval, with pauses and resets, before it is counted.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from trigger.artifacts.folder import integer_events, read_graph
from trigger.backends.rtl import RtlOptions, write
from trigger.fixedpoint import evaluate
from trigger.fixedpoint.graph import Graph
from trigger.spec.parts import part
from trigger.synthesis.run import synthesise
from trigger.synthesis.tool import Job
from trigger.workflow.build import open_build

CLOCK_MHZ = 360.0
EVENTS = 2000


def measured(graph: Graph, x: np.ndarray, name: str, interval: int) -> str:
    """A row of the table."""
    with tempfile.TemporaryDirectory() as work:
        options = RtlOptions(name, CLOCK_MHZ, project_name="core", interval=interval)
        rtl = write(graph, Path(work) / "rtl", options)
        found = rtl.compile().with_stalls().run(x)
        np.testing.assert_array_equal(found, evaluate.run(graph, x))
        job = Job(rtl, Path(work), "Vitis", part(name), CLOCK_MHZ)
        synthesis = synthesise("yosys", job, Path(work) / "yosys")
    return (
        f"| {interval} | {rtl.estimate['lut']:,} | {synthesis.lut:,} | {synthesis.ff:,} | "
        f"{rtl.interface.latency} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=Path, help="a folder that trigger build has made")
    parser.add_argument("--ii", type=int, nargs="*", default=[1, 2, 4, 8], help="the intervals")
    arguments = parser.parse_args()
    build = open_build(arguments.build)
    graph = read_graph(build.root)
    x = integer_events(build)["test"].x[:EVENTS]
    print(
        "| interval | LUT, estimated | LUT, Yosys | FF, Yosys | cycles |\n|---:|---:|---:|---:|---:|"
    )
    for interval in arguments.ii:
        print(measured(graph, x, build.spec.target.part, interval), flush=True)


if __name__ == "__main__":
    main()

"""LUT of a product of two variables, as estimated and by Yosys, by the widths of both."""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from trigger.backends import rtl
from trigger.fixedpoint.build import Builder
from trigger.fixedpoint.types import Fixed
from trigger.spec.parts import part
from trigger.synthesis.run import synthesise
from trigger.synthesis.tool import Job

PART, CLOCK_MHZ = "xcvu13p-flga2577-2-e", 100
WIDTHS = ((4, 3), (4, 4), (6, 2), (6, 4), (6, 6), (8, 6), (8, 8), (10, 6), (12, 6), (12, 12))
COUNT = 8


def measured(signed: int, unsigned: int) -> str:
    """A row of the table, of several products of these widths."""
    builder = Builder((Fixed(True, signed, 2),) * COUNT + (Fixed(False, unsigned, 2),) * COUNT)
    halves = np.arange(2 * COUNT).reshape(2, COUNT)
    x, y = (builder.select(name, "inputs", half) for name, half in zip("xy", halves, strict=True))
    with tempfile.TemporaryDirectory() as work:
        options = rtl.RtlOptions(PART, CLOCK_MHZ, project_name="core")
        graph = builder.graph(builder.multiply("products", x, y))
        project = rtl.write(graph, Path(work) / "rtl", options)
        job = Job(project, Path(work), "Vitis", part(PART), CLOCK_MHZ)
        lut = synthesise("yosys", job, Path(work) / "yosys").lut
    return f"| {signed} × {unsigned} | {project.estimate['lut'] / COUNT:.1f} | {lut / COUNT:.1f} |"


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    print("| bits, signed × unsigned | estimated | Yosys |\n|---|---:|---:|")
    for widths in WIDTHS:
        print(measured(*widths), flush=True)


if __name__ == "__main__":
    main()

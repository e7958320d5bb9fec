"""Time, LUT and memory from graph to written RTL, for random quantised MLPs of growing size, and for one kernel of a
convolution at 1 and at 100 positions, also with padding, in one and in two dimensions.

Each network is compiled in a process of its own, one per processor at a time. The growth is, of an MLP, the power of
the number of weights with which the processor's time grows from the one above, and of a kernel the ratio of the
processor's time to that of the kernel at one position before it.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from math import log, prod
from pathlib import Path
from typing import TypedDict

import numpy as np

from trigger.backends.rtl import RtlOptions, write
from trigger.backends.rtl.logic import weights
from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.passes import optimize
from trigger.fixedpoint.types import Fixed, Overflow, Rounding

MLPS = ("16-64-32-32-5", "64-64-64-64-10", "128-128-128-10", "256-256-10")
KERNELS = ("48-32@1", "48-32@100", "48-32@100p")
PLANES = ("144-32@1x1", "144-32@10x10", "144-32@10x10p")
TAPS = 3
BITS = 6
PART, CLOCK_MHZ = "xcvu13p-flga2577-2-e", 240.0


class Row(TypedDict, total=False):
    """Seconds, weights, LUT and bytes of one network."""

    size: str
    weights: int
    lut: int
    latency: int
    traced: float
    written: float
    processor: float
    memory: int
    verilator: float
    csim: float


def network(size: str, bits: int = BITS, seed: int = 0, reloadable: bool = False) -> Graph:
    """Uniform weights and biases of ``bits`` bits, none pruned; ReLU of ``bits`` bits behind all layers but the last."""
    rng = np.random.default_rng(seed)
    features, *layers = map(int, size.partition("@")[0].split("-"))
    positions = count_of_positions(size)
    windows = elements(size, features) if "@" in size else np.arange(features)
    builder = Builder((Fixed(True, bits, 1),) * (windows.max() + 1), reloadable=reloadable)
    last = builder.last
    if "@" in size:
        last = builder.select("windows", last, windows)
    for number, units in enumerate(layers):
        fan_in = len(builder[last].types) // positions
        largest = (1 << (bits - 1)) - 1
        drawn = rng.integers(-largest, largest + 1, (fan_in, units))
        bias = rng.integers(-largest, largest + 1, units)
        unit = 2.0 ** (1 - bits - round(log(fan_in, 2) / 2))
        trained = np.ones((fan_in + 1, units), dtype=bool)
        constants = constant(drawn * unit), constant(bias * unit)
        last = builder.dense(f"dense{number}", last, *constants, positions, trained)
        if number < len(layers) - 1 or "@" in size:
            kind = (Fixed(False, bits, 0),) * (units * positions)
            last = builder.quantize(f"relu{number}", last, kind, Rounding.RND_CONV, Overflow.SAT)
    return builder.graph(last)


def elements(size: str, features: int) -> np.ndarray:
    """What each position of a convolution reads, position by position; -1 is padding."""
    around = TAPS // 2 if size.endswith("p") else 0
    sides = [int(side) for side in size.partition("@")[2].removesuffix("p").split("x")]
    channels = features // TAPS ** len(sides)
    inside = [side + TAPS - 1 - 2 * around for side in sides]
    image = np.arange(np.prod(inside) * channels).reshape(*inside, channels)
    image = np.pad(image, [(around, around)] * len(sides) + [(0, 0)], constant_values=-1)
    axes = tuple(range(len(sides)))
    windows = np.lib.stride_tricks.sliding_window_view(image, (TAPS,) * len(sides), axes)
    return np.moveaxis(windows, len(sides), -1).ravel()


def measure(size: str, simulations: bool) -> Row:
    """One network in this process."""
    graph = network(size)
    marks = []
    with tempfile.TemporaryDirectory() as work:
        start, begun = time.perf_counter(), os.times()
        options = RtlOptions(PART, CLOCK_MHZ)
        rtl = write(graph, Path(work) / "rtl", options, lambda _: marks.append(time.perf_counter()))
        row = Row(
            size=size,
            weights=weights(optimize(graph)),
            traced=marks[-1] - start,
            written=time.perf_counter() - start,
            processor=sum(os.times()[:4]) - sum(begun[:4]),
            lut=rtl.estimate["lut"],
            latency=rtl.interface.latency,
            memory=1024
            * sum(
                resource.getrusage(who).ru_maxrss
                for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
            ),
        )
        if simulations:
            row["verilator"] = seconds(rtl.compile)
            row["csim"] = seconds(lambda: compile_csim(graph, Path(work) / "hls"))
    return row


def compile_csim(graph: Graph, folder: Path) -> None:
    from trigger.backends.hls4ml.project import Hls4mlOptions
    from trigger.backends.hls4ml.project import write as write_hls4ml

    write_hls4ml(graph, folder, Hls4mlOptions(PART, CLOCK_MHZ)).compile()


def seconds(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def count_of_positions(size: str) -> int:
    sides = size.partition("@")[2].removesuffix("p").split("x")
    return prod(int(side or 1) for side in sides)


def growth(row: Row, before: Row | None) -> str:
    kernel = "@" in row["size"]
    if before is None or kernel != ("@" in before["size"]):
        return ""
    if kernel and count_of_positions(row["size"]) == 1:
        return ""
    time, weights = (row[key] / before[key] for key in ("processor", "weights"))
    return f"× {time:.2f}" if "@" in row["size"] else f"{log(time) / log(weights):.2f}"


def rows(sizes: list[str], simulations: bool) -> Iterator[Row]:
    """The rows in order; what is left is estimated from the weights that are finished."""
    work = {size: weights(network(size)) // count_of_positions(size) for size in sizes}
    start = time.monotonic()
    finished: list[str] = []

    def one(size: str) -> Row:
        command = [sys.executable, __file__, "--one", size]
        command += ["--simulations"] if simulations else []
        row: Row = json.loads(subprocess.run(command, check=True, stdout=-1).stdout)
        finished.append(size)
        done = sum(work[name] for name in finished)
        left = (time.monotonic() - start) * (sum(work.values()) / done - 1)
        print(
            f"{len(finished)} of {len(sizes)}, about {left:.0f} s left", file=sys.stderr, flush=True
        )
        return row

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        yield from pool.map(one, sizes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "sizes",
        nargs="*",
        default=(*MLPS, *KERNELS, *PLANES),
        help="such as 16-64-32-32-5, or 48-32@100 for 100 positions, 144-32@10x10p with padding",
    )
    parser.add_argument("--simulations", action="store_true", help="compile RTL and csim, too")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one, given.simulations)))
        return
    columns = ["network", "weights", "traced s", "written s", "CPU s", "growth"]
    columns += ["LUT", "latency", "MiB"]
    columns += ["Verilator s", "csim s"] if given.simulations else []
    print("| " + " | ".join(columns) + " |\n|---|" + "---:|" * (len(columns) - 1))
    before = None
    for row in rows(list(given.sizes), given.simulations):
        cells = [
            row["size"],
            f"{row['weights']:,}",
            f"{row['traced']:.2f}",
            f"{row['written']:.2f}",
            f"{row['processor']:.2f}",
            growth(row, before),
            f"{row['lut']:,}",
            f"{row['latency']}",
            f"{row['memory'] >> 20:,}",
        ]
        cells += [f"{row[key]:.1f}" for key in ("verilator", "csim") if key in row]
        print("| " + " | ".join(cells) + " |", flush=True)
        if count_of_positions(row["size"]) == 1:
            before = row


if __name__ == "__main__":
    main()

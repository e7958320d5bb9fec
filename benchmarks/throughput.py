"""Events per second of emulator, NumPy graph, RTL, our csim bridge and hls4ml's own predict, on one network in one run."""

import contextlib
import importlib.util
import io
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from trigger import api
from trigger.artifacts.folder import read_graph
from trigger.backends.emulator import write
from trigger.fixedpoint.graph import Graph
from trigger.workflow.build import open_build


def rate(run, x, repeats=3):
    """The best of some runs: the machine's own disturbances only ever slow one down."""
    best = min(_seconds(run, x) for _ in range(repeats))
    return len(x) / best


def _seconds(run, x):
    start = time.perf_counter()
    run(x)
    return time.perf_counter() - start


def hls4ml_predict(project: Path, x: np.ndarray) -> float:
    import hls4ml

    here = Path.cwd()
    os.chdir(project)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            model = hls4ml.converters.link_existing_project(".")
            model.compile()
        return rate(model.predict, x)
    finally:
        os.chdir(here)


def emulator(graph: Graph, folder: Path, x: np.ndarray) -> float:
    """One thread, through the Python binding."""
    names = [[f"p{i}" for i in range(len(node.types))] for node in (graph.input, graph.output)]
    write(graph, folder, "network", *names, "v1")
    subprocess.run(["make", "-s", "-C", str(folder)], check=True)
    spec = importlib.util.spec_from_file_location(
        "network_emulator", folder / "network_emulator.py"
    )
    binding = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(binding)
    return rate(binding.run, x)


def main(folder: str) -> None:
    from trigger.frontends import keras_backend

    keras_backend.start()
    this = open_build(Path(folder))
    graph = read_graph(this.root)
    public = api.Graph(graph.nodes, graph.notes)
    rng = np.random.default_rng(0)
    x = np.stack(
        [rng.integers(t.minimum, t.maximum + 1, 100_000) for t in graph.input.types], axis=1
    )
    with tempfile.TemporaryDirectory() as project:
        csim = public.to_hls4ml(Path(project) / "hls").compile()
        rtl = public.to_rtl(Path(project) / "rtl").compile()
        real = np.ascontiguousarray(np.ldexp(x[:10_000].astype(float), -graph.input.fractions))
        rates = {
            "emulator, C++17": emulator(graph, Path(project) / "emulator", np.concatenate([x] * 4)),
            "graph, NumPy": rate(public.run, x),
            "RTL, Verilator": rate(rtl.run, np.concatenate([x] * 4)),
            "csim, batched bridge": rate(csim.run, x),
            "csim, hls4ml predict": hls4ml_predict(Path(project) / "hls", real),
        }
    slowest = rates["csim, hls4ml predict"]
    print(f"{'':<24} {'events/s':>12} {'ratio':>8}")
    for name, value in rates.items():
        print(f"{name:<24} {value:>12,.0f} {value / slowest:>8.1f}")


if __name__ == "__main__":
    main(*sys.argv[1:])

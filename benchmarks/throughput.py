"""Events per second of the NumPy graph, the RTL, our csim bridge and hls4ml's own predict, on one network in one run."""

import contextlib
import io
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from trigger import api
from trigger.build import open_build
from trigger.folder import read_graph


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


def main(folder: str) -> None:
    from trigger import keras_backend

    keras_backend.start()
    this = open_build(Path(folder))
    graph = read_graph(this.root)
    public = api.Graph(graph.nodes, graph.notes)
    rng = np.random.default_rng(0)
    x = np.stack([rng.integers(t.minimum, t.maximum + 1, 100_000) for t in graph.input.types], axis=1)
    with tempfile.TemporaryDirectory() as project:
        csim = public.to_hls4ml(Path(project) / "hls").compile()
        rtl = public.to_rtl(Path(project) / "rtl").compile()
        real = np.ascontiguousarray(np.ldexp(x[:10_000].astype(float), -graph.input.fractions))
        rates = {
            "graph, NumPy": rate(graph.run, x),
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

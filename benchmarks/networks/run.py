"""The architectures of ``architectures.py`` from Keras to hardware: exact in which witnesses, LUT, latency.

benchmarks/networks/run.py [NAME ...] [--yosys]
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "tests")]

import numpy as np
from architectures import ARCHITECTURES, network

EVENTS = 2000
PART, CLOCK_MHZ = "xcvu13p-flga2577-2-e", 240


def row(name: str, yosys: bool) -> dict[str, str]:
    """One line of the table. Raises AssertionError if a witness differs."""
    from battery import compile_emulators, prepare, run_onnx

    from trigger.backends import rtl
    from trigger.backends.hls4ml.project import Hls4mlOptions, write
    from trigger.fixedpoint import evaluate
    from trigger.frontends.networks import record
    from trigger.spec.parts import part
    from trigger.synthesis.run import synthesise
    from trigger.synthesis.tool import Job
    from trigger.verification.oracle import agreement

    start = time.monotonic()
    found = prepare(network(name), ARCHITECTURES[name].inputs, events=EVENTS)
    assert not found.off_grid.any()
    assert len(np.unique(found.expected)) > 10, "the outputs hardly change"
    real = np.ldexp(found.integers.astype(float), -found.graph.input.fractions)
    own = agreement(found.graph, record(found.model, real)).comparison
    assert own.equal, own.witness
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        csim = write(found.graph, folder / "hls", Hls4mlOptions(PART, CLOCK_MHZ)).compile()
        core = {
            language: rtl.write(
                found.graph, folder / language, rtl.RtlOptions(PART, CLOCK_MHZ, language, "core")
            )
            for language in rtl.LANGUAGES
        }
        (emulator,) = compile_emulators([found.graph], folder)
        witnesses = {
            "graph": lambda x: evaluate.run(found.graph, x),
            "ONNX": lambda x: run_onnx(found.graph, x),
            "emulator": emulator,
            "csim": csim.run,
            "Verilog": core["verilog"].compile().run,
            "VHDL": core["vhdl"].compile().run,
        }
        for witness, run in witnesses.items():
            count = 300 if witness == "VHDL" else None
            np.testing.assert_array_equal(
                run(found.integers[:count]), found.expected[:count], f"{name}: {witness}"
            )
        seconds = time.monotonic() - start
        lut = f"{core['verilog'].estimate['lut']:,} (estimated)"
        if yosys:
            job = Job(core["verilog"], folder, "Vitis", part(PART), CLOCK_MHZ)
            lut = f"{synthesise('yosys', job, folder / 'yosys').lut:,}"
    kernels = [node for node in found.graph.nodes if node.op == "dense"]
    return {
        "network": f"`{name}`",
        "use": ARCHITECTURES[name].use,
        "inputs": f"{len(found.graph.input.types)} × {ARCHITECTURES[name].inputs}",
        "outputs": str(len(found.graph.output.types)),
        "weights": f"{sum(int(np.count_nonzero(node.weights.values)) for node in kernels):,}",
        "LUT": lut,
        "cycles": str(core["verilog"].interface.latency),
        "s": f"{seconds:.0f}",
        "exact in": ", ".join(["Keras", *witnesses]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="all where left out")
    parser.add_argument("--yosys", action="store_true", help="count LUT by Yosys (minutes)")
    asked = parser.parse_args()
    unknown = [name for name in asked.names if name not in ARCHITECTURES]
    if unknown:
        parser.error(f"no network {unknown[0]!r}; available: {', '.join(ARCHITECTURES)}")

    from trigger.frontends import keras_backend

    keras_backend.start()
    first = True
    for name in asked.names or ARCHITECTURES:
        cells = row(name, asked.yosys)
        if first:
            print(f"| {' | '.join(cells)} |\n|{'---|' * len(cells)}")
            first = False
        print(f"| {' | '.join(cells.values())} |", flush=True)


if __name__ == "__main__":
    main()

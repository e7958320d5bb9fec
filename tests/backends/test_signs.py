"""Sums with a sign for each input, in everything that is emitted, against rational numbers."""

import numpy as np
import oracle
import pytest
from battery import PART, compile_emulators, run_onnx, run_qonnx
from random_graphs import events

from trigger.backends import rtl
from trigger.backends.hls4ml.project import Hls4mlOptions, write
from trigger.backends.onnx.qonnx import to_qonnx
from trigger.backends.rtl import ghdl, simulate
from trigger.fixedpoint.build import Builder
from trigger.fixedpoint.types import Fixed


def signed_sum(*signs: int):
    builder = Builder((Fixed(True, 7, 4), Fixed(False, 6, 2), Fixed(False, 5, 5)))
    names = tuple(builder.select(f"x{k}", "inputs", np.array([k])) for k in range(3))
    return builder.graph(builder.add("out", names, signs))


SUMS = [signed_sum(1, -1, 1), signed_sum(-1, 1, -1), signed_sum(-1, -1, -1)]


@pytest.mark.parametrize("graph", SUMS)
def test_signs_in_onnx_qonnx_and_vhdl(graph, tmp_path):
    x = events(graph, 0, 200)
    expected = oracle.outputs(graph, x)
    np.testing.assert_array_equal(run_onnx(graph, x), expected)
    np.testing.assert_array_equal(run_qonnx(to_qonnx(graph), graph, x), expected)
    core = rtl.write(graph, tmp_path, rtl.RtlOptions(PART, 240, "vhdl"))
    found = ghdl.analyse(core.interface, core.sources).run(x)
    np.testing.assert_array_equal(found, expected)


def test_signs_in_emulator_and_verilog(tmp_path):
    cores = [
        rtl.write(graph, tmp_path / f"p{k}", rtl.RtlOptions(PART, 240, project_name=f"p{k}"))
        for k, graph in enumerate(SUMS)
    ]
    designs = [simulate.Design(core.interface, core.sources) for core in cores]
    simulations = simulate.compile_together(designs, tmp_path / "bench", "-O0")
    emulators = compile_emulators(SUMS, tmp_path)
    for graph, emulator, simulation in zip(SUMS, emulators, simulations, strict=True):
        x = events(graph, 1, 200)
        expected = oracle.outputs(graph, x)
        np.testing.assert_array_equal(emulator(x), expected)
        np.testing.assert_array_equal(simulation.run(x), expected)


@pytest.mark.parametrize(
    ("backend", "strategy"),
    [("Vitis", "latency"), ("Quartus", "resource"), ("Catapult", "latency")],
)
def test_signs_in_csim(backend, strategy, tmp_path):
    graph = SUMS[1]
    csim = write(graph, tmp_path, Hls4mlOptions(PART, 240, backend, strategy=strategy)).compile()
    x = events(graph, 2, 200)
    np.testing.assert_array_equal(csim.run(x), oracle.outputs(graph, x))

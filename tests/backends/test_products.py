"""Products in everything that is emitted, against rational numbers: signs, widths, and squares."""

import itertools

import numpy as np
import oracle
import pytest
from battery import PART, compile_emulators, run_onnx, run_qonnx
from random_graphs import events

from trigger import TriggerError
from trigger.backends import rtl
from trigger.backends.hls4ml.csim import compile_together
from trigger.backends.hls4ml.project import Hls4mlOptions, write
from trigger.backends.onnx.qonnx import to_qonnx
from trigger.backends.rtl import ghdl, simulate
from trigger.fixedpoint.build import Builder
from trigger.fixedpoint.types import Fixed

CLOCK_MHZ = 240


def product(first: Fixed, second: Fixed):
    builder = Builder((first, second))
    builder.select("a", "inputs", np.array([0]))
    builder.select("b", "inputs", np.array([1]))
    return builder.graph(builder.multiply("out", "a", "b"))


def square(kind: Fixed):
    builder = Builder((kind, kind))
    return builder.graph(builder.multiply("out", "inputs", "inputs"))


SIGNS = {
    f"{first} times {second}": product(first, second)
    for first, second in itertools.product(
        (Fixed(True, 7, 3), Fixed(False, 6, 1), Fixed(True, 1, 1), Fixed(False, 1, 3)), repeat=2
    )
}
WIDE = {
    "18 bits": product(Fixed(True, 18, 4), Fixed(True, 18, 9)),
    "one narrow": product(Fixed(False, 3, 3), Fixed(True, 47, 40)),
    "53 bits": product(Fixed(True, 27, -3), Fixed(False, 26, 60)),
}
SQUARES = {f"square of {kind}": square(kind) for kind in (
    Fixed(True, 1, 1), Fixed(True, 6, 3), Fixed(False, 8, 60), Fixed(True, 9, -40), Fixed(True, 18, 8),
    Fixed(True, 27, 5), Fixed(False, 26, 2),
)}  # fmt: skip
ALL = {**SIGNS, **WIDE, **SQUARES}


def write_rtl(language: str, graph, folder, name: str):
    return rtl.write(graph, folder, rtl.RtlOptions(PART, CLOCK_MHZ, language, name))


def test_products_in_onnx_emulator_and_verilog(tmp_path):
    designs = []
    for k, graph in enumerate(ALL.values()):
        core = write_rtl("verilog", graph, tmp_path / f"p{k}", f"p{k}")
        designs.append(simulate.Design(core.interface, core.sources))
    simulations = simulate.compile_together(designs, tmp_path / "bench", "-O0")
    emulators = compile_emulators(list(ALL.values()), tmp_path)
    for name, emulator, simulation in zip(ALL, emulators, simulations, strict=True):
        x = events(ALL[name], 2, 300)
        expected = oracle.outputs(ALL[name], x)
        np.testing.assert_array_equal(run_onnx(ALL[name], x), expected, name)
        np.testing.assert_array_equal(emulator(x), expected, name)
        np.testing.assert_array_equal(simulation.run(x), expected, name)


@pytest.mark.parametrize("name", [*list(SIGNS)[::3], *WIDE, *list(SQUARES)[1::2]])
def test_products_in_vhdl(name, tmp_path):
    core = write_rtl("vhdl", ALL[name], tmp_path, "core")
    x = events(ALL[name], 3, 200)
    found = ghdl.analyse(core.interface, core.sources).run(x)
    np.testing.assert_array_equal(found, oracle.outputs(ALL[name], x))


def test_products_in_csim(tmp_path):
    options = [Hls4mlOptions(PART, 240, project_name=f"h{k}") for k in range(len(ALL))]
    projects = [
        write(graph, tmp_path / one.project_name, one)
        for graph, one in zip(ALL.values(), options, strict=True)
    ]
    csims = compile_together(projects, tmp_path / "csim", ("-O0",))
    for name, csim in zip(ALL, csims, strict=True):
        x = events(ALL[name], 4, 200)
        np.testing.assert_array_equal(csim.run(x), oracle.outputs(ALL[name], x), name)


@pytest.mark.parametrize("graph", [WIDE["53 bits"], SQUARES["square of fixed<1,1>"]])
@pytest.mark.parametrize(
    ("backend", "strategy"), [("Quartus", "resource"), ("Catapult", "latency")]
)
def test_products_in_ac_types(backend, strategy, graph, tmp_path):
    csim = write(graph, tmp_path, Hls4mlOptions(PART, 240, backend, strategy=strategy)).compile()
    x = events(graph, 4, 200)
    np.testing.assert_array_equal(csim.run(x), oracle.outputs(graph, x))


def test_a_product_too_small_for_the_logic(tmp_path):
    """Its steps are 2^-138, which no float32 of alkaid's is."""
    with pytest.raises(TriggerError) as error:
        write_rtl("verilog", square(Fixed(True, 9, -60)), tmp_path, "core")
    assert str(error.value) == (
        "out: alkaid loses bits of its constants or intervals, so there is no exact logic; use "
        "fewer bits, or closer binary points"
    )


def test_products_in_qonnx():
    graph = product(Fixed(True, 12, 4), Fixed(False, 12, 9))
    x = events(graph, 5, 200)
    np.testing.assert_array_equal(run_qonnx(to_qonnx(graph), graph, x), oracle.outputs(graph, x))
    with pytest.raises(TriggerError) as error:
        to_qonnx(product(Fixed(True, 13, 4), Fixed(False, 13, 9)))
    assert str(error.value) == (
        "export: out needs 25 bits; QONNX computes in float32, which holds 24; use "
        "`trigger export onnx`, which computes in integers"
    )


def test_a_square_takes_fewer_lut_than_a_product():
    kind = Fixed(True, 18, 8)
    assert cost(square(kind)) / 2 < 0.75 * cost(product(kind, kind))
    assert cost(square(Fixed(True, 6, 3))) / 2 < 0.5 * cost(product(*[Fixed(True, 6, 3)] * 2))


def cost(graph) -> float:
    return sum(rtl.logic.to_logic(graph).costs)

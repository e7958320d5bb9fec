"""Weighted sums of single bits: compressor trees, in Verilog and VHDL."""

import numpy as np
import oracle
import pytest
from battery import PART
from random_graphs import events

from trigger.backends import rtl
from trigger.backends.rtl import ghdl, simulate
from trigger.backends.rtl.area import lut
from trigger.backends.rtl.logic import to_logic
from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.types import Fixed

BIT = Fixed(False, 1, 1)


def sums(bits: int, outputs: int, largest: int, kinds=(BIT,), seed: int = 0):
    rng = np.random.default_rng(seed)
    builder = Builder((kinds * bits)[:bits])
    weights = rng.integers(-largest, largest + 1, (bits, outputs))
    bias = constant(rng.integers(-3, 4, outputs) / 4)
    return builder.graph(builder.dense("out", "inputs", constant(weights / 2), bias))


GRAPHS = {
    "signs": sums(23, 3, 1),
    "one bit": sums(1, 2, 5),
    "three bits": sums(3, 3, 1, seed=1),
    "weights": sums(17, 4, 13),
    "bits of several values": sums(19, 3, 6, (BIT, Fixed(False, 1, -2), Fixed(False, 1, 5))),
    "beside wider inputs": sums(15, 3, 6, (BIT, Fixed(True, 4, 2))),
}


def test_verilog(tmp_path):
    designs = []
    for k, graph in enumerate(GRAPHS.values()):
        core = rtl.write(graph, tmp_path / f"p{k}", rtl.RtlOptions(PART, 200, project_name=f"p{k}"))
        designs.append(simulate.Design(core.interface, core.sources))
    simulations = simulate.compile_together(designs, tmp_path / "bench", "-O0")
    for graph, simulation in zip(GRAPHS.values(), simulations, strict=True):
        x = events(graph, 1, 300)
        np.testing.assert_array_equal(simulation.run(x), oracle.outputs(graph, x))


@pytest.mark.parametrize("name", ["signs", "bits of several values"])
def test_vhdl(name, tmp_path):
    graph = GRAPHS[name]
    core = rtl.write(graph, tmp_path, rtl.RtlOptions(PART, 200, "vhdl", "core"))
    x = events(graph, 2, 100)
    found = ghdl.analyse(core.interface, core.sources).run(x)
    np.testing.assert_array_equal(found, oracle.outputs(graph, x))


def test_a_count_takes_about_one_lut_a_bit():
    builder = Builder((BIT,) * 63)
    graph = builder.graph(
        builder.dense("out", "inputs", constant(np.ones((63, 1))), constant(np.zeros(1)))
    )
    assert sum(map(lut, to_logic(graph).ops)) < 66

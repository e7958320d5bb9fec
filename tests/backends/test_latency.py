"""A latency that is asked for: exactly so many clock cycles, with the same results."""

import numpy as np
import oracle
import pytest
from battery import PART
from random_graphs import events, random_graph, shares_kernels

from trigger.backends import rtl
from trigger.backends.rtl import ghdl, simulate
from trigger.errors import TriggerError
from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.types import Fixed

CLOCK_MHZ = 360


def options(cycles, language="verilog", name="core", shell=0):
    return rtl.RtlOptions(
        PART, CLOCK_MHZ, language, name, latency_cycles=cycles, shell_cycles=shell
    )


def scaled(weights, bias):
    builder = Builder((Fixed(True, 4, 3),))
    return builder.graph(
        builder.dense("out", "inputs", constant(np.array(weights)), constant(np.array(bias)))
    )


def graphs():
    """Wires, a constant, and networks with and without shared kernels."""
    shared = random_graph(11, operations=13)
    assert shares_kernels(shared)
    return [scaled([[1.0]], [0.0]), scaled([[0.0, 1.0]], [2.0, 0.0]), shared, random_graph(3)]


def test_exactly_so_many_clock_cycles(tmp_path):
    """With few more the operations move, with many more the results wait."""
    graphs_of, designs = [], []
    for graph in graphs():
        least = rtl.plan(graph, options(None)).core.interface.latency
        for more in (0, 1, 3, 40):
            name = f"p{len(designs)}"
            core = rtl.write(graph, tmp_path / name, options(least + more, name=name))
            assert core.interface.latency == least + more
            graphs_of.append(graph)
            designs.append(simulate.Design(core.interface, core.sources))
    simulations = simulate.compile_together(designs, tmp_path / "bench", "-O0")
    for graph, simulation in zip(graphs_of, simulations, strict=True):
        x = events(graph, 1, 100)
        np.testing.assert_array_equal(simulation.run(x), oracle.outputs(graph, x))


def test_vhdl(tmp_path):
    graph = random_graph(3)
    core = rtl.write(graph, tmp_path, options(25, "vhdl"))
    x = events(graph, 2, 50)
    found = ghdl.analyse(core.interface, core.sources).run(x)
    np.testing.assert_array_equal(found, oracle.outputs(graph, x))


def test_more_cycles_allow_a_higher_clock():
    graph = random_graph(3)
    least = rtl.plan(graph, options(None))
    relaxed = rtl.plan(graph, options(least.core.interface.latency + 3))
    assert relaxed.estimate["clock_mhz"] > least.estimate["clock_mhz"]


@pytest.mark.parametrize(
    ("shell", "parts"), [(0, ""), (3, ", {core} of the core and 3 of the shell")]
)
def test_too_few(shell, parts):
    graph = random_graph(3)
    core = rtl.plan(graph, options(None)).core.interface.latency
    assert rtl.plan(graph, options(core + shell, shell=shell)).core.interface.latency == core
    for cycles in (1, core + shell - 1):
        with pytest.raises(TriggerError) as caught:
            rtl.plan(graph, options(cycles, shell=shell))
        assert str(caught.value) == (
            f"rtl: latency_cycles = {cycles} is too short at 360 MHz: the least is "
            f"{core + shell}{parts.format(core=core)}; allow more cycles, use fewer bits, or lower "
            "clock_mhz, which makes the cycles longer"
        )


def test_too_many():
    with pytest.raises(TriggerError) as caught:
        rtl.plan(random_graph(3), options(1001))
    assert str(caught.value) == "rtl: latency_cycles must be at most 1000; got 1001"

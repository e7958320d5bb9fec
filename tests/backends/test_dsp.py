"""Products of two variables in DSP blocks: exact in both HDLs, between registers, and counted."""

import shutil

import numpy as np
import oracle
import pytest
from battery import PART
from kernel_graphs import mlp, particles
from random_graphs import events
from reloadable_graphs import GRAPHS as RELOADABLE

from trigger.backends import rtl
from trigger.backends.rtl import simulate
from trigger.errors import TriggerError
from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.types import Fixed
from trigger.spec.parts import part
from trigger.synthesis.netlist import Netlist
from trigger.synthesis.run import synthesise
from trigger.synthesis.tool import Job


def options(mhz=360, language="verilog", name="core", interval=1, multipliers="dsp", **others):
    return rtl.RtlOptions(
        others.pop("part", PART),
        mhz,
        language,
        name,
        interval=interval,
        multipliers=multipliers,
        **others,
    )


def products(*widths: tuple[int, int], signed=True) -> Graph:
    """A product of two inputs for each pair of widths, and a square; then the sum of the first and
    the last.
    """
    kinds = tuple(Fixed(signed, width, 2) for pair in widths for width in pair)
    builder = Builder(kinds)
    count = len(widths)
    first = builder.select("first", "inputs", np.array([*range(0, 2 * count, 2), 0]))
    second = builder.select("second", "inputs", np.array([*range(1, 2 * count, 2), 0]))
    both = builder.multiply("products", first, second)
    ends = builder.select("ends", both, np.array([0, count]))
    total = builder.dense("sum", ends, constant(np.ones((2, 1))), constant(np.zeros(1)))
    return builder.graph(builder.concatenate("all", (both, total)))


GRAPHS = {
    "signed": products((8, 9), (12, 18), (25, 18)),
    "unsigned": products((8, 7), (17, 24), signed=False),
    "wider than a block": products((19, 19), (8, 26)),
    "particles": particles(4),
    "mlp": mlp(shape=(4, 9, 4)),
}
# Two stages for a product.
FAST = {name: graph for name, graph in GRAPHS.items() if name != "wider than a block"}


@pytest.mark.parametrize(("mhz", "graphs"), [(360, GRAPHS), (500, FAST)])
def test_exact(mhz, graphs, tmp_path):
    """With pauses and stalls, with and without shared hardware."""
    designs, of = [], []
    for number, (kind, graph) in enumerate(graphs.items()):
        for interval in (1, 8):
            name = f"p{number}_{interval}"
            core = rtl.write(graph, tmp_path / name, options(mhz, name=name, interval=interval))
            assert core.estimate["dsp"] or (kind == "mlp" and interval == 1)
            designs.append(simulate.Design(core.interface, core.sources))
            of.append(graph)
    simulations = simulate.compile_together(designs, tmp_path / "bench", "-O0")
    for graph, simulation in zip(of, simulations, strict=True):
        x = events(graph, 0, 300)
        expected = oracle.outputs(graph, x)
        np.testing.assert_array_equal(simulation.run(x), expected)
        np.testing.assert_array_equal(simulation.run(x, stalls=True), expected)


def test_outputs_that_share_multipliers_share_dsp_blocks(tmp_path):
    """Few outputs, too: to choose their weights takes about as many LUTs as the additions take."""
    graph = mlp(shape=(4, 4))
    core = rtl.write(graph, tmp_path / "rtl", options(interval=3)).compile()
    assert core.estimate["dsp"] == 2 * 4
    x = events(graph, 0, 300)
    np.testing.assert_array_equal(core.run(x), oracle.outputs(graph, x))


@pytest.mark.parametrize(("mhz", "waits"), [(360, 1), (500, 2)])
def test_nothing_else_is_in_the_stage_of_a_product(mhz, waits):
    """Its operands come from registers, and its result waits in as many as the clock needs."""
    core = rtl.plan(GRAPHS["signed"], options(mhz)).core
    found = [block for block in core.blocks if block.dsp]
    assert len(found) == 1
    for place in found[0].dsp:
        assert all(found[0].logic.ops[i].opcode == -1 for i in found[0].logic.ops[place].addr)
        assert place in found[0].logic.out_idxs
    made = {wire.value for wire in found[0].outputs}
    readers = [b.stage for b in core.blocks if made & {wire.value for wire in b.inputs}]
    assert set(readers) == {found[0].stage + waits}


def test_what_is_in_a_block():
    """Products that take at least twenty LUTs; those wider than a block in parts."""

    def blocks(graph, **others):
        return rtl.plan(graph, options(**others)).estimate["dsp"]

    # The square of the first input takes three blocks for its two halves.
    assert blocks(products((25, 18), (3, 3))) == 1 + 3
    assert blocks(products((26, 18))) == 2 + 3
    assert blocks(products((25, 18)), multipliers="lut") == 0
    assert blocks(products((25, 18)), part="10AX115S2F45I1SG", mhz=100) == 1 + 3


def test_layers_get_the_blocks_that_are_allowed(tmp_path):
    """Those first in which a block saves most LUTs, each with all of its products."""
    builder = Builder(tuple(Fixed(True, width, 2) for width in (8, 8, 8, 5, 5, 5)))
    kinds = {"wide": (0, 1, 2), "narrow": (3, 4, 5)}
    for name, elements in kinds.items():
        for side in ("a", "b"):
            order = elements if side == "a" else elements[1:] + elements[:1]
            builder.select(f"{name}_{side}", "inputs", np.array(order))
    made = []
    for name in kinds:
        both = builder.multiply(name, f"{name}_a", f"{name}_b")
        weights = constant(np.ones((3, 1)))
        made.append(builder.dense(f"{name}_sum", both, weights, constant(np.zeros(1))))
    graph = builder.graph(builder.concatenate("all", made))
    for most, blocks in ((6, 6), (5, 3), (3, 3), (2, 0), (0, 0)):
        plan = rtl.plan(graph, options(multipliers="auto", dsp=most))
        assert plan.estimate["dsp"] == blocks, most


@pytest.mark.parametrize("language", ["verilog", "vhdl"])
@pytest.mark.parametrize("mhz", [360, 500])
def test_loaded_weights(language, mhz, tmp_path):
    """Each event is that of the weights in force; all products are in DSP blocks."""
    if language == "vhdl" and shutil.which("ghdl") is None:
        pytest.skip("ghdl is not installed")
    graph = RELOADABLE["dense"]
    core = rtl.write(graph, tmp_path / "rtl", options(mhz, language)).compile()
    assert core.estimate["dsp"] == 36
    x = events(graph, 0, 300 if language == "verilog" else 40)
    np.testing.assert_array_equal(core.run(x), oracle.outputs(graph, x))
    np.testing.assert_array_equal(core.with_stalls().run(x), oracle.outputs(graph, x))


def test_the_netlist_is_exact(tmp_path):
    """At an interval, too. Yosys counts the blocks, and keeps them apart from the logic around."""
    graph = GRAPHS["mlp"]
    core = rtl.write(graph, tmp_path / "rtl", options(interval=3))
    netlist = Netlist(core, PART).compile(tmp_path / "netlist")
    x = events(graph, 0, 300)
    np.testing.assert_array_equal(netlist.run(x), oracle.outputs(graph, x))
    job = Job(core, tmp_path, "Vitis", part(PART), 360)
    found = synthesise("yosys", job, tmp_path / "work")
    # Three copies of an output of the first layer, which has four inputs; the second is additions.
    assert found.dsp == core.estimate["dsp"] == 3 * 4


def test_an_open_part_takes_the_blocks_that_were_asked_for(tmp_path):
    """Products of fewer than twenty LUTs stay in logic there, too."""
    builder = Builder(tuple(Fixed(True, width, 2) for width in (8, 3, 8, 4)))
    first, second = (
        builder.select(name, "inputs", np.array(elements))
        for name, elements in (("first", (0, 1)), ("second", (2, 3)))
    )
    graph = builder.graph(builder.multiply("products", first, second))
    core = rtl.write(graph, tmp_path / "rtl", options(100))
    found = synthesise("ecp5", Job(core, tmp_path, "Vitis", part(PART), 100), tmp_path / "work")
    assert found.dsp == core.estimate["dsp"] == 1


@pytest.mark.parametrize("language", ["verilog", "vhdl"])
def test_vendor_tools_are_told(language, tmp_path):
    """Products in logic must not go into DSP blocks either, which Vivado would choose."""
    for multipliers, amd, intel in (("dsp", "yes", "dsp"), ("lut", "no", "logic")):
        graph = products((8, 9))
        core = rtl.write(
            graph, tmp_path / multipliers, options(360, language, "core", 1, multipliers)
        )
        text = next(p for p in core.sources if "cells" in p.name).read_text()
        cell = "core_dsp_product" if multipliers == "dsp" else "core_multiplier"
        if language == "verilog":
            attributes = f'(* use_dsp = "{amd}", multstyle = "{intel}" *)\nmodule {cell} #('
        else:
            attributes = (
                f"architecture rtl of {cell} is\n"
                "    attribute use_dsp : string;\n"
                f'    attribute use_dsp of rtl : architecture is "{amd}";\n'
                "    attribute multstyle : string;\n"
                f'    attribute multstyle of rtl : architecture is "{intel}";\n'
            )
        assert (
            text.count(attributes) == 1 and text.count("use_dsp of") + text.count("use_dsp =") == 1
        )


def _far(kind: str, width: int, integer: int) -> Graph:
    """A graph of two elements whose binary point is far from their bits."""
    builder = Builder((Fixed(False, width, integer),) * 2)
    first, second = (builder.select(name, "inputs", np.array([k])) for k, name in enumerate("ab"))
    match kind:
        case "input":
            out = "inputs"
        case "square":
            out = builder.multiply("out", first, first)
        case "product":
            out = builder.multiply("out", first, second)
        case "sum":
            out = builder.add("out", (first, second))
        case "dense":
            weights = constant(np.array([[3.0], [-5.0]]))
            out = builder.dense("out", "inputs", weights, constant(np.zeros(1)))
    return builder.graph(out)


@pytest.mark.parametrize("multipliers", ["lut", "dsp"])
@pytest.mark.parametrize(
    ("kind", "width", "integer", "node"),
    [
        ("square", 22, -66, "out"),
        ("product", 22, -66, "out"),
        ("product", 8, -120, "inputs"),
        ("product", 8, 100, "out"),
        ("sum", 8, -119, "inputs"),
        ("sum", 8, 126, "out"),
        ("sum", 8, 140, "inputs"),
        ("dense", 22, -104, "out"),  # its sums have finer steps than itself
        ("input", 8, 140, "inputs"),
    ],
)
def test_binary_points_that_alkaid_does_not_hold(kind, width, integer, node, multipliers):
    with pytest.raises(TriggerError) as error:
        rtl.plan(_far(kind, width, integer), options(multipliers=multipliers))
    assert str(error.value) == (
        f"{node}: alkaid loses bits of its constants or intervals, so there is no exact logic; use "
        "fewer bits, or closer binary points"
    )


def test_the_farthest_binary_points(tmp_path):
    far = [("square", 22, -41), ("product", 8, 62), ("sum", 8, 125), ("dense", 22, -102)]
    graphs = [_far(*one) for one in far for _ in range(2)]
    designs = []
    for number, graph in enumerate(graphs):
        multipliers = ("lut", "dsp")[number % 2]
        own = options(name=f"far{number}", multipliers=multipliers)
        core = rtl.write(graph, tmp_path / str(number), own)
        designs.append(simulate.Design(core.interface, core.sources))
    simulations = simulate.compile_together(designs, tmp_path / "bench", "-O0")
    for graph, simulation in zip(graphs, simulations, strict=True):
        x = events(graph, 0, 100)
        np.testing.assert_array_equal(simulation.run(x), oracle.outputs(graph, x))


def test_bad_options():
    with pytest.raises(TriggerError) as error:
        rtl.plan(GRAPHS["signed"], options(multipliers="fast"))
    assert str(error.value) == "rtl: no multipliers 'fast'; available: lut, dsp, auto"

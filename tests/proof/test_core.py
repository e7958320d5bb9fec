"""The proof of cores: RTL as it is emitted is proven; with a fault in it, it is not."""

import re
from dataclasses import replace
from tempfile import gettempdir

import numpy as np
import pytest
from corner_graphs import integers
from kernel_graphs import convolution, deep_sets, kernel, relu
from random_graphs import events
from reloadable_graphs import dense as reloadable

from trigger.backends.rtl import write
from trigger.backends.rtl.planning import RtlOptions
from trigger.backends.rtl.verilator import RtlFailed
from trigger.errors import TriggerError
from trigger.fixedpoint import evaluate
from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.passes import PASSES
from trigger.fixedpoint.types import Fixed, Overflow, Rounding
from trigger.proof.core import CELLS, prove
from trigger.synthesis.tool import ToolFailed

PART = "xcvu9p-flgb2104-2-e"
EVERYTHING = "the RTL equals the graph for every possible input"


def mlp() -> Graph:
    """Two dense layers, and accept bits."""
    builder = Builder((Fixed(True, 7, 3),) * 4)
    hidden = relu(builder, "relu", kernel(builder, "hidden", builder.last, 4, 6, 1))
    scores = kernel(builder, "scores", hidden, 6, 3, 1)
    return builder.graph(builder.threshold("accept", scores, np.array([0, 2]), np.array([40, -3])))


def quantizers() -> Graph:
    """Every rounding with every overflow, of a sum of three inputs."""
    builder = Builder((Fixed(True, 6, 3),) * 3)
    summed = builder.dense("sum", "inputs", integers([5], [-3], [2]), integers(1))
    names = tuple(
        builder.quantize(f"{rounding.name}_{overflow.name}", summed, (Fixed(True, 5, 5),), rounding, overflow)
        for rounding in Rounding
        for overflow in Overflow
    )  # fmt: skip
    return builder.graph(builder.concatenate("out", names))


def wide() -> Graph:
    """Inputs of 16 bits and sums of 36, which no table holds."""
    builder = Builder((Fixed(True, 16, 6),) * 3)
    weights = constant(
        np.array([[0.123, -1.7, 3.3], [2.11, 0.013, -0.71], [-0.9, 1.37, 0.29]]).round(4)
        * 16
        // 0.001
        / 1024
    )
    summed = builder.dense("sum", "inputs", weights, integers(3, -5, 7))
    small = (Fixed(False, 10, 6),) * 3
    return builder.graph(builder.quantize("out", summed, small, Rounding.RND, Overflow.SAT))


def functions() -> Graph:
    """Clips, slopes, staircases, tables and extrema, with what joins them."""
    builder = Builder((Fixed(True, 5, 3), Fixed(True, 4, 4), Fixed(False, 5, 2)))
    clipped = builder.clip("clipped", "inputs", -1.0, 2.0)
    leaky = builder.leaky_relu("leaky", "inputs", 2)
    both = builder.concatenate("both", (clipped, leaky))
    most = builder.maximum("most", both, np.array([[0, 1, 5], [2, 3, 4]]))
    least = builder.minimum("least", both, np.array([[0, 4], [5, 2]]))
    added = builder.add("added", (least, most), (1, -1))
    steps = builder.steps(
        "steps", "inputs", integers(-3, 0, 1, 9, fraction=1), integers(0, 4, 5, 7, 9)
    )
    byte = builder.quantize(
        "byte", added, (Fixed(False, 6, 4),) * 2, Rounding.RND_CONV, Overflow.SAT
    )
    levels = constant(np.random.default_rng(1).integers(-30, 31, 64))
    looked_up = builder.lookup("looked_up", byte, 0, levels)
    turned = builder.select("turned", steps, np.array([2, 0, -1]))
    return builder.graph(builder.concatenate("out", (looked_up, turned)))


def neurons() -> Graph:
    """Thermometer bits, tables of four of them, and how many of these are 1."""
    rng = np.random.default_rng(2)
    builder = Builder((Fixed(True, 6, 6),) * 4)
    elements = np.repeat(np.arange(4), 4)
    bounds = np.tile([-12, -3, 4, 20], 4)
    bits = builder.threshold("bits", "inputs", elements, bounds)
    read = np.array([rng.choice(16, 4, replace=False) for _ in range(14)])
    levels = constant(rng.integers(0, 2, (14, 16)))
    tables = builder.truth_table("tables", bits, read, levels)
    ones = constant(np.repeat(np.eye(2), 7, axis=0))
    return builder.graph(builder.dense("counts", tables, ones, integers(0, 0)))


GRAPHS = {
    own.__name__: own for own in (mlp, quantizers, wide, functions, neurons, deep_sets, convolution)
}


def rtl_of(graph: Graph, folder, **options):
    return write(graph, folder / "rtl", RtlOptions(PART, 250, project_name="core", **options))


@pytest.mark.parametrize("name", GRAPHS)
def test_rtl_is_proven(tmp_path, name):
    graph = GRAPHS[name](4) if name == "convolution" else GRAPHS[name]()
    proof = prove(rtl_of(graph, tmp_path), tmp_path / "work")
    assert str(proof) == EVERYTHING
    assert proof.passes == dict.fromkeys(PASSES, True)
    assert all(found.found == found.elements > 0 for found in proof.nodes.values())
    assert list(proof.nodes) == [node.name for node in graph.nodes]


def test_products_in_dsp_blocks_are_proven(tmp_path):
    builder = Builder((Fixed(True, 12, 6), Fixed(False, 11, 4)))
    turned = builder.select("turned", "inputs", np.array([1, 0]))
    graph = builder.graph(builder.multiply("product", "inputs", turned))
    rtl = rtl_of(graph, tmp_path, multipliers="dsp")
    assert rtl.estimate["dsp"] > 0
    assert prove(rtl, tmp_path / "work").complete


def test_tables_of_wide_levels_are_proven(tmp_path):
    """Their Verilog leaves the default open, which never comes."""
    builder = Builder((Fixed(False, 2, 2),))
    levels = constant(np.array([9_000_001, -16_065_537, 3, 12_345]))
    table = builder.lookup("table", "inputs", 0, levels)
    leaky = builder.leaky_relu("leaky", table, 3)
    graph = builder.graph(builder.threshold("accept", leaky, np.array([0]), np.array([25])))
    assert prove(rtl_of(graph, tmp_path), tmp_path / "work").complete


# The number that a fault changes in a line of logic, or in a register, and what it becomes.
FAULTS = {
    "a shift": (r"shift_adder #\(\d+,\d+,\d,\d,\d+,\d+,(-?\d)", lambda n: str(int(n) + 1)),
    "a sign": (r"shift_adder #\(\d+,\d+,\d,\d,\d+,\d+,-?\d,(\d)\)", lambda n: str(1 - int(n))),
    "a constant": (r"'b[01]*([01]),", lambda n: str(1 - int(n))),
    "an operand": (r"op_\d+ \(v(\d+)\[", lambda n: str(max(int(n) - 1, 0))),
}


@pytest.mark.parametrize("name", FAULTS)
def test_rtl_with_a_fault_is_not_proven(tmp_path, name):
    """Where the simulation shows a fault, nothing is proven of that output; where the logic is the same, all is."""
    pattern, change = FAULTS[name]
    graph = mlp()
    rtl = rtl_of(graph, tmp_path)
    core = rtl.directory / "src" / "core.v"
    text = core.read_text()
    x = events(graph, 0, 2000)
    expected = evaluate.run(graph, x)
    places = list(re.finditer(pattern, text))
    shown = 0
    for place in places[:: max(len(places) // 2, 1)]:
        core.write_text(text[: place.start(1)] + change(place[1]) + text[place.end(1) :])
        try:
            right = (rtl.compile().run(x) == expected).all(axis=0)
        except RtlFailed:  # it is no Verilog any more
            continue
        proven = np.array(prove(rtl, tmp_path / "work").outputs)
        assert not (proven & ~right).any(), place[0]
        shown += not right.all()
    assert shown


def test_a_missing_register_is_found(tmp_path):
    """Values of different events would meet, which no function of one event shows."""
    rtl = rtl_of(mlp(), tmp_path)
    core = rtl.directory / "src" / "core.v"
    text = core.read_text()
    register = re.search(r"    (r1_v\d+) <= (s0_v\d+\[.*\]);\n", text)
    text = text.replace(register[0], "")
    text = re.sub(rf"reg (\[\d+:0\] {register[1]});", rf"wire \1 = {register[2]};", text)
    core.write_text(text)
    proof = prove(rtl, tmp_path / "work")
    assert str(proof) == (
        "0 of 2 outputs are proven equal to the graph for every possible input: values of 1 and 2 "
        "clock edges after the inputs meet in one cell"
    )


def test_a_net_without_a_driver_is_found(tmp_path):
    rtl = rtl_of(mlp(), tmp_path)
    core = rtl.directory / "src" / "core.v"
    core.write_text(re.sub(r"    r1_v\d+ <= s0_v\d+\[.*\];\n", "", core.read_text(), count=1))
    proof = prove(rtl, tmp_path / "work")
    assert proof.why == "a cell ($sshl) reads a net that nothing drives"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("assign y[0] = ~x[0];", "two cells drive one net"),
        ("assign x[0] = 1'b0;", "a net has an input and something else that drives it"),
        ("assign x[1] = x[0];", "a net has an input and something else that drives it"),
        ("reg held; always @* if (x[0]) held = x[1]; assign y[0] = held;", "$dlatch"),
        ("reg m[0:1]; always @(posedge clk) m[x[0]] <= x[1]; assign y[0] = m[x[2]];", "$memrd"),
    ],
)
def test_hardware_that_is_no_function_is_found(tmp_path, line, why):
    """Other hardware in the place of the first output, or beside the inputs."""
    rtl = rtl_of(mlp(), tmp_path)
    core = rtl.directory / "src" / "core.v"
    text = core.read_text()
    if why.startswith("$"):
        text = text.replace("assign y = ", "assign y[1] = x[0]; wire [1:0] before = ")
    core.write_text(text.replace("endmodule", f"{line}\nendmodule", 1))
    proof = prove(rtl, tmp_path / "work")
    assert proof.why == why
    assert not any(proof.outputs)


def test_another_latency_is_found(tmp_path):
    rtl = rtl_of(mlp(), tmp_path)
    proof = prove(replace(rtl, interface=rtl.interface._replace(latency=9)), tmp_path / "work")
    own = rtl.interface.latency
    assert proof.why == f"the outputs come {own} clock edges after the inputs, and 9 are promised"


@pytest.mark.parametrize(
    ("options", "graph", "why"),
    [
        ({"language": "vhdl"}, mlp, "the proof reads Verilog, and this RTL is VHDL"),
        ({}, reloadable, "the weights are loaded, and so are no constants"),
        (
            {"interval": 4},
            lambda: convolution(6),
            "positions or products of this core share hardware, one after the other",
        ),
    ],
)
def test_what_is_not_read_is_said(tmp_path, options, graph, why):
    rtl = rtl_of(graph(), tmp_path, **options)
    proof = prove(rtl, tmp_path / "work")
    assert proof.why == why
    assert not any(proof.outputs)
    assert proof.passes == dict.fromkeys(PASSES, True)


def test_large_tables_end_the_proof(tmp_path):
    proof = prove(rtl_of(mlp(), tmp_path), tmp_path / "work", effort=1000)
    assert proof.why == "the tables of the proof are too large"
    assert not proof.complete


def test_a_netlist_that_a_full_disk_cut(tmp_path, monkeypatch):
    """Yosys ends without an error; the build must stop, not count the core as unproven."""

    def cut(script, work, timeout_s):
        (work / CELLS).write_text('{"modules": {')

    monkeypatch.setattr("trigger.proof.core.run_script", cut)
    with pytest.raises(TriggerError) as error:
        prove(rtl_of(mlp(), tmp_path), tmp_path / "work")
    assert not isinstance(error.value, ToolFailed)
    assert str(error.value) == (
        f"proof: Yosys wrote only a part of the netlist; is the disk of {gettempdir()} full? "
        "Free some space, and repeat the command"
    )

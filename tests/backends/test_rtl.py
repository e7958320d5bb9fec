"""The RTL project: options, port map, names, latency, VHDL; and that a single wrong constant in it
is caught.

That every quantiser and layer is exact in RTL is the battery's business.
"""

import re
import shutil

import keras
import numpy as np
import pytest
from battery import PART, around, prepare, randomize
from qkeras import QActivation, QDense
from random_networks import random_network

import trigger
from trigger import TriggerError
from trigger.backends import rtl
from trigger.backends.rtl import planning, simulate
from trigger.backends.rtl.logic import weights
from trigger.fixedpoint import evaluate
from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import Constant
from trigger.fixedpoint.passes import optimize
from trigger.fixedpoint.types import Fixed, Overflow, Rounding
from trigger.frontends.qkeras.lowering import lower

W = "quantized_bits(5,1,alpha=1)"


@pytest.fixture(scope="module")
def network():
    return prepare(around(QActivation("quantized_relu(4,1)", name="relu"), 8))


@pytest.fixture(scope="module")
def project(network, tmp_path_factory):
    options = rtl.RtlOptions(PART, 360, project_name="net", outputs=("low", "middle", "high"))
    return rtl.write(network.graph, tmp_path_factory.mktemp("rtl"), options).compile()


def test_python_interface(network, tmp_path):
    graph = trigger.lower(network.model)
    # In a folder whose name means something else to Verilator, g++ and the shell.
    strange = tmp_path / "a é'\"b \\ $(x) [y] {z `w`"
    # Of the name of one of its own signals.
    compiled = graph.to_rtl(strange, clock_mhz=200, project_name="valid").compile()
    x = network.x[:500]
    verdict = trigger.verify(network.model, [graph, compiled, compiled.with_stalls()], x)
    assert verdict, verdict
    assert str(verdict) == (
        "graph: 500 events, equal\nRTL (Verilog): 500 events, equal\nRTL (Verilog), "
        "with stalls: 500 events, equal\n"
        "trained network (float32): 500 events, equal"
    )
    np.testing.assert_array_equal(compiled.predict(x), graph.predict(x))


def test_the_pipeline_follows_the_clock(network, tmp_path):
    stages = [
        rtl.write(network.graph, tmp_path / str(mhz), rtl.RtlOptions(PART, mhz)).interface.latency
        for mhz in (50, 200, 400)
    ]
    assert stages[0] == 2
    assert stages == sorted(set(stages))
    slow = rtl.write(network.graph, tmp_path / "slow", rtl.RtlOptions("xc7a100tcsg324-1", 200))
    assert slow.interface.latency > stages[1]
    assert slow.estimate["clock_mhz"] >= 200


def test_narrower_types_need_no_more_logic():
    """A narrower type is proven to hold its values: nothing is made to saturate into it."""
    graph = lower(random_network(2, widest=10))
    found = planning.lut_by_passes(graph)
    planned = rtl.plan(graph, rtl.RtlOptions(PART, 240))
    assert planning.lut_by_passes(graph, planned.estimate["lut"]) == found
    assert found["with all"] <= found["without range narrowing"] == found["without any"]


def test_a_network_that_answers_the_same_for_every_event():
    w = {"kernel_quantizer": "quantized_bits(4,1,alpha=1)"}
    inputs = keras.Input((3,))
    x = QActivation("quantized_relu(4,2)")(QDense(4, **w)(inputs))
    model = keras.Model(inputs, QDense(1, **w)(x))
    model.set_weights([np.zeros(weights.shape) for weights in model.get_weights()])
    assert set(planning.lut_by_passes(lower(model, "fixed<6,3>")).values()) == {0}


def test_progress_counts_weights(network, tmp_path):
    finished = []
    rtl.write(network.graph, tmp_path, rtl.RtlOptions(PART, 200), finished.append)
    assert len(finished) == 4  # in two steps a layer
    assert min(finished) > 0
    assert sum(finished) == weights(optimize(network.graph)) > 50


def test_port_map(project):
    page = (project.directory / "ports.md").read_text()
    assert "| 1 | 15:8 | `fixed<8,4>` |" in page
    middle = project.interface.outputs[1]
    assert f"| middle | {middle.high}:{middle.low} | `{middle.type}` |" in page
    assert (
        f"Latency {project.interface.latency} "
        f"cycles,\n{project.interface.latency * 1000 / 360:.1f} ns at 360 MHz" in page
    )
    assert "create_clock -name clk -period 2.7778" in (project.directory / "clock.xdc").read_text()
    assert PART in (project.directory / "vivado.tcl").read_text()


def test_quartus_project(network, tmp_path):
    rtl.write(network.graph, tmp_path, rtl.RtlOptions("Arria10", 200))
    assert 'set_global_assignment -name FAMILY "Arria 10"' in (tmp_path / "quartus.tcl").read_text()
    assert not (tmp_path / "vivado.tcl").exists()


def test_the_same_graph_gives_the_same_bytes(network, tmp_path):
    for folder in ("a", "b"):
        rtl.write(network.graph, tmp_path / folder, rtl.RtlOptions(PART, 240))
    first, second = (
        {
            path.relative_to(tmp_path / folder).as_posix(): path.read_bytes()
            for path in (tmp_path / folder).rglob("*")
            if path.is_file()
        }
        for folder in ("a", "b")
    )
    assert "rtl.json" in first
    assert first == second


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            rtl.RtlOptions(PART, 240, "chisel"),
            "rtl: no language 'chisel'; available: verilog, vhdl",
        ),
        (rtl.RtlOptions("xcvu13p", 240), "no part 'xcvu13p'; did you mean"),
        (rtl.RtlOptions(PART, 0), "rtl: clock_mhz must be above 0 and below 2000; got 0"),
        (rtl.RtlOptions(PART, 240, project_name="a b"), "rtl: 'a b' cannot name a C++ function"),
        (rtl.RtlOptions(PART, 900), "one operation takes"),
    ],
)
def test_options_that_cannot_be_met(network, tmp_path, options, message):
    with pytest.raises(TriggerError, match=re.escape(message)):
        rtl.write(network.graph, tmp_path, options)


def test_names_that_hardware_languages_reserve(network, tmp_path):
    project = rtl.write(network.graph, tmp_path, rtl.RtlOptions(PART, 240, project_name="small"))
    assert project.interface.name == "small_core"
    stalls, x = project.with_stalls(), network.integers[:200]
    assert project.compile() is project
    for compiled in (project, stalls):
        np.testing.assert_array_equal(compiled.run(x), network.expected[:200])


def test_nothing_to_run_before_compiling(network, tmp_path):
    project = rtl.write(network.graph, tmp_path / "net", rtl.RtlOptions(PART, 240))
    with pytest.raises(rtl.RtlFailed) as error:
        project.run(network.integers)
    assert str(error.value) == "rtl: network is not compiled; call compile() first"
    with pytest.raises(rtl.RtlFailed) as error:
        rtl.open_project(tmp_path, network.graph)
    assert str(error.value) == f"rtl: {tmp_path} holds no RTL project"
    (tmp_path / "net" / "rtl.json").write_text("{")
    with pytest.raises(rtl.RtlFailed, match=r"rtl\.json: damaged: "):
        rtl.open_project(tmp_path / "net", network.graph)


def test_nothing_is_compiled_twice(project):
    before = project.simulation.library.stat().st_mtime_ns
    assert project.compile().simulation.library.stat().st_mtime_ns == before


def test_a_broken_promise_of_latency_is_caught(network, project):
    wrong = project.simulation._replace(
        design=project.simulation.design._replace(
            interface=project.interface._replace(latency=project.interface.latency + 1)
        )
    )
    promised = project.interface.latency + 1
    with pytest.raises(rtl.RtlFailed) as error:
        wrong.run(network.integers[:300])
    found = project.interface.latency
    assert (
        str(error.value)
        == f"rtl: net took {found} to {found} clock cycles; {promised} were promised"
    )


def test_broken_verilog_is_named(network, tmp_path):
    project = rtl.write(network.graph, tmp_path, rtl.RtlOptions(PART, 240))
    path = project.sources[-1]
    path.write_text(path.read_text().replace("endmodule", "", 1))
    with pytest.raises(rtl.RtlFailed, match=r"^rtl: verilator: %Error"):
        project.compile()


def test_single_faults_in_constants_are_caught(network, project, tmp_path):
    """Every added constant with its lowest bit flipped, all compiled as one: each must change what
    the vectors give.
    """
    top = project.sources[-1].read_text()
    constants = list(re.finditer(r"(?<=\()v\d+\[\d+:0\],(\d+)'b([01]+)(?=,)", top))
    assert len(constants) >= 5
    designs = []
    for k, match in enumerate(constants):
        folder = tmp_path / f"f{k}"
        shutil.copytree(project.directory / "src", folder)
        place = match.end(2) - 1
        faulty = top[:place] + "10"[int(top[place])] + top[place + 1 :]
        sources = []
        for source in project.sources:
            text = faulty if source == project.sources[-1] else source.read_text()
            (folder / source.name).write_text(re.sub(r"\bnet(?=\b|_)", f"f{k}", text))
            sources.append(folder / source.name)
        designs.append(simulate.Design(project.interface._replace(name=f"f{k}"), tuple(sources)))
    simulations = simulate.compile_together(designs, tmp_path / "bench", "-O0")
    caught = [bool((s.run(network.integers) != network.expected).any()) for s in simulations]
    assert all(caught), f"{caught.count(False)} of {len(caught)} faults change nothing"


def wide_graph() -> Graph:
    """Weights, biases and a rounding constant wider than what alkaid holds: 26, 40 and 33 bits."""
    rng = np.random.default_rng(3)
    builder = Builder((Fixed(True, 8, 2),) * 3)
    weights = Constant(rng.integers(-(2**25), 2**25, size=(3, 4)), Fixed(True, 26, 1))
    bias = Constant(rng.integers(-(2**39), 2**39, size=4), Fixed(True, 40, 2))
    builder.dense("wide", "inputs", weights, bias)
    scale = Constant(rng.integers(-(2**11), 2**11, size=4), Fixed(True, 12, 2))
    builder.quantize("first", "wide", (Fixed(True, 30, 4),) * 4, Rounding.RND_CONV, Overflow.SAT)
    builder.affine("scaled", "first", scale, constant(rng.integers(-9, 9, size=4) * 2.0**-30))
    builder.quantize(
        "last", "scaled", (Fixed(True, 20, 3),) * 4, Rounding.RND_INF, Overflow.SAT_SYM
    )
    return builder.graph("last")


def test_constants_wider_than_alkaid_holds(tmp_path):
    graph = wide_graph()
    x = np.random.default_rng(0).integers(-128, 128, size=(5000, 3))
    project = rtl.write(graph, tmp_path, rtl.RtlOptions(PART, 100)).compile()
    np.testing.assert_array_equal(project.run(x), evaluate.run(graph, x))


def test_roundings_of_narrow_ranges(tmp_path):
    """Sums that reach only one, two or three steps of the type they are rounded to, ties at their
    ends included.
    """
    designs, graphs = [], []
    for rounding in Rounding:
        builder = Builder((Fixed(True, 5, 3),))
        weights, bias = np.meshgrid([-3, -1, 1, 2, 5], np.arange(-17, 18))
        weights = Constant(weights.reshape(1, -1), Fixed(True, 4, 1))
        builder.dense("sum", "inputs", weights, constant(bias.ravel() / 8))
        kind = Fixed(True, 5, 5)
        builder.quantize("rounded", "sum", (kind,) * weights.values.size, rounding, Overflow.SAT)
        graphs.append(builder.graph("rounded"))
        options = rtl.RtlOptions(PART, 100, project_name=rounding.lower())
        project = rtl.write(graphs[-1], tmp_path / rounding, options)
        designs.append(simulate.Design(project.interface, project.sources))
    x = np.arange(-16, 16)[:, None]
    for graph, simulation in zip(
        graphs, simulate.compile_together(designs, tmp_path / "bench", "-O0"), strict=True
    ):
        np.testing.assert_array_equal(simulation.run(x), evaluate.run(graph, x))


def test_layers_whose_names_vhdl_would_confuse(tmp_path):
    x = inputs = keras.Input((4,))
    x = QActivation("quantized_bits(6,2,alpha=1)")(x)
    for name in ("Layer", "layer_", "layer__"):
        x = QDense(3, kernel_quantizer=W, bias_quantizer=W, name=name)(x)
        x = QActivation("quantized_relu(4,1)")(x)
    network = prepare(randomize(keras.Model(inputs, x), 2))
    project = rtl.write(network.graph, tmp_path, rtl.RtlOptions(PART, 240, "vhdl"))
    modules = re.findall(r"^entity (\w+) is", project.sources[-1].read_text(), re.MULTILINE)
    assert len({m.lower() for m in modules}) == len(modules)
    assert not [m for m in modules if "__" in m or m.endswith("_")]


needs_ghdl = pytest.mark.skipif(shutil.which("ghdl") is None, reason="GHDL is not installed")


@needs_ghdl
def test_vhdl_equals_keras(network, tmp_path):
    project = rtl.write(network.graph, tmp_path, rtl.RtlOptions(PART, 360, "vhdl")).compile()
    x, expected = network.integers[-600:], network.expected[-600:]
    np.testing.assert_array_equal(project.run(x), expected)
    np.testing.assert_array_equal(project.with_stalls().run(x), expected)
    assert project.with_stalls().label == "RTL (VHDL), with stalls"


@needs_ghdl
@pytest.mark.parametrize(
    "activation",
    ["quantized_sigmoid(5,use_real_sigmoid=1)", "quantized_bits(5,1,symmetric=1,alpha=1)"],
)
def test_vhdl_tables_and_signs(activation, tmp_path):
    network = prepare(around(QActivation(activation), 8))
    project = rtl.write(network.graph, tmp_path, rtl.RtlOptions(PART, 240, "vhdl")).compile()
    np.testing.assert_array_equal(project.run(network.integers[-400:]), network.expected[-400:])


def test_vhdl_without_ghdl(network, tmp_path, monkeypatch):
    project = rtl.write(network.graph, tmp_path, rtl.RtlOptions(PART, 240, "vhdl"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(rtl.RtlFailed) as error:
        project.compile()
    assert (
        str(error.value) == "rtl: no ghdl on PATH; install it (Debian and Ubuntu: apt install ghdl)"
    )

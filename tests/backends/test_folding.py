"""Positions that share hardware: exact at every interval, with pauses and resets, and smaller."""

import re

import numpy as np
import oracle
import pytest
from battery import PART
from corner_graphs import integers
from kernel_graphs import GRAPHS, mlp, particles
from random_graphs import events, random_graph

import trigger
from trigger.backends import rtl
from trigger.backends.rtl import ghdl, simulate
from trigger.errors import TriggerError
from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.types import Fixed, Overflow, Rounding

INTERVALS = (2, 3, 8)
SEEDS = (44, 51, 53, 149, 155, 234, 258, 269)


def options(interval, name="core", language="verilog", mhz=360, latency=None):
    return rtl.RtlOptions(PART, mhz, language, name, latency_cycles=latency, interval=interval)


def steps() -> Graph:
    """A recurrent layer: the same table at positions that read each other, which cannot share."""
    builder = Builder((Fixed(True, 4, 2),) * 4)
    levels = constant(np.random.default_rng(1).integers(-8, 8, 16))
    state = builder.select("first", "inputs", np.array([0]))
    for k in range(1, 4):
        now = builder.select(f"x{k}", "inputs", np.array([k]))
        both = builder.add(f"sum{k}", [state, now])
        narrow = (Fixed(True, 4, 2),)
        both = builder.quantize(f"narrow{k}", both, narrow, Rounding.TRN, Overflow.WRAP)
        state = builder.lookup(f"table{k}", both, -8, levels)
        state = builder.quantize(f"state{k}", state, narrow, Rounding.TRN, Overflow.WRAP)
    return builder.graph(state)


OWN = {
    "particles": particles(),
    "five particles": particles(5, layers=1),
    "steps": steps(),
    "mlp": mlp(),
}


def simulated(graphs, tmp_path, mhz):
    """The simulation of each graph at each interval, all in one library."""
    designs, of = [], []
    for number, graph in enumerate(graphs):
        for interval in INTERVALS:
            name = f"f{number}_{interval}"
            core = rtl.write(graph, tmp_path / name, options(interval, name, mhz=mhz))
            assert core.interface.interval == interval
            designs.append(simulate.Design(core.interface, core.sources))
            of.append(graph)
    return list(zip(of, simulate.compile_together(designs, tmp_path / "bench", "-O0"), strict=True))


@pytest.mark.parametrize(("mhz", "graphs"), [(500, {**GRAPHS, **OWN}), (100, OWN)])
def test_every_interval(mhz, graphs, tmp_path):
    for graph, simulation in simulated(graphs.values(), tmp_path, mhz):
        x = events(graph, 0, 400)
        expected = oracle.outputs(graph, x)
        np.testing.assert_array_equal(simulation.run(x), expected)
        np.testing.assert_array_equal(simulation.run(x, stalls=True), expected)


def test_random_graphs(tmp_path):
    """Graphs of which a part is folded at the largest interval."""
    graphs = [random_graph(seed, operations=13) for seed in SEEDS]
    assert all(rtl.plan(graph, options(INTERVALS[-1], mhz=200)).core.choices for graph in graphs)
    for graph, simulation in simulated(graphs, tmp_path, 200):
        x = events(graph, 1, 100)
        np.testing.assert_array_equal(simulation.run(x, stalls=True), oracle.outputs(graph, x))


def test_vhdl(tmp_path):
    for name, graph in {**GRAPHS, **OWN}.items():
        core = rtl.write(graph, tmp_path / name, options(4, language="vhdl"))
        x = events(graph, 0, 60)
        simulation = ghdl.analyse(core.interface, core.sources)
        expected = oracle.outputs(graph, x)
        np.testing.assert_array_equal(simulation.run(x), expected, name)
        np.testing.assert_array_equal(simulation.run(x, stalls=True), expected, name)


def test_consecutive_layers_of_a_position_are_one_kernel(tmp_path):
    """Rounding, both layers and the product are one kernel, of one copy; the sum is not shared."""
    core = rtl.write(OWN["particles"], tmp_path, options(6)).sources[-1].read_text()
    assert len(re.findall(r"^core_k0_rounded core_\w+ \($", core, re.MULTILINE)) == 1
    assert set(re.findall(r"^module core_k\d_(\w+)", core, re.MULTILINE)) == {"rounded", "sum"}
    assert len(re.findall(r"^core_k1_sum core_\w+ \($", core, re.MULTILINE)) == 2


def test_it_saves_luts_and_costs_cycles():
    """At most as many cycles more as the interval for each of the two kernels."""
    graph = particles(8)
    plans = {interval: rtl.plan(graph, options(interval)) for interval in (1, 2, 4, 8)}
    luts = [plan.estimate["lut"] for plan in plans.values()]
    assert luts == sorted(luts, reverse=True) and luts[-1] < 0.45 * luts[0]
    per_particle = [
        sum(plan.estimate["layers"].get(name, 0) for name in ("dense0", "dense1"))
        for plan in plans.values()
    ]
    assert per_particle[-1] < 0.2 * per_particle[0]
    cycles = {interval: plan.core.interface.latency for interval, plan in plans.items()}
    assert all(cycles[interval] <= cycles[1] + 2 * interval for interval in (2, 4, 8))


def test_outputs_of_a_dense_layer_share_multipliers():
    """Where additions of shifted values, of all outputs at once, are not smaller."""
    luts = {
        (kept, interval): rtl.plan(mlp(kept=kept), options(interval)).estimate["lut"]
        for kept, interval in ((1.0, 1), (1.0, 2), (1.0, 8), (0.2, 1), (0.2, 8))
    }
    assert luts[1.0, 2] == luts[1.0, 1] and luts[1.0, 8] < 0.75 * luts[1.0, 1]
    assert luts[0.2, 8] == luts[0.2, 1]


def test_what_was_weighed_is_said():
    """Layers that share, that would save too little, and whose products take too long."""

    def weighed(graph, interval, mhz=360):
        plan = rtl.plan(graph, options(interval, mhz=mhz))
        return plan.estimate["lut"], {one.layers: one for one in plan.weighed}

    alone, none = weighed(mlp(), 1)
    assert none == {}
    luts, found = weighed(mlp(), 8)
    taken = [one for one in found.values() if one.taken]
    assert {one.layers[0] for one in taken} <= {"dense0", "dense1"} and taken
    saved = sum(one.alone - one.shared for one in taken)
    assert abs(alone - luts - saved) < 0.1 * alone
    _, few = weighed(mlp(kept=0.2), 8)
    assert few and not any(one.taken or one.slow for one in few.values())
    assert all(one.shared >= 0.75 * one.alone for one in few.values())
    _, fast = weighed(mlp(bits=8), 8, mhz=560)
    assert any(one.slow and not one.taken for one in fast.values())


def test_sums_that_may_be_too_wide_stay():
    """Each product fits, but with any weight of the others the sum would not."""
    builder = Builder((Fixed(True, 26, 2),) * 2)
    weights = constant(np.array([[2.0**25, 1.0], [1.0, 2.0**25]]) / 2**25)
    graph = builder.graph(builder.dense("out", "inputs", weights, constant(np.zeros(2))))
    plans = [rtl.plan(graph, options(interval)) for interval in (1, 2)]
    assert plans[0].estimate == plans[1].estimate and not plans[1].core.choices


@pytest.mark.parametrize("weights", [[[1.0, 1.0]], [[2.0, 2.0]], [[1.0, 0.0]], [[0.0, 0.0]]])
@pytest.mark.parametrize("bias", [[0.0, 0.0], [1.0, 1.0], [0.0, 2.0]])
def test_dense_layers_of_wires_and_constants(weights, bias):
    builder = Builder((Fixed(True, 4, 2),))
    layer = constant(np.array(weights)), constant(np.array(bias))
    graph = builder.graph(builder.dense("out", "inputs", *layer))
    plans = [rtl.plan(graph, options(interval)) for interval in (1, 2)]
    assert plans[0].estimate == plans[1].estimate and not plans[1].core.choices


def test_what_saves_nothing_stays():
    """A comparison is smaller than the multiplexers in front of a shared one."""
    builder = Builder((Fixed(False, 6, 6),) * 8)
    graph = builder.graph(builder.affine("shift", "inputs", integers(*[4] * 8), integers(*[0] * 8)))
    both = [rtl.plan(graph, options(interval)) for interval in (1, 8)]
    assert [plan.core.choices for plan in both] == [(), ()]
    assert both[0].estimate == both[1].estimate


@pytest.mark.parametrize(
    ("mhz", "copies"), [(500, [35, 35]), (900, [14] * 5), (1700, [4] * 17 + [2])]
)
def test_a_fast_clock_limits_the_positions_of_a_copy(mhz, copies, tmp_path):
    """Among fewer positions one is chosen sooner, so that no clock is refused for an interval."""
    builder = Builder((Fixed(False, 6, 6),) * 70)
    source, levels = builder.last, integers(*np.random.default_rng(0).permutation(64))
    for k in range(3):
        source = builder.lookup(f"table{k}", source, 0, levels)
    graph = builder.graph(source)
    core = rtl.write(graph, tmp_path, options(70, mhz=mhz))
    assert core.interface.interval == 70
    x = events(graph, 0, 100)
    np.testing.assert_array_equal(core.compile().run(x), oracle.outputs(graph, x))
    assert [turns["copies"] for turns in rtl.plan(graph, options(70, mhz=mhz)).turns] == [copies]


def test_an_exact_latency(tmp_path):
    graph = particles()
    least = rtl.plan(graph, options(3)).core.interface.latency
    core = rtl.write(graph, tmp_path, options(3, latency=least + 5))
    assert core.interface.latency == least + 5
    x = events(graph, 2, 100)
    np.testing.assert_array_equal(core.compile().run(x), oracle.outputs(graph, x))


def test_a_wrong_choice_is_caught(tmp_path):
    """Two sources of a multiplexer are exchanged; a value is not held; a counter does not start."""
    graph = particles()
    core = rtl.write(graph, tmp_path / "net", options(6, "net"))
    text = core.sources[-1].read_text()
    source = r"(\w+\[\d+:0\])"
    choice = re.search(rf"assign m0_\w+ = .*? \? {source} : {source}\)", text)
    first, second = choice.groups()
    swapped = choice[0].replace(first, "#").replace(second, first).replace("#", second)
    held = re.search(r"if \(ce && \S+\) begin", text)[0]
    starts = re.search(r"<= \S+ \? 3'd0 :", text)[0]
    changes = [
        (choice[0], swapped),
        (held, "if (ce) begin"),
        (starts, starts.replace("3'd0", "3'd1")),
    ]
    designs = []
    for k, (old, new) in enumerate([("", ""), *changes]):
        assert old in text
        sources = []
        for source in core.sources:
            own = source.read_text()
            own = own.replace(old, new) if source == core.sources[-1] else own
            sources.append(tmp_path / f"f{k}_{source.name}")
            sources[-1].write_text(re.sub(r"\bnet(?=\b|_)", f"f{k}", own))
        designs.append(simulate.Design(core.interface._replace(name=f"f{k}"), tuple(sources)))
    right, *wrong = simulate.compile_together(designs, tmp_path / "bench", "-O0")
    x = events(graph, 0, 300)
    expected = oracle.outputs(graph, x)
    np.testing.assert_array_equal(right.run(x), expected)
    assert [bool((one.run(x) != expected).any()) for one in wrong] == [True] * 3


def test_an_interval_of_numpy(tmp_path):
    """A scan over intervals takes them from an array."""
    graph = trigger.Graph(OWN["particles"].nodes)
    rtl_project = graph.to_rtl(tmp_path, ii=np.arange(8)[3])
    assert rtl_project.interface.interval == 3


@pytest.mark.parametrize("interval", [0, -1, 1001])
def test_no_such_interval(interval):
    with pytest.raises(TriggerError) as error:
        rtl.plan(particles(), options(interval))
    assert str(error.value) == f"rtl: ii must be 1 to 1000; got {interval}"

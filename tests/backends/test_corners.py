"""What is emitted from a graph against rational numbers: random graphs, and the corners that were found with them."""

import numpy as np
import oracle
import pytest
from alkaid.trace.passes import add_surrogate
from alkaid.trace.passes import optimize as optimize_logic
from battery import PART, compile_emulators, run_onnx
from corner_graphs import AROUND_BYTES, CORNERS, far_shifts, integers, staircase
from random_graphs import events, random_graph, shares_kernels

from trigger import TriggerError
from trigger.backends import rtl
from trigger.backends.hls4ml.csim import compile_together
from trigger.backends.hls4ml.project import Hls4mlOptions, write
from trigger.backends.rtl import logic, simulate, tracing
from trigger.fixedpoint.build import Builder
from trigger.fixedpoint.ops import Constant
from trigger.fixedpoint.passes import optimize
from trigger.fixedpoint.types import Fixed, Overflow, Rounding


@pytest.mark.parametrize("corner", CORNERS)
def test_corners_in_onnx(corner):
    graph = CORNERS[corner]
    x = events(graph, 0, 200)
    np.testing.assert_array_equal(run_onnx(graph, x), oracle.outputs(graph, x))


def test_far_shifts_in_onnx():
    for graph in far_shifts()[::11]:
        expected = oracle.outputs(graph, AROUND_BYTES)
        np.testing.assert_array_equal(run_onnx(graph, AROUND_BYTES), expected)


def test_corners_compiled(tmp_path):
    graphs = [*CORNERS.values(), *far_shifts()[::45]]
    projects = [
        rtl.write(graph, tmp_path / f"p{k}", rtl.RtlOptions(PART, 50, project_name=f"p{k}"))
        for k, graph in enumerate(graphs)
    ]
    designs = [simulate.Design(project.interface, project.sources) for project in projects]
    simulations = simulate.compile_together(designs, tmp_path / "bench", "-O0")
    for graph, emulator, simulation in zip(
        graphs, compile_emulators(graphs, tmp_path), simulations, strict=True
    ):
        x = events(graph, 1, 100)
        expected = oracle.outputs(graph, x)
        np.testing.assert_array_equal(emulator(x), expected)
        np.testing.assert_array_equal(simulation.run(x), expected)


@pytest.mark.parametrize(("seed", "node"), [(1711, "n3"), (1692, "n4")])
def test_logic_that_is_not_the_graph_is_refused(seed, node, tmp_path):
    """What alkaid gets wrong without a word; a compiled simulation differs from the graph."""
    with pytest.raises(TriggerError) as error:
        rtl.write(random_graph(seed), tmp_path / "rtl", rtl.RtlOptions(PART, 50))
    assert str(error.value) == (
        f"{node}: alkaid loses bits of its constants or intervals, so there "
        "is no exact logic; use fewer bits, or closer binary points"
    )


def test_random_graphs_in_onnx():
    for seed in range(200, 240):
        graph = random_graph(seed)
        x = events(graph, seed, 12)
        np.testing.assert_array_equal(run_onnx(graph, x), oracle.outputs(graph, x), str(seed))


def test_what_hls4ml_would_change(tmp_path):
    options = Hls4mlOptions(PART, 240)
    with pytest.raises(TriggerError) as error:
        write(staircase(), tmp_path, options)
    assert str(error.value) == (
        "hls4ml: out reads inputs, whose elements need 80 bits in an array of one type; at most 63 can be compared"
    )
    builder = Builder((Fixed(True, 4, 70), Fixed(True, 8, -32)))
    with pytest.raises(TriggerError) as error:
        write(builder.graph(builder.leaky_relu("out", "inputs", 1)), tmp_path, options)
    assert str(error.value) == (
        "hls4ml: the inputs need 110 bits in an array of one type; hls4ml narrows types above 100"
    )
    builder = Builder((Fixed(True, 4, -60),))
    weights = Constant(np.array([[3]]), Fixed(True, 3, 66))
    with pytest.raises(TriggerError) as error:
        write(
            builder.graph(builder.dense("out", "inputs", weights, integers(0))), tmp_path, options
        )
    assert str(error.value) == (
        "hls4ml: out has a weight or bias of 2^63 or more, which no C++ integer holds"
    )


def test_wiring_and_comparisons(tmp_path):
    """Random graphs of version 2 of the format: ONNX, emulator, RTL and csim."""
    graphs = [random_graph(seed, operations=15) for seed in range(60)]
    cases = [(graph, events(graph, seed, 20)) for seed, graph in enumerate(graphs)]
    for graph, x in cases:
        np.testing.assert_array_equal(run_onnx(graph, x), oracle.outputs(graph, x))
    # All with a table or a product, and none that the RTL refuses.
    some = [(graph, x) for graph, x in cases[17:] if {"lookup", "multiply"} & operations(graph)][
        :12
    ]
    found = set.union(*(operations(graph) for graph, _ in some))
    assert {"select", "minimum", "lookup", "multiply"} <= found
    designs = []
    for k, (graph, _) in enumerate(some):
        core = rtl.write(graph, tmp_path / f"p{k}", rtl.RtlOptions(PART, 50, project_name=f"p{k}"))
        designs.append(simulate.Design(core.interface, core.sources))
    emulators = compile_emulators([graph for graph, _ in some], tmp_path)
    simulations = simulate.compile_together(designs, tmp_path / "bench", "-O0")
    for (graph, x), emulator, simulation in zip(some, emulators, simulations, strict=True):
        expected = oracle.outputs(graph, x)
        np.testing.assert_array_equal(emulator(x), expected)
        np.testing.assert_array_equal(simulation.run(x), expected)


def operations(graph) -> set[str]:
    return {node.op for node in graph.nodes}


def test_wiring_and_comparisons_in_csim(tmp_path):
    seeds = (0, 11, 36, 43, 86, 101, 116, 123)  # all with a kernel of several positions
    graphs = [random_graph(seed, operations=13) for seed in seeds]
    assert all(map(shares_kernels, graphs))
    projects = [
        write(graph, tmp_path / f"h{k}", Hls4mlOptions(PART, 240, project_name=f"h{k}"))
        for k, graph in enumerate(graphs)
    ]
    csims = compile_together(projects, tmp_path / "csim", ("-O0",))
    assert {"select", "maximum", "minimum"} <= {node.op for graph in graphs for node in graph.nodes}
    for seed, graph, csim in zip(seeds, graphs, csims, strict=True):
        x = events(graph, seed, 40)
        np.testing.assert_array_equal(csim.run(x), oracle.outputs(graph, x), str(seed))


def test_a_kernel_of_several_positions_shares_no_multiplier(tmp_path):
    builder = Builder((Fixed(True, 4, 2),) * 4)
    kernel = builder.dense("conv", "inputs", integers([1], [2]), integers(0), 2)
    options = Hls4mlOptions(PART, 240, strategy="resource", reuse_factor=2)
    with pytest.raises(TriggerError) as error:
        write(builder.graph(kernel), tmp_path, options)
    assert str(error.value) == (
        "hls4ml: conv has one kernel for 2 positions, all computed at once; it does not share "
        "multipliers: use reuse_factor 1"
    )


def test_a_bit_of_a_shifted_value_is_not_its_highest(tmp_path):
    """A pass of alkaid confuses the two: values of up to 45 bits times constants of 37."""
    graph = random_graph(2923)
    core = rtl.write(graph, tmp_path, rtl.RtlOptions(PART, 20))
    (simulation,) = simulate.compile_together(
        [simulate.Design(core.interface, core.sources)], tmp_path / "bench", "-O0"
    )
    x = events(graph, 2923, 40)
    np.testing.assert_array_equal(simulation.run(x), oracle.outputs(graph, x))


def test_logic_of_more_than_64_bits_is_compared_with_the_graph(monkeypatch):
    """The same graph after that pass: rational numbers find the fault, and it is refused."""
    monkeypatch.setattr(
        tracing,
        "optimized",
        lambda traced: add_surrogate(optimize_logic(traced, keep_dead_inputs=True, retrace=False)),
    )
    with pytest.raises(TriggerError) as error:
        logic.to_logic(optimize(random_graph(2923)))
    assert str(error.value) == (
        "n3: alkaid loses bits of its constants or intervals, so there is no exact logic; "
        "use fewer bits, or closer binary points"
    )


def test_steps_that_alkaid_takes_for_others():
    """The square of an element with binary point 78 bits away: alkaid holds no step below 2^-128."""
    with pytest.raises(TriggerError) as error:
        logic.to_logic(optimize(random_graph(217, operations=15)))
    assert str(error.value) == (
        "n3: alkaid loses bits of its constants or intervals, so there is no exact logic; "
        "use fewer bits, or closer binary points"
    )


def test_thresholds_far_from_the_values_of_one_array(tmp_path):
    """Elements in an array of 60 bits: a threshold that none of 53 bits reaches lies among its values."""
    graph = random_graph(1157)
    project = write(graph, tmp_path / "hls", Hls4mlOptions(PART, 240))
    (csim,) = compile_together([project], tmp_path / "csim", ("-O0",))
    x = events(graph, 1157, 40)
    np.testing.assert_array_equal(csim.run(x), oracle.outputs(graph, x))


def test_positions_that_compute_the_same_are_traced_once(monkeypatch, tmp_path):
    """A convolution with zeros at both ends: its first, its inner and its last positions differ."""
    builder = Builder((Fixed(True, 5, 3),) * 9)
    windows = np.arange(9)[:, None] + np.arange(-1, 2)
    source = builder.select("windows", "inputs", np.where(windows == 9, -1, windows).ravel())
    kernel = Constant(np.array([[3, -5], [7, 1], [-2, 6]]), Fixed(True, 4, 2))
    source = builder.dense("conv", source, kernel, integers(1, -3), 9)
    relu = (Fixed(False, 5, 4),) * 18
    source = builder.quantize("relu", source, relu, Rounding.RND_CONV, Overflow.SAT)
    graph = builder.graph(builder.maximum("pool", source, np.arange(18).reshape(9, 2)[:, :1]))
    traced = []
    trace = logic.traced
    monkeypatch.setattr(
        logic, "traced", lambda *arguments: traced.append(arguments[2]) or trace(*arguments)
    )
    core = rtl.write(graph, tmp_path, rtl.RtlOptions(PART, 240))
    assert [[node.name for node in nodes] for nodes in traced] == [
        *[["conv", "relu"]] * 3,
        ["pool"],
    ]
    (simulation,) = simulate.compile_together(
        [simulate.Design(core.interface, core.sources)], tmp_path / "bench", "-O0"
    )
    x = events(graph, 0, 200)
    np.testing.assert_array_equal(simulation.run(x), oracle.outputs(graph, x))


def test_the_largest_of_many_costs_few_cycles(tmp_path):
    """A tree of comparisons, of odd numbers too: 49 one after the other took 25 cycles."""
    builder = Builder((Fixed(True, 6, 6),) * 25 + (Fixed(False, 4, 5),) * 24)
    groups = np.array([np.arange(49), np.arange(48, -1, -1)])
    most = builder.maximum("most", "inputs", groups[:1])
    least = builder.minimum("least", "inputs", groups[1:])
    graph = builder.graph(builder.concatenate("both", (most, least)))
    core = rtl.write(graph, tmp_path, rtl.RtlOptions(PART, 240))
    assert core.interface.latency <= 5
    (simulation,) = simulate.compile_together(
        [simulate.Design(core.interface, core.sources)], tmp_path / "bench", "-O0"
    )
    x = events(graph, 0, 200)
    np.testing.assert_array_equal(simulation.run(x), oracle.outputs(graph, x))

"""Every implementation against rational numbers: random graphs, and the corners that were found with them."""

import json

import numpy as np
import oracle
import pytest
from battery import PART, assert_inside, compile_emulators, run_onnx
from random_graphs import events, random_graph

from trigger import TriggerError
from trigger.backends import rtl
from trigger.backends.hls4ml.project import Hls4mlOptions
from trigger.backends.hls4ml.project import write as write_hls4ml
from trigger.backends.rtl import simulate
from trigger.fixedpoint import evaluate
from trigger.fixedpoint.build import Builder
from trigger.fixedpoint.evaluate import trace
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import Constant, GraphError
from trigger.fixedpoint.passes import PASSES, optimize
from trigger.fixedpoint.ranges import overflow_proof
from trigger.fixedpoint.serialize import from_json, to_json
from trigger.fixedpoint.types import Fixed, Overflow, Rounding

FAR_UP, FAR_DOWN = Fixed(True, 40, 40), Fixed(True, 8, -32)


def integers(*values: int, fraction: int = 0) -> Constant:
    return Constant(np.array(values), Fixed(True, 53, 53 - fraction))


def staircase() -> Graph:
    """Thresholds between the values of two inputs whose binary points lie 80 bits apart."""
    builder = Builder((FAR_UP, FAR_DOWN))
    thresholds = integers(-(1 << 52), -3, 0, 1, 1 << 50, fraction=41)
    builder.steps("out", "inputs", thresholds, integers(-5, -1, 0, 2, 3, 9))
    return builder.graph("out")


def requantized(source: Fixed, target: Fixed, rounding: Rounding, overflow: Overflow) -> Graph:
    builder = Builder((source,))
    return builder.graph(builder.quantize("out", "inputs", (target,), rounding, overflow))


def far_shifts() -> list[Graph]:
    """Quantisers that shift by 53 to 80 bits, in either direction."""
    return [
        requantized(Fixed(signed, 9, 9 + up), Fixed(signed, 53, 53 - down), rounding, overflow)
        for signed in (True, False)
        for up, down in ((53, 0), (10, 53), (0, 62), (0, 63), (40, 24), (40, 40), (-53, -20), (-40, -40))
        for rounding in Rounding
        for overflow in Overflow
    ]  # fmt: skip


def far_elements() -> Graph:
    """Elements far apart through every exact operation; what no weight reads would not fit 64 bits beside the rest."""
    builder = Builder((FAR_UP, FAR_DOWN))
    builder.affine("scaled", "inputs", integers(3, -5), integers(0, 0))
    builder.leaky_relu("leaky", "scaled", 2)
    weights = Constant(np.array([[0, 0], [7, -2]]), Fixed(True, 4, 4))
    builder.dense("sums", "leaky", weights, integers(1, -3, fraction=40))
    builder.clip("clipped", "leaky", np.array([-(2.0**30), -(2.0**-38)]), np.array([0, 2.0**-37]))
    return builder.graph(builder.concatenate("out", ("clipped", "sums")))


def wide_bias() -> Graph:
    """A bias of 37 bits on a small sum: the upper part of what is added is a constant in the logic."""
    builder = Builder((Fixed(True, 11, -1),))
    scale = Constant(np.array([47659]), Fixed(False, 16, 16))
    bias = Constant(np.array([-48075305903]), Fixed(True, 37, 34))
    return builder.graph(builder.affine("out", "inputs", scale, bias))


def wide_end() -> Graph:
    """Saturation at a number of 40 bits."""
    return requantized(Fixed(False, 29, 10), Fixed(False, 40, -26), Rounding.TRN, Overflow.SAT_SYM)


def twice() -> Graph:
    """A value beside itself, and added to itself."""
    builder = Builder((Fixed(True, 5, 3), Fixed(True, 40, 40)))
    builder.concatenate("beside", ("inputs", "inputs"))
    return builder.graph(builder.add("out", ("beside", "beside")))


CORNERS = {
    "a value twice": twice(),
    "staircase": staircase(),
    "elements far apart": far_elements(),
    "a wide bias": wide_bias(),
    "a wide end": wide_end(),
    "a constant that wraps": random_graph(761),
}


@pytest.mark.parametrize("corner", CORNERS)
def test_corners_in_integers(corner):
    graph = CORNERS[corner]
    x = events(graph, 0, 200)
    expected = oracle.outputs(graph, x)
    for found in (graph, optimize(graph), from_json(to_json(graph))):
        np.testing.assert_array_equal(evaluate.run(found, x), expected)
    np.testing.assert_array_equal(run_onnx(graph, x), expected)


def test_shifts_as_far_as_a_word_and_farther():
    graphs = far_shifts()
    x = np.array([0, 1, 2, 3, 127, 128, 254, 255])[:, None]
    for graph in graphs:
        np.testing.assert_array_equal(evaluate.run(graph, x), oracle.outputs(graph, x))
    for graph in graphs[::11]:
        np.testing.assert_array_equal(run_onnx(graph, x), oracle.outputs(graph, x))


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


@pytest.mark.parametrize(("seed", "node"), [(1181, "n3"), (1711, "n3"), (1692, "n4")])
def test_logic_that_is_not_the_graph_is_refused(seed, node, tmp_path):
    """What alkaid gets wrong without a word; a compiled simulation differs from the graph."""
    with pytest.raises(TriggerError) as error:
        rtl.write(random_graph(seed), tmp_path / "rtl", rtl.RtlOptions(PART, 50))
    assert str(error.value) == (
        f"{node}: alkaid loses bits of its constants or intervals, so that there is no exact logic "
        "for it; use fewer bits, or binary points that are nearer to each other"
    )


def test_random_graphs():
    """A slice of the campaign of benchmarks/fuzz.py: every node, every pass, the JSON form."""
    for seed in range(100):
        graph = random_graph(seed)
        x = events(graph, seed, 12)
        found = trace(graph, x)
        for k, event in enumerate(x.tolist()):
            for name, reals in oracle.exact(graph, event).items():
                assert oracle.integers(graph[name], reals) == found[name][k].tolist(), (seed, name)
        assert_inside(graph, found)
        overflow_proof(graph)
        for run in (*PASSES.values(), optimize, lambda g: from_json(to_json(g))):
            np.testing.assert_array_equal(
                evaluate.run(run(graph), x), found[graph.output.name], str(seed)
            )


def test_random_graphs_in_onnx():
    for seed in range(200, 240):
        graph = random_graph(seed)
        x = events(graph, seed, 12)
        np.testing.assert_array_equal(run_onnx(graph, x), oracle.outputs(graph, x), str(seed))


def test_a_bound_between_two_values():
    builder = Builder((Fixed(True, 6, 8),))
    with pytest.raises(GraphError) as error:
        builder.clip("relu6", "inputs", 0, 6)
    assert str(error.value) == "relu6: the bound 6 lies between two values of inputs"


def test_a_bound_far_outside():
    builder = Builder((Fixed(False, 8, -62),))
    graph = builder.graph(builder.clip("out", "inputs", 0, 6))
    x = np.array([[0], [3], [255]])
    np.testing.assert_array_equal(evaluate.run(graph, x), x)


def test_a_binary_point_too_far_away():
    text = json.loads(to_json(wide_end()))
    text["nodes"][0]["types"] = ["fixed<8,500>", 1]
    with pytest.raises(GraphError) as error:
        from_json(json.dumps(text))
    assert str(error.value) == (
        "inputs: a binary point lies 492 bits away; at most 400 can be evaluated"
    )


def test_what_hls4ml_would_change(tmp_path):
    options = Hls4mlOptions(PART, 240)
    with pytest.raises(TriggerError) as error:
        write_hls4ml(staircase(), tmp_path, options)
    assert str(error.value) == (
        "hls4ml: out reads inputs, whose elements need 80 bits in an array of one type; at most 63 can be compared"
    )
    builder = Builder((Fixed(True, 4, 70), Fixed(True, 8, -32)))
    with pytest.raises(TriggerError) as error:
        write_hls4ml(builder.graph(builder.leaky_relu("out", "inputs", 1)), tmp_path, options)
    assert str(error.value) == (
        "hls4ml: the inputs need 110 bits in an array of one type; hls4ml narrows it above 100"
    )
    builder = Builder((Fixed(True, 4, -60),))
    weights = Constant(np.array([[3]]), Fixed(True, 3, 66))
    with pytest.raises(TriggerError) as error:
        write_hls4ml(
            builder.graph(builder.dense("out", "inputs", weights, integers(0))), tmp_path, options
        )
    assert str(error.value) == (
        "hls4ml: out has a weight or bias of 2^63 or more, which C++ has no integer for"
    )

"""Parameters of reloadable graphs: types that hold any of their values, and graphs that fit the
same hardware.
"""

import dataclasses

import numpy as np
import pytest

from trigger.fixedpoint.build import Builder
from trigger.fixedpoint.evaluate import run
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import Constant, GraphError
from trigger.fixedpoint.parameters import difference, parameters, replaced, structure_id
from trigger.fixedpoint.passes import optimize
from trigger.fixedpoint.ranges import ranges
from trigger.fixedpoint.serialize import from_json, to_json
from trigger.fixedpoint.types import Fixed, Overflow, Rounding, bounds

WEIGHT, BIAS = Fixed(True, 3, 1), Fixed(True, 4, 3)
KERNELS = np.array([[1, -2], [0, 3], [2, 0]])


def network(
    values=KERNELS, bias=(1, -3), weight=WEIGHT, bits=4, name="hidden", last=1, reloadable=True
) -> Graph:
    """One input is read by the first output alone; the sum after it has constants."""
    builder = Builder((Fixed(True, 4, 2), Fixed(False, 3, 1), Fixed(True, 2, 2)), "x", reloadable)
    trained = np.array([[1, 1], [1, 1], [1, 0], [1, 1]], dtype=bool)
    values = np.where(trained[:-1], values, 0)
    dense = builder.dense(
        name, "x", Constant(values, weight), Constant(np.array(bias), BIAS), 1, trained
    )
    kinds = (Fixed(True, bits, 3),) * 2
    rounded = builder.quantize("rounded", dense, kinds, Rounding.RND_CONV, Overflow.SAT)
    ones = Constant(np.array([[1], [last]]), Fixed(True, 3, 3))
    zero = Constant(np.zeros(1, dtype=np.int64), Fixed(False, 1, 1))
    return builder.graph(builder.dense("sum", rounded, ones, zero))


def test_parameters_are_numbered_by_layer():
    """Those of a Dense go row by row, its bias last; a sum of constants has none."""
    own = parameters(network())
    assert own.types == (WEIGHT,) * 5 + (BIAS,) * 2
    assert own.values.tolist() == [1, -2, 0, 3, 2, 1, -3]
    assert parameters(network(reloadable=False)).types == ()


def test_numbers_with_a_gap():
    """As in a file that was edited."""
    text = to_json(network()).replace('"parameters":[[0,1],', '"parameters":[[9,1],')
    with pytest.raises(GraphError, match="^7 parameters have other numbers than 0 to 6$"):
        parameters(from_json(text))


def test_other_values():
    graph = network()
    values = np.array([3, -4, 1, 0, -1, 7, -8])
    other = replaced(graph, values)
    assert parameters(other).values.tolist() == values.tolist()
    x = np.array([[3, 7, -2], [-8, 0, 1]])
    assert (
        run(other, x).tolist()
        == run(network(values[[0, 1, 2, 3, 4, 4]].reshape(3, 2), (7, -8)), x).tolist()
    )
    assert difference(graph, other) is None
    assert structure_id(graph) == structure_id(other)


def test_types_hold_any_values():
    """The interval of a sum is attained by some values of its parameters and inputs, and by none
    exceeded.
    """
    graph = network()
    low, high = bounds(parameters(graph).types)
    rng = np.random.default_rng(1)
    least, most = ranges(graph)["hidden"]
    bare = Graph(graph.nodes[:2])
    ends = bounds(graph.input.types)
    sums = []
    for _ in range(400):
        values = np.where(rng.integers(0, 2, len(low)) == 1, low, high)
        x = np.where(rng.integers(0, 2, (64, 3)) == 1, *ends)
        sums.append(run(replaced(bare, values), x))
    sums = np.concatenate(sums)
    assert sums.min(axis=0).tolist() == least.tolist()
    assert sums.max(axis=0).tolist() == most.tolist()
    assert graph["hidden"].types == network(KERNELS * 0, (0, 0))["hidden"].types


def test_json():
    graph = network()
    text = to_json(graph)
    assert '"parameters"' in text and '"version": 2' in text.splitlines()[0]
    assert to_json(from_json(text)) == text
    assert '"parameters"' not in to_json(network(reloadable=False))
    with pytest.raises(GraphError, match="^hidden: parameters has the shape"):
        from_json(text.replace('"parameters":[[0,1],', '"parameters":['))
    with pytest.raises(
        GraphError, match="^hidden: parameters are numbers, or -1 where a weight or "
    ):
        from_json(text.replace('"parameters":[[0,1],', '"parameters":[[-1,1],'))


def test_passes_keep_what_may_be_loaded():
    """Zero weights and constant inputs of a kernel are no reason to drop or fold anything."""
    zero = replaced(network(), np.zeros(7, dtype=np.int64))
    optimized = optimize(zero)
    assert optimized["hidden"].parameters.tolist() == zero["hidden"].parameters.tolist()
    x = np.array([[3, 7, -2], [-8, 0, 1], [7, 7, 1]])
    values = np.array([3, -4, 1, 0, -1, 7, -8])
    assert run(replaced(optimized, values), x).tolist() == run(replaced(zero, values), x).tolist()


def test_dead_outputs_take_their_parameters_along():
    graph = network()
    nodes = graph.nodes[:3]
    builder_sum = dataclasses.replace(
        graph["sum"], weights=Constant(np.array([[0], [1]]), Fixed(True, 3, 3))
    )
    optimized = optimize(Graph((*nodes, builder_sum)))
    assert optimized["hidden"].parameters.ravel().tolist() == [1, 3, -1, 6]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            {"weight": Fixed(True, 4, 1)},
            "hidden: weights of the type fixed<4,1>, in the build fixed<3,1>",
        ),
        ({"bits": 5}, "rounded: values of the type fixed<5,3>, in the build fixed<4,3>"),
        ({"last": 2}, "sum: weights: other constants than in the build"),
    ],
)
def test_what_does_not_fit_is_named(other, message):
    assert difference(network(), network(**other)) == message
    assert structure_id(network()) != structure_id(network(**other))


def test_a_longer_or_another_network_is_named():
    graph = network()
    assert difference(Graph(graph.nodes[:3]), graph) == "sum comes after the last node of the build"
    assert difference(graph, Graph(graph.nodes[:3])) == "it ends before sum of the build"
    builder = Builder(graph.input.types, "x", reloadable=True)
    clipped = builder.graph(builder.clip("clipped", "x", 0.0, 1.0))
    message = "clipped is the clip where the build has the dense hidden"
    assert difference(graph, clipped) == message


def test_names_do_not_matter():
    """Keras numbers layers without a name anew in each program."""
    assert difference(network(), network(name="other")) is None
    assert structure_id(network()) == structure_id(network(name="other"))

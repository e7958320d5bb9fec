"""What the passes remove. That none of them changes a bit is the battery's business."""

import numpy as np
import pytest

from trigger.backends.rtl.logic import to_logic
from trigger.fixedpoint import evaluate
from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.ops import GraphError, Threshold
from trigger.fixedpoint.passes import optimize
from trigger.fixedpoint.passes.dead import remove_dead
from trigger.fixedpoint.passes.decision import decide, lower_decision, scores
from trigger.fixedpoint.passes.fold import fold_constants
from trigger.fixedpoint.passes.narrow import narrow
from trigger.fixedpoint.serialize import from_json, to_json
from trigger.fixedpoint.types import Fixed, Overflow, Rounding

EVENTS = np.array(np.meshgrid(*[np.arange(-8, 8)] * 3)).reshape(3, -1).T


def graph(hidden, hidden_bias, out, head=None):
    builder = Builder((Fixed(True, 4, 4),) * 3)
    builder.dense(
        "hidden",
        "inputs",
        constant(np.array(hidden, float)),
        constant(np.array(hidden_bias, float)),
    )
    builder.quantize(
        "relu", "hidden", (Fixed(False, 8, 8),) * len(hidden_bias), Rounding.RND_CONV, Overflow.SAT
    )
    last = builder.dense(
        "out", "relu", constant(np.array(out, float)), constant(np.full(len(out[0]), 0.25))
    )
    if head:
        thresholds, levels = constant(np.arange(-20, 20, 0.5)), constant(np.arange(81) / 128)
        last = builder.steps("head", last, thresholds, levels)
    return builder.graph(last)


def same(before, after):
    np.testing.assert_array_equal(evaluate.run(before, EVENTS), evaluate.run(after, EVENTS))


def test_dead_neurons_vanish():
    before = graph([[1, 2, 0], [0, 1, 3], [1, 0, 1]], [0, 1, 2], [[1], [0], [-2]])
    after = remove_dead(before)
    assert [len(node.types) for node in after.nodes] == [3, 2, 2, 1]
    same(before, after)


def test_a_constant_neuron_becomes_a_bias():
    before = graph([[1, 0], [2, 0], [0, 0]], [0, 5], [[1], [3]])
    folded = fold_constants(before)
    assert folded["out"].weights.values.tolist() == [[1], [0]]
    assert folded["out"].bias.real.tolist() == [15.25]
    assert [len(node.types) for node in optimize(before).nodes] == [3, 1, 1, 1]
    same(before, folded)
    same(before, optimize(before))


def test_a_layer_of_nothing_but_bias():
    before = graph([[0, 0], [0, 0], [0, 0]], [3, 5], [[0], [0]])
    same(before, optimize(before))
    assert from_json(to_json(optimize(before)))


def test_nothing_is_made_for_a_layer_of_nothing_but_bias():
    builder = Builder((Fixed(True, 4, 4),) * 3)
    builder.dense("hidden", "inputs", constant(np.zeros((3, 1))), constant(np.ones(1)))
    wide = 1 + 2.0**-30
    builder.affine("scaled", "hidden", constant(np.array([wide])), constant(np.array([-wide / 2])))
    builder.dense("out", "scaled", constant(np.array([[1.0, -3.0]])), constant(np.zeros(2)))
    before = builder.graph("out")
    assert [node.name for node in optimize(before).nodes] == ["inputs", "out"]
    assert from_json(to_json(optimize(before)))
    same(before, optimize(before))


def test_what_one_reader_does_not_need_another_one_does():
    builder = Builder((Fixed(True, 4, 4),) * 3)
    builder.dense("hidden", "inputs", constant(np.arange(9.0).reshape(3, 3)), constant(np.zeros(3)))
    builder.quantize("low", "hidden", (Fixed(True, 3, 3),) * 3, Rounding.TRN, Overflow.SAT)
    builder.quantize("high", "hidden", (Fixed(True, 5, 5),) * 3, Rounding.TRN, Overflow.SAT)
    builder.concatenate("both", ("low", "high", "inputs"))
    weights = np.zeros((9, 1))
    weights[[0, 4]] = 1
    before = builder.graph(builder.dense("out", "both", constant(weights), constant(np.zeros(1))))
    after = optimize(before)
    assert [len(node.types) for node in after.nodes] == [3, 2, 2, 2, 7, 1]
    same(before, after)
    assert from_json(to_json(after))


def test_types_become_as_narrow_as_their_values():
    before = graph([[1, 0], [0, 1], [0, 0]], [0, 0], [[1], [1]])
    after = narrow(before)
    assert [str(t) for t in after["relu"].types] == ["ufixed<3,3>", "ufixed<3,3>"]
    same(before, after)


def test_a_sigmoid_vanishes_and_the_threshold_moves_into_the_integers():
    before = decide(
        graph([[1, 2], [0, 1], [1, 0]], [0, 1], [[1, -1], [1, 2]], head=True),
        np.array([1, 1, 0]),
        np.array([0.1, 0.3, 0.2]),
    )
    after = optimize(before)
    assert [node.name for node in after.nodes] == ["inputs", "hidden", "relu", "out", "accept"]
    assert not after["out"].bias.values.any()
    # A bias of 1/4 on sums of whole numbers: the bounds are whole numbers too.
    assert after["out"].types[0].fraction == 0
    same(before, after)
    assert set(evaluate.run(before, EVENTS).ravel()) == {0, 1}


def test_accept_bits_of_one_class_share_its_sum():
    before = decide(
        graph([[1, 2], [0, 1], [1, 0]], [0, 1], [[1, -1], [1, 2]]),
        np.array([1, 1]),
        np.array([0.1, 3.0]),
    )
    after = lower_decision(before)
    assert len(after["out"].types) == 1
    assert after["accept"].elements.tolist() == [0, 0]
    same(before, after)


def test_thresholds_out_of_reach():
    before = decide(graph([[1], [1], [1]], [0], [[1]]), np.array([0, 0]), np.array([-1e9, 1e9]))
    assert evaluate.run(before, EVENTS).sum(axis=0).tolist() == [len(EVENTS), 0]
    same(before, optimize(before))
    with pytest.raises(GraphError) as error:
        decide(before, np.array([0]), np.array([np.nan]))
    assert str(error.value) == "a threshold is not a finite number"


WIDE = graph([[1, 2, 3], [3, 1, 5], [5, 7, 1]], [0, 1, 2], [[3, 0], [5, 7], [0, 5]])


def cost(*thresholds):
    """Estimated LUT of accept bits, of which the first two look at scores of their own."""
    elements = np.array([0, 1, 0, 1])[: len(thresholds)]
    before = decide(WIDE, elements, np.array(thresholds))
    same(before, optimize(before))
    assert from_json(to_json(optimize(before)))
    return sum(to_logic(optimize(before)).costs)


def test_a_constant_accept_bit_has_no_logic():
    """Nor has what only it reads."""
    both, first, second = cost(20.0, 30.0), cost(20.0), cost(-1e9, 30.0)
    assert 0 < first < both and 0 < second < both
    assert cost(20.0, -1e9) == cost(20.0, 1e9) == cost(20.0, 1e9, 1e9, -1e9) == first
    assert cost(1e9, 30.0) == second
    assert cost(-1e9, 1e9, 1e9) == cost(1e9) == cost(-1e9, -1e9) == 0
    everything = optimize(decide(WIDE, np.array([0, 1]), np.array([-1e9, 1e9])))
    assert [node.name for node in everything.nodes] == ["inputs", "accept"]
    one = optimize(decide(WIDE, np.array([0, 1]), np.array([20.0, 1e9])))
    assert [len(node.types) for node in one.nodes] == [3, 2, 2, 1, 2]


def test_wrapping_is_not_passed_through():
    builder = Builder((Fixed(True, 4, 4),) * 3)
    builder.dense("sum", "inputs", constant(np.ones((3, 1))), constant(np.zeros(1)))
    builder.quantize("wrap", "sum", (Fixed(True, 4, 4),), Rounding.TRN, Overflow.WRAP)
    before = decide(builder.graph("wrap"), np.array([0]), np.array([2.0]))
    assert [node.name for node in lower_decision(before).nodes] == [
        "inputs",
        "sum",
        "wrap",
        "accept",
    ]
    same(before, optimize(before))


def test_the_scores_behind_a_decision():
    network = graph([[1], [1], [1]], [0], [[1]])
    decided = decide(network, np.array([0]), np.array([0.5]))
    assert isinstance(decided.output, Threshold)
    same(scores(decided), network)
    assert scores(network) is network

"""Forests as graphs: the scores of the trees themselves, for all integers, and what is refused."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from trigger.errors import TriggerError
from trigger.fixedpoint import evaluate
from trigger.fixedpoint.types import Fixed
from trigger.frontends.inexact import Inexact
from trigger.frontends.trees import conifer, integers
from trigger.frontends.trees.forest import LEAF, Comparison, Forest, Tree
from trigger.frontends.trees.lowering import lower
from trigger.frontends.trees.reading import read
from trigger.frontends.trees.rounding import rounded

MODELS = Path(__file__).parent / "trees"
EXPECTED = json.loads((MODELS / "expected.json").read_text())
EIGHT = (Fixed(True, 8, 4),) * 3
DOUBLE = Comparison(strict=False, single=False)


def tree(*nodes, number=0, output=0):
    """A tree of (feature, threshold, left, right) and, for leaves, of values."""
    parts = [node if isinstance(node, tuple) else (LEAF, 0.0, LEAF, LEAF) for node in nodes]
    feature, threshold, left, right = (np.array(column) for column in zip(*parts, strict=True))
    value = np.array([0.0 if isinstance(node, tuple) else node for node in nodes])
    return Tree(number, output, feature, threshold.astype(float), left, right, value)


def forest(*trees, base=(0.0,), comparison=DOUBLE, features=2, **options):
    return Forest("hand-made", features, np.array(base, dtype=float), trees, comparison, **options)


def random_tree(rng, number, output, splits, features=2):
    """A tree that splits a random leaf again and again."""
    nodes = [rng.integers(-7, 8)]
    for _ in range(splits):
        at = int(rng.choice([k for k, node in enumerate(nodes) if not isinstance(node, tuple)]))
        left = len(nodes)
        nodes += [rng.integers(-7, 8), rng.integers(-7, 8)]
        nodes[at] = (int(rng.integers(features)), rng.integers(-10, 10) / 2, left, left + 1)
    return tree(*nodes, number=number, output=output)


def every(*types):
    """All integers of these types."""
    ranges = [np.arange(fixed.minimum, fixed.maximum + 1) for fixed in types]
    return np.stack(np.meshgrid(*ranges), axis=-1).reshape(-1, len(types))


def own(made, types, x):
    """The scores of a forest by its own comparisons, from its integer inputs."""
    real = np.ldexp(x.astype(float), [-fixed.fraction for fixed in types])
    return made.scores(made.leaves(real))


def check(made, types, x):
    graph = lower(made, types)
    found = np.ldexp(evaluate.run(graph, x).astype(float), -graph.output.fractions)
    np.testing.assert_array_equal(found, own(made, types, x))
    return graph


@pytest.mark.parametrize("bits", [2, 6])
@pytest.mark.parametrize("name", EXPECTED)
def test_rounded_leaves_that_the_library_reaches(name, bits):
    made = rounded(read(MODELS / name), EIGHT, bits)
    x = np.array(EXPECTED[name]["x"])
    graph = check(made, EIGHT, x)
    first = [(t.feature >= 0).sum() if name.endswith(".txt") else 0 for t in made.trees]
    leaves = (
        np.array(EXPECTED[name]["leaves"]).astype(int)[:, [t.number for t in made.trees]] + first
    )
    scores = np.ldexp(evaluate.run(graph, x).astype(float), -graph.output.fractions)
    np.testing.assert_array_equal(scores, made.scores(leaves))
    for t, branch in zip(made.trees, integers.branches(made, EIGHT), strict=True):
        values = t.value[list(integers.leaves(branch))]
        assert np.ptp(np.ldexp(values, graph.output.fractions[0])) < 2**bits


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("splits", [1, 4, 11, 40])
def test_random_forests(splits, strict):
    rng = np.random.default_rng(splits)
    types = Fixed(True, 4, 3), Fixed(False, 5, 4)
    trees = [random_tree(rng, k, k % 3, splits) for k in range(9)]
    made = forest(*trees, base=(0.5, -3, 0), comparison=Comparison(strict, single=True))
    check(made, types, every(*types))


def chain(depth):
    """A tree whose every split has a leaf on its left."""
    nodes = []
    for k in range(depth):
        nodes += [(0, float(k), 2 * k + 1, 2 * k + 2), float(k % 5)]
    return tree(*nodes, 7.0)


@pytest.mark.parametrize("depth", [1, 10, 60])
def test_a_chain_becomes_flat(depth):
    types = (Fixed(False, 7, 7),)
    graph = check(forest(chain(depth), features=1), types, every(*types))
    assert graph["leaves"].levels.values.shape[1] <= 2 ** max(6, 2 * depth.bit_length())


def test_a_forest_of_single_leaves_is_constant():
    types = EIGHT[:2]
    made = forest(tree(1.5), tree(-0.25, number=1), base=(1.0,))
    graph = check(made, types, np.array([[0, 0], [-128, 127]]))
    assert evaluate.predict(graph, np.zeros((1, 2))) == 2.25
    check(forest(tree(3.0 * 2.0**100)), types, np.array([[0, 0], [-128, 127]]))


@pytest.mark.parametrize(
    ("threshold", "constant"),
    [
        (-np.inf, -1.0),
        (np.inf, 1.0),
        (1e30, 1.0),
        (1.7e308, 1.0),
        (-8.01, -1.0),
        (7.9375, 1.0),
        (7.93, None),
    ],
)
def test_thresholds_that_no_integer_meets_are_left_out(threshold, constant):
    made = forest(tree((1, threshold, 1, 2), 1.0, -1.0))
    graph = check(made, EIGHT[:2], every(*EIGHT[:2]))
    left_out = "hand-made: 1 split left out: all integers that reach them go the same way"
    assert (left_out in graph.notes) == (constant is not None)
    if constant is not None:
        assert (evaluate.predict(graph, np.zeros((1, 2))) == constant).all()


def test_thresholds_between_the_same_integers_are_one_comparison():
    trees = [tree((0, t, 1, 2), -1.0, 1.0, number=k) for k, t in enumerate([0.51, 0.55, 0.56])]
    graph = check(forest(*trees), EIGHT[:2], every(*EIGHT[:2]))
    assert graph["splits"].bounds.tolist() == [9]
    assert graph.notes == (
        "hand-made: 3 splits of the trees take 1 comparison",
        "hand-made: the directions of missing values are not used, because no input of hardware "
        "is missing",
        "hand-made: 3 thresholds between two integers of the hardware: an event goes right from "
        "the upper one on, which is exact",
    )
    nested = tree((0, 0.51, 1, 2), -1.0, (0, 0.55, 3, 4), 1.0, 2.0)
    graph = check(forest(nested), EIGHT[:2], every(*EIGHT[:2]))
    assert graph["splits"].bounds.tolist() == [9]


def test_wide_inputs_are_compared_in_float32_where_the_library_does():
    types = (Fixed(True, 40, 40),)
    threshold = float(2**26)
    near = np.arange(2**26 - 6, 2**26 + 7)[:, None]
    bounds = set()
    for comparison in (Comparison(s, single=o) for s in (False, True) for o in (False, True)):
        made = forest(tree((0, threshold, 1, 2), 0.0, 1.0), comparison=comparison, features=1)
        graph = check(made, types, near)
        bounds.update(graph["splits"].bounds - 2**26)
    # The middle between two float32 is rounded to the even one.
    assert bounds == {0, 1, -2, 5}


def test_equal_leaves_need_no_split():
    made = forest(tree((0, 0.0, 1, 2), 1.0, (1, 0.0, 3, 4), 1.0, 1.0))
    graph = check(made, EIGHT[:2], every(*EIGHT[:2]))
    assert [node.op for node in graph.nodes] == ["input", "dense"]


def test_trees_of_few_bits_share_a_table():
    """Six stumps are one table of six comparisons."""
    trees = [tree((0, float(t), 1, 2), -1.0, 1.0, number=t) for t in range(6)]
    graph = check(forest(*trees, features=1), EIGHT[:1], every(*EIGHT[:1]))
    sizes = [("input", 1), ("threshold", 6), ("truthtable", 1), ("dense", 1)]
    assert [(node.op, len(node.types)) for node in graph.nodes] == sizes


def test_a_balanced_tree_of_16_leaves_takes_five_tables():
    """One LUT for the second decision, one for the third, three for the fourth."""
    nodes = [(k % 2, k / 4 - 2, 2 * k + 1, 2 * k + 2) for k in range(15)]
    made = forest(tree(*nodes, *np.arange(16.0)))
    graph = check(made, EIGHT[:2], every(*EIGHT[:2]))
    bits = [node for node in graph.nodes if node.name.startswith("leaf_bits")]
    assert all(node.elements.shape[1] <= 6 for node in bits)
    assert sum(len(node.types) for node in bits) <= 5


def test_leaves_that_float32_might_round_are_refused():
    made = forest(tree((0, 0.0, 1, 2), 2.0**-25, 1.0))
    with pytest.raises(Inexact) as refused:
        lower(made, EIGHT[:2])
    assert str(refused.value) == (
        "the network cannot be compiled exactly: 1 problem\n"
        "  leaves: the scores need 27 bits to be exact, and hand-made may round its sums. Remedy: "
        "round the leaves: set bits = 8 in [quantization] of trigger.toml."
    )
    check(rounded(made, EIGHT[:2], 8), EIGHT[:2], every(*EIGHT[:2]))


def test_scores_of_too_many_steps_are_refused():
    made = forest(tree((0, 0.0, 1, 2), 1.0, 2.0), base=(1e30,))
    with pytest.raises(Inexact) as refused:
        rounded(made, EIGHT[:2], 4)
    assert str(refused.value) == (
        "the network cannot be compiled exactly: 1 problem\n"
        "  leaves: the scores have 8e+30 steps of 2^-3, which exceeds 53 bits. Remedy: train "
        "again with values of one order of magnitude, or with more bits."
    )


@pytest.mark.parametrize("scale", [2.0**-500, 2.0**500])
def test_leaves_too_far_from_one_are_refused(scale):
    made = forest(tree((0, 0.0, 1, 2), -3.0 * scale, 4.0 * scale))
    with pytest.raises(Inexact) as refused:
        lower(made, EIGHT[:2])
    point = int(np.log2(scale))
    assert str(refused.value) == (
        "the network cannot be compiled exactly: 1 problem\n"
        f"  leaves: their steps of 2^{point} are too far from 1. Remedy: train again on labels of "
        "another unit, so that the scores are nearer to 1."
    )


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1.0, 1e30])
def test_the_step_follows_the_leaves(scale):
    made = forest(tree((0, 0.0, 1, 2), -3.0 * scale, 4.0 * scale), base=(0.5 * scale,))
    made = rounded(made, EIGHT[:2], 3)
    check(made, EIGHT[:2], every(*EIGHT[:2]))
    leaves = made.trees[0].value[1:]
    # Three bits: the leaves differ by at most seven steps, with the least power of two.
    own = np.array([-3, 4]) * scale
    steps = [2.0**k for k in range(-120, 120) if np.ptp(np.rint(own / 2.0**k)) <= 7]
    np.testing.assert_array_equal(leaves, np.rint(own / steps[0]) * steps[0])


def test_a_forest_is_written_and_read_again(tmp_path):
    rng = np.random.default_rng(2)
    trees = [random_tree(rng, 7 * k, k % 2, 3) for k in range(4)]
    made = forest(*trees, base=(1, 2), head="softmax", names=("a", "b"), notes=("said",))
    path = tmp_path / "forest.json"
    path.write_text(json.dumps(conifer.document(made)))
    again = read(path)
    for field in dataclasses.fields(Forest):
        if field.name not in ("base", "trees"):
            assert getattr(again, field.name) == getattr(made, field.name)
    x = rng.normal(size=(100, 2)) * 4
    np.testing.assert_array_equal(again.leaves(x), made.leaves(x))
    np.testing.assert_array_equal(again.scores(again.leaves(x)), made.scores(made.leaves(x)))
    assert [t.number for t in again.trees] == [0, 7, 14, 21]


def test_too_deep_a_tree_is_refused(tmp_path):
    path = tmp_path / "forest.json"
    path.write_text(json.dumps(conifer.document(forest(chain(257), features=1))))
    with pytest.raises(TriggerError) as refused:
        read(path)
    assert str(refused.value) == (
        f"{path}: not a forest that can be read: tree 0: is deeper than 256 splits"
    )

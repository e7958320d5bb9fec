"""Don't-cares: comparators of one value are ordered, so their tables have entries nobody reads."""

import itertools

import numpy as np
import pytest

from trigger.fixedpoint import evaluate
from trigger.fixedpoint.arithmetic import depends
from trigger.fixedpoint.build import Builder
from trigger.fixedpoint.ops import Constant
from trigger.fixedpoint.passes import optimize
from trigger.fixedpoint.passes.unreached import ignore_unreached
from trigger.fixedpoint.types import Fixed

BIT, VALUE = Fixed(False, 1, 1), Fixed(True, 3, 3)
EVENTS = np.array(list(itertools.product(range(-4, 4), repeat=2)))


def comparisons(comparators):
    """A graph of comparisons (element, bound) of two values."""
    builder = Builder((VALUE,) * 2)
    elements, bounds = np.array(comparators).T
    builder.threshold("comparators", "inputs", elements, bounds)
    return builder


def table(builder, source, members, entries):
    levels = Constant(np.array([entries]), BIT)
    return builder.graph(builder.truth_table("out", source, np.array([members]), levels))


@pytest.mark.parametrize(
    ("entries", "needed"),
    [
        ([0, 0, 0, 1], [False, True]),  # both: the upper bound decides
        ([0, 1, 1, 1], [True, False]),  # either: the lower bound decides
        ([0, 1, 0, 0], [True, True]),  # between the bounds
        ([1, 0, 0, 1], [True, True]),  # outside them: an exclusive or needs both
        ([0, 0, 1, 0], [False, False]),  # above the upper but not the lower bound: never
    ],
)
def test_two_comparators_of_one_value(entries, needed):
    before = table(comparisons([(0, -1), (0, 2)]), "comparators", [0, 1], entries)
    after = ignore_unreached(before)
    assert depends(after["out"])[0].tolist() == needed
    np.testing.assert_array_equal(evaluate.run(after, EVENTS), evaluate.run(before, EVENTS))


def test_a_comparator_that_no_table_needs_is_not_computed():
    before = table(comparisons([(0, -1), (0, 2)]), "comparators", [0, 1], [0, 0, 0, 1])
    assert optimize(before)["comparators"].bounds.tolist() == [2]


def test_comparators_of_other_values_keep_all_entries():
    before = table(comparisons([(0, -1), (1, 2)]), "comparators", [0, 1], [0, 0, 0, 1])
    assert ignore_unreached(before)["out"] is before["out"]


def test_what_only_moves_comparators_keeps_their_order():
    builder = comparisons([(1, 0), (0, 2)])
    builder.threshold("others", "inputs", np.array([0]), np.array([-1]))
    builder.select("turned", "comparators", np.array([1, 0]))
    builder.concatenate("both", ("others", "turned"))
    before = table(builder, "both", [0, 1], [0, 0, 0, 1])
    assert depends(ignore_unreached(before)["out"])[0].tolist() == [False, True]


def test_an_element_that_is_read_twice_is_read_once():
    builder = Builder((VALUE, BIT))
    before = table(builder, "inputs", [1, 1], [0, 1, 0, 1])
    parity = table(Builder((VALUE, BIT)), "inputs", [1, 1], [0, 1, 1, 0])
    assert depends(ignore_unreached(parity)["out"]).tolist() == [[False, False]]
    assert depends(ignore_unreached(before)["out"]).tolist() == [[True, False]]


def test_the_member_that_fewer_tables_read_is_ignored():
    """Equal comparators: either will do; the second table needs the first one."""
    builder = comparisons([(0, 1), (0, 1), (1, 0)])
    levels = Constant(np.array([[0, 1, 1, 0, 0, 1, 1, 1], [0, 1, 0, 1, 1, 0, 1, 0]]), BIT)
    members = np.array([[0, 1, 2], [0, 1, 2]])
    before = builder.graph(builder.truth_table("out", "comparators", members, levels))
    after = ignore_unreached(before)
    assert depends(before["out"]).tolist() == [[True] * 3, [True, False, True]]
    assert depends(after["out"]).tolist() == [[True, False, True]] * 2
    np.testing.assert_array_equal(evaluate.run(after, EVENTS), evaluate.run(before, EVENTS))


@pytest.mark.parametrize("seed", range(100))
def test_random_tables_become_as_small_as_all_events_allow(seed):
    rng = np.random.default_rng(seed)
    comparators = [(rng.integers(2), rng.integers(-4, 5)) for _ in range(5)]
    members = rng.permutation(5)[:4].tolist()
    before = table(comparisons(comparators), "comparators", members, rng.integers(2, size=16))
    after = ignore_unreached(before)
    out = evaluate.run(before, EVENTS)[:, 0]
    np.testing.assert_array_equal(evaluate.run(after, EVENTS)[:, 0], out)
    elements, bounds = np.array(comparators).T
    bits = (EVENTS[:, elements] >= bounds)[:, members]
    kept = np.flatnonzero(depends(after["out"])[0])
    for member in kept:
        others = bits[:, [m for m in kept if m != member]]
        seen = {}
        pairs = zip(map(tuple, others.tolist()), out.tolist(), strict=True)
        assert not all(seen.setdefault(key, value) == value for key, value in pairs)


@pytest.mark.parametrize("seed", range(100))
def test_elements_beside_their_own_comparators(seed):
    """A table may read the bits of a value, and comparators of the same value."""
    rng = np.random.default_rng(seed)
    builder = comparisons([(rng.integers(2), rng.integers(-4, 5)) for _ in range(3)])
    builder.concatenate("both", ("inputs", "comparators"))
    members = np.array([[0, 1, *rng.integers(0, 5, 2)]])
    widths = np.array([[1 if e > 1 else rng.integers(1, 4) for e in members[0]]])
    levels = Constant(rng.integers(2, size=(1, 1 << widths.sum())), BIT)
    before = builder.graph(builder.truth_table("out", "both", members, levels, widths))
    for after in (ignore_unreached(before), optimize(before)):
        np.testing.assert_array_equal(evaluate.run(after, EVENTS), evaluate.run(before, EVENTS))


@pytest.mark.parametrize("entries", [[0, 0, 1, 0], [0, 0, 0, 1], [0, 1, 1, 0]])
def test_a_bit_is_not_a_comparator_of_itself(entries):
    builder = Builder((BIT,))
    builder.threshold("always", "inputs", np.array([0]), np.array([0]))
    builder.concatenate("both", ("inputs", "always"))
    before = table(builder, "both", [0, 1], entries)
    x = np.array([[0], [1]])
    for after in (ignore_unreached(before), optimize(before)):
        np.testing.assert_array_equal(evaluate.run(after, x), evaluate.run(before, x))

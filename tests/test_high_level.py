"""The benchmark of low-level and high-level variables: its trees and its linear method in bits, on a few events."""

import sys
from pathlib import Path

import numpy as np
import pytest

from trigger.events.dataset import Events
from trigger.fixedpoint import evaluate
from trigger.fixedpoint.types import smallest

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks" / "high_level"


@pytest.fixture(scope="module")
def methods():
    sys.path.insert(0, str(FOLDER))
    yield pytest.importorskip("methods")
    sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def task(methods):
    """Signal where the product of two of three integers is positive."""
    rng = np.random.default_rng(1)
    x = rng.integers(-100, 101, (900, 3))
    y = (x[:, 0] * x[:, 1] > 0).astype(int)
    parts = {
        name: Events(x[rows], y[rows], np.ones(len(rows)))
        for name, rows in zip(
            ("train", "validation", "test"), np.split(np.arange(900), [500, 700]), strict=True
        )
    }
    return methods.Task(parts, (smallest(-100, 100, 0),) * 3, "trees")


def test_trees_as_a_graph(methods, task):
    """Every leaf is reached through its address: the graph separates, and is that of the trees."""
    found = methods.trees_in_bits(task)
    test = task.events["test"]
    np.testing.assert_array_equal(evaluate.run(found.graph, test.x)[:, 0], found.scores)
    right = (found.scores > 0) == test.y
    assert right.mean() > 0.9
    kinds = [node.op for node in found.graph.nodes]
    assert kinds.count("lookup") == methods.TREES


def test_no_straight_line_separates_them(methods, task):
    found = methods.linear_in_bits(task)
    float_scores = methods.linear(task).scores
    assert np.corrcoef(found.scores, float_scores)[0, 1] > 0.99
    assert ((found.scores > 0) == task.events["test"].y).mean() < 0.7


def test_turned_azimuths_do_not_change_when_the_event_turns(methods):
    import samples

    rng = np.random.default_rng(2)
    x = rng.integers(-288, 288, (50, 4))
    again = x.copy()
    again[:, 1:] = (again[:, 1:] + 100 + 288) % 576 - 288
    names = ["lepton_pt", "lepton_phi", "met_phi", "jet1_phi"]
    one, other = (
        samples._with_turned("s", "", each, np.zeros(50), names, [], 576, 1) for each in (x, again)
    )
    assert one.sets["turned"] == [0, 4, 5] and one.sets["low"] == [0, 1, 2, 3]
    turned = one.x[:, one.sets["turned"]]
    np.testing.assert_array_equal(turned, other.x[:, other.sets["turned"]])
    np.testing.assert_array_equal((turned[:, 1] - (x[:, 2] - x[:, 1])) % 576, 0)
    assert turned[:, 1:].min() >= -288 and turned[:, 1:].max() <= 287


def test_the_same_events_for_all_sets_of_variables(methods):
    import samples

    (sample,) = [each for each in samples.available() if each.name == "higgs"]
    low, high = (sample.splits(sample.sets[name]) for name in ("low", "high"))
    assert [len(events.y) for events in low.values()] == [24_000, 8_000, 8_000]
    assert (low["test"].x.shape[1], high["test"].x.shape[1]) == (21, 7)
    np.testing.assert_array_equal(low["test"].y, high["test"].y)
    m_bb = sample.types(sample.sets["high"])[4]
    assert not m_bb.signed and m_bb.fraction == 0

"""The filters of benchmarks/doublets.py on pairs of few crossings, and its counts."""

import numpy as np
import pytest
from benchmark_scripts import imported

from trigger.events.tracks import CLASSES, Pairs, crossing
from trigger.fixedpoint.types import Fixed

TYPES = tuple(Fixed(True, width, width) for width in (12, 12, 12, 3, 3))
TRACK = CLASSES.index("track")


@pytest.fixture(scope="module")
def doublets():
    with imported("doublets") as modules:
        yield modules["doublets"]


@pytest.fixture(scope="module")
def pairs():
    rng = np.random.default_rng(7)
    made = [crossing(1, rng) for _ in range(4)]
    return Pairs(*(np.concatenate(column) for column in zip(*made, strict=True)))


def test_a_window_keeps_what_is_inside(doublets):
    columns = np.array([[1, 0], [0, 2], [0, -1], [0, 0], [0, 0]])
    graph = doublets.window_graph(columns, np.array([10, 5]), TYPES)
    x = np.array(
        [
            [10, 3, 1, 0, 0],
            [-10, -3, -1, 3, -3],
            [11, 0, 0, 0, 0],
            [-11, 0, 0, 0, 0],
            [0, 3, 0, 0, 0],
            [0, 0, 6, 0, 0],
        ]
    )
    found = doublets.Filter("window", graph, "").kept(x)
    assert found.tolist() == [True, True, False, False, False, False]


def test_windows_have_the_efficiency_and_more_of_them_keep_less(doublets, pairs):
    names = ("dphi", "z0"), ("dphi", "z0", "bend_inner", "bend_outer")
    filters = [doublets.window(each, pairs, TYPES) for each in names]
    random = []
    for each in filters:
        kept = each.kept(pairs.x)
        assert 0.99 <= kept[pairs.label == TRACK].mean() < 1
        random.append(kept[pairs.label == 0].mean())
    assert 0.05 < random[0] < 0.4
    assert random[1] < random[0] / 4


def test_a_threshold_has_the_efficiency(doublets, pairs):
    """Of a graph whose score is minus the distance in phi."""
    from trigger.fixedpoint.build import Builder, constant

    builder = Builder(TYPES)
    columns = np.array([[-1.0, 1.0], *[[0.0, 0.0]] * 4])
    both = builder.dense("both", "inputs", constant(columns), constant(np.zeros(2)))
    graph = builder.graph(builder.minimum("score", both, np.array([[0, 1]])))
    found = doublets.with_threshold("minus the distance", graph, pairs)
    kept = found.kept(pairs.x)
    assert 0.99 <= kept[pairs.label == TRACK].mean() < 1
    limit = np.abs(pairs.x[kept, 0]).max()
    assert found.limits == f"score ≥ {-limit}"
    np.testing.assert_array_equal(kept, np.abs(pairs.x[:, 0]) <= limit)


def test_filters_that_a_sector_needs(doublets):
    """The quantile of 9,000 sectors: 360 / 40 clocks, or 18 times as many for a crossing."""
    counts = np.arange(1, 9001).reshape(1000, 9)
    assert doublets.occupancy("layers", counts) == [
        "layers",
        "9000",
        "4500.5 ± 2598.1",
        "8992 (8989 to 8994)",
        "9000",
        "1000",
        "56",
    ]


def test_what_remains_in_each_sector(doublets):
    pairs, counts = doublets.generated(2, seed=3, layer=2)
    assert counts.shape == (2, 9) and counts.sum() == len(pairs.pt)
    everything = doublets.window_graph(np.eye(5, dtype=int)[:, :1], np.array([5000]), TYPES)
    kept = doublets.remaining(doublets.Filter("all", everything, ""), pairs, counts)
    np.testing.assert_array_equal(kept, counts)
    right = doublets.window_graph(np.eye(5, dtype=int)[:, :1], np.array([300]), TYPES)
    kept = doublets.remaining(doublets.Filter("some", right, ""), pairs, counts)
    inside = np.abs(pairs.x[:, 0]) <= 300
    second = np.arange(len(inside)) >= counts[0].sum()
    expected = [
        [(inside & (second == k) & (pairs.sector == s)).sum() for s in range(9)] for k in (0, 1)
    ]
    np.testing.assert_array_equal(kept, expected)


def test_a_table_of_two_filters(doublets, pairs, capsys):
    windows = [doublets.window(("dphi", "z0"), pairs, TYPES)]
    doublets.performance(windows, pairs, "xcvu13p-flga2577-2-e", False)
    doublets.by_momentum(windows, pairs)
    lines = capsys.readouterr().out.splitlines()
    (row,) = [line.split(" | ") for line in lines if line.startswith("| window in dphi, z0 |")]
    lut, cycles = int(row[5]), row[7]
    assert 20 < lut < 200 and row[6] == "—"
    assert cycles == f"{cycles[0]} ({1000 * int(cycles[0]) / 360:.1f})"
    (of_tracks,) = [line.split(" | ") for line in lines if line.startswith("| 2 to 2.5 GeV |")]
    assert int(of_tracks[1]) == ((pairs.pt > 2) & (pairs.pt <= 2.5)).sum()

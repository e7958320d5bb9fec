"""Comparators in the RTL: tables that share what they compare, for elements of any width."""

import numpy as np
import oracle
from battery import PART
from random_graphs import events

from trigger.backends import rtl
from trigger.backends.rtl import simulate
from trigger.backends.rtl.area import lut
from trigger.backends.rtl.logic import to_logic
from trigger.fixedpoint.build import Builder
from trigger.fixedpoint.types import Fixed, bounds


def comparators(kinds, bounds_of_each: int, seed: int):
    """Bounds anywhere in the types, at their ends and beyond them, and some with few set bits."""
    rng = np.random.default_rng(seed)
    builder = Builder(tuple(kinds))
    low, high = bounds(builder["inputs"].types)
    elements = np.repeat(np.arange(len(kinds)), bounds_of_each)
    places = rng.integers(low[elements], high[elements] + 2)
    places[::7] = low[elements][::7]
    places[::5] = places[::5] >> 3 << 3
    return builder.graph(builder.threshold("bits", "inputs", elements, places))


def test_every_width_and_sign(tmp_path):
    graphs = [
        comparators([Fixed(s, w, 3 - s) for s in (True, False)], 12, w)
        for w in (1, 2, 5, 8, 13, 16, 17, 30)
    ]
    designs = []
    for k, graph in enumerate(graphs):
        core = rtl.write(graph, tmp_path / f"p{k}", rtl.RtlOptions(PART, 50, project_name=f"p{k}"))
        designs.append(simulate.Design(core.interface, core.sources))
    simulations = simulate.compile_together(designs, tmp_path / "bench", "-O0")
    for graph, simulation in zip(graphs, simulations, strict=True):
        x = events(graph, 1, 300)
        near = graph["bits"].bounds + np.arange(-1, 2)[:, None]
        low, high = bounds(graph.input.types)
        sides = np.clip(
            near[:, :12].ravel()[:, None] * [1, 0] + near[:, 12:].ravel()[:, None] * [0, 1],
            low,
            high,
        )
        x = np.concatenate([x, sides])
        np.testing.assert_array_equal(simulation.run(x), oracle.outputs(graph, x))


def test_equal_lower_bits_are_compared_once():
    """Eight bounds of eight bits: a table each, and one for the lower bits that all have."""
    builder = Builder((Fixed(False, 8, 8),))
    places = 32 * np.arange(8) + 5
    graph = builder.graph(builder.threshold("bits", "inputs", np.zeros(8, dtype=int), places))
    assert sum(map(lut, to_logic(graph).ops)) == 9


def test_bits_below_the_lowest_one_of_a_bound_are_not_read():
    builder = Builder((Fixed(False, 12, 12),))
    graph = builder.graph(
        builder.threshold("bits", "inputs", np.zeros(3, dtype=int), np.array([64, 3 * 64, 2048]))
    )
    assert sum(map(lut, to_logic(graph).ops)) <= 3

"""The tables of other tools in the contest of benchmarks/, as graphs: the integers are theirs."""

from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest
from benchmark_scripts import imported

from trigger.fixedpoint import evaluate
from trigger.fixedpoint.types import Fixed

TYPES = (Fixed(True, 13, 6), Fixed(True, 12, 4), Fixed(True, 9, 5))
INPUTS = {"bits": 4, "shifts": [6, 5, 2]}


@pytest.fixture(scope="module")
def others() -> Iterator[ModuleType]:
    with imported("others", "count", folders=("pareto",)) as modules:
        yield modules["others"]


def events(random: np.random.Generator) -> np.ndarray:
    low, high = (np.array([getattr(t, end) for t in TYPES]) for end in ("minimum", "maximum"))
    return random.integers(low, high, (500, 3), endpoint=True)


def codes(x: np.ndarray) -> np.ndarray:
    return np.clip(x >> np.array(INPUTS["shifts"]), -8, 7)


def test_tables_of_edges_are_added_and_saturated(others: ModuleType) -> None:
    random = np.random.default_rng(3)
    first = random.integers(-16, 16, (3, 4, 16))
    first[1, 2] = 0
    first[2, :, :] *= 4
    second = random.integers(-16, 16, (4, 2, 32))
    layers = [{"least": -16, "tables": first.tolist()}, {"least": -32, "tables": second.tolist()}]
    graph = others._edges({"inputs": INPUTS, "edges": layers}, TYPES)
    x = events(random)
    hidden = first[np.arange(3), :, codes(x) + 8].sum(axis=1).clip(-16, 15)
    scores = second[np.arange(4), :, hidden + 16].sum(axis=1).clip(-32, 31)
    assert (evaluate.run(graph, x) == scores).all()


@pytest.mark.parametrize("signed", [True, False])
def test_tables_of_neurons_read_several_values(others: ModuleType, signed: bool) -> None:
    random = np.random.default_rng(4)
    low = -4 if signed else 0
    first, second = (random.integers(low, low + 8, (n, 1 << bits)) for n, bits in ((4, 8), (2, 6)))
    # Fewer bits than the rest.
    first[3] = np.maximum(first[3], low + 3)
    wires = [np.array([[0, 1], [2, 0], [1, 2], [2, 2]]), np.array([[3, 1], [0, 3]])]
    layers = [
        {"bits": bits, "wires": w.tolist(), "tables": t.tolist()}
        for bits, w, t in zip((4, 3), wires, (first, second), strict=True)
    ]
    graph = others._neurons({"inputs": INPUTS, "neurons": layers}, TYPES)
    x = events(random)
    read = codes(x)[:, wires[0]] & 15
    hidden = first[np.arange(4), read[..., 0] + (read[..., 1] << 4)]
    read = hidden[:, wires[1]] & 7
    scores = second[np.arange(2), read[..., 0] + (read[..., 1] << 3)]
    assert (evaluate.run(graph, x) == scores).all()

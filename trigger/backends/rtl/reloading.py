"""Other weights loaded into a simulated core while events flow: each event must be that of the
weights in force, and none may be lost.
"""

from typing import NamedTuple

import numpy as np

from trigger.backends.rtl.image import image
from trigger.backends.rtl.interface import Interface
from trigger.backends.rtl.simulation import Simulator
from trigger.backends.rtl.verilator import RtlFailed
from trigger.fixedpoint.evaluate import GoldenModel
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.parameters import parameters, replaced
from trigger.fixedpoint.types import Integers, bounds

# Events before the first load, and after the last one.
_EVENTS = 100


class _Load(NamedTuple):
    """A network that is loaded: its words come with the events from ``first`` on, and it is in
    force from event ``start`` on.
    """

    graph: Graph
    words: tuple[int, ...]
    first: int
    start: int


def reload(simulation: Simulator, core: Interface, graph: Graph, x: Integers) -> None:
    """Load networks with other weights, and in the end the graph's own, into a core of the graph.

    ``x`` (events, features) are integers. Runs without and with stalls. Raises RtlFailed for an
    event with wrong results.
    """
    loads = _plan(core, [*others(graph), graph])
    events = loads[-1].start + _EVENTS
    features = np.resize(x, (events, x.shape[1]))
    rows = np.concatenate([features, _loading(loads, events)], axis=1)
    starts = [0, *(load.start for load in loads), events]
    expected = np.concatenate(
        [
            GoldenModel(one).run(features[begin:end])
            for one, begin, end in zip(
                [graph, *(load.graph for load in loads)], starts, starts[1:], strict=False
            )
        ]
    )
    for stalls in (False, True):
        given = simulation.loading(rows, stalls)
        wrong = (given != expected).any(axis=1)
        if wrong.any():
            event = int(np.argmax(wrong))
            number = int(np.searchsorted(starts, event, side="right")) - 1
            raise RtlFailed(
                f"rtl: {core.name}, event {event}, {event - starts[number]} after weights "
                f"{number} came into force: {given[event].tolist()}, expected "
                f"{expected[event].tolist()}"
            )


def loaded(simulation: Simulator, core: Interface, graph: Graph, x: Integers) -> Integers:
    """The outputs for ``x`` (events, features) of a core into which another graph was loaded, while
    events of its own network were flowing.
    """
    (load,) = _plan(core, [graph])
    events = load.start + len(x)
    features = np.concatenate([np.resize(x, (load.start, x.shape[1])), x])
    rows = np.concatenate([features, _loading([load], events)], axis=1)
    return simulation.loading(rows, False)[load.start :]


def others(graph: Graph) -> list[Graph]:
    """Networks of the same structure: with parameters of all sizes, and with extreme ones."""
    types = parameters(graph).types
    low, high = bounds(types)
    rng = np.random.default_rng(0)
    anything = rng.integers(low, high, endpoint=True)
    # Large weights alone would saturate what follows, and hide others.
    small = np.rint(anything * 0.5 ** rng.integers(0, 8, len(types))).astype(np.int64)
    extreme = np.where(rng.integers(0, 2, len(types)) == 1, low, high)
    return [replaced(graph, values) for values in (small, extreme, anything, small)]


def _plan(core: Interface, graphs: list[Graph]) -> list[_Load]:
    """The words of each network come when the one before has been taken by the whole pipeline; the
    network is in force at once or some events later.
    """
    loads: list[_Load] = []
    for number, graph in enumerate(graphs):
        loaded = image(graph)
        assert loaded is not None
        first = loads[-1].start + core.latency if loads else _EVENTS
        start = first + len(loaded.words) + number % 3
        loads.append(_Load(graph, loaded.words, first, start))
    return loads


def _loading(loads: list[_Load], events: int) -> Integers:
    """What comes with each event, as ``interface.LOADING`` says."""
    rows = np.zeros((events, 3), dtype=np.int64)
    for load in loads:
        rows[load.start, 0] = 1
        rows[load.first : load.first + len(load.words), 1] = 1
        rows[load.first : load.first + len(load.words), 2] = load.words
    return rows

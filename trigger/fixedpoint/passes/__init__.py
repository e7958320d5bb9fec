"""Passes: each a pure function from a graph to a graph that gives the same integers for every input.

``optimize`` is what every backend that wants less hardware applies; each pass is a module of its own.
"""

from collections.abc import Callable

from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.passes.dead import remove_dead
from trigger.fixedpoint.passes.decision import lower_decision
from trigger.fixedpoint.passes.fold import fold_constants
from trigger.fixedpoint.passes.narrow import narrow

PASSES: dict[str, Callable[[Graph], Graph]] = {
    "decision lowering": lower_decision,
    "constant folding": fold_constants,
    "dead values": remove_dead,
    "range narrowing": narrow,
}


def optimize(graph: Graph) -> Graph:
    """All passes, in order."""
    for run in PASSES.values():
        graph = run(graph)
    return graph

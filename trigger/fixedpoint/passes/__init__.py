"""Passes: pure functions from a graph to a graph with the same outputs for every input.

``optimize`` applies them all, for backends that minimise hardware. Each pass is one module.
"""

from collections.abc import Callable

from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.passes.dead import remove_dead
from trigger.fixedpoint.passes.decision import lower_decision
from trigger.fixedpoint.passes.fold import fold_constants
from trigger.fixedpoint.passes.narrow import narrow
from trigger.fixedpoint.passes.unreached import ignore_unreached

PASSES: dict[str, Callable[[Graph], Graph]] = {
    "decision lowering": lower_decision,
    "unreached entries": ignore_unreached,
    "constant folding": fold_constants,
    "dead values": remove_dead,
    "range narrowing": narrow,
}


def optimize(graph: Graph) -> Graph:
    """All passes, in order."""
    for run in PASSES.values():
        graph = run(graph)
    return graph

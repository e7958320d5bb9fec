"""Whether traced values lie in the intervals that are proven for them, and these in the types."""

import numpy as np

from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ranges import overflow_proof, ranges
from trigger.fixedpoint.types import bounds


def assert_inside(graph: Graph, found: dict[str, np.ndarray]) -> None:
    """Every value of every node lies in the node's interval, and the interval in what the proof and the types say.

    ``found`` has the integers of each node, shape (events, elements); there is at least one event.
    """
    intervals = ranges(graph)
    rows = {row.name: row for row in overflow_proof(graph)}
    names = [node.name for node in graph.nodes]
    assert sorted(found) == sorted(intervals) == sorted(rows) == sorted(names)
    for node in graph.nodes:
        values, (low, high), row = found[node.name], intervals[node.name], rows[node.name]
        assert values.ndim == 2 and len(values) > 0, node.name
        assert values.shape[1] == len(low) == len(high) == len(node.types), node.name
        assert (low <= values).all() and (values <= high).all(), node.name
        least, most = bounds(node.types)
        assert (least <= low).all() and (high <= most).all(), node.name
        assert (row.low, row.high) == (low.min(), high.max()), node.name

"""The outputs of Keras for integer inputs, as integers of a graph."""

from typing import TYPE_CHECKING

import numpy as np

from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.passes.decision import scores
from trigger.verification.compare import to_integers

if TYPE_CHECKING:
    from trigger.artifacts.decided import WorkingPoints
    from trigger.frontends.stored import Reference


def keras_integers(
    graph: Graph, reference: "Reference", x: np.ndarray, points: "WorkingPoints | None"
) -> tuple[np.ndarray, np.ndarray]:
    """Keras' outputs for integer inputs, as integers of the graph, and the events that have none.

    Accept bits are computed from Keras' own scores.
    """
    real = reference.predict(np.ldexp(x.astype(np.float64), -graph.input.fractions))
    integers, off_grid = to_integers(scores(graph), real)
    if points is not None:
        integers = (real[:, points.elements] >= points.thresholds).astype(np.int64)
    return integers, off_grid

"""A forest as the network of a build, with the same functions as ``frontends.networks``."""

import numpy as np

from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.passes.decision import LeftOut
from trigger.fixedpoint.types import Reals
from trigger.frontends.trees.forest import Forest
from trigger.frontends.trees.lowering import lower
from trigger.frontends.trees.reading import read as load

__all__ = ["Reference", "ends", "left_out", "load", "lower"]


class Reference:
    """The scores of the trees themselves: thresholds as their library compares them."""

    def __init__(self, forest: Forest, graph: Graph | None = None) -> None:
        self._forest = forest

    def predict(self, x: np.ndarray) -> Reals:
        """Real inputs, shape (events, features), to scores, float64 of shape (events, outputs)."""
        return self._forest.scores(self._forest.leaves(np.asarray(x, dtype=np.float64)))


def ends(forest: Forest, graph: Graph | None = None) -> list[tuple[str, int]]:  # noqa: ARG001
    """What makes the scores probabilities. A sigmoid or softmax after them is left out."""
    if forest.head != "probability":
        return [("linear", forest.outputs)]
    return [("sigmoid" if forest.outputs == 1 else "softmax", forest.outputs)]


def left_out(forest: Forest, graph: Graph) -> list[LeftOut | None]:
    """The function that the library applies to each score, and the graph leaves out."""
    from trigger.frontends import heads

    omitted = None
    if forest.head == "sigmoid":
        omitted = heads.omitted("sigmoid", graph)
    elif forest.head == "softmax":
        omitted = heads.SOFTMAX
    return [omitted] * forest.outputs

"""An hls4ml project as the network of a build, with the same functions as ``frontends.networks``.

Its own csim is the reference: the C++ as it is in the project, compiled with g++.
"""

import numpy as np

from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.passes.decision import LeftOut
from trigger.fixedpoint.types import Reals
from trigger.frontends.hls4ml.lowering import input_types, lower
from trigger.frontends.hls4ml.project import Project
from trigger.frontends.hls4ml.project import read as load
from trigger.support.progress import progress, say
from trigger.verification.oracle import LINEAR, Head, Recording

__all__ = ["Reference", "ends", "input_types", "left_out", "load", "lower", "record"]


class Reference:
    """The csim of the project itself; a softmax at its end is left out."""

    def __init__(self, project: Project, graph: Graph | None = None) -> None:
        self._kept = project  # its unpacked files are removed with it
        self._csim = project.csim._replace(before_softmax=project.softmax is not None)

    def predict(self, x: np.ndarray) -> Reals:
        """Real inputs, shape (events, features), to outputs, float64 of shape (events, outputs)."""
        say("  compiling the csim of the project")
        with progress(f"{self._csim.label} of the project", len(x), "events") as done:
            y: Reals = self._csim.predict(np.asarray(x, dtype=np.float64), done)
        return y


def record(project: Project, x: np.ndarray) -> Recording:
    """The outputs of the csim for real inputs (events, features)."""
    heads = (Head(LINEAR, "outputs", project.outputs),)
    name = f"hls4ml project ({project.csim.backend})"
    return Recording(x, Reference(project).predict(x), heads, name)


def ends(project: Project, graph: Graph | None = None) -> list[tuple[str, int]]:  # noqa: ARG001
    """One output of scores without a head."""
    return [(LINEAR, project.outputs)]


def left_out(project: Project, graph: Graph) -> list[LeftOut | None]:  # noqa: ARG001
    """A softmax at the end; other functions that the graph does not have are refused."""
    from trigger.frontends import heads

    return [heads.SOFTMAX if project.softmax else None] * project.outputs

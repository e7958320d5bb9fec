"""The network of a build from its file: of Keras, of ONNX, an hls4ml project, or a forest."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from trigger.errors import TriggerError
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.parameters import parameters
from trigger.fixedpoint.passes.decision import LeftOut

CONSTANT = 'set target.weights to "constant"'


class Reference(Protocol):
    """A network evaluated independently of its graph."""

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Real inputs, shape (events, features), to outputs, float64 of shape (events, outputs)."""


class Opened(NamedTuple):
    """A network, with the module whose functions take it: ``frontends.networks``,
    ``frontends.onnx.network``, ``frontends.hls4ml.network`` or ``frontends.trees.network``.
    """

    frontend: Any
    model: Any

    @property
    def is_keras(self) -> bool:
        return hasattr(self.model, "layers")

    def lower(self, types: Sequence[Any], reloadable: bool | Graph = False) -> Graph:
        """The graph. Raises TriggerError if it shall be reloadable, and has nothing to load."""
        if not reloadable:
            graph: Graph = self.frontend.lower(self.model, types)
            return graph
        if not self.is_keras:
            raise TriggerError(f"weights of Keras networks can be loaded, no others; {CONSTANT}")
        graph = self.frontend.lower(self.model, types, reloadable=reloadable)
        if reloadable is True and not parameters(graph).types:
            raise TriggerError(f"the network has no weights that can be loaded; {CONSTANT}")
        return graph

    def left_out(self, graph: Graph) -> list[LeftOut | None]:
        heads: list[LeftOut | None] = self.frontend.left_out(self.model, graph)
        return heads

    def ends(self, graph: Graph) -> list[tuple[str, int]]:
        ends: list[tuple[str, int]] = self.frontend.ends(self.model, graph)
        return ends

    def reference(self, graph: Graph) -> Reference:
        reference: Reference = self.frontend.Reference(self.model, graph)
        return reference


def opened(path: Path) -> Opened:
    """The network of a build; Keras must have been started."""
    if path.suffix == ".json":
        from trigger.frontends.trees import network

        return Opened(network, network.load(path))
    if path.suffix == ".onnx":
        from trigger.frontends.onnx import network as of_onnx

        return Opened(of_onnx, of_onnx.load(path))
    if path.suffix == ".zip":
        from trigger.frontends.hls4ml import network as of_hls4ml

        return Opened(of_hls4ml, of_hls4ml.load(path))
    from trigger.frontends import loading, networks

    return Opened(networks, loading.load(path))

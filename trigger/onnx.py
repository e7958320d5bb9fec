"""Quantised networks in ONNX: of QONNX, as Brevitas writes them, and with QuantizeLinear.

``lower`` gives the fixed-point graph of a file.
"""

from collections.abc import Sequence
from pathlib import Path

from trigger.api import Graph
from trigger.errors import TriggerError
from trigger.fixedpoint.types import Fixed


def lower(path: str | Path, inputs: str | Fixed | Sequence[str | Fixed] | None = None) -> Graph:
    """The network of a file as the fixed-point graph that computes the same numbers.

    ``inputs`` is the hardware type of the features, such as "fixed<16,6>", one for all or one for
    each, in the order of the file (channels first); values enter rounded half to even, and
    saturated. It may be omitted if the network starts with a quantiser whose scale is a power of
    two. Raises ``Inexact``, with everything that cannot be exact, if there is no such graph.
    """
    from trigger.frontends import given
    from trigger.frontends.onnx import network

    model = network.load(Path(path))
    types = given.input_types(inputs)
    listed = [types] * model.features if isinstance(types, Fixed) else types
    if listed is not None and len(listed) != model.features:
        raise TriggerError(
            f"{path}: its network has {model.features} features; give one type for all, or one for "
            f"each"
        )
    graph = network.lower(model, listed)
    return Graph(graph.nodes, graph.notes)

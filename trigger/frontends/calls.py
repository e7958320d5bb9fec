"""What a walk over a network knows of one use of a layer."""

from typing import Any, NamedTuple


class Value(NamedTuple):
    """What a Keras tensor is in the graph: a node, and the shape its elements have in Keras, batch
    axis left out.
    """

    node: str
    shape: tuple[int, ...]


class Call(NamedTuple):
    """One use of a layer or operation; ``node`` is that of Keras."""

    layer: Any
    name: str
    inputs: tuple[Value, ...]
    output_shape: tuple[int, ...]
    is_head: bool
    node: Any

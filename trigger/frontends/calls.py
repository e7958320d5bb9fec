"""What a walk over a network knows of one use of a layer."""

from collections.abc import Callable
from typing import Any, NamedTuple

from trigger.frontends.inexact import Refusal


class Unrounded(NamedTuple):
    """A real-valued function of each element, which becomes exact with the quantiser after it.

    ``function`` maps a tensor of Keras, in its own precision; ``rises`` if it never decreases.
    ``refusal`` is the problem of ``layer`` if no quantiser follows.
    """

    function: Callable[[Any], Any]
    rises: bool
    layer: str
    refusal: Refusal


class Value(NamedTuple):
    """A Keras tensor in the graph: a node, and the shape of its elements in Keras, without batch
    axis. If ``unrounded`` is given, the tensor is that function of the node.
    """

    node: str
    shape: tuple[int, ...]
    unrounded: Unrounded | None = None


class Call(NamedTuple):
    """One use of a layer or operation; ``node`` is that of Keras."""

    layer: Any
    name: str
    inputs: tuple[Value, ...]
    output_shape: tuple[int, ...]
    is_head: bool
    node: Any

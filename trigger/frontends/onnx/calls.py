"""One node of an ONNX network as its operator sees it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from trigger.fixedpoint.build import Builder
from trigger.frontends.inexact import Refusal
from trigger.frontends.onnx.reading import Node
from trigger.frontends.onnx.sums import Sum
from trigger.frontends.onnx.values import Value

_CONSTANT = "give it as a constant of the file"


_WEIGHTED = ("MatMul", "Gemm", "Conv")


class Joined(NamedTuple):
    """A node whose levels are a step function of the integers before it; ``rounds`` if executors
    in float32 round what it reads, because some factor is no power of two.
    """

    node: str
    rounds: bool


class Call(NamedTuple):
    """One node; ``given`` has its inputs: values, constants, or None where one is left out."""

    builder: Builder
    node: Node
    name: str
    given: list[Any]
    known: Callable[[str], np.ndarray | None]
    notes: list[str]
    joined: list[Joined]
    # The exact sums of values with different scales, by their nodes.
    sums: dict[str, Sum]

    @property
    def value(self) -> Value:
        """The first input. Raises Refusal if it is a constant."""
        value = self.given[0]
        if not isinstance(value, Value):
            raise Refusal("its first input is constant", "give values of the event there")
        return value

    def constants(self, first: int = 1) -> list[Any]:
        """The inputs from a place on. Raises Refusal if one depends on the event."""
        rest = self.given[first:]
        if any(isinstance(value, Value) for value in rest):
            what = "weights" if self.node.operator in _WEIGHTED else "parameters"
            raise Refusal(f"its {what} depend on the event", _CONSTANT)
        return rest

    def number(self, place: int, attribute: str, default: Any = None) -> Any:
        """A constant from an input or, in older operator sets, an attribute."""
        if place < len(self.given) and self.given[place] is not None:
            return self.constants(place)[0]
        return self.node.get(attribute, default)

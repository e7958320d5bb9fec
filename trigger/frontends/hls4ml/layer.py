"""A call of a function of hls4ml, with everything that its lowering needs."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.ops import Constant
from trigger.fixedpoint.types import Fixed, Integers
from trigger.frontends.hls4ml.configs import Config
from trigger.frontends.hls4ml.headers import HeaderError, Stream
from trigger.frontends.hls4ml.numbers import Number, assigned, real, rounded
from trigger.frontends.hls4ml.project import Project


class Value(NamedTuple):
    """A variable of C++: its node, and the type of its elements."""

    node: str
    type: Number


class Layer(NamedTuple):
    """A call: its inputs, the type of its result, and its numbers by the name of the argument.

    ``parameter`` is the argument between input and result, and its type. ``table`` gives the real
    values of the function's table.
    """

    builder: Builder
    name: str
    config: Config
    inputs: list[Value]
    result: Number
    stored: list[str]
    parameter: tuple[str, Number] | None
    project: Project
    table: Callable[[], np.ndarray]

    @property
    def is_stream(self) -> bool:
        """Streams have functions of their own, of the same names."""
        return isinstance(self.project.ports()[0], Stream)

    def constants(self, name: str, count: int, kind: Number) -> Integers:
        """The integers of an argument of so many numbers. Raises Inexact if there are others."""
        return self.project.constants(name, count, kind)

    def written(self, header: str, text: str) -> bool:
        """Whether a header of hls4ml has this text: functions differ from release to release."""
        return " ".join(text.split()) in self.project.header(header)

    def elements(self, of: int = 0) -> int:
        return len(self.builder[self.inputs[of].node].types)

    def check_size(self, *fields: str) -> int:
        """The number of elements of the first input, of which the struct has the factors."""
        size = math.prod(self.config.size(field) for field in fields)
        if size != self.elements():
            raise HeaderError(
                f"the struct {self.config.name} has {' * '.join(fields)} = {size}, but its input "
                f"has {self.elements()} elements"
            )
        return size

    def factor(self) -> float:
        """The parameter as a real number, after its assignment to its type."""
        text, kind = self.parameter or ("1.0", self.result)
        (held,) = rounded([real(text)], kind)
        return float(held)

    def scaled(self, suffix: str, source: str, scale: float, shift: float = 0.0) -> str:
        """A value times a real number, plus another; whole numbers are on its grid."""
        fractions = self.builder[source].fractions
        if (scale, shift) == (1.0, 0.0) and (fractions >= 0).all():
            return source
        shifts = constant(np.full(len(fractions), shift))
        coarse = max(-shifts.type.fraction, 0)
        signed, width, integer = shifts.type.signed, shifts.type.width, shifts.type.integer
        shifts = Constant(shifts.values << coarse, Fixed(signed, width + coarse, integer))
        factors = constant(np.full(len(fractions), scale))
        return self.builder.affine(f"{self.name}{suffix}", source, factors, shifts)

    def assigned(self, suffix: str, node: str, kind: Number) -> str:
        """A value after its assignment to a variable of this type."""
        return assigned(self.builder, f"{self.name}{suffix}", node, kind)

    def given(self, node: str) -> str:
        """The result, after its assignment to the type of the variable."""
        return assigned(self.builder, f"{self.name}_result", node, self.result)

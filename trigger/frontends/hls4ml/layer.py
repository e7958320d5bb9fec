"""A call of a function of hls4ml, with everything that its lowering needs."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.ops import Constant
from trigger.fixedpoint.types import Fixed, Integers
from trigger.frontends.hls4ml.configs import Config
from trigger.frontends.hls4ml.headers import HeaderError
from trigger.frontends.hls4ml.numbers import Number, assigned, real, rounded


class Value(NamedTuple):
    """A variable of C++: its node, and the type of its elements."""

    node: str
    type: Number


class Layer(NamedTuple):
    """A call: its inputs, the type of its result, and its numbers by the name of the argument.

    ``parameter`` is the argument between input and result, and its type. ``constants`` gives the
    integers of an argument of so many numbers, of the type; ``table`` the real values of the
    function's table. ``is_stream`` chooses between two functions of the same name.
    """

    builder: Builder
    name: str
    config: Config
    inputs: list[Value]
    result: Number
    stored: list[str]
    parameter: tuple[str, Number] | None
    is_stream: bool
    constants: Callable[[str, int, Number], Integers]
    table: Callable[[], np.ndarray]

    def elements(self, of: int = 0) -> int:
        return len(self.builder[self.inputs[of].node].types)

    def check_size(self, field: str) -> int:
        """The number of elements of the first input, which the struct must also say."""
        size = self.config.size(field)
        if size != self.elements():
            raise HeaderError(
                f"the struct {self.config.name} has {field} = {size}, but its input has "
                f"{self.elements()} elements"
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

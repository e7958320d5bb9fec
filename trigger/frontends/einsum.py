"""Einsum equations: of a tensor and a kernel, as one matrix that is applied at each position, or of
two tensors, as sums of products.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from trigger.fixedpoint.build import Builder
from trigger.fixedpoint.types import Integers
from trigger.frontends import merging, numbered, wiring
from trigger.frontends.calls import Value
from trigger.frontends.constants import exact
from trigger.frontends.inexact import Refusal

_SPAN = "use constants of fewer bits"
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Equation(NamedTuple):
    """The letters of the axes, without that of the events: ``free`` are those of the input that the
    output keeps, ``summed`` the others, and ``new`` those that the kernel adds.
    """

    kernel: str
    output: str
    free: str
    summed: str
    new: str
    sizes: dict[str, int]

    def windows(self, shape: tuple[int, ...], letters: str) -> Integers:
        """The elements that the matrix reads at each position, (positions, inputs)."""
        axes = [letters.index(letter) for letter in self.free + self.summed]
        moved = wiring.numbers_of(shape).transpose(axes)
        return moved.reshape(self._size(self.free), self._size(self.summed))

    def matrix(self, kernel: np.ndarray) -> np.ndarray:
        """The kernel as (inputs, outputs)."""
        known = [letter for letter in self.summed if letter in self.kernel]
        ordered = kernel.transpose([self.kernel.index(letter) for letter in (*known, *self.new)])
        absent = tuple(k for k, letter in enumerate(self.summed) if letter not in self.kernel)
        whole = [self.sizes[letter] for letter in self.summed + self.new]
        matrix = np.broadcast_to(np.expand_dims(ordered, absent), whole)
        return matrix.reshape(self._size(self.summed), self._size(self.new))

    def order(self) -> Integers:
        """The order of the elements (positions, outputs) in the output."""
        made = self.free + self.new
        numbers = wiring.numbers_of(tuple(self.sizes[letter] for letter in made))
        return numbers.transpose([made.index(letter) for letter in self.output])

    def by_position(self, bias: np.ndarray) -> np.ndarray:
        """The bias of each element (positions, outputs)."""
        whole = np.broadcast_to(bias, [self.sizes[letter] for letter in self.output])
        made = whole.transpose([self.output.index(letter) for letter in self.free + self.new])
        return made.reshape(self._size(self.free), self._size(self.new))

    def _size(self, letters: str) -> int:
        return math.prod(self.sizes[letter] for letter in letters)


def times(builder: Builder, name: str, value: Value, text: str, kernel: np.ndarray) -> str:
    """Append a tensor times an array of constants, by an equation that names the tensor first."""
    equation, letters = read(text, value.shape, kernel.shape)
    windows = equation.windows(value.shape, letters)
    source = wiring.gather(builder, f"{name}_windows", value.node, windows)
    matrix = exact("constant", equation.matrix(kernel), _SPAN)
    zero = exact("constant", np.zeros(matrix.values.shape[1]), _SPAN)
    made = builder.dense(name, source, matrix, zero, len(windows))
    return wiring.gather(builder, f"{name}_order", made, equation.order())


def product(builder: Builder, name: str, inputs: Sequence[Value], text: str) -> str:
    """Append the sums of products of the elements of two tensors."""
    if len(inputs) != 2:
        raise not_of_two(text)
    first, second = inputs
    groups = pairs(text, first.shape, second.shape)
    left, right = (
        wiring.gather(builder, f"{name}_{side}", value.node, numbers)
        for side, value, numbers in zip(("left", "right"), inputs, groups, strict=True)
    )
    if groups[0].shape[1] == 1:
        return builder.multiply(name, left, right)
    products = builder.multiply(f"{name}_products", left, right)
    return merging.sums(builder, name, products, wiring.numbers_of(groups[0].shape))


def pairs(text: str, first: tuple[int, ...], second: tuple[int, ...]) -> tuple[Integers, Integers]:
    """The elements of two tensors, by number, whose products each output sums: (outputs, members).

    The shapes are those without the events. Raises Refusal for an equation that mixes events.
    """
    *written, output = (part.strip() for part in text.replace("->", ",").split(","))
    if "->" not in text or len(written) != 2:
        raise not_of_two(text)
    spare = [letter for letter in _LETTERS if letter not in text]
    more = [
        "".join(spare[: len(shape) + 1 - len(part.replace("...", ""))])[::-1]
        for part, shape in zip(written, (first, second), strict=True)
    ]
    longest = max(more, key=len)
    letters = [part.replace("...", own) for part, own in zip(written, more, strict=True)]
    output = output.replace("...", longest)
    event = output[0]
    if any(part[0] != event or event in part[1:] for part in (*letters, output)):
        raise numbered.mixed()
    if any(len(set(part)) < len(part) for part in (*letters, output)):
        raise _twice(text)
    sizes: dict[str, int] = {}
    for part, shape in zip(letters, (first, second), strict=True):
        for letter, size in zip(part[1:], shape, strict=True):
            sizes[letter] = max(size, sizes.get(letter, 1))
    kept = output[1:]
    summed = [letter for letter in sizes if letter not in kept]
    whole = [*kept, *summed]
    rows = math.prod(sizes[letter] for letter in kept)
    terms = []
    for part, shape in zip(letters, (first, second), strict=True):
        own = part[1:]
        ordered = wiring.numbers_of(shape).transpose([own.index(x) for x in whole if x in own])
        absent = tuple(k for k, letter in enumerate(whole) if letter not in own)
        spread = np.broadcast_to(
            np.expand_dims(ordered, absent), [sizes[letter] for letter in whole]
        )
        terms.append(spread.reshape(rows, -1))
    return terms[0], terms[1]


def read(text: str, shape: tuple[int, ...], kernel: Sequence[int]) -> tuple[Equation, str]:
    """The equation for an input of this shape, without the events, and the letters of its axes.

    Raises Refusal if it is not one matrix that is applied at each position.
    """
    written, axes, output = (part.strip() for part in text.replace("->", ",").split(","))
    spare = "".join(letter for letter in _LETTERS if letter not in text)
    more = spare[: len(shape) + 1 - len(written.replace("...", ""))]
    written, output = (part.replace("...", more) for part in (written, output))
    event, letters = written[0], written[1:]
    if event in axes or event in letters or output[0] != event:
        raise numbered.mixed()
    output = output[1:]
    _check(text, letters, axes, output)
    free = "".join(letter for letter in letters if letter in output)
    summed = "".join(letter for letter in letters if letter not in output)
    new = "".join(letter for letter in axes if letter not in summed)
    sizes = dict(zip(letters + axes, (*shape, *kernel), strict=True))
    return Equation(axes, output, free, summed, new, sizes), letters


def _check(text: str, letters: str, axes: str, output: str) -> None:
    own = "".join(letter for letter in axes if letter in letters and letter in output)
    if own:
        raise Refusal(
            f"its equation {text} has another kernel at each place of the axis {own[0]}",
            f"use an equation whose kernel has no axis {own[0]}, such as "
            f"{_shared(text, own)}, or slices of the input and a QDense for each",
        )
    if any(len(set(part)) < len(part) for part in (letters, axes, output)):
        raise _twice(text)


def not_of_two(text: str) -> Refusal:
    return Refusal(
        f"its equation {text} is not of two values and their output",
        "write one as in abc,acd->abd",
    )


def _twice(text: str) -> Refusal:
    return Refusal(
        f"its equation {text} has one axis twice", "use each axis once, as in abc,cd->abd"
    )


def _shared(text: str, own: str) -> str:
    before, axes, output = text.replace("->", ",").split(",")
    return f"{before},{''.join(letter for letter in axes if letter not in own)}->{output}"

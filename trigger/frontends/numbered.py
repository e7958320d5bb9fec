"""Operations that only move elements, asked what they do with the numbers of their inputs'
elements.

They are asked with two events at once. An operation that moves elements treats both alike; one
that mixes events, or puts in a value of its own other than zero, does not.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from trigger.fixedpoint.build import Builder
from trigger.fixedpoint.types import Integers
from trigger.frontends import wiring
from trigger.frontends.calls import Value
from trigger.frontends.inexact import Refusal

EVENTS = 2


def mixed() -> Refusal:
    return Refusal("it combines different events (axis 0)", "use the other axes only")


def moved(
    shapes: Sequence[tuple[int, ...]], move: Callable[[list[np.ndarray]], Sequence[Any]]
) -> list[Integers]:
    """The numbers of the elements of each output of ``move``, in its shape; -1 is zero.

    ``move`` gets an array (events, *shape) for each input, with 0 for zero. The elements are
    numbered one input after the other. Raises Refusal if it does more than move them.
    """
    count = sum(int(np.prod(shape)) for shape in shapes)
    parts, start = [], 1
    for shape in shapes:
        one = wiring.numbers_of(shape) + start
        parts.append(np.stack([one + count * event for event in range(EVENTS)]).astype(np.int32))
        start += one.size
    return [_of_one_event(np.asarray(part, dtype=np.int64), count) for part in move(parts)]


def _of_one_event(numbers: Integers, count: int) -> Integers:
    if numbers.ndim == 0 or len(numbers) != EVENTS:
        raise mixed()
    first, second = numbers
    if (first > count).any() or (second != np.where(first == 0, 0, first + count)).any():
        raise mixed()
    return np.where(first == 0, -1, first - 1)


def along(shape: tuple[int, ...], axes: Sequence[int]) -> Integers:
    """The numbers of the elements that an operation along some axes takes together, (outputs,
    members).

    Axes are counted as in Keras, the axis of the events first. Raises Refusal for that axis.
    """
    own = [axis % (len(shape) + 1) - 1 for axis in axes]
    if -1 in own:
        raise mixed()
    last = np.moveaxis(wiring.numbers_of(shape), own, range(-len(own), 0))
    return last.reshape(-1, math.prod(shape[axis] for axis in own))


def side_by_side(builder: Builder, name: str, inputs: Sequence[Value]) -> str:
    """The inputs one after the other."""
    if len(inputs) == 1:
        return inputs[0].node
    return builder.concatenate(f"{name}_inputs", tuple(value.node for value in inputs))

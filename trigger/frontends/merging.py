"""Elementwise operations on several values, and operations on groups of elements."""

from collections.abc import Callable, Sequence

import numpy as np

from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.ops import Constant
from trigger.fixedpoint.types import Fixed, Integers
from trigger.frontends import numbered, wiring
from trigger.frontends.calls import Call, Unrounded, Value
from trigger.frontends.inexact import Refusal
from trigger.frontends.piecewise import is_power_of_two, scaled

_BIT = Fixed(False, 1, 1)


def broadcast(
    builder: Builder, name: str, inputs: Sequence[Value], constants: Sequence[np.ndarray] = ()
) -> tuple[list[str], list[np.ndarray]]:
    """The inputs, and constants, of an elementwise operation in one shape; the constants flat.

    Tensors are broadcast with their events, as keras.ops does it.
    """
    shapes = [(numbered.EVENTS, *value.shape) for value in inputs]
    try:
        whole = np.broadcast_shapes(*shapes, *(c.shape for c in constants))
    except ValueError as error:
        raise numbered.mixed() from error
    nodes = []
    for k, value in enumerate(inputs, 1):
        (elements,) = numbered.moved([value.shape], lambda x: [np.broadcast_to(x[0], whole)])
        nodes.append(wiring.gather(builder, f"{name}_operand_{k}", value.node, elements))
    return nodes, [np.broadcast_to(c, whole)[0].ravel() for c in constants]


def aligned(inputs: Sequence[Value]) -> tuple[Value, ...]:
    """Values of one rank, as the layers of Keras that merge tensors make them: new axes come
    right after the events.
    """
    rank = max(len(value.shape) for value in inputs)
    return tuple(
        value._replace(shape=(1,) * (rank - len(value.shape)) + value.shape) for value in inputs
    )


def negated(builder: Builder, name: str, source: str) -> str:
    return scaled(builder, name, source, -1.0)


def difference(builder: Builder, name: str, first: str, second: str) -> str:
    return builder.add(name, (first, second), (1, -1))


def extreme(
    builder: Builder,
    name: str,
    sources: Sequence[str],
    compare: Callable[[str, str, Integers], str],
) -> str:
    """The largest or smallest of several values, element by element."""
    every = builder.concatenate(f"{name}_inputs", tuple(sources))
    count = len(builder[every].types)
    return compare(name, every, np.arange(count).reshape(len(sources), -1).T)


def product(builder: Builder, name: str, sources: Sequence[str]) -> str:
    """The product of values, element by element."""
    first, *others = sources
    for other in others:
        first = builder.multiply(name, first, other)
    return first


def contraction(
    builder: Builder, name: str, first: str, second: str, groups: tuple[Integers, Integers]
) -> str:
    """The sum of products of each vector of one value with each vector of another.

    ``groups`` are the numbers of the elements of their vectors, (vectors, members).
    """
    a, b = groups
    whole = (len(a), len(b), a.shape[1])
    left = wiring.gather(builder, f"{name}_left", first, np.broadcast_to(a[:, None], whole))
    right = wiring.gather(builder, f"{name}_right", second, np.broadcast_to(b[None], whole))
    products = builder.multiply(f"{name}_products", left, right)
    return sums(builder, name, products, wiring.numbers_of((whole[0] * whole[1], whole[2])))


def sums(builder: Builder, name: str, source: str, groups: Integers) -> str:
    """The sum of each group of elements, (outputs, members); -1 is zero."""
    outputs, members = groups.shape
    ones = Constant(np.ones((members, 1), dtype=np.int64), _BIT)
    zero = Constant(np.zeros(1, dtype=np.int64), _BIT)
    windows = wiring.gather(builder, f"{name}_windows", source, groups)
    return builder.dense(name, windows, ones, zero, outputs)


def averages(builder: Builder, call: Call, source: str, groups: Integers) -> str | Value:
    """The mean of each group of elements, (outputs, members), without those that are -1."""
    counts = (groups >= 0).sum(axis=1)
    odd = [int(count) for count in counts if not is_power_of_two(count)]
    if odd and len(set(counts.tolist())) > 1:
        raise Refusal(
            f"it divides by {odd[0]} at some places, which is not a power of two",
            'use padding="valid", or average 2, 4, 8 … values',
        )
    total = sums(builder, f"{call.name}_sum", source, groups)
    if odd:
        return divided(call, total, odd[0])
    zeros = constant(np.zeros(len(counts)))
    return builder.affine(call.name, total, constant(1 / counts), zeros)


def divided(call: Call, total: str, count: int) -> Value:
    """A sum divided by a number that is no power of two, which a quantiser after it makes exact."""
    refusal = Refusal(
        f"it divides by {count}, which is not a power of two",
        "put a quantiser after it, such as "
        'QActivation("quantized_bits(8,3,alpha=1)"), or average 2, 4, 8 … values',
    )
    mean = Unrounded(lambda x: x / count, True, call.layer.name, refusal)
    return Value(total, call.output_shape, mean)

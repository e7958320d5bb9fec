"""Graphs with kernels that several positions share: convolutions, DeepSets, tables."""

import numpy as np
from corner_graphs import integers

from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.types import Fixed, Overflow, Rounding


def relu(builder: Builder, name: str, source: str) -> str:
    kinds = (Fixed(False, 5, 3),) * len(builder[source].types)
    return builder.quantize(name, source, kinds, Rounding.RND_CONV, Overflow.SAT)


def kernel(builder: Builder, name: str, source: str, inputs: int, outputs: int, positions: int):
    rng = np.random.default_rng(inputs + outputs)
    weights = constant(rng.integers(-15, 16, (inputs, outputs)) / 16)
    bias = constant(rng.integers(-15, 16, outputs) / 16)
    return builder.dense(name, source, weights, bias, positions)


def windows(builder: Builder, name: str, source: str, channels: int, taps: int, around: int):
    """The windows of a convolution, with ``around`` zeros at either end."""
    length = len(builder[source].types) // channels
    starts = np.arange(-around, length + around - taps + 1)
    places = starts[:, None] + np.arange(taps)
    elements = places[:, :, None] * channels + np.arange(channels)
    elements[(places < 0) | (places >= length)] = -1
    return builder.select(name, source, elements.ravel()), len(starts)


def convolution(length: int, around: int = 0, layers: int = 1) -> Graph:
    builder = Builder((Fixed(True, 5, 2),) * (2 * length))
    source, channels = builder.last, 2
    for k in range(layers):
        source, positions = windows(builder, f"windows{k}", source, channels, 3, around)
        source = kernel(builder, f"conv{k}", source, 3 * channels, 3, positions)
        source, channels = relu(builder, f"relu{k}", source), 3
    return builder.graph(source)


def deep_sets() -> Graph:
    """Five particles of three features: a network for each, the sum of all, and a table."""
    builder = Builder((Fixed(True, 5, 2),) * 15)
    source = relu(builder, "first", kernel(builder, "one", builder.last, 3, 4, 5))
    source = relu(builder, "second", kernel(builder, "two", source, 4, 3, 5))
    turned = builder.select("turned", source, np.arange(15).reshape(5, 3).T.ravel())
    source = builder.dense("sum", turned, integers(*[[1]] * 5), integers(0), 3)
    return builder.graph(kernel(builder, "out", source, 3, 2, 1))


def tables() -> Graph:
    """A table and a constant output inside the kernel, and one of its inputs as it is."""
    builder = Builder((Fixed(False, 3, 3),) * 8)
    source = builder.dense(
        "conv", builder.last, integers([1, 0, 2], [0, 0, 1]), integers(0, 5, 0), 4
    )
    narrow = (Fixed(False, 4, 4),) * 12
    source = builder.quantize("narrow", source, narrow, Rounding.TRN, Overflow.SAT)
    levels = constant(np.random.default_rng(0).integers(-9, 9, 16))
    return builder.graph(builder.lookup("table", source, 0, levels))


def long(layers: int = 1, narrow: bool = False) -> Graph:
    """70 positions of one channel, padded; ``narrow``: the first one saturates earlier."""
    positions = 70
    builder = Builder((Fixed(True, 4, 2),) * positions)
    source = builder.last
    for k in range(layers):
        source, _ = windows(builder, f"windows{k}", source, 1, 3, 1)
        source = kernel(builder, f"conv{k}", source, 3, 1, positions)
        kinds = (Fixed(False, 2 if narrow else 4, 0 if narrow else 2),)
        kinds += (Fixed(False, 4, 2),) * (positions - 1)
        source = builder.quantize(f"relu{k}", source, kinds, Rounding.RND_CONV, Overflow.SAT)
    return builder.graph(source)


def plane(side: int = 5, around: int = 1) -> Graph:
    """An image of one channel, and windows of 3 by 3 pixels with two filters, padded."""
    builder = Builder((Fixed(True, 4, 2),) * side**2)
    places = np.arange(-around, side + around - 2)[:, None] + np.arange(3)
    inside = (places >= 0) & (places < side)
    rows, columns = places[:, None, :, None], places[None, :, None, :]
    both = inside[:, None, :, None] & inside[None, :, None, :]
    elements = np.where(both, rows * side + columns, -1)
    source = builder.select("windows", builder.last, elements.ravel())
    source = kernel(builder, "conv", source, 9, 2, len(places) ** 2)
    return builder.graph(relu(builder, "relu", source))


def never_zero(positions: int = 70) -> Graph:
    """A padded convolution of x - x + 1: the logic knows that this is 1, the graph does not."""
    builder = Builder((Fixed(True, 4, 2),) * positions)
    nothing = builder.add("nothing", (builder.last, builder.last), (1, -1))
    one = constant(np.ones(positions))
    source = builder.affine("one", nothing, one, one)
    source, _ = windows(builder, "windows", source, 1, 3, 1)
    return builder.graph(relu(builder, "relu", kernel(builder, "conv", source, 3, 2, positions)))


def zero_at_an_end(positions: int = 110) -> Graph:
    """Multiples of four; the first one is always zero, and its type has no bit for another."""
    builder = Builder((Fixed(True, 4, 4),) * (2 * positions))
    source, _ = windows(builder, "windows", builder.last, 2, 2, 1)
    source = builder.select("first_positions", source, np.arange(4 * positions))
    return builder.graph(
        builder.dense("conv", source, integers([4], [4], [0], [0]), integers(0), positions)
    )


def particles(count=6, layers=2) -> Graph:
    """Each particle: rounded inputs, some layers, and a product with its presence; then the sum."""
    builder = Builder((Fixed(True, 8, 4), Fixed(False, 6, 6)) * count)
    kinds = (Fixed(True, 5, 3), Fixed(False, 4, 6)) * count
    source = rounded = builder.quantize("rounded", "inputs", kinds, Rounding.RND_CONV, Overflow.SAT)
    for k in range(layers):
        fan_in = len(builder[source].types) // count
        source = relu(builder, f"relu{k}", kernel(builder, f"dense{k}", source, fan_in, 4, count))
    present = builder.select("kind", rounded, np.arange(count).repeat(4) * 2 + 1)
    source = builder.multiply("present", source, present)
    turned = builder.select("turned", source, np.arange(4 * count).reshape(count, 4).T.ravel())
    total = builder.dense("sum", turned, integers(*[[1]] * count), integers(0), 4)
    return builder.graph(kernel(builder, "out", total, 4, 2, 1))


def mlp(bits=6, kept=1.0, shape=(6, 16, 8)) -> Graph:
    """Dense layers; of their weights the fraction ``kept`` is not zero."""
    rng = np.random.default_rng(2)
    builder = Builder((Fixed(True, bits, 2), Fixed(False, bits, 1)) * (shape[0] // 2))
    source = builder.last
    for k, units in enumerate(shape[1:]):
        count = len(builder[source].types)
        drawn = rng.integers(1 - 2 ** (bits - 1), 2 ** (bits - 1), (count, units))
        drawn *= rng.random(drawn.shape) < kept
        weights = constant(drawn / 2 ** (bits - 1))
        bias = constant(rng.integers(-9, 10, units) / 8)
        source = builder.dense(f"dense{k}", source, weights, bias)
        kinds = tuple(Fixed(False, bits - n % 2, 1) for n in range(units))
        source = builder.quantize(f"relu{k}", source, kinds, Rounding.RND, Overflow.SAT)
    return builder.graph(source)


GRAPHS = {
    "padded": convolution(7, around=1),
    "two layers": convolution(9, around=1, layers=2),
    "valid": convolution(8, layers=2),
    "deep sets": deep_sets(),
    "tables": tables(),
    "long": long(layers=2),
    "narrow edge": long(narrow=True),
    "never zero": never_zero(),
    "zero at an end": zero_at_an_end(),
}

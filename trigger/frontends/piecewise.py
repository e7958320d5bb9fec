"""Functions of one variable on the graph: piecewise linear ones, and sampled staircases."""

import math
from collections.abc import Callable

import numpy as np

from trigger.fixedpoint.build import Bound, Builder, constant, fraction_bits
from trigger.fixedpoint.ops import Constant
from trigger.fixedpoint.types import Fixed, Integers
from trigger.frontends.inexact import Refusal

# A staircase is a table of 2^bits entries or, for a wider input, one comparison per step. Beyond
# both limits it is refused.
MAX_TABLE_BITS = 16
MAX_STEPS = 4096
_ENUMERATED = 1 << 20
# The number of values checked on either side of a step if not all can be.
_BESIDE = 64
# A bound with more fractional bits is a real number such as 1.3, not a multiple of a step.
MAX_BOUND_FRACTION = 16


class Decreases(Refusal):
    """A function that is no staircase; it may be a table."""


def lower_relu(builder: Builder, name: str, source: str, slope: float, upper: float | None) -> str:
    """min(x, upper) if x is positive, slope * x otherwise."""
    if slope:
        source = builder.leaky_relu(
            f"{name}_leaky" if upper is not None else name, source, slope_shift(slope)
        )
    if upper is None:
        return source if slope else builder.clip(name, source, 0, None)
    return clip(builder, name, source, None if slope else 0, upper, "the upper bound")


def clip(builder: Builder, name: str, source: str, low: Bound, high: Bound, what: str) -> str:
    """Append min(max(x, low), high), on a finer step if a bound needs one.

    Raises Refusal if a bound, called ``what``, has more than 16 fractional bits.
    """
    given = [np.ravel(bound) for bound in (low, high) if bound is not None]
    bounds = np.concatenate(given).astype(np.float64)
    if not np.isfinite(bounds).all():
        raise Refusal(f"{what} is not finite", "choose a finite one, or none")
    coarsest = int(builder[source].fractions.min())
    fractions = fraction_bits(bounds)
    needed = int(fractions.max(initial=coarsest))
    if needed > max(coarsest, MAX_BOUND_FRACTION):
        raise Refusal(
            f"{what} {bounds[fractions.argmax()]:g} is not a multiple of the step "
            f"{2.0**-coarsest:g}",
            "choose a multiple of the step",
        )
    if needed > coarsest:
        source = _finer(builder, f"{name}_finer", source, needed)
    return builder.clip(name, source, low, high)


def scaled(builder: Builder, name: str, source: str, scale: float, offset: float = 0.0) -> str:
    """Append x * scale + offset, the same for all elements."""
    ones = np.ones(len(builder[source].types))
    return builder.affine(name, source, constant(ones * scale), constant(ones * offset))


def is_power_of_two(value: float) -> bool:
    return value > 0 and math.isfinite(value) and math.frexp(value)[0] == 0.5


def slope_shift(slope: float) -> int:
    if not is_power_of_two(slope) or slope > 1:
        raise Refusal(
            f"a negative slope of {slope:g} is not a power of two up to 1",
            "use a slope such as 0.25",
        )
    return -int(math.log2(slope))


def round_to(fixed: Fixed, y: np.ndarray) -> np.ndarray:
    """Real numbers rounded, half to even, into a type; still real numbers."""
    integers = np.clip(np.rint(np.ldexp(y, fixed.fraction)), fixed.minimum, fixed.maximum)
    rounded: np.ndarray = np.ldexp(integers, -fixed.fraction)
    return rounded


def lookup(
    builder: Builder, name: str, source: str, function: Callable[[np.ndarray], np.ndarray]
) -> str:
    """Append any function of one variable as a table. Raises Refusal if its input is too wide."""
    fraction = int(builder[source].fractions.max())
    if (builder[source].fractions != fraction).any():
        source = _finer(builder, f"{name}_finer", source, fraction)
    reach = builder.range(source)
    low, high = int(reach.low.min()), int(reach.high.max())
    if high - low >= 1 << MAX_TABLE_BITS:
        raise Refusal(
            f"its input has {(high - low).bit_length()} bits, too many for a table",
            f"quantise its input first, for example with "
            f"quantized_bits({MAX_TABLE_BITS - 2}, 4, alpha=1)",
        )
    x = np.ldexp(np.arange(low, high + 1).astype(np.float64), -fraction)
    return builder.lookup(name, source, low, constant(function(x)))


def _finer(builder: Builder, name: str, source: str, fraction: int) -> str:
    """The same values, all with this many fractional bits."""
    elements = len(builder[source].types)
    zero = Constant(np.zeros(elements, dtype=np.int64), Fixed(False, 1, 1 - fraction))
    return builder.affine(name, source, constant(np.ones(elements)), zero)


def staircase(
    builder: Builder,
    name: str,
    source: str,
    function: Callable[[np.ndarray], np.ndarray],
    bisectable: bool,
) -> str:
    """Append any non-decreasing function of one variable with few values, by sampling it.

    A function that is not ``bisectable`` is evaluated on all inputs to show that it does not
    decrease. A bisectable one is evaluated near its steps, where float64 rounding may move a value
    across and back.
    """
    fraction = int(builder[source].fractions.max())
    up = fraction - builder[source].fractions
    reach = builder.range(source)
    low = int((reach.low << up).min())
    high = int((reach.high << up).max())

    def ask(integers: Integers) -> np.ndarray:
        return function(np.ldexp(integers.astype(np.float64), -fraction))

    narrow = f"quantized_bits({MAX_TABLE_BITS - 2}, 4, alpha=1)"
    quantised = f"quantise its input first, for example with {narrow}"
    enumerable = high - low < _ENUMERATED
    if not enumerable and not bisectable:
        raise Refusal(
            f"its input has {(high - low).bit_length()} bits, too many for a table",
            quantised,
        )
    integers = (
        np.arange(low, high + 1) if enumerable else _with_neighbours(ask, _bisect(ask, low, high))
    )
    values = ask(integers)
    if (np.diff(values) < 0).any():
        raise Decreases(
            f"the function decreases somewhere, and its input has {(high - low).bit_length()} bits",
            f"use one that never does, or {quantised}",
        )
    changes = np.flatnonzero(np.diff(values)) + 1
    if len(changes) > MAX_STEPS and high - low >= 1 << MAX_TABLE_BITS:
        raise Refusal(
            f"its {len(changes)} steps over an input of {(high - low).bit_length()} "
            f"bits are too many for a table",
            f"use fewer bits, or {quantised}",
        )
    try:
        levels = constant(values[np.concatenate([[0], changes])], 40)
    except ValueError as error:
        raise Refusal(
            f"the output levels are too far apart for fixed point ({error})",
            "use fewer bits or a max_value",
        ) from error
    thresholds = integers[changes] if len(changes) else np.array([high])
    if not len(changes):  # a constant: one threshold with the same level on both sides
        levels = constant(np.repeat(levels.real, 2))
    return builder.steps(
        name, source, constant(np.ldexp(thresholds.astype(np.float64), -fraction)), levels
    )


def _bisect(ask: Callable[[Integers], np.ndarray], low: int, high: int) -> Integers:
    """The integers on both sides of every step of a non-decreasing function."""
    left = np.array([low])
    right = np.array([high])
    arguments = [left, right]
    for _ in range((high - low).bit_length()):
        middle = (left + right) >> 1
        a = ask(left)
        b = ask(middle)
        c = ask(right)
        lower = (a != b) & (middle - left > 0)
        upper = (b != c) & (right - middle > 0)
        arguments += [middle]
        left = np.concatenate([left[lower], middle[upper]])
        right = np.concatenate([middle[lower], right[upper]])
        if len(left) > MAX_STEPS:
            raise Refusal(f"the function has more than {MAX_STEPS} steps", "use fewer bits")
        arguments += [left, right]
    return np.unique(np.concatenate(arguments))


def _with_neighbours(ask: Callable[[Integers], np.ndarray], integers: Integers) -> Integers:
    """The integers, and those near each change of the function between two of them."""
    after = integers[1:][np.diff(ask(integers)) != 0]
    near = np.add.outer(after, np.arange(-_BESIDE, _BESIDE)).ravel()
    return np.union1d(integers, np.clip(near, integers[0], integers[-1]))

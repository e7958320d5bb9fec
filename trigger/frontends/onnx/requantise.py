"""A step function after the steps of a value: together a step function of integers of the graph."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.ops import MAX_ENTRIES, Constant
from trigger.fixedpoint.ranges import TooWide
from trigger.fixedpoint.types import Integers, Overflow, Reals, Rounding, smallest
from trigger.frontends.inexact import Refusal
from trigger.frontends.onnx.levels import Levels
from trigger.frontends.onnx.multiplier import Multiplier, multiplier
from trigger.frontends.onnx.steps import Side, Slope, Smooth
from trigger.frontends.onnx.sums import Stairs, Sum, shortened
from trigger.frontends.onnx.values import Value, gathered
from trigger.verification.float32 import FUNCTION_ERROR, near_note

# Levels that one element, and all elements of a tensor together, may have.
_MOST_LEVELS = 1 << 12
_MOST_BOUNDS = 1 << 19
_FAR = 1 << 60


class _Rises(NamedTuple):
    """An element reaches ``first + k`` from ``places[k]`` on; with ``falls`` its negative does."""

    places: Integers
    first: int
    falls: bool
    slope: Fraction | None

    @property
    def last(self) -> int:
        return self.first - 1 + len(self.places)


class Requantised(NamedTuple):
    """Integers of the levels, and the notes that the user should know."""

    value: Value
    notes: tuple[str, ...]


def requantise(
    builder: Builder, name: str, value: Value, levels: Levels, sums: Mapping[str, Sum]
) -> Requantised:
    """Append the integers that a step function makes of a value. ``sums`` are exact sums of values
    with long scales, by their nodes.

    Raises Refusal if there are too many.
    """
    added = sums.get(value.node)
    node = gathered(builder, f"{name}_elements", value.node, value.elements)
    elements = np.arange(value.elements.size).reshape(value.shape)
    if any(isinstance(step, Smooth) for step in value.steps):
        return _tables(builder, name, Value(node, elements, value.steps), levels)
    rows = _rows(builder, Value(node, elements, value.steps), levels)
    if (
        added is not None
        and node == value.node
        and (short := _of_sum(builder, name, node, added, rows))
    ):
        return Requantised(Value(short, elements), ())
    made = [multiplier(row.places, row.first) for row in rows.distinct]
    found = [one for one in made if one is not None]
    if len(found) == len(made):
        with suppress(TooWide, ValueError):
            factors = [found[row] for row in rows.of_element]
            integers = _multiplied(builder, name, node, factors, rows)
            return Requantised(Value(integers, elements), ())
    return Requantised(_stairs(builder, name, node, rows, value.shape), ())


class _Rows(NamedTuple):
    distinct: list[_Rises]
    of_element: list[int]

    def each(self) -> list[_Rises]:
        return [self.distinct[row] for row in self.of_element]


def _rows(builder: Builder, value: Value, levels: Levels) -> _Rows:
    """The rises of all elements; elements with equal steps share theirs, for all their ranges."""
    low, high = builder.range(value.node)
    fractions = builder[value.node].fractions
    numbers: dict[Any, int] = {}
    rows: list[int] = []
    ends: list[tuple[int, int]] = []
    for element, place in enumerate(np.ndindex(value.shape)):
        steps = tuple(step.of(place) for step in value.steps)
        row = numbers.setdefault((steps, levels.keys[place], int(fractions[element])), len(ends))
        own = int(low[element]), int(high[element])
        if row == len(ends):
            ends.append(own)
        ends[row] = min(ends[row][0], own[0]), max(ends[row][1], own[1])
        rows.append(row)
    distinct: list[_Rises] = []
    for (steps, key, fraction), reach in zip(numbers, ends, strict=True):
        distinct.append(_rises(steps, levels, key, reach, fraction))
        if sum(len(each.places) for each in distinct) > _MOST_BOUNDS:
            raise Refusal(
                f"its elements have more than {_MOST_BOUNDS:,} different levels together",
                "use fewer bits, or powers of two as scales",
            )
    return _Rows(distinct, rows)


def _rises(
    steps: Sequence[Any], levels: Levels, key: Any, ends: tuple[int, int], fraction: int
) -> _Rises:
    """Where the integers from ``ends[0]`` to ``ends[1]`` reach each level."""
    least, most = ends

    falls = sum(isinstance(step, Slope) and step.scale < 0 for step in steps) % 2 == 1

    def reached(level: int) -> int:
        """From where on a level is reached; by the negatives of the integers, if that falls."""
        side = _before(steps, levels.side(level, key))
        first, last = (-most, -least) if falls else (least, most)
        if side.known is not None:
            return first if side.known else last + 1
        scaled = side.bound * Fraction(2) ** fraction
        floor = scaled.numerator // scaled.denominator
        whole = floor == scaled
        if side.falls:
            place = -floor if side.inclusive or not whole else 1 - floor
        else:
            place = floor if side.inclusive and whole else floor + 1
        return min(max(place, first), last + 1)

    first, last = (-most, -least) if falls else (least, most)
    start = _first(lambda level: reached(level) > first, levels.low + 1, levels.high + 1)
    stop = _first(lambda level: reached(level) > last, start, levels.high + 1)
    if stop - start > _MOST_LEVELS:
        raise Refusal(
            f"it rounds to {stop - start + 1:,} levels with factors that are no powers of two",
            f"use at most {_MOST_LEVELS.bit_length() - 1} bits here, or powers of two as scales",
        )
    places = [reached(level) for level in range(start, stop)]
    slope = None
    if stop - start > 1:
        one, other = (_before(steps, levels.side(level, key)) for level in (start, stop - 1))
        if one.bound != other.bound:
            slope = (stop - 1 - start) / (other.bound - one.bound)
    return _Rises(np.array(places, dtype=np.int64), start, falls, slope)


def _first(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The first number from low on for which a condition holds, which then always does."""
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low


def _before(steps: Sequence[Any], side: Side) -> Side:
    for step in reversed(steps):
        if side.known is not None:
            break
        side = step.before(side)
    return side


def _multiplied(
    builder: Builder, name: str, node: str, factors: Sequence[Multiplier], rows: _Rows
) -> str:
    """One product, sum and shift for each element, limited to the levels that it reaches."""
    fractions = builder[node].fractions
    signed = [
        -one.factor if row.falls else one.factor
        for one, row in zip(factors, rows.each(), strict=True)
    ]
    shifts = np.array([one.shift for one in factors])
    scale = np.ldexp(np.array(signed, dtype=np.float64), fractions - shifts)
    offset = np.ldexp(np.array([one.offset for one in factors], dtype=np.float64), -shifts)
    product = builder.affine(f"{name}_scaled", node, constant(scale), constant(offset))
    return _limited(builder, name, product, rows)


def _of_sum(builder: Builder, name: str, node: str, added: Sum, rows: _Rows) -> str | None:
    """The levels of a sum of two values, from short factors; None if there are none."""
    each = [
        Stairs(row.places, row.first, row.falls, row.slope) if row.slope is not None else None
        for row in rows.distinct
    ]
    stairs = [each[row] for row in rows.of_element]
    with suppress(TooWide, ValueError):
        short = shortened(builder, name, added, stairs, int(builder[node].fractions[0]))
        return None if short is None else _limited(builder, name, short, rows)
    return None


def _limited(builder: Builder, name: str, product: str, rows: _Rows) -> str:
    """A product rounded down, and limited to the levels that each element reaches."""
    low = np.array([row.first - 1 for row in rows.each()])
    high = np.array([row.last for row in rows.each()])
    types = tuple(
        smallest(min(a, 0), max(b, 0), 0) for a, b in zip(low.tolist(), high.tolist(), strict=True)
    )
    made = builder.quantize(name, product, types, Rounding.TRN, Overflow.SAT)
    reached = builder.range(made)
    if (reached.low >= low).all() and (reached.high <= high).all():
        return made
    return builder.clip(f"{name}_limited", made, low.astype(float), high.astype(float))


def _stairs(builder: Builder, name: str, node: str, rows: _Rows, shape: tuple[int, ...]) -> Value:
    """A staircase for all elements that share their rises."""
    fractions = builder[node].fractions
    elements = np.zeros(len(rows.of_element), dtype=np.int64)
    nodes: list[str] = []
    end = 0
    for number, row in enumerate(rows.distinct):
        own = np.flatnonzero(np.array(rows.of_element) == number)
        part = gathered(builder, f"{name}_part", node, own)
        fraction = int(fractions[own[0]])
        if row.falls:
            ones = np.ones(len(own))
            part = builder.affine(f"{name}_turned", part, constant(-ones), constant(0 * ones))
        places, counts = np.unique(row.places, return_counts=True)
        if not len(places):  # one level: a threshold that no integer reaches
            places, counts = np.array([_FAR >> 10]), np.array([1])
        levels = row.first - 1 + np.cumsum([0, *counts])
        ends = smallest(min(int(levels[0]), 0), max(int(levels[-1]), 0), 0)
        far = smallest(min(int(places[0]), 0), max(int(places[-1]), 0), fraction)
        part = builder.steps(name, part, Constant(places, far), Constant(levels, ends))
        nodes.append(part)
        elements[own] = end + np.arange(len(own))
        end += len(own)
    joined = builder.concatenate(f"{name}_parts", tuple(nodes)) if len(nodes) > 1 else nodes[0]
    return Value(joined, elements.reshape(shape))


def _tables(builder: Builder, name: str, value: Value, levels: Levels) -> Requantised:
    """Tables of a smooth function and the quantiser after it, over all integers before it."""
    low, high = builder.range(value.node)
    fractions = builder[value.node].fractions
    groups: dict[tuple[Any, Any, int], list[int]] = {}
    for place, element in zip(np.ndindex(value.shape), range(value.elements.size), strict=True):
        steps = tuple(step.of(place) for step in value.steps)
        groups.setdefault((steps, levels.keys[place], int(fractions[element])), []).append(element)
    made = np.zeros(value.elements.size, dtype=np.int64)
    nodes: list[str] = []
    notes: list[str] = []
    end = 0
    for (steps, key, fraction), members in groups.items():
        own = np.array(members)
        first, last = int(low[own].min()), int(high[own].max())
        if last - first >= MAX_ENTRIES:
            raise Refusal(
                f"a table of its function would have {last - first + 1:,} entries",
                f"quantise the values before it, so that a table has at most {MAX_ENTRIES:,}",
            )
        x = np.ldexp(np.arange(first, last + 1, dtype=np.float64), -fraction)
        rounded, near = _table(steps, levels, key, x)
        part = gathered(builder, f"{name}_part", value.node, own)
        ends = smallest(min(int(rounded.min()), 0), max(int(rounded.max()), 0), 0)
        nodes.append(builder.lookup(name, part, first, Constant(rounded, ends)))
        if near:
            notes.append(near_note(nodes[-1], near, len(x)))
        made[own] = end + np.arange(len(own))
        end += len(own)
    joined = builder.concatenate(f"{name}_parts", tuple(nodes)) if len(nodes) > 1 else nodes[0]
    return Requantised(Value(joined, made.reshape(value.shape)), tuple(notes))


def _table(steps: Sequence[Any], levels: Levels, key: Any, x: Reals) -> tuple[Integers, int]:
    """The integers of a function at real numbers, and how many float32 may round otherwise."""
    y = x
    for step in steps:
        y = step.function(y) if isinstance(step, Smooth) else step.real(y)
    if not np.isfinite(y).all():
        raise Refusal(
            f"the function before it has no finite value at {x[~np.isfinite(y)][0]:g}",
            "keep what the function reads away from there",
        )
    if levels.high - levels.low > _MOST_LEVELS:
        raise Refusal(
            f"it rounds a function to {levels.high - levels.low + 1:,} levels",
            f"use at most {_MOST_LEVELS.bit_length() - 1} bits here",
        )
    bounds = []
    for level in range(levels.low + 1, levels.high + 1):
        side = levels.side(level, key)
        bound = float(side.bound)
        bounds.append(bound if side.inclusive else np.nextafter(bound, np.inf))

    def integers(values: Reals) -> Integers:
        found: Integers = levels.low + np.searchsorted(np.array(bounds), values, side="right")
        return found

    error = FUNCTION_ERROR * np.abs(y)
    below, same, above = (integers(values) for values in (y - error, y, y + error))
    return same, int(((below != same) | (above != same)).sum())

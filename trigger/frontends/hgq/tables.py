"""Table layers of HGQ2 as tables: one for each edge that is not constant, and the sums of their
values.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from trigger.fixedpoint.build import Builder
from trigger.fixedpoint.ops import Constant
from trigger.fixedpoint.types import Fixed, Flags, Integers, Reals, smallest
from trigger.frontends import rules, wiring
from trigger.frontends.constants import as_numpy, exact
from trigger.frontends.hgq.edges import Edges, Values, evaluate, quantised
from trigger.frontends.inexact import Refusal
from trigger.frontends.piecewise import MAX_TABLE_BITS
from trigger.verification.float32 import near_note

NAMES = "QDenseT, QEinsumDenseT, QConvT1D, QConvT2D"
# The entries of all tables of a layer, each as long as the longest; and those computed at once.
_MOST_ENTRIES = 1 << 25
_AT_ONCE = 1 << 18
_FEWER = "use an iq_conf of fewer bits"
# More bits than any level has.
_NO_STEP = 62
# Rounding adds a half in float32 and cuts: an error of a step beside the value.
_OF_ROUNDING = 2.0**-23


class Inputs(NamedTuple):
    """What the edges (positions, inputs, outputs) read: a ``node``'s elements, and their integers
    from ``low`` to ``high``, both zero where an edge has no input.
    """

    node: str
    elements: Integers
    low: Integers
    high: Integers
    fractions: Integers


class Tables(NamedTuple):
    """The tables in the graph, (positions, edges) one after the other, and what is left to do: the
    products with ``weights`` (edges, outputs) and ``biases`` (positions, outputs), real numbers.
    """

    node: str
    weights: Reals
    biases: Reals
    notes: tuple[str, ...]


class _Entries(NamedTuple):
    """The integers of the tables (entries, positions, inputs, outputs), and which of them float32
    may round to another level.
    """

    values: Constant
    near: Flags


def inputs_of(
    builder: Builder, name: str, source: str, edges: Edges, rule: rules.Rule | None
) -> Inputs:
    """Append the quantisers of the edges, one for each element and type; ``rule`` is in HGQ2's
    order.
    """
    elements = edges.elements.ravel()
    alive = elements >= 0
    node = source
    if rule is not None:
        alive &= ~edges.arranged(rule.dead.reshape(edges.shape)).ravel()
        order = edges.arranged(wiring.numbers_of(edges.shape)).ravel().tolist()
        wanted = [(e, rule.types[k]) for e, k in zip(elements.tolist(), order, strict=True)]
        different = list(dict.fromkeys(w for w, used in zip(wanted, alive, strict=True) if used))
        if different:
            node = _quantised(builder, name, source, different, rule)
        place = {which: k for k, which in enumerate(different)}
        elements = np.array([place.get(which, 0) for which in wanted])
    elements = np.where(alive, elements, 0)
    ends = builder.range(node)
    low, high = (np.where(alive, end[elements], 0) for end in ends)
    fractions = np.where(alive, builder[node].fractions[elements], 0)
    shape = edges.elements.shape
    return Inputs(node, *(part.reshape(shape) for part in (elements, low, high, fractions)))


def _quantised(
    builder: Builder,
    name: str,
    source: str,
    different: list[tuple[int, Fixed]],
    rule: rules.Rule,
) -> str:
    read = wiring.gather(builder, f"{name}_read", source, np.array([e for e, _ in different]))
    types = tuple(fixed for _, fixed in different)
    return builder.quantize(f"{name}_iq", read, types, rule.rounding, rule.overflow)


def lower(builder: Builder, name: str, layer: Any, edges: Edges, inputs: Inputs) -> Tables:
    """Append the tables. Raises Refusal if one is too large, or has no exact values."""
    widths = _widths(inputs)
    entries = _entries(layer, edges, inputs)
    fraction = entries.values.type.fraction
    # A table begins at zero, with no zero bit at the end; the sum of what it loses is one constant.
    least = entries.values.values.min(axis=0)
    levels = entries.values.values - least
    biases = np.ldexp(least.sum(axis=1).astype(np.float64), -fraction)
    near = entries.near.sum(axis=0)
    steps = np.where(near > 0, fraction - _fractions(layer, edges), _NO_STEP)
    lowest = _lowest_bits(levels, steps)
    rows, outputs = np.nonzero(lowest < _NO_STEP)
    weights = np.zeros((len(rows), edges.elements.shape[2]))
    if not len(rows):
        return Tables(inputs.node, weights, biases, ())
    lowest = lowest[rows, outputs]
    weights[np.arange(len(rows)), outputs] = np.ldexp(1.0, lowest - fraction)
    chosen = _Chosen(
        levels[:, :, rows, outputs] >> lowest,
        inputs.elements[:, rows, outputs],
        inputs.low[:, rows, outputs],
        widths[:, rows, outputs],
        near[:, rows, outputs],
        np.where(near > 0, steps, 0)[:, rows, outputs] - (near[:, rows, outputs] > 0) * lowest,
    )
    node, notes = _truth_tables(builder, f"{name}_tables", inputs.node, chosen)
    return Tables(node, weights, biases, notes)


def _lowest_bits(levels: Integers, steps: Integers) -> Integers:
    """The number of zero bits at the end of all levels of an edge (inputs, outputs), at all its
    positions; ``_NO_STEP`` if it is constant and float32 does not change it.
    """
    used = np.bitwise_or.reduce(levels, axis=(0, 1))
    ends = np.where(used == 0, _NO_STEP, np.log2(np.maximum(used & -used, 1)))
    lowest: Integers = np.minimum(ends.astype(np.int64), np.maximum(steps.min(axis=0), 0))
    return lowest


def _widths(inputs: Inputs) -> Integers:
    """The bits of each edge's address."""
    ends = zip(inputs.low.ravel().tolist(), inputs.high.ravel().tolist(), strict=True)
    widths = np.array([smallest(low, high, 0).width for low, high in ends])
    widest = int(widths.max())
    if widest > MAX_TABLE_BITS:
        raise Refusal(f"its input has {widest} bits, too many for a table", _FEWER)
    longest = int((inputs.high - inputs.low).max()) + 1
    if longest * widths.size > _MOST_ENTRIES:
        raise Refusal(
            f"its {widths.size:,} tables have up to {longest:,} entries, too many together",
            f"{_FEWER}, or fewer outputs",
        )
    return widths.reshape(inputs.low.shape)


def _entries(layer: Any, edges: Edges, inputs: Inputs) -> _Entries:
    """Every entry that an input can reach; after the last one it is repeated."""
    count = int((inputs.high - inputs.low).max()) + 1
    step = max(1, _AT_ONCE // inputs.low.size)
    parts = [
        _some(layer, edges, inputs, np.arange(first, min(first + step, count)))
        for first in range(0, count, step)
    ]
    values, near = (np.concatenate(part) for part in zip(*parts, strict=True))
    return _Entries(exact("table", values, "use a toq_conf of fewer bits"), near)


def _some(layer: Any, edges: Edges, inputs: Inputs, places: Integers) -> tuple[Reals, Flags]:
    """The real numbers of the entries at these places, and which of them float32 may round to
    another.
    """
    integers = inputs.low + places[:, None, None, None]
    reached = integers <= inputs.high
    x = np.ldexp(np.minimum(integers, inputs.high).astype(np.float64), -inputs.fractions)
    found = evaluate(layer, _as_in_hgq2(edges, x))
    values, low, high = (
        edges.arranged(quantised(layer, found.value + by * _error(found))) for by in (0, -1, 1)
    )
    near = reached & ((low != values) | (high != values))
    if near.any():
        _check_no_jump(layer, edges, (high - low)[near], near)
    return values, near


def _error(found: Values) -> Reals:
    return found.error + _OF_ROUNDING * np.abs(found.value)


def _check_no_jump(layer: Any, edges: Edges, difference: Reals, near: Flags) -> None:
    """Refuse an entry that float32 may give a level other than the two that it lies between."""
    fractions = np.broadcast_to(_fractions(layer, edges), near.shape)[near]
    if (np.abs(np.ldexp(difference, fractions)) <= 1).all():
        return
    if layer.toq.quantizer.overflow_mode == "WRAP":
        raise Refusal(
            "a value of its tables lies where float32 may wrap it around or not",
            'use overflow_mode="SAT" in its toq_conf',
        )
    raise Refusal(
        "its tables have steps that are finer than the error of float32",
        "use a toq_conf of fewer bits",
    )


def _fractions(layer: Any, edges: Edges) -> Integers:
    """The fractional bits of the values of each edge."""
    whole = np.broadcast_to(as_numpy(layer.toq.quantizer.f), (1, *edges.shape))
    fractions: Integers = edges.arranged(whole)[0].astype(np.int64)
    return fractions


def _as_in_hgq2(edges: Edges, x: Reals) -> Reals:
    """Values (events, positions, inputs, outputs) in the shape of HGQ2."""
    moved = x.reshape(len(x), *(edges.shape[axis] for axis in edges.axes))
    back = np.argsort(edges.axes)
    return moved.transpose(0, *(1 + axis for axis in back))


class _Chosen(NamedTuple):
    """The tables that are not constant: levels (entries, positions, edges), all else (positions,
    edges); ``near`` counts the entries that float32 may round to another level, which is then
    2**``step`` away, and ``step`` is zero elsewhere.
    """

    levels: Integers
    elements: Integers
    low: Integers
    widths: Integers
    near: Integers
    step: Integers

    def flat(self) -> "_Chosen":
        return _Chosen(
            self.levels.reshape(len(self.levels), -1), *(part.ravel() for part in self[1:])
        )


def _truth_tables(
    builder: Builder, name: str, source: str, chosen: _Chosen
) -> tuple[str, tuple[str, ...]]:
    """Append the tables, those of one width together, and apart those that float32 may round
    otherwise; returns their node, and notes.
    """
    flat = chosen.flat()
    groups = list(_groups(flat))
    made: list[str] = []
    notes: list[str] = []
    for members in groups:
        several = len(groups) > 1
        node = _truth_table(
            builder, f"{name}_{len(made) + 1}" if several else name, source, flat, members
        )
        near = int(flat.near[members].sum())
        if near:
            notes.append(near_note(node, near, len(members) << int(flat.widths[members[0]])))
        made.append(node)
    if len(made) == 1:
        return made[0], tuple(notes)
    every = builder.concatenate(name, tuple(made))
    order = np.argsort(np.concatenate(groups))
    return wiring.gather(builder, f"{name}_order", every, order), tuple(notes)


def _groups(flat: _Chosen) -> Iterator[Integers]:
    """The tables by their width, and by whether an entry is near another level and how far away
    that is.
    """
    kinds = np.stack([flat.widths, flat.near > 0, flat.step], axis=1)
    different, which = np.unique(kinds, axis=0, return_inverse=True)
    for kind in range(len(different)):
        yield np.flatnonzero(which.ravel() == kind)


def _truth_table(builder: Builder, name: str, source: str, flat: _Chosen, members: Integers) -> str:
    """Append some tables of one width."""
    width = int(flat.widths[members[0]])
    addresses = np.arange(1 << width)
    low = flat.low[members][:, None]
    # Negative addresses are the upper half in two's complement.
    integers = addresses - np.where((low < 0) & (addresses >= 1 << width - 1), 1 << width, 0)
    places = np.clip(integers - low, 0, len(flat.levels) - 1)
    levels = flat.levels[places, members[:, None]]
    # One step of the type is the distance to the next level.
    step = int(flat.step[members[0]])
    levels = levels >> step if step > 0 else levels << -step
    return builder.truth_table(
        name,
        source,
        flat.elements[members][:, None],
        Constant(levels, smallest(0, int(levels.max()), -step)),
        np.full((len(members), 1), width),
    )

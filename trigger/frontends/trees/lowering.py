"""Forests as fixed-point graphs: comparisons, tables and exact sums.

All trees share one ``Threshold``. The bits of each tree's leaf are tables of its comparisons; as
many trees of a score as six of these bits number are added up in one table of their leaves.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from trigger.fixedpoint.build import Builder
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import Constant
from trigger.fixedpoint.types import Fixed, Integers, Reals, smallest
from trigger.frontends.inexact import Inexact, Problem
from trigger.frontends.trees import integers
from trigger.frontends.trees.decisions import Numbered, numbered, simplified
from trigger.frontends.trees.forest import LEAF, OWN, Forest, Tree
from trigger.frontends.trees.rounding import check_exact
from trigger.frontends.trees.tables import LUT_BITS, Row, Tables, address_bits, of_one_width
from trigger.support.numbers import counted

_OUT_OF_REACH = 2.0**60
_ONE = Fixed(False, 1, 1)


class _Term(NamedTuple):
    """A table of one or several trees, whose values add to a score."""

    output: int
    table: Numbered


def lower(forest: Forest, types: tuple[Fixed, ...]) -> Graph:
    """The graph of a forest for inputs of these types: its scores, before any sigmoid or softmax.

    Raises Inexact if the leaves are not rounded, or a tree is too large.
    """
    fraction = check_exact(forest, types)
    values = [_steps(tree.leaf_values, fraction) for tree in forest.trees]
    reached = integers.branches(forest, types)
    trees = [simplified(*each) for each in zip(reached, values, strict=True)]
    asked = sorted({(s.feature, s.bound) for tree in trees for s in integers.splits(tree)})
    signals = {split: number for number, split in enumerate(asked)}
    tables = Tables(len(asked))
    base = _steps(forest.base, fraction)
    terms: list[_Term] = []
    for tree, branch, of_nodes in zip(forest.trees, trees, values, strict=True):
        try:
            table = numbered(branch, of_nodes, signals, tables)
        except ValueError as error:
            problem = Problem(f"tree {tree.number}", str(error), "train with fewer leaves a tree")
            raise Inexact([problem]) from error
        least = table.values.min()
        base[tree.output] += least
        if table.bits:
            terms.append(_Term(tree.output, table._replace(values=table.values - least)))
    builder = Builder(types)
    bits = _bits(builder, asked, tables)
    sums = _sums(builder, bits, _packed(terms), base, fraction)
    return builder.graph(sums, notes(forest, types, len(asked)))


def notes(forest: Forest, types: tuple[Fixed, ...], comparisons: int) -> tuple[str, ...]:
    """What a user must know of the graph of a forest."""
    trees = integers.branches(forest, types)
    fractions = np.array([fixed.fraction for fixed in types])
    places = np.concatenate([_thresholds(tree, fractions) for tree in forest.trees])
    kept = sum(1 for tree in trees for _ in integers.splits(tree))
    between = int((places != np.rint(places)).sum())
    found = [
        *forest.notes,
        f"{counted(len(places), 'split')} of the trees take {counted(comparisons, 'comparison')}",
    ]
    if forest.library != OWN:
        found.append(
            "the directions of missing values are not used, because no input of hardware is missing"
        )
    if between:
        found.append(
            f"{counted(between, 'threshold')} between two integers of the hardware: an event goes "
            f"right from the upper one on, which is exact"
        )
    if kept < len(places):
        found.append(
            f"{counted(len(places) - kept, 'split')} left out: all integers that reach them go the "
            f"same way"
        )
    return tuple(f"{forest.library}: {note}" for note in found)


def _thresholds(tree: Tree, fractions: Integers) -> Reals:
    """The thresholds of a tree, in steps of their features."""
    nodes = np.concatenate(tree.levels())
    splits = nodes[tree.feature[nodes] != LEAF]
    with np.errstate(over="ignore"):  # no integer is as large
        steps: Reals = np.ldexp(tree.threshold[splits], fractions[tree.feature[splits]])
    return steps


def _steps(values: np.ndarray, fraction: int) -> Integers:
    """Real numbers as integers; leaves out of reach may be too large for them."""
    real = np.clip(np.rint(np.ldexp(values, fraction)), -_OUT_OF_REACH, _OUT_OF_REACH)
    steps: Integers = real.astype(np.int64)
    return steps


def _packed(terms: Sequence[_Term]) -> list[_Term]:
    """Trees of a score together in tables of a LUT for each bit of their sum."""
    packed: list[_Term] = []
    for term in sorted(terms, key=lambda one: -len(one.table.bits)):
        for place, other in enumerate(packed):
            together = set(term.table.bits) | set(other.table.bits)
            if other.output == term.output and len(together) <= LUT_BITS:
                packed[place] = _Term(term.output, _joined(other.table, term.table))
                break
        else:
            packed.append(term)
    return packed


def _joined(first: Numbered, second: Numbered) -> Numbered:
    """The sum of two tables."""
    bits = tuple(dict.fromkeys([*first.bits, *second.bits]))
    every = address_bits(len(bits))

    def spread(table: Numbered) -> Integers:
        own = every[:, [bits.index(bit) for bit in table.bits]]
        return table.values[own @ (1 << np.arange(len(table.bits)))]

    return Numbered(bits, spread(first) + spread(second))


def _bits(
    builder: Builder, asked: Sequence[tuple[int, int]], tables: Tables
) -> tuple[str, Integers]:
    """The node with the bits of all signals, and the element of each."""
    if not asked:
        return builder.last, np.zeros(0, dtype=np.int64)
    features, bounds = np.array(asked, dtype=np.int64).T
    source = builder.threshold("splits", builder.last, features, bounds)
    nodes = [source]
    places = np.arange(len(asked) + len(tables.rows))
    end = len(asked)
    for signals in tables.rounds():
        elements, levels = of_one_width([tables.row(signal) for signal in signals], places)
        bits = Constant(levels, _ONE)
        nodes.append(builder.truth_table("leaf_bits", source, elements, bits))
        source = builder.concatenate("bits", tuple(nodes))
        places[signals] = np.arange(end, end + len(signals))
        end += len(signals)
    return source, places


def _sums(
    builder: Builder,
    bits: tuple[str, Integers],
    terms: Sequence[_Term],
    base: Integers,
    fraction: int,
) -> str:
    """The sum of the terms of each score, and its base."""
    source, places = bits
    nodes: list[str] = []
    outputs: list[int] = []
    for width in sorted({max(len(term.table.bits), LUT_BITS) for term in terms}):
        chosen = [term for term in terms if max(len(term.table.bits), LUT_BITS) == width]
        rows = [Row(term.table.bits, tuple(term.table.values.tolist())) for term in chosen]
        elements, values = of_one_width(rows, places)
        levels = Constant(values, smallest(0, int(values.max()), fraction))
        nodes.append(builder.truth_table("leaves", source, elements, levels))
        outputs += [term.output for term in chosen]
    if len(nodes) > 1:
        source = builder.concatenate("all_leaves", tuple(nodes))
    elif nodes:
        source = nodes[0]
    read = np.array(outputs) if nodes else np.full(len(builder[source].types), -1)
    weights = np.equal.outer(read, np.arange(len(base))).astype(np.int64)
    # Of scores that are constant, the inputs must not say the step.
    point = fraction - max(one.fraction for one in builder[source].types)
    of_weights = _ONE if nodes else Fixed(False, 1, 1 - point)
    return builder.dense("scores", source, Constant(weights, of_weights), _constant(base, fraction))


def _constant(steps: Integers, fraction: int) -> Constant:
    low, high = int(steps.min()), int(steps.max())
    return Constant(steps, smallest(min(low, 0), max(high, 0), fraction))

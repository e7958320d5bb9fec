"""Trees as few bits: the number of a leaf, each bit of it a table of comparisons.

Bit d is the decision at depth d, whichever node makes it: the bits before it select the node. An
unbalanced tree is first made flatter: a decision may ask whether an event reaches a node far down.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from trigger.fixedpoint.ops import MAX_ENTRIES
from trigger.fixedpoint.types import Integers
from trigger.frontends.trees.integers import Branch, Leaf, Split
from trigger.frontends.trees.tables import LUT_BITS, Expression, Mux, Tables, address_bits


class Decision(NamedTuple):
    """An event goes to ``yes`` where the signal is 1."""

    signal: int
    no: "Decision | int"
    yes: "Decision | int"


class Numbered(NamedTuple):
    """A tree as a table: ``values[address]``, the address being the signals ``bits``."""

    bits: tuple[int, ...]
    values: Integers


_MOST_BITS = MAX_ENTRIES.bit_length() - 1
# What a LUT costs, in bits of the number of a leaf.
_LUT = 0.05
# The splits above a node, each with the side to which it lies: 1 is right.
Path = tuple[tuple[Split, int], ...]


class _Place(NamedTuple):
    """A node in a tree, and its path."""

    branch: Branch
    path: Path


class _Asked(NamedTuple):
    """A signal to ask at a node of decisions, and the answers that lead to the node."""

    answers: tuple[int, ...]
    signal: int


def numbered(
    tree: Branch, values: Integers, signals: Mapping[tuple[int, int], int], tables: Tables
) -> Numbered:
    """A tree with the values of its leaves, by node; ``signals`` are those of its splits.

    Raises ValueError if the number of a leaf has too many bits for a table.
    """
    decision = _flattened(tree, values, signals, tables)
    bits: list[int] = []
    inside = list(_inside((), decision))
    while inside:
        asked = [_Asked(answers, made.signal) for answers, made in inside]
        bits.append(tables.selected(_select(asked, bits)))
        inside = [
            one
            for answers, made in inside
            for answer, part in enumerate((made.no, made.yes))
            for one in _inside((*answers, answer), part)
        ]
        if len(bits) > _MOST_BITS:
            raise ValueError(f"the number of a leaf has more than {_MOST_BITS} bits")
    return Numbered(tuple(bits), _values(decision, address_bits(len(bits))))


def _inside(
    answers: tuple[int, ...], part: Decision | int
) -> Iterator[tuple[tuple[int, ...], Decision]]:
    if isinstance(part, Decision):
        yield answers, part


def simplified(tree: Branch, values: Integers) -> Branch:
    """The tree without splits whose two sides have the same value everywhere."""
    if isinstance(tree, Leaf):
        return tree
    left, right = (simplified(side, values) for side in (tree.left, tree.right))
    ends = [side.node for side in (left, right) if isinstance(side, Leaf)]
    if len(ends) == 2 and values[ends[0]] == values[ends[1]]:
        return left
    return Split(tree.feature, tree.bound, left, right)


def _flattened(
    tree: Branch, values: Integers, signals: Mapping[tuple[int, int], int], tables: Tables
) -> Decision | int:
    """Decisions that halve the leaves as well as a LUT each can."""
    if isinstance(tree, Leaf):
        return int(values[tree.node])
    whole = _leaves(tree)

    def badness(place: _Place) -> float:
        inside = _leaves(place.branch)
        return float(np.log2(max(inside, whole - inside))) + _LUT * ((len(place.path) + 3) // 5)

    best = min(_places(tree, ()), key=badness)
    signal = _reached(best.path, signals, tables)
    return Decision(
        signal,
        _flattened(_without(best.path), values, signals, tables),
        _flattened(best.branch, values, signals, tables),
    )


def _places(tree: Branch, path: Path) -> Iterator[_Place]:
    """The nodes below a tree's root; of the two just below only the right one."""
    if isinstance(tree, Split):
        for side, branch in ((1, tree.right), (0, tree.left)):
            below = (*path, (tree, side))
            if path or side:
                yield _Place(branch, below)
            yield from _places(branch, below)


def _reached(path: Path, signals: Mapping[tuple[int, int], int], tables: Tables) -> int:
    """Whether an event takes a path; a LUT asks for six sides."""
    asked = [(signals[split.feature, split.bound], side) for split, side in path]
    while len(asked) > 1 or not asked[0][1]:
        groups = [asked[start : start + LUT_BITS] for start in range(0, len(asked), LUT_BITS)]
        asked = [(_all(group, tables), 1) for group in groups]
    return asked[0][0]


def _all(asked: list[tuple[int, int]], tables: Tables) -> int:
    """Whether each of a few signals has a value."""
    members, values = zip(*asked, strict=True)
    return tables.signal(members, (address_bits(len(members)) == values).all(axis=1))


def _without(path: Path) -> Branch:
    """The root of a path without the node at its end, whose neighbour takes the place of both."""
    (split, side), *below = path
    if not below:
        return split.left if side else split.right
    inner = _without(tuple(below))
    if side:
        return Split(split.feature, split.bound, split.left, inner)
    return Split(split.feature, split.bound, inner, split.right)


def _leaves(tree: Branch) -> int:
    return 1 if isinstance(tree, Leaf) else _leaves(tree.left) + _leaves(tree.right)


def _select(asked: list[_Asked], bits: list[int], depth: int = 0) -> Expression:
    """The signal of the one node to which the bits before it lead."""
    if len(asked) == 1:
        return asked[0].signal
    while len({one.answers[depth] for one in asked}) == 1:
        depth += 1
    zero, one = ([node for node in asked if node.answers[depth] == side] for side in (0, 1))
    return Mux(bits[depth], _select(zero, bits, depth + 1), _select(one, bits, depth + 1))


def _values(decision: Decision | int, bits: Integers, depth: int = 0) -> Integers:
    """The value at each address, whose bits are (addresses, bits)."""
    if isinstance(decision, int):
        return np.full(len(bits), decision, dtype=np.int64)
    no, yes = (_values(part, bits, depth + 1) for part in (decision.no, decision.yes))
    values: Integers = np.where(bits[:, depth], yes, no)
    return values

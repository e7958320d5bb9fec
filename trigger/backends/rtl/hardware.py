"""What hardware has of traced logic: each kernel in each of its copies.

Where some inputs of a copy are always zero, as at the edges of a padded convolution, synthesis
removes the operations that this makes redundant.
"""

from collections.abc import Iterator, Sequence
from itertools import compress
from typing import NamedTuple

import numpy as np
from alkaid.types import Op

from trigger.backends.rtl.operations import (
    CONSTANT,
    DSP,
    INPUT,
    PRODUCT,
    SHARED,
    WRAP,
    Logic,
    Shared,
)
from trigger.backends.rtl.positions import equal_rows
from trigger.fixedpoint.types import Flags

_NEGATION, _ADD, _SUBTRACT, _RELU, _SUM = -2, 0, 1, 2, 11
# They make zero of zeros, as additions do.
_KEEP_ZERO = (_NEGATION, _RELU, WRAP, _SUM)


class Form(NamedTuple):
    """Positions of a kernel that have zeros at the same inputs.

    Synthesis removes those of its operations that are ``removed``; those that are ``constant`` need
    no registers either.
    """

    rows: list[int]
    zero: Flags
    constant: Flags
    removed: Flags


def forms(kernel: Logic, zero: Flags) -> list[Form]:
    """The forms of a kernel; ``zero`` says which inputs of each position are always zero."""
    groups = equal_rows(zero)
    patterns = zero[[rows[0] for rows in groups]]
    if patterns.any():
        constant, removed = _never_changes(kernel, patterns)
    else:
        constant = removed = np.zeros((len(groups), len(kernel.ops)), dtype=bool)
    return [Form(*form) for form in zip(groups, patterns, constant, removed, strict=True)]


def _never_changes(kernel: Logic, patterns: Flags) -> tuple[Flags, Flags]:
    """Which values are constant, and which operations are removed: a row for each pattern.

    The patterns in which something holds are the bits of an integer.
    """
    given = [_as_bits(column) for column in patterns.T]
    every = (1 << len(patterns)) - 1
    zero: list[int] = []
    constant: list[int] = []
    removed: list[int] = []
    for op in kernel.ops:
        wires = 0
        if op.opcode == INPUT:
            none = same = given[op.data[0]]
        elif op.opcode == CONSTANT:
            none, same = 0 if op.data[0] else every, every
        else:
            none = same = every
            for source in op.addr:
                none &= zero[source]
                same &= constant[source]
            if op.opcode in (_ADD, _SUBTRACT):  # of zero
                wires = zero[op.addr[1]] | (zero[op.addr[0]] if op.opcode == _ADD else 0)
            elif op.opcode in (PRODUCT, DSP):
                none = zero[op.addr[0]] | zero[op.addr[1]]
            elif op.opcode not in _KEEP_ZERO:
                none = 0
            same |= none
        zero.append(none)
        constant.append(same)
        removed.append(same | wires)
    return _as_flags(constant, len(patterns)), _as_flags(removed, len(patterns))


def _as_bits(column: Flags) -> int:
    return int.from_bytes(np.packbits(column, bitorder="little").tobytes(), "little")


def _as_flags(sets: Sequence[int], count: int) -> Flags:
    size = -(-count // 8)
    content = b"".join(one.to_bytes(size, "little") for one in sets)
    packed = np.frombuffer(content, dtype=np.uint8).reshape(len(sets), size)
    bits = np.unpackbits(packed, axis=1, count=count, bitorder="little")
    return bits.T.astype(bool)


def copies(shared: Shared) -> list[tuple[int, Flags]]:
    """The operations that copies of a kernel have, and the number of these copies."""
    if shared.phases > 1:
        return [(len(shared.copies), np.ones(len(shared.kernel.ops), dtype=bool))]
    return [(len(form.rows), ~form.removed) for form in forms(shared.kernel, shared.zero)]


def costs(kernel: Logic, zero: Flags) -> np.ndarray:
    """The LUTs of a kernel at each position."""
    result = np.zeros(len(zero))
    for form in forms(kernel, zero):
        result[form.rows] = np.array(kernel.costs)[~form.removed].sum()
    return result


def every_op(logic: Logic) -> Iterator[Op]:
    """The operations as hardware has them: those of a kernel in each of its copies."""
    yield from logic.ops
    for shared in logic.shared:
        for count, kept in copies(shared):
            for i in np.flatnonzero(kept).tolist() * count:
                yield shared.kernel.ops[i]


def luts(logic: Logic) -> dict[str, float]:
    """The LUTs of each layer."""
    counts: dict[str, float] = {}

    def add(groups: Sequence[str], costs: Sequence[float]) -> None:
        for group, cost in zip(groups, costs, strict=True):
            counts[group] = counts.get(group, 0.0) + cost

    own = [op.opcode != SHARED for op in logic.ops]
    add([*compress(logic.groups, own)], [*compress(logic.costs, own)])
    for shared in logic.shared:
        add([shared.group], [shared.choosing])
        times = np.sum([count * kept for count, kept in copies(shared)], axis=0)
        add(shared.kernel.groups, (times * shared.kernel.costs).tolist())
    return counts

"""alkaid's logic on rational numbers, for values that its own interpreters do not hold."""

from collections.abc import Sequence
from fractions import Fraction
from math import floor
from operator import and_, or_, xor

from alkaid.types import CombLogic, Op, QInterval

_BITWISE = (and_, or_, xor)
_HALF, _ONE = Fraction(1, 2), Fraction(1)


def run(logic: CombLogic, event: Sequence[float]) -> list[float]:
    """The outputs for the inputs of one event. Raises OverflowError if no float holds one."""
    values: list[Fraction] = []
    for op in logic.ops:
        values.append(_value(logic, op, values, event))
    outputs = zip(logic.out_idxs, logic.out_shifts, logic.out_negs, strict=True)
    return [
        float(values[i] * _power(shift) * (-1 if negative else 1)) for i, shift, negative in outputs
    ]


def _value(
    logic: CombLogic, op: Op, values: Sequence[Fraction], event: Sequence[float]
) -> Fraction:
    read: list[Fraction] = [values[i] for i in op.addr]
    before = [logic.ops[i].qint for i in op.addr]
    match op.opcode:
        case -2:
            return -read[0]
        case -1:
            return Fraction(event[op.data[0]]) * _power(logic.inp_shifts[op.data[0]])
        case 0:
            return read[0] + read[1] * _power(op.data[0])
        case 1:
            return read[0] - read[1] * _power(op.data[0])
        case 2:
            return _wrapped(max(read[0], Fraction(0)), op.qint)
        case 3:
            return _wrapped(read[0] * _power(op.data[0]), op.qint)
        case 4:
            return read[0] + _power(-op.data[1]) * int(op.data[0])
        case 5:
            return Fraction(op.qint.step) * int(op.data[0])
        case 6:
            chosen = read[0] if _highest_bit(read[2], before[2]) else read[1] * _power(op.data[0])
            return _wrapped(chosen, op.qint)
        case 7:
            return read[0] * read[1]
        case 8:
            assert logic.lookup_tables is not None
            return Fraction(logic.lookup_tables[op.data[0]].lookup(float(read[0]), before[0]))
        case 9:
            return _reduced(op, read[0], before[0])
        case 10:
            shifted = read[1] * _power(op.data[0])
            step = min(Fraction(before[0].step), Fraction(before[1].step) * _power(op.data[0]))
            return step * int(_BITWISE[op.data[1]](int(read[0] / step), int(shifted / step)))
    raise ValueError(f"alkaid's operation {op.opcode} is not known")


def _reduced(op: Op, x: Fraction, before: QInterval) -> Fraction:
    """The complement of a value, or whether any or all of its bits are set."""
    integer = int(x / Fraction(before.step))
    match op.data[0]:
        case 0:
            signed, whole, fraction = before.kif
            bits = (~integer) % (1 << max(signed + whole + fraction, 1))
            signed, whole, fraction = op.qint.kif
            if signed and bits >> (signed + whole + fraction - 1):
                bits -= 1 << (signed + whole + fraction)
            return _power(-fraction) * int(bits)
        case 1:
            return _ONE * (integer != 0)
    return _ONE * (integer == (-1 if before.min < 0 else int(before.max / before.step)))


def _highest_bit(x: Fraction, interval: QInterval) -> bool:
    if interval.min < 0:
        return x < 0
    return x >= _power(interval.kif[1]) * _HALF


def _wrapped(x: Fraction, interval: QInterval) -> Fraction:
    signed, whole, fraction = interval.kif
    span = 1 << (signed + whole + fraction)
    lowest = span // 2 if signed else 0
    integer: int = (floor(x * _power(fraction)) + lowest) % span - lowest
    return _power(-fraction) * integer


def _power(exponent: int) -> Fraction:
    return Fraction(1 << exponent) if exponent >= 0 else Fraction(1, 1 << -exponent)

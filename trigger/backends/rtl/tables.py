"""Tables on alkaid's variables; a staircase as a table or as a sum of comparisons."""

from collections.abc import Sequence

import numpy as np
from alkaid.trace import FVariable, FVArray

from trigger.backends.rtl.choices import maximum, minimum
from trigger.backends.rtl.rounding import floor
from trigger.backends.rtl.sums import CONSTANT_BITS, HARDWARE, integers, joined, plus, variable
from trigger.fixedpoint.arithmetic import depends
from trigger.fixedpoint.ops import Lookup, Operation, Staircase, TruthTable
from trigger.fixedpoint.types import Integers

# A wider table would take longer than a clock cycle: it is made of several, selected by the upper
# bits.
_WHOLE_TABLE_BITS = 11
# Up to 2^8 entries a staircase is a table of a few LUTs a bit; up to 2^16 if that is smaller than
# its comparisons.
_SURE_TABLE_BITS = 8
_TABLE_BITS = 16


def staircase(x: FVariable, node: Staircase) -> FVariable:
    """A staircase, as a table or as a sum over the steps that x has reached."""
    if max(abs(int(v)) for v in node.levels.values) >> CONSTANT_BITS:
        raise ValueError(f"its levels need more than {CONSTANT_BITS} bits")
    x = floor(x, node.thresholds.type.fraction)
    levels = node.levels.real
    # A step between two values of x is taken at the upper one; where several are, the last one
    # counts.
    thresholds, counts = np.unique(
        np.ceil(node.thresholds.real / x.step) * x.step, return_counts=True
    )
    levels = levels[np.concatenate([[0], np.cumsum(counts)])]
    first, last = np.searchsorted(thresholds, [x.low, x.high], side="right")
    thresholds = thresholds[first:last]
    levels = levels[first : last + 1]
    if not len(thresholds):
        return variable(levels[0])
    # All values further out are represented by one step below the first threshold, and by the last
    # threshold.
    inside = minimum(maximum(x, thresholds[0] - x.step), thresholds[-1])
    if sum(inside.kif) < sum(x.kif):
        x = inside
    width = sum(x.kif)
    bits = node.levels.type.width
    comparisons = len(thresholds) * (width / 2 + 1) + bits
    if width <= _SURE_TABLE_BITS or (
        width <= _TABLE_BITS and bits * 2.0 ** (width - 6) < comparisons
    ):
        entries = np.arange(round((x.high - x.low) / x.step) + 1) * x.step + x.low
        return _table(x, levels[np.searchsorted(thresholds, entries, side="right")])
    reached = FVArray(
        np.array([~plus(x, -t).msb() for t in thresholds], dtype=object), hwconf=HARDWARE
    )
    return plus(variable((reached @ np.diff(levels)[:, None])[0]), float(levels[0]))


def lookup(x: FVariable, node: Lookup, fraction: int, low: float, high: float) -> FVariable:
    """``levels[x - first]``; x has ``fraction`` fractional bits, and lies between the graph's ends
    ``low`` and ``high``.
    """
    # The address: the fewest lower bits that distinguish the values of x.
    low = max(low, x.low)
    high = min(high, x.high)
    step = x.step
    bits = round((high - low) / step).bit_length()
    address = x.quantize(0, bits - x.kif[2], x.kif[2]) if bits else variable(low)
    below = address.low / step
    count = round(address.high / step - below) + 1 if bits else 1
    read = (np.arange(count) + below - low / step) % (1 << bits) * step + low
    # Some values of the address belong to no value of x.
    entries = np.floor(np.ldexp(np.minimum(read, high), fraction)) - node.first
    levels = node.levels.values[entries.astype(np.int64)]
    return _levels(address, levels, node.levels.type.fraction)


def truth_table(x: Sequence[FVariable], node: TruthTable, source: Operation) -> list[FVariable]:
    """A table for each output, over the members on which it depends."""
    outputs = []
    for row, needed in enumerate(depends(node)):
        levels = node.levels.values[row]
        entries = np.zeros(1, dtype=np.int64)
        address = variable(0.0)
        bits = 0
        for member in np.flatnonzero(needed):
            element, width = node.elements[row, member], int(node.widths[row, member])
            values = np.arange(1 << width) << node.offsets[row, member]
            entries = (entries + values[:, None]).ravel()
            whole = x[element] * 2.0 ** source.types[element].fraction
            address = joined(_lowest_bits(whole, width) * 2.0**bits, address)
            bits += width
        # The step of a constant zero is beyond integers.
        read = (integers(address) * float(address.step)).astype(np.int64)
        outputs.append(_levels(address, levels[entries[read]], node.levels.type.fraction))
    return outputs


def _lowest_bits(x: FVariable, width: int) -> FVariable:
    """The lowest bits of an integer, as an integer of no sign."""
    if x.low == x.high:  # alkaid's own would not wrap a constant
        return variable(float(np.mod(x.low, 2.0**width)))
    return x.quantize(0, width, 0)


def _levels(x: FVariable, levels: Integers, fraction: int) -> FVariable:
    """A table of integers; one for each part of them that alkaid holds exactly."""
    if (levels == levels[0]).all():
        return variable(float(levels[0]) * 2.0**-fraction)
    if max(int(levels.max()), ~int(levels.min())) >> CONSTANT_BITS:
        lower = levels & ((1 << CONSTANT_BITS) - 1)
        upper = _levels(x, levels >> CONSTANT_BITS, fraction - CONSTANT_BITS)
        return joined(upper, _levels(x, lower, fraction))
    # alkaid takes entries in float32, whose exponents end before those of the graph.
    return _table(x, levels.astype(np.float64)) * 2.0**-fraction


def _table(x: FVariable, values: np.ndarray) -> FVariable:
    """``values`` by position of x between its lowest and its highest value."""
    if len(values) <= 1 << _WHOLE_TABLE_BITS:
        return x.lookup(values)
    index = plus(x, -x.low)
    bits = int(len(values) - 1).bit_length()
    values = np.concatenate([values, np.full((1 << bits) - len(values), values[-1])])
    below = index.quantize(0, bits - 1 - index.kif[2], index.kif[2])
    halves = (
        _table(below, half) if (half != half[0]).any() else variable(half[0])
        for half in np.split(values, 2)
    )
    lower, upper = halves
    return index.msb().msb_mux(upper, lower)

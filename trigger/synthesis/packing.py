"""The LUTs of a netlist once two small functions share one: an estimate for AMD's parts.

A LUT of six inputs also holds two functions that read the same five inputs. Vendor tools use this,
Yosys does not; nor does it absorb inverters. Pairs are chosen greedily among functions that have an
input in common. Bits of carry chains are not paired with each other, because each has a LUT in a
place of its own. What remains is the vendor's further optimisation, which one factor stands for: it
and its error in ``synth/packing.toml`` come from published networks, whose papers print the LUTs
that Vivado counted after place and route (``benchmarks/packing.py``).
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

from trigger.support.resources import folder

FILE_NAME = "packing.toml"
# The data files read here, which results depend on.
DATA = (f"synth/{FILE_NAME}",)
_SHARED_INPUTS = 5
# A net that more functions read brings together none that belong together.
_MOST_READERS = 64
_LUT = re.compile(r"^  LUT\d #\(.*?^  \) .*? \(\n(.*?)^  \);$", re.MULTILINE | re.DOTALL)
_INPUT = re.compile(r"^    \.I\d\((.*?)\),?$", re.MULTILINE)
_OUTPUT = re.compile(r"^    \.O\((.*?)\),?$", re.MULTILINE)
_CONSTANT = re.compile(r"\d+'")
_CARRIES = re.compile(
    r"^  CARRY\d .*?^    \.S\((?:\{ )?(.*?)(?: \})?\),?$", re.MULTILINE | re.DOTALL
)
_SLICE = re.compile(r"(.*)\[(\d+):(\d+)\]")


class Function(NamedTuple):
    """The nets that a LUT reads, and whether it is a bit of a carry chain."""

    inputs: frozenset[str]
    carries: bool = False


def packed(netlist: str) -> int:
    """The estimated LUTs of a flat netlist that Yosys wrote in Verilog; shift registers count."""
    found = list(functions(netlist))
    shift_registers = len(re.findall(r"^  SRL\w+ ", netlist, re.MULTILINE))
    factor: float = model()["factor"]
    return round((len(found) - pairs(found)) / factor) + shift_registers


def note() -> str:
    """What ``packed`` means, and its uncertainty."""
    fitted = model()
    return (
        "packed, estimated: what Vivado might count, with two small functions in one LUT, "
        f"within {100 * fitted['error']:.0f} % (one standard deviation, {fitted['networks']} "
        "published networks)"
    )


def pairs(functions: Sequence[Function]) -> int:
    """The number of pairs that share a LUT."""
    small = sorted(
        (function for function in functions if len(function.inputs) <= _SHARED_INPUTS),
        key=lambda function: (-len(function.inputs), sorted(function.inputs), function.carries),
    )
    readers: dict[str, list[int]] = {}
    for number, function in enumerate(small):
        for net in function.inputs:
            readers.setdefault(net, []).append(number)
    near = {net: found for net, found in readers.items() if len(found) <= _MOST_READERS}
    taken = [False] * len(small)
    count = 0
    for number, (inputs, carries) in enumerate(small):
        if taken[number]:
            continue
        taken[number] = True
        others = {other for net in inputs for other in near.get(net, ()) if not taken[other]}
        fitting = [
            other
            for other in others
            if len(inputs | small[other].inputs) <= _SHARED_INPUTS
            and not (carries and small[other].carries)
        ]
        if fitting:
            # The one with most inputs in common leaves the others most free.
            _, best = max((len(inputs & small[other].inputs), -other) for other in fitting)
            taken[-best] = True
            count += 1
    return count


def functions(netlist: str) -> Iterator[Function]:
    """The functions in LUTs of a flat netlist; shift registers are none."""
    carried = {net for match in _CARRIES.finditer(netlist) for net in _bits(match[1])}
    for match in _LUT.finditer(netlist):
        inputs = frozenset(_nets(_INPUT.findall(match[1])))
        yield Function(inputs, not carried.isdisjoint(_OUTPUT.findall(match[1])))


def _bits(joined: str) -> Iterator[str]:
    """The nets that are joined in a port."""
    for part in joined.split(", "):
        if match := _SLICE.fullmatch(part):
            last, first = int(match[2]), int(match[3])
            yield from (f"{match[1]}[{bit}]" for bit in range(first, last + 1))
        else:
            yield part


def _nets(inputs: Iterable[str]) -> Iterator[str]:
    return (net for net in inputs if not _CONSTANT.match(net))


@cache
def model() -> dict[str, Any]:
    """``factor``, and ``error``: the root mean square of the relative error for networks left out
    one by one.
    """
    return tomllib.loads((folder("synth") / FILE_NAME).read_text())

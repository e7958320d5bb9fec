"""The LUTs of a netlist once two small functions share one: an estimate for AMD's parts.

A LUT of six inputs also holds two functions that read the same five inputs. Vendor tools use this,
Yosys does not; nor does it absorb inverters. Pairs are chosen greedily among functions that have an
input in common. What remains is the vendor's further optimisation, which one factor stands for: it
and its error in ``synth/packing.toml`` come from published networks whose papers print the LUTs
that Vivado counted after place and route (``benchmarks/packing.py``).
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any

from trigger.support.resources import folder

FILE_NAME = "packing.toml"
# The data files read here, which results depend on.
DATA = (f"synth/{FILE_NAME}",)
_SHARED_INPUTS = 5
# A net that more functions read brings together none that belong together.
_MOST_READERS = 64
_LUT = re.compile(r"^  LUT(\d) #\(.*?^  \) .*? \(\n(.*?)^  \);$", re.MULTILINE | re.DOTALL)
_INPUT = re.compile(r"^    \.I\d\((.*?)\),?$", re.MULTILINE)
_CONSTANT = re.compile(r"\d+'")


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


def pairs(functions: Sequence[frozenset[str]]) -> int:
    """The number of pairs that share a LUT, of functions given by their inputs."""
    small = sorted(
        (inputs for inputs in functions if len(inputs) <= _SHARED_INPUTS),
        key=lambda inputs: (-len(inputs), sorted(inputs)),
    )
    readers: dict[str, list[int]] = {}
    for number, inputs in enumerate(small):
        for net in inputs:
            readers.setdefault(net, []).append(number)
    near = {net: found for net, found in readers.items() if len(found) <= _MOST_READERS}
    taken = [False] * len(small)
    count = 0
    for number, inputs in enumerate(small):
        if taken[number]:
            continue
        taken[number] = True
        others = {other for net in inputs for other in near.get(net, ()) if not taken[other]}
        fitting = [other for other in others if len(inputs | small[other]) <= _SHARED_INPUTS]
        if fitting:
            # The one with most inputs in common leaves the others most free.
            taken[max(fitting, key=lambda other: (len(inputs & small[other]), -other))] = True
            count += 1
    return count


def functions(netlist: str) -> Iterator[frozenset[str]]:
    """The inputs of each function in a LUT of a flat netlist; shift registers are none."""
    for match in _LUT.finditer(netlist):
        yield frozenset(_nets(_INPUT.findall(match[2])))


def _nets(inputs: Iterable[str]) -> Iterator[str]:
    return (net for net in inputs if not _CONSTANT.match(net))


@cache
def model() -> dict[str, Any]:
    """``factor``, and ``error``: the root mean square of the relative error for networks left out
    one by one.
    """
    return tomllib.loads((folder("synth") / FILE_NAME).read_text())

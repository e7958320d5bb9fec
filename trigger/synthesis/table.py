"""A synthesis result as text for a terminal."""

from trigger.support.numbers import plain
from trigger.synthesis.result import Synthesis

_NAMES = {
    "lut": "LUT",
    "packed": "LUT, packed, estimated",
    "ff": "FF",
    "dsp": "DSP",
    "bram": "BRAM",
    "carry": "carry blocks",
    "depth": "cells in the longest path",
    "clock_mhz": "highest clock, MHz",
    "latency": "latency, cycles",
    "ii": "initiation interval",
}


def line(result: Synthesis) -> str:
    """The figures in one line."""
    counts = [
        f"{plain(value)} {_NAMES[name]}"
        for name in ("lut", "ff", "dsp", "bram")
        if (value := getattr(result, name)) is not None
    ]
    return f"{result.title}: {', '.join(counts)} ({result.origin})"


def table(result: Synthesis) -> str:
    """One line per figure that the tool reported."""
    lines = [f"{result.title} on {result.part}: {result.origin}"]
    for name, title in _NAMES.items():
        value = getattr(result, name)
        if value is not None:
            lines.append(f"  {title:<26} {plain(value):>12}")
    for what, counts in (("by size", result.lut_by_size), ("LUTs per layer", result.layers)):
        if counts:
            listed = ", ".join(f"{name} {plain(count)}" for name, count in counts.items())
            lines.append(f"  {what}: {listed}")
    return "\n".join([*lines, *(f"  note: {note}" for note in result.notes)])

"""A synthesis result as text for a terminal."""

from trigger.synthesis.result import Synthesis

_NAMES = {
    "lut": "LUT",
    "ff": "FF",
    "dsp": "DSP",
    "bram": "BRAM",
    "carry": "carry blocks",
    "depth": "cells in the longest path",
    "clock_mhz": "highest clock, MHz",
    "latency": "latency, cycles",
    "ii": "initiation interval",
}


def table(result: Synthesis) -> str:
    """One line a figure; what the tool did not give is left out."""
    lines = [f"{result.design} on {result.part}: {result.origin}"]
    for name, title in _NAMES.items():
        value = getattr(result, name)
        if value is not None:
            lines.append(f"  {title:<26} {value:>12,}")
    if result.lut_by_size:
        lines.append(
            "  by size: "
            + ", ".join(f"{count:,} {size}" for size, count in result.lut_by_size.items())
        )
    if result.layers:
        lines.append(
            "  LUT by layer: "
            + ", ".join(f"{layer} {count:,}" for layer, count in result.layers.items())
        )
    return "\n".join([*lines, *(f"  note: {note}" for note in result.notes)])

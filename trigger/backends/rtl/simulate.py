"""Cycle-accurate RTL simulation with Verilator, as a shared library.

Several cores can be compiled into one bench in little more than the time for one. A library is
reused until a source, a tool or an option changes.
"""

import ctypes
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trigger.backends.rtl.interface import LOADING_BITS, Interface
from trigger.backends.rtl.simulation import Simulator
from trigger.backends.rtl.verilator import EXTEND, RtlFailed, find_verilator, library
from trigger.fixedpoint.types import Flags, Integers
from trigger.support import compiled
from trigger.support.templates import environment

# Distributed arithmetic has unused bits and constant blocks, and a project may share its name with
# a signal; all other -Wall warnings are errors.
_LINT = (
    "-Wall",
    "-Wno-UNUSEDSIGNAL",
    "-Wno-ALWNEVER",
    "-Wno-DECLFILENAME",
    "-Wno-TIMESCALEMOD",
    "-Wno-VARHIDDEN",
)

# No style warnings for a netlist, which has a wire for every LUT.
NETLIST_FLAGS = ("-Wno-lint", "-Wno-fatal", "-fno-dfg")


class Design(NamedTuple):
    """A simulated design: its interface in the bench, and its Verilog files."""

    interface: Interface
    sources: tuple[Path, ...]


class _Compiled(NamedTuple):
    design: Design
    library: Path
    place: int


class Simulation(_Compiled, Simulator):
    """A compiled design: number ``place`` in a library."""

    chunk = 50_000

    @property
    def core(self) -> Interface:
        return self.design.interface

    def simulate_part(
        self, x: Integers, stalls: bool, seed: int, whole: bool, resets: Flags | None
    ) -> tuple[Integers, Flags]:
        core = self.core
        count = len(x)
        function = ctypes.CDLL(str(self.library))[f"trigger_rtl_{self.place}"]
        function.restype = ctypes.c_int64
        y = np.zeros((count, len(core.outputs)), dtype=np.int64)
        lost = np.zeros(count, dtype=bool)
        facts = (ctypes.c_int64 * 5)()
        threads = 1 if whole else max(min(len(os.sched_getaffinity(0)), count // 256), 1)
        results = function(
            x.ctypes.data_as(ctypes.c_void_p),
            y.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_size_t(count),
            ctypes.c_size_t(threads),
            ctypes.c_int(stalls),
            ctypes.c_uint64(seed),
            None if resets is None else resets.ctypes.data_as(ctypes.c_void_p),
            lost.ctypes.data_as(ctypes.c_void_p),
            facts,
        )
        _check(core, count, results, list(facts))
        return y, lost


def _check(core: Interface, count: int, results: int, facts: Sequence[int]) -> None:
    """Raises RtlFailed where the number or the times of the results are wrong."""
    least, most, stale, moved, surplus = facts
    if stale:
        raise RtlFailed(
            f"rtl: {core.name} gave {stale} results after a reset for events from before it"
        )
    if moved:
        raise RtlFailed(
            f"rtl: {core.name} changed its result {moved} times while the clock enable was low"
        )
    if results != count:
        raise RtlFailed(f"rtl: {core.name} gave {results} results for {count} events")
    if (least, most) != (core.latency, core.latency):
        raise RtlFailed(
            f"rtl: {core.name} took {least} to {most} clock cycles; {core.latency} were promised"
        )
    if surplus:
        raise RtlFailed(f"rtl: {core.name} gave {results + surplus} results for {count} events")


def compile_together(
    designs: Sequence[Design], folder: Path, optimize: str = "-O1", flags: Sequence[str] = _LINT
) -> list[Simulation]:
    """Compile designs of different names into one library in ``folder``; returns them in the same
    order.

    Raises RtlFailed with the first error of Verilator or g++.
    """
    verilator = find_verilator()
    bench = _bench(designs)
    harness = _harness(designs)
    sources = [source for design in designs for source in design.sources]
    digest = hashlib.sha256(repr((bench, harness, str(verilator), tuple(flags), optimize)).encode())
    for source in (*sources, EXTEND):
        digest.update(source.read_bytes())

    def compile_in(work: Path) -> Path:
        (work / "bench.v").write_text(bench)
        (work / "harness.cpp").write_text(harness)
        return library(verilator, work, [*sources, work / "bench.v"], optimize, flags)

    path = compiled.library(folder, "rtl.so", digest.hexdigest(), compile_in)
    return [Simulation(design, path, k) for k, design in enumerate(designs)]


def _harness(designs: Sequence[Design]) -> str:
    templates = environment(Path(__file__).parent)
    return templates.get_template("harness.cpp.j2").render(
        cores=[design.interface for design in designs]
    )


def _bench(designs: Sequence[Design]) -> str:
    """One module with all cores in parallel, each with its own clock, so that only the active one
    costs time.
    """
    ports = []
    instances = []
    for k, (core, _) in enumerate(designs):
        ports += [f"input wire {name}_{k}" for name in ("clk", "rst", "ce", "x_valid")]
        ports += [f"input wire [{core.input_width - 1}:0] x_{k}", f"output wire y_valid_{k}"]
        ports.append(f"output wire [{core.output_width - 1}:0] y_{k}")
        names = ("clk", "rst", "ce", "x_valid", "y_valid", "y")
        connected = [f".{name}({name}_{k})" for name in names]
        if core.words:
            instances.append(f"wire busy_{k}; wire [31:0] network_{k};")
        connected += _loading(core, k) if core.words else [f".x(x_{k})"]
        instances.append(f"{core.name} core_{k} ({', '.join(connected)});")
    return (
        "`timescale 1 ns / 1 ps\nmodule bench (\n  "
        + ",\n  ".join(ports)
        + "\n);\n"
        + "\n".join(instances)
        + "\nendmodule\n"
    )


def _loading(core: Interface, k: int) -> list[str]:
    """The inputs of a core whose weights can be loaded, which come with the events."""
    low = core.input_width - LOADING_BITS
    return [
        f".x(x_{k}[{low - 1}:0])",
        f".w_load(x_{k}[{low}])",
        f".w_write(ce_{k} && x_valid_{k} && x_{k}[{low + 1}])",
        f".w_data(x_{k}[{low + 33}:{low + 2}])",
        f".w_busy(busy_{k}), .w_network(network_{k})",
    ]

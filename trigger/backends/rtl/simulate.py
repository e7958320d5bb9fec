"""Cycle-accurate RTL simulation with Verilator, as a shared library.

Several cores can be compiled into one bench in little more than the time for one. A library is
reused until a source, a tool or an option changes.
"""

import ctypes
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trigger.backends.rtl.edges import with_resets
from trigger.backends.rtl.interface import Interface
from trigger.backends.rtl.verilator import EXTEND, RtlFailed, find_verilator, library
from trigger.fixedpoint.types import Flags, Integers
from trigger.support import compiled
from trigger.support.templates import environment

_CHUNK = 50_000
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
    """A simulated design: its interface and its Verilog files."""

    interface: Interface
    sources: tuple[Path, ...]


class Simulation(NamedTuple):
    """A compiled design."""

    design: Design
    library: Path
    place: int

    def run(
        self,
        x: Integers,
        stalls: bool = False,
        seed: int = 1,
        done: Callable[[int], None] = lambda events: None,
        whole: bool = False,
    ) -> Integers:
        """Integer inputs, shape (events, features), to integer outputs, shape (events, outputs).

        With ``stalls`` events pause, the clock enable drops now and then, and the design is reset
        while events are in flight; discarded events are sent again at the end. With ``whole`` the
        design keeps its state from the first event to the last; otherwise parts run in parallel.
        Raises RtlFailed if a result is missing, early or late, changes while the clock enable is
        low, or appears after a reset that should discard it.
        """
        if not stalls or not len(x):
            return self._simulate(x, stalls, seed, done, whole, None)[0]

        def simulate(x: Integers, resets: Flags | None) -> tuple[Integers, Flags]:
            progress = done if resets is not None else lambda events: None
            return self._simulate(x, stalls, seed, progress, whole, resets)

        return with_resets(simulate, x)

    def interrupted(self, x: Integers, resets: Flags) -> tuple[Integers, Flags]:
        """Outputs where the design is reset before each event of ``resets``, and which events that
        lost.
        """
        return self._simulate(x, False, 1, lambda events: None, True, resets)

    def _simulate(
        self,
        x: Integers,
        stalls: bool,
        seed: int,
        done: Callable[[int], None],
        whole: bool,
        resets: Flags | None,
    ) -> tuple[Integers, Flags]:
        core = self.design.interface
        function = ctypes.CDLL(str(self.library))[f"trigger_rtl_{self.place}"]
        function.restype = ctypes.c_int64
        x = np.ascontiguousarray(x, dtype=np.int64)
        y = np.zeros((len(x), len(core.outputs)), dtype=np.int64)
        lost = np.zeros(len(x), dtype=bool)
        facts = (ctypes.c_int64 * 5)()
        size = max(len(x), 1) if whole else _CHUNK
        for start in range(0, len(x), size):
            rows = slice(start, start + size)
            count = len(x[rows])
            threads = 1 if whole else max(min(len(os.sched_getaffinity(0)), count // 256), 1)
            results = function(
                x[rows].ctypes.data_as(ctypes.c_void_p),
                y[rows].ctypes.data_as(ctypes.c_void_p),
                ctypes.c_size_t(count),
                ctypes.c_size_t(threads),
                ctypes.c_int(stalls),
                ctypes.c_uint64(seed + start),
                None if resets is None else resets[rows].ctypes.data_as(ctypes.c_void_p),
                lost[rows].ctypes.data_as(ctypes.c_void_p),
                facts,
            )
            if facts[2]:
                raise RtlFailed(
                    f"rtl: {core.name} gave {facts[2]} results after a reset for events "
                    f"from before it"
                )
            if facts[3]:
                raise RtlFailed(
                    f"rtl: {core.name} changed its result {facts[3]} times while the "
                    f"clock enable was low"
                )
            if results != count:
                raise RtlFailed(f"rtl: {core.name} gave {results} results for {count} events")
            if (facts[0], facts[1]) != (core.latency, core.latency):
                raise RtlFailed(
                    f"rtl: {core.name} took {facts[0]} to {facts[1]} clock cycles; "
                    f"{core.latency} were promised"
                )
            if facts[4]:
                raise RtlFailed(
                    f"rtl: {core.name} gave {results + facts[4]} results for {count} events"
                )
            done(count)
        return y, lost


def compile_together(
    designs: Sequence[Design], folder: Path, optimize: str = "-O1", flags: Sequence[str] = _LINT
) -> list[Simulation]:
    """Compile designs of different names into one library in ``folder``; returns them in the same
    order.

    Raises RtlFailed with the first error of Verilator or g++.
    """
    verilator = find_verilator()
    bench, harness = _bench(designs), _harness(designs)
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
    ports, instances = [], []
    for k, (core, _) in enumerate(designs):
        ports += [f"input wire {name}_{k}" for name in ("clk", "rst", "ce", "x_valid")]
        ports += [f"input wire [{core.input_width - 1}:0] x_{k}", f"output wire y_valid_{k}"]
        ports.append(f"output wire [{core.output_width - 1}:0] y_{k}")
        names = ("clk", "rst", "ce", "x_valid", "x", "y_valid", "y")
        instances.append(
            f"{core.name} core_{k} ({', '.join(f'.{name}({name}_{k})' for name in names)});"
        )
    return (
        "`timescale 1 ns / 1 ps\nmodule bench (\n  "
        + ",\n  ".join(ports)
        + "\n);\n"
        + "\n".join(instances)
        + "\nendmodule\n"
    )

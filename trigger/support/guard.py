"""Runs a program that ends with who asked for it: python guard.py SOCKET PROGRAM ARGUMENTS...

It stands between this program and each that is run. SOCKET is one end of a pair; the other end closes when the process
that asked ends, in whatever way. Then, and when the program itself has ended, all that it has started is killed. The wait
status goes back through the socket, or, as a negative number, why the program cannot be started.
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
    # Whatever loses its parent becomes a child of this process, in whatever session or group it is.
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
    except OSError:  # nobody is left to be told
        return


def _end_all(program: int) -> int:
    """Kill all children, and theirs as they become children; the wait status of the program."""
    os.kill(program, signal.SIGKILL)  # where it has ended already, it keeps its status
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

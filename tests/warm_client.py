"""Run by the commands of warm.py: their socket, `python` or `trigger`, and the program's arguments."""

import json
import os
import signal
import socket
import struct
import sys
from pathlib import Path


def main(path: str, name: str, *arguments: str) -> None:
    """Run a program as Python does, or with Python, if it takes an option that the server lacks."""
    if name == "trigger":
        arguments = ("-m", "trigger", *arguments)
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-", "-c", "-m")):
        os.execv(sys.executable, [sys.executable, *arguments])
    request = {
        "arguments": arguments,
        "folder": str(Path.cwd()),
        "environment": dict(os.environ),
        "python": str(Path(path).with_name("python")),
    }
    text = json.dumps(request).encode()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        socket.send_fds(connection, [struct.pack("i", len(text))], [0, 1, 2])
        connection.sendall(text)
        program = _received(connection)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, frame: os.kill(program, number))
        status = _received(connection)
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    sys.exit(os.waitstatus_to_exitcode(status))


def _received(connection: socket.socket) -> int:
    return struct.unpack("i", connection.recv(4, socket.MSG_WAITALL))[0]


if __name__ == "__main__":
    main(*sys.argv[1:])

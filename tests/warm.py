"""Python programs that Keras is imported for already: an import takes as long as a small training.

A server imports it once and forks for each program, which is a process of its own with its own
folder, environment and outputs. ``commands`` is a folder for PATH with ``trigger`` and ``python``.
The programs of one server share the seed of Python's hashes; the page tutorial.md starts without it.
"""

import atexit
import functools
import os
import shlex
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PROGRAMS = ("python", "trigger")


@functools.cache
def commands() -> Path:
    """The folder of the programs, whose server runs until this process ends."""
    kept = tempfile.TemporaryDirectory(prefix="warm-")
    atexit.register(kept.cleanup)
    folder = Path(kept.name)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(folder / "socket"))
    listening.listen()
    tests, ours = os.pipe()  # never written: its end is that of this process
    passed = (listening.fileno(), tests)
    command = [sys.executable, str(HERE / "warm_server.py"), *map(str, passed)]
    environment = {key: value for key, value in os.environ.items() if key != "XLA_FLAGS"}
    silent = subprocess.DEVNULL  # TensorFlow writes a log as it starts
    server = subprocess.Popen(command, pass_fds=passed, env=environment, stderr=silent)
    listening.close()
    os.close(tests)
    atexit.register(server.wait)
    atexit.register(os.close, ours)
    for beside in Path(sys.executable).parent.iterdir():
        if beside.name not in PROGRAMS:
            (folder / beside.name).symlink_to(beside)
    for program in PROGRAMS:
        arguments = [
            sys.executable,
            "-I",
            "-S",
            HERE / "warm_client.py",
            folder / "socket",
            program,
        ]
        path = folder / program
        path.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, arguments))} "$@"\n')
        path.chmod(0o755)
    return folder

"""Programs started from the server of warm.py are what Python would have started."""

import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
import warm

SHOWN = """
import keras, os, sys
print(sys.argv, os.getcwd(), os.environ["COLOUR"], sys.stdin.read(), sys.path[0])
print("told", file=sys.stderr)
"""


def run(*arguments, **options):
    command = [warm.commands() / "python", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


@pytest.mark.parametrize("kind", ["-c", "file"])
def test_arguments_folder_environment_and_streams(kind, tmp_path):
    (tmp_path / "shown.py").write_text(SHOWN)
    start = ("-c", SHOWN) if kind == "-c" else ("shown.py",)
    environment = {**os.environ, "COLOUR": "red"}
    result = run(*start, "a b", "$c", cwd=tmp_path, env=environment, input="read")
    first, place = ("-c", "") if kind == "-c" else ("shown.py", str(tmp_path))
    shown = f"{[first, 'a b', '$c']} {tmp_path} red read {place}\n"
    assert (result.returncode, result.stdout, result.stderr) == (0, shown, "told\n")


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("raise SystemExit(3)", 3),
        ("raise SystemExit", 0),
        ("raise SystemExit('why')", 1),
        ("1 / 0", 1),
        ("import os; os.kill(os.getpid(), 9)", -signal.SIGKILL),
        ("import os; os.abort()", -signal.SIGABRT),
    ],
)
def test_the_status_is_that_of_python(text, status):
    python = subprocess.run([sys.executable, "-c", text], capture_output=True, check=False)
    assert run("-c", text).returncode == status == python.returncode


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_program_ends_with_its_command(number):
    text = "import os, time; print(os.getpid(), flush=True); time.sleep(100)"
    command = [warm.commands() / "python", "-c", text]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        program = int(process.stdout.readline())
        process.send_signal(number)
        assert process.wait() == -number
    end = time.monotonic() + 10
    while is_running(program) and time.monotonic() < end:
        time.sleep(0.01)
    assert not is_running(program)


def is_running(program):
    """An ended program stays in the table of processes until the first process asks for it."""
    try:
        state = Path(f"/proc/{program}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_a_request_that_breaks_off_ends():
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(60)
        client.connect(str(warm.commands() / "socket"))
        socket.send_fds(client, [struct.pack("i", 100)], [0, 1, 2])
        client.sendall(b"{")
        client.shutdown(socket.SHUT_WR)
        assert client.recv(4) == b""

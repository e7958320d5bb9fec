"""The command `trigger`, run as a user runs it, or in this process with what it prints or raises."""

import contextlib
import io
import signal
import subprocess
import sys
from unittest import mock

import warm
from typer.testing import CliRunner

from trigger.cli.app import app, main
from trigger.errors import TriggerError

# Commands that import Keras; the others start faster without it.
WARM = ("build", "search", "verify")
COLD = (sys.executable, "-m", "trigger")


def trigger(*arguments, cwd=None, env=None):
    start = [warm.commands() / "trigger"] if arguments[0] in WARM else COLD
    command = [*start, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=env, check=False)


def trigger_here(*arguments):
    """The same in this process, where Keras runs already: its start takes as long as a training."""
    command = ["trigger", *map(str, arguments)]
    out, err = io.StringIO(), io.StringIO()
    with (
        _handlers_kept(),
        mock.patch.object(sys, "argv", command),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            status = end.code
    return subprocess.CompletedProcess(command, status, out.getvalue(), err.getvalue())


def invoke(*arguments):
    """In this process: the output, the exit status, and the exception before it is a message."""
    return CliRunner().invoke(app, list(map(str, arguments)))


def refused(*arguments) -> str:
    """The message of the TriggerError with which the command must end."""
    result = invoke(*arguments)
    assert isinstance(result.exception, TriggerError), result.output
    return str(result.exception)


@contextlib.contextmanager
def _handlers_kept():
    """The command replaces the handlers of these signals."""
    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

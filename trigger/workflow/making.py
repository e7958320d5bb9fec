"""When, where and with which command a build was made, for its report.

This is beside what is sealed, because two builds of the same trigger are the same. The report shows
it in a frame without rights, because a script that is not sealed could change what the page says.
"""

import os
import platform
import shlex
from datetime import UTC, datetime
from pathlib import Path

from trigger.artifacts.folder import MADE
from trigger.support import files


def command(target: str, output: Path, from_scratch: bool, like: Path | None) -> str:
    """The command of a build, as it is typed."""
    words = ["trigger", "build", str(target)]
    words += ["--output", str(output)] if output != Path("build") else []
    words += ["--from-scratch"] if from_scratch else []
    words += ["--like", str(like)] if like is not None else []
    return shlex.join(words)


def record(root: Path, command: str) -> None:
    """Record that this command makes the build in this folder now."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    host = f"{platform.node()} ({platform.system()} {platform.machine()}, {os.cpu_count()} CPUs)"
    _write(root, now, host, command)


def record_none(root: Path) -> None:
    """Say that nothing is recorded, as of builds by older versions, so that the report finds the
    file.
    """
    _write(root, "", "", "")


def _write(root: Path, date: str, host: str, command: str) -> None:
    from trigger.report.page import environment

    page = environment().get_template("made.html.j2")
    files.write_text(root / MADE, page.render(date=date, host=host, command=command) + "\n")

"""Running a synthesis tool: each failure gives a one-line message."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

from trigger.backends.rtl import Rtl
from trigger.board.shell import Payload
from trigger.errors import TriggerError
from trigger.spec.parts import Part
from trigger.support import process
from trigger.support.files import write_text
from trigger.support.resources import folder
from trigger.support.templates import PLAIN_PATH, environment
from trigger.synthesis.result import CORE, PAYLOAD, Synthesis

_LICENCE = re.compile(
    r".*\b(licen[cs]e)\b.*\b(not|no|fail|unable|denied|expired|error|could)\b.*", re.IGNORECASE
)
_LICENCE_REVERSED = re.compile(
    r".*\b(no|not|valid|could|unable|failed)\b.*\blicen[cs]e\b.*", re.IGNORECASE
)
_ERROR = re.compile(r".*\b(ERROR|Error|error)\b.*")


class ToolFailed(TriggerError):
    """A tool is missing, has no licence, crashed, timed out or left no report."""


class OutOfTime(ToolFailed):
    """A tool was stopped because it took longer than it was given."""


class Job(NamedTuple):
    """A synthesis job: the RTL and the hls4ml project of one build, for one part and clock.

    With a ``payload`` the RTL is the core in its shell, otherwise the core.
    """

    rtl: Rtl
    hls: Path
    hls_backend: str
    part: Part
    clock_mhz: float
    payload: Payload | None = None

    @property
    def name(self) -> str:
        """The top module of the RTL."""
        return self.payload.name if self.payload else self.core

    @property
    def core(self) -> str:
        """The module of the core; those of its layers are named after it."""
        return self.rtl.interface.name

    @property
    def sources(self) -> tuple[Path, ...]:
        return self.payload.sources if self.payload else self.rtl.sources

    @property
    def design(self) -> str:
        """The design that the figures of the RTL count."""
        return PAYLOAD if self.payload else CORE

    @property
    def latency(self) -> int:
        """In clock cycles from the first input or, for a payload, from the last word of an
        event.
        """
        return self.payload.latency if self.payload else self.rtl.interface.latency

    @property
    def ii(self) -> int:
        """Clock cycles from one event to the next; a payload takes one word per link and cycle."""
        return self.payload.apart if self.payload else self.rtl.interface.interval


class Tool(Protocol):
    """One synthesis tool. ``name`` is its name on the command line."""

    name: ClassVar[str]

    def synthesise(self, job: Job, work: Path, timeout_s: float) -> Synthesis:
        """Run the tool in the folder ``work``. Raises ToolFailed."""
        ...


def require(program: str, hint: str) -> str:
    """The path of the program. Raises ToolFailed with the hint if it is not on PATH."""
    path = shutil.which(program)
    if path is None:
        raise ToolFailed(f"{program}: not found on PATH; {hint}")
    return path


def run_tool(
    tool: str,
    command: Sequence[str],
    work: Path,
    timeout_s: float,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run a tool, logging to ``<tool>.log`` in the folder; returns the log. Raises ToolFailed."""
    log = work / f"{tool}.log"
    with log.open("w") as output:
        try:
            status = process.finish(
                command,
                timeout_s=timeout_s,
                cwd=work,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
            ).returncode
        except OSError as error:
            raise ToolFailed(f"{tool}: cannot be started: {error.strerror}") from error
        except subprocess.TimeoutExpired as error:
            raise OutOfTime(
                f"{tool}: stopped after {timeout_s:g} s; use a longer --timeout ({log})"
            ) from error
    text = log.read_text(errors="replace")
    if status != 0:
        raise ToolFailed(_why(tool, status, text, log))
    return text


def read_report(tool: str, path: Path) -> str:
    """The text of a report. Raises ToolFailed if the tool left none."""
    try:
        text = path.read_text(errors="replace")
    except OSError as error:
        raise ToolFailed(
            f"{tool}: finished without an error, but left no report {path.name}"
        ) from error
    if not text.strip():
        raise ToolFailed(f"{tool}: finished without an error, but its report {path.name} is empty")
    return text


def read_json(tool: str, path: Path) -> Any:
    """A report in JSON. Raises ToolFailed if it is not complete: with a full disk some tools write
    a part of it and end without an error.
    """
    try:
        return json.loads(read_report(tool, path))
    except ValueError as error:
        raise ToolFailed(
            f"{tool}: finished without an error, but its report {path.name} is not complete; is "
            f"the disk of {path.parent} full? Free some space, and repeat the command"
        ) from error


def named_sources(sources: Sequence[Path], work: Path) -> list[str]:
    """The sources under paths for a script: copied into the folder if their path is not plain."""
    if all(PLAIN_PATH.fullmatch(str(source)) for source in sources):
        return [str(source) for source in sources]
    for source in sources:
        shutil.copy(source, work)
    return [source.name for source in sources]


def write_script(template: str, target: Path, **values: Any) -> Path:
    """Fill in a script of synth/."""
    templates = environment(folder("synth"))
    write_text(target, templates.get_template(template).render(**values))
    return target


def _why(tool: str, status: int, text: str, log: Path) -> str:
    lines = text.splitlines()
    licence = next(
        (line.strip() for line in lines if _LICENCE.match(line) or _LICENCE_REVERSED.match(line)),
        None,
    )
    if licence:
        return f"{tool}: no licence: {licence}"
    if status < 0:
        return f"{tool}: crashed ({signal.Signals(-status).name}; {log})"
    error = next((line.strip() for line in lines if _ERROR.match(line)), None)
    return f"{tool}: ended with status {status}: {error or 'no error message'} ({log})"

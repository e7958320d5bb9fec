"""Progress of long steps: a bar with rate and time left on a terminal and in a notebook; elsewhere
plain lines.
"""

import importlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from trigger.support import html

_SECONDS_BETWEEN_LINES = 10.0
# A notebook keeps every update in its page.
_SECONDS_BETWEEN_UPDATES = 0.2


def shown(path: Path) -> str:
    """The path as the user would type it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


class Advance(Protocol):
    """Called with the number of units finished since the last call, and a note to show."""

    def __call__(self, count: int, note: str = "") -> None: ...


def say(text: str) -> None:
    """Print one line of progress."""
    print(text, flush=True)


@contextmanager
def progress(what: str, total: int, unit: str) -> Iterator[Advance]:
    """Show the progress of ``total`` units; call the yielded function as they finish."""
    with _display()(what, total, unit) as advance:
        yield advance


def _display() -> Callable[[str, int, str], AbstractContextManager[Advance]]:
    """How this process shows progress."""
    if _is_notebook():
        return _notebook
    return _bar if sys.stdout.isatty() else _lines


def _is_notebook() -> bool:
    """Whether IPython runs here as the kernel of a notebook; on a terminal it has no kernel."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


class _Count:
    """What is finished of ``total`` units, and since when."""

    def __init__(self, what: str, total: int, unit: str) -> None:
        self.what = what
        self.total = total
        self.unit = unit
        self.done = 0
        self.note = ""
        self.start = self.last = time.monotonic()

    def add(self, count: int, note: str) -> None:
        self.done += count
        self.note = note

    def is_due(self, seconds: float) -> bool:
        """Whether this time has passed since it was due before."""
        now = time.monotonic()
        if now - self.last < seconds:
            return False
        self.last = now
        return True

    @property
    def rate(self) -> float:
        return self.done / max(time.monotonic() - self.start, 1e-9)

    def state(self) -> str:
        """How much is done, how fast, and the time left."""
        left = f"{(self.total - self.done) / self.rate:.0f} s left" if self.done else "not begun"
        done = f"{self.what}: {self.done}/{self.total} {self.unit}"
        return f"{done}, {_rate(self.rate)}, {left}{self._note()}"

    def summed(self) -> str:
        """How much was done, and how fast."""
        seconds = time.monotonic() - self.start
        done = f"{self.what}: {self.done} {self.unit} in {seconds:.1f} s"
        return f"{done}, {_rate(self.rate)}{self._note()}"

    def _note(self) -> str:
        return f"; {self.note}" if self.note else ""


@contextmanager
def _notebook(what: str, total: int, unit: str) -> Iterator[Advance]:
    display = importlib.import_module("IPython.display").display
    counted = _Count(what, total, unit)
    first = _drawn(f"{what}: 0/{total} {unit}", counted)
    handle = display(first, raw=True, display_id=True)

    def advance(count: int, note: str = "") -> None:
        counted.add(count, note)
        if counted.is_due(_SECONDS_BETWEEN_UPDATES):
            handle.update(_drawn(counted.state(), counted), raw=True)

    yield advance
    text = counted.summed()
    handle.update({"text/plain": text, "text/html": html.line(text)}, raw=True)


def _drawn(text: str, counted: _Count) -> dict[str, str]:
    """A bar for a notebook, and its text for other readers."""
    return {"text/plain": text, "text/html": html.bar(text, counted.done, counted.total)}


@contextmanager
def _bar(what: str, total: int, unit: str) -> Iterator[Advance]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit + ", {task.fields[rate]}, left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, transient=True) as bars:
        task = bars.add_task(what, total=total, rate="…", note="")
        counted = _Count(what, total, unit)

        def advance(count: int, note: str = "") -> None:
            counted.add(count, note)
            bars.update(task, advance=count, rate=_rate(counted.rate), note=note)

        yield advance
    say(f"  {counted.summed()}")


@contextmanager
def _lines(what: str, total: int, unit: str) -> Iterator[Advance]:
    counted = _Count(what, total, unit)

    def advance(count: int, note: str = "") -> None:
        counted.add(count, note)
        if counted.is_due(_SECONDS_BETWEEN_LINES):
            say(f"  {counted.state()}")

    yield advance
    say(f"  {counted.summed()}")


def _rate(rate: float) -> str:
    """Units per second, or the seconds that one takes if it takes many."""
    if 0 < rate < 0.1:
        return f"{1 / rate:.0f} s each"
    return f"{rate:,.0f}/s" if rate >= 100 else f"{rate:.1f}/s"

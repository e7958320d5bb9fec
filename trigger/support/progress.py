"""Progress of long steps: a bar with rate and time left on a terminal and in a notebook, or lines."""

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


@contextmanager
def _notebook(what: str, total: int, unit: str) -> Iterator[Advance]:
    display = importlib.import_module("IPython.display").display
    start = last = time.monotonic()
    done = 0
    last_note = ""
    handle = display(_drawn(f"{what}: 0/{total} {unit}", 0, total), raw=True, display_id=True)

    def advance(count: int, note: str = "") -> None:
        nonlocal done, last, last_note
        done += count
        last_note = note
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_UPDATES:
            last = now
            text = f"{what}: {_state(done, total, unit, now - start)}{_behind(note)}"
            handle.update(_drawn(text, done, total), raw=True)

    yield advance
    text = _summed(what, done, unit, start, last_note)
    handle.update({"text/plain": text, "text/html": html.line(text)}, raw=True)


def _drawn(text: str, done: int, total: int) -> dict[str, str]:
    """A bar for a notebook, and its text for other readers."""
    return {"text/plain": text, "text/html": html.bar(text, done, total)}


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
    done = 0
    last_note = ""
    with Progress(*columns, transient=True) as bars:
        task = bars.add_task(what, total=total, rate="…", note="")
        start = time.monotonic()

        def advance(count: int, note: str = "") -> None:
            nonlocal done, last_note
            done += count
            last_note = note
            rate = _rate(done / max(time.monotonic() - start, 1e-9))
            bars.update(task, advance=count, rate=rate, note=note)

        yield advance
    _finished(what, done, unit, start, last_note)


@contextmanager
def _lines(what: str, total: int, unit: str) -> Iterator[Advance]:
    start = last = time.monotonic()
    done = 0
    last_note = ""

    def advance(count: int, note: str = "") -> None:
        nonlocal done, last, last_note
        done += count
        last_note = note
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES:
            last = now
            say(f"  {what}: {_state(done, total, unit, now - start)}{_behind(note)}")

    yield advance
    _finished(what, done, unit, start, last_note)


def _state(done: int, total: int, unit: str, seconds: float) -> str:
    """How much is done, how fast, and the time left."""
    rate = done / max(seconds, 1e-9)
    left = f"{(total - done) / rate:.0f} s left" if rate else "not begun"
    return f"{done}/{total} {unit}, {_rate(rate)}, {left}"


def _finished(what: str, done: int, unit: str, start: float, note: str) -> None:
    say(f"  {_summed(what, done, unit, start, note)}")


def _summed(what: str, done: int, unit: str, start: float, note: str) -> str:
    seconds = max(time.monotonic() - start, 1e-9)
    return f"{what}: {done} {unit} in {seconds:.1f} s, {_rate(done / seconds)}{_behind(note)}"


def _behind(note: str) -> str:
    return f"; {note}" if note else ""


def _rate(rate: float) -> str:
    """Units per second, or the seconds that one takes if it takes many."""
    if 0 < rate < 0.1:
        return f"{1 / rate:.0f} s each"
    return f"{rate:,.0f}/s" if rate >= 100 else f"{rate:.1f}/s"

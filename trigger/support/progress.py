"""Progress of long steps: a bar with rate and time left on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

_SECONDS_BETWEEN_LINES = 10.0


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
    display = _bar if sys.stdout.isatty() else _lines
    with display(what, total, unit) as advance:
        yield advance


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
            rate = done / (now - start)
            left = f"{(total - done) / rate:.0f} s left"
            say(f"  {what}: {done}/{total} {unit}, {_rate(rate)}, {left}{_behind(note)}")

    yield advance
    _finished(what, done, unit, start, last_note)


def _finished(what: str, done: int, unit: str, start: float, note: str) -> None:
    seconds = max(time.monotonic() - start, 1e-9)
    rate = _rate(done / seconds)
    say(f"  {what}: {done} {unit} in {seconds:.1f} s, {rate}{_behind(note)}")


def _behind(note: str) -> str:
    return f"; {note}" if note else ""


def _rate(rate: float) -> str:
    """Units per second, or the seconds that one takes if it takes many."""
    if 0 < rate < 0.1:
        return f"{1 / rate:.0f} s each"
    return f"{rate:,.0f}/s" if rate >= 100 else f"{rate:.1f}/s"

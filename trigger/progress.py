"""Progress of long steps: a bar with rate and estimate on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_SECONDS_BETWEEN_LINES = 10.0


def shown(path: Path) -> str:
    """The path as the user would type it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def say(text: str) -> None:
    """One line of what is being done."""
    print(text, flush=True)


@contextmanager
def progress(what: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    """Show the progress of ``total`` units; what is yielded is called with the number finished since the last call."""
    shown = _bar if sys.stdout.isatty() else _lines
    with shown(what, total, unit) as advance:
        yield advance


@contextmanager
def _bar(what: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
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
        TextColumn(unit + ", {task.fields[rate]}/s, left"),
        TimeRemainingColumn(),
    )
    done = 0
    with Progress(*columns, transient=True) as bars:
        task = bars.add_task(what, total=total, rate="…")
        start = time.monotonic()

        def advance(count: int) -> None:
            nonlocal done
            done += count
            bars.update(
                task, advance=count, rate=_short(done / max(time.monotonic() - start, 1e-9))
            )

        yield advance
    _finished(what, done, unit, start)


@contextmanager
def _lines(what: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
    start = last = time.monotonic()
    done = 0

    def advance(count: int) -> None:
        nonlocal done, last
        done += count
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES:
            last = now
            rate = done / (now - start)
            say(
                f"  {what}: {done}/{total} {unit}, {_short(rate)}/s, {(total - done) / rate:.0f} s left"
            )

    yield advance
    _finished(what, done, unit, start)


def _finished(what: str, done: int, unit: str, start: float) -> None:
    seconds = max(time.monotonic() - start, 1e-9)
    say(f"  {what}: {done} {unit} in {seconds:.1f} s, {_short(done / seconds)}/s")


def _short(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}"

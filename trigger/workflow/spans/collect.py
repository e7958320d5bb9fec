"""The spans of event files, one after the other on each worker: which there are, what an earlier
run has done, what fails.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from trigger.errors import TriggerError
from trigger.events.blocks import EventFile, Span
from trigger.events.matched import check_different, matched
from trigger.events.sources import Generated
from trigger.support import files
from trigger.support.cluster import Pool
from trigger.support.digest import data_digest
from trigger.support.numbers import counted
from trigger.support.progress import progress, say
from trigger.workflow.spans.journal import Codec, Journal

T = TypeVar("T")

# A place has the next span to work on while this process writes down the last one.
_AHEAD = 2
_MOST_PROBLEMS = 20


class Words(NamedTuple):
    """What messages call the work, such as "rates", "counting" and "counted", and the folder of
    its journals in a build.
    """

    command: str
    doing: str
    done: str
    folder: str


class Piece(NamedTuple):
    """A span of a file; ``number`` counts those of all files in order."""

    number: int
    file: EventFile | Generated
    span: Span


class Work(Protocol[T]):
    """What is done with each span."""

    words: Words

    def call(self, piece: Piece) -> Callable[[], T]:
        """The function that works on a span; a worker of a cluster gets it."""

    def take(self, piece: Piece, result: T) -> bool:
        """See the result of a span; whether it is recorded for a next run."""


class Collected(NamedTuple, Generic[T]):
    """The results in the order of the spans, and what was wrong with the spans that have none."""

    results: list[tuple[Piece, T]]
    problems: list[str]


def of_patterns(given: Sequence[str], scheduler: str | None) -> list[Path]:
    """The files that match the patterns; absolute for a cluster, whose workers have other working
    folders.
    """
    paths = matched(given)
    return paths if scheduler is None else [path.absolute() for path in paths]


def inspected(
    paths: Sequence[Path], inspect: Callable[[Path], EventFile], places: Pool
) -> list[EventFile]:
    """All files, checked. Raises TriggerError that names each file that cannot be used."""
    found: list[EventFile] = []
    problems: list[str] = []
    with progress("checking", len(paths), "files") as done:
        for future in [places.executor.submit(inspect, path) for path in paths]:
            try:
                found.append(future.result())
            except TriggerError as error:
                problems.append(str(error))
            done(1)
    if problems:
        raise TriggerError("\n".join(_shortened(problems)))
    check_different(found)
    return found


@contextlib.contextmanager
def opened_journal(
    root: Path, words: Words, made_of: Mapping[str, Any], codec: Codec[T]
) -> Iterator[Journal[T]]:
    """The journal of a build for all that results are made of; held by this process."""
    path = root / words.folder / f"{data_digest(made_of)}.jsonl"
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(files.locked(files.folder(path.parent) / ".lock"))
        except BlockingIOError as error:
            raise TriggerError(
                f"{root}: another `trigger {words.command}` of this build is running; wait for it"
            ) from error
        except OSError:
            say(
                f"  {path.parent}: cannot be written; what is {words.done} is not kept for a next "
                f"run"
            )
            yield Journal(None, codec)
            return
        yield Journal(path, codec)


def collected(
    work: Work[T], found: Sequence[EventFile | Generated], journal: Journal[T], places: Pool
) -> Collected[T]:
    """The results of all spans; those that an earlier run has recorded are not worked on again."""
    results: list[tuple[Piece, T]] = []
    waiting: list[Piece] = []
    pieces = [(file, span) for file in found for span in file.spans]
    for file in found:
        if before := journal.changed(file):
            say(
                f"  {file.path}: has changed since {counted(before, 'block')} of it were "
                f"{work.words.done}"
            )
    for piece in (Piece(number, *place) for number, place in enumerate(pieces)):
        known = journal.result(piece.file, piece.span)
        if known is None:
            waiting.append(piece)
        else:
            results.append((piece, known))
    if results:
        say(f"  {counted(len(results), 'block')} of an earlier run kept")
    problems: list[str] = []
    total = sum(piece.span.rows for piece in waiting)
    with progress(work.words.doing, total, "events") as done:
        for piece, future in _finished(work, waiting, places):
            try:
                result = future.result()
            except Exception as error:  # a worker may raise anything
                problems.append(_problem(piece, error))
            else:
                if work.take(piece, result):
                    journal.add(piece.file, piece.span, result)
                results.append((piece, result))
            done(piece.span.rows)
    if problems:
        problems = [
            *_shortened(problems),
            f"{len(problems)} of {counted(len(waiting), 'block')} could not be {work.words.done}; "
            f"the others are kept: correct the files and repeat the command",
        ]
    return Collected(sorted(results, key=lambda one: one[0].number), problems)


def _finished(
    work: Work[T], pieces: Sequence[Piece], places: Pool
) -> Iterator[tuple[Piece, "Future[T]"]]:
    """Each piece as soon as it is done, with few waiting at a time."""
    left = iter(pieces)
    running: dict[Future[T], Piece] = {}
    while True:
        for piece in left:
            running[places.executor.submit(work.call(piece))] = piece
            if len(running) >= places.places * _AHEAD:
                break
        if not running:
            return
        ready, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in ready:
            yield running.pop(future), future


def _problem(piece: Piece, error: Exception) -> str:
    """What was wrong with a span; errors of ours name the file."""
    if isinstance(error, TriggerError):
        return str(error)
    first = piece.span.first
    rows = f"rows {first} to {first + piece.span.rows - 1}"
    return f"{piece.file.path}: {rows}: {type(error).__name__}: {error}"


def _shortened(problems: Sequence[str]) -> list[str]:
    more = len(problems) - _MOST_PROBLEMS
    return [*problems[:_MOST_PROBLEMS], *([f"and {more} more problems"] if more > 0 else [])]

"""The rates of a build on files: which spans there are, who counts them, what is kept."""

import contextlib
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import reduce
from pathlib import Path
from typing import NamedTuple

from trigger.artifacts.folder import Build, read_graph, read_json
from trigger.errors import TriggerError, quoted
from trigger.events.blocks import EventFile, Span
from trigger.events.matched import check_different, matched
from trigger.events.sources import Generated
from trigger.fixedpoint.serialize import fingerprint
from trigger.physics.counts import Counts
from trigger.support import files
from trigger.support.cluster import Pool, pool
from trigger.support.digest import data_digest
from trigger.support.numbers import counted
from trigger.support.progress import progress, say
from trigger.support.versions import versions
from trigger.workflow.build import open_sealed, steady
from trigger.workflow.prove import REFERENCES
from trigger.workflow.rates import worker
from trigger.workflow.rates.journal import Journal

# A place has the next span to count while this process writes down the last one.
_AHEAD = 2
_MOST_PROBLEMS = 20


class Rates(NamedTuple):
    """The counts of each class, or of all ``worker.EVENTS``, and the files they are of."""

    build: Build
    graph: str
    engine: str
    files: Sequence[EventFile | Generated]
    counts: dict[str, Counts]


class _Piece(NamedTuple):
    file: EventFile | Generated
    span: Span


class Generate(NamedTuple):
    """So many events of the source of a build, instead of files; ``seed`` gives others."""

    events: int
    seed: int


def rates(
    root: Path,
    given: Sequence[str] | Generate,
    engine: str = worker.EMULATOR,
    workers: int | None = None,
    scheduler: str | None = None,
) -> Rates:
    """Count the accept bits of a build on all events of the files that match the patterns
    ``given``, or on generated ones.

    Spans that an earlier run has counted are not counted again. Raises TriggerError if the build is
    not exact or has no accept bits, for patterns as ``matched``, and, when all other spans are
    counted, for those that could not be.
    """
    this = _opened(root)
    paths: list[Path] = []
    if not isinstance(given, Generate):
        paths = matched(given)
        if scheduler is not None:  # its workers have other working folders
            paths = [path.absolute() for path in paths]
    elif this.spec.data.source is None:
        raise TriggerError(f"rates: {root} was built of files; --generate needs data.source")
    with steady(this.root), pool(scheduler, workers) as places:
        graph = fingerprint(read_graph(this.root))
        task = worker.Task(str(this.root), graph, engine, worker.program())
        found: Sequence[EventFile | Generated]
        if isinstance(given, Generate):
            found = [worker.generated(this.spec, *given)]
        else:
            found = _inspected(this, paths, places)
        with _journal(this, task) as journal:
            counts = _counted(task, found, journal, places)
    return Rates(this, graph, engine, found, counts)


def _opened(root: Path) -> Build:
    this = open_sealed(root, (*REFERENCES, "verification"))
    if not this.spec.accept:
        raise TriggerError(
            f"rates: {root} gives scores and no accept bits; set decision.accept in its "
            f"trigger.toml and build it again"
        )
    for one in read_json(this.root / "verification" / "results.json")["comparisons"]:
        if not one["equal"]:
            raise TriggerError(
                f"rates: {root} differs from its network ({one['name']}); only exact builds have "
                f"rates"
            )
    return this


def _inspected(build: Build, paths: Sequence[Path], places: Pool) -> list[EventFile]:
    """All files, checked. Raises TriggerError that names each file that cannot be used."""
    found: list[EventFile] = []
    problems: list[str] = []
    with progress("checking", len(paths), "files") as done:
        for future in [places.executor.submit(worker.inspected, build.spec, p) for p in paths]:
            try:
                found.append(future.result())
            except TriggerError as error:
                problems.append(str(error))
            done(1)
    if problems:
        raise TriggerError("\n".join(_shortened(problems)))
    check_different(found)
    for what, column in (("classes", build.spec.data.label), ("weights", build.spec.data.weight)):
        without = [file.path for file in found if column not in file.columns]
        if column is not None and 0 < len(without) < len(found):
            with_it = next(file.path for file in found if column in file.columns)
            raise TriggerError(
                f"{without[0]}: no column {quoted(column)} of {what}, which {with_it} has; run "
                f"`trigger rates` for each kind of files"
            )
    return found


@contextlib.contextmanager
def _journal(build: Build, task: worker.Task) -> Iterator[Journal]:
    """The journal of this build, engine and program; held by this process."""
    spec = build.spec
    made_of = {
        **task._replace(root="")._asdict(),
        "points": read_json(build.root / "graph" / "summary.json")["working_points"],
        "data": spec.data.model_dump(include={"features", "label", "classes", "weight", "tree"}),
        "inputs": spec.inputs.model_dump(),
        "versions": versions(),
    }
    path = build.root / "rates" / f"{data_digest(made_of)}.jsonl"
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(files.locked(files.folder(path.parent) / ".lock"))
        except BlockingIOError as error:
            raise TriggerError(
                f"{build.root}: another `trigger rates` of this build is running; wait for it"
            ) from error
        except OSError:
            say(f"  {path.parent}: cannot be written; what is counted is not kept for a next run")
            yield Journal(None)
            return
        yield Journal(path)


def _counted(
    task: worker.Task, found: Sequence[EventFile | Generated], journal: Journal, places: Pool
) -> dict[str, Counts]:
    """The sum over all spans. Raises TriggerError, at the end, for those that failed."""
    results: list[dict[str, Counts]] = []
    waiting: list[_Piece] = []
    for file in found:
        if before := journal.changed(file):
            say(f"  {file.path}: has changed since {counted(before, 'block')} of it were counted")
        for span in file.spans:
            known = journal.counts(file, span)
            if known is None:
                waiting.append(_Piece(file, span))
            else:
                results.append(known)
    if results:
        say(f"  {counted(len(results), 'block')} of an earlier run kept")
    problems: list[str] = []
    total = sum(piece.span.rows for piece in waiting)
    with progress("counting", total, "events") as done:
        for piece, future in _finished(task, waiting, places):
            try:
                counts = future.result()
            except Exception as error:
                problems.append(_problem(piece, error))
            else:
                journal.add(piece.file, piece.span, counts)
                results.append(counts)
            done(piece.span.rows)
    if problems:
        raise TriggerError(
            "\n".join(
                [
                    *_shortened(problems),
                    f"{len(problems)} of {counted(len(waiting), 'block')} could not be counted; "
                    f"the others are kept: correct the files and repeat the command",
                ]
            )
        )
    return reduce(_plus, results)


def _finished(
    task: worker.Task, pieces: Sequence[_Piece], places: Pool
) -> Iterator[tuple[_Piece, "Future[dict[str, Counts]]"]]:
    """Each piece as soon as it is counted, with few waiting at a time."""
    left = iter(pieces)
    running: dict[Future[dict[str, Counts]], _Piece] = {}
    while True:
        for piece in left:
            running[places.executor.submit(worker.counted, task, *piece)] = piece
            if len(running) >= places.places * _AHEAD:
                break
        if not running:
            return
        ready, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in ready:
            yield running.pop(future), future


def _problem(piece: _Piece, error: Exception) -> str:
    """What was wrong with a span; errors of ours name the file."""
    if isinstance(error, TriggerError):
        return str(error)
    first = piece.span.first
    rows = f"rows {first} to {first + piece.span.rows - 1}"
    return f"{piece.file.path}: {rows}: {type(error).__name__}: {error}"


def _plus(a: dict[str, Counts], b: dict[str, Counts]) -> dict[str, Counts]:
    both = {name: a[name].plus(b[name]) for name in a if name in b}
    return {**a, **b, **both}


def _shortened(problems: Sequence[str]) -> list[str]:
    more = len(problems) - _MOST_PROBLEMS
    return [*problems[:_MOST_PROBLEMS], *([f"and {more} more problems"] if more > 0 else [])]

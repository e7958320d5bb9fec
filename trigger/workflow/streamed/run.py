"""A build compared with Keras on files: what is compared, and the verdict over all events."""

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from trigger.artifacts.folder import Build
from trigger.artifacts.implementations import trained_network
from trigger.errors import TriggerError
from trigger.events.blocks import EventFile
from trigger.events.readers import Rows
from trigger.support.cluster import pool
from trigger.support.compiled import signature
from trigger.support.versions import versions
from trigger.verification.compare import Comparison, Verdict, Witness
from trigger.workflow.spans.collect import (
    Piece,
    Words,
    collected,
    inspected,
    of_patterns,
    opened_journal,
)
from trigger.workflow.spans.journal import Codec
from trigger.workflow.streamed import worker

_WORDS = Words("verify --events", "verifying", "compared", "verified")


class _Comparing:
    """The work on a span: its comparisons, without implementations that failed before it."""

    words = _WORDS

    def __init__(self, task: worker.Task) -> None:
        self._task = task
        self._failed: dict[str, int] = {}

    def call(self, piece: Piece) -> Callable[[], list[Comparison]]:
        assert isinstance(piece.file, EventFile)
        without = [name for name, number in self._failed.items() if number < piece.number]
        return partial(worker.compared, self._task, piece.file, piece.span, without)

    def take(self, piece: Piece, result: list[Comparison]) -> bool:
        """A failure may be one of the machine: the next run tries again, on all that follows."""
        for one in result:
            if one.failure:
                first = self._failed.get(one.name, piece.number)
                self._failed[one.name] = min(first, piece.number)
        return not self._failed


def check_on_files(
    build: Build,
    given: Sequence[str],
    netlist: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
) -> Verdict:
    """As ``check_implementations``, on the events of the files that match the patterns ``given``.

    An implementation that fails is not run on the rest. What an interrupted run has compared is not
    compared again. Raises TriggerError for patterns as ``matched``, if a file cannot be read, is
    empty, or has the content of another, and, when all other spans are compared, for those that
    could not be.
    """
    root = build.root
    paths = of_patterns(given, scheduler)
    own = trained_network(root).comparison
    parts = worker.compared_parts(root)
    task = worker.Task(str(root), parts, netlist, worker.program(), uuid.uuid4().hex)
    made_of = {**task._replace(root="", run="")._asdict(), "versions": versions()}
    with pool(scheduler, workers) as places:
        found = inspected(paths, partial(worker.inspected, build.spec), places)
        if scheduler is None:
            worker.open_here(task)
        with opened_journal(root, _WORDS, made_of, _CODEC) as journal:
            try:
                results, problems = collected(_Comparing(task), found, journal, places)
            except BaseException:
                worker.stop(task)
                raise
            comparisons = _joined(found, results)
            if problems:
                raise TriggerError("\n".join([*problems, *_different(comparisons)]))
            # Whoever repeats a finished run wants to see it run.
            journal.drop(found)
    return Verdict((*comparisons, own), sum(file.events for file in found))


def _joined(
    files: Sequence[EventFile], results: Sequence[tuple[Piece, list[Comparison]]]
) -> list[Comparison]:
    """The comparisons on the events of all files, numbered in their order."""
    before = {}
    events = 0
    for file in files:
        before[file.path] = events
        events += file.events
    joined: dict[str, Comparison] = {}
    for piece, comparisons in results:
        where = Rows(piece.file.path, piece.span.first)
        first = before[piece.file.path] + piece.span.first
        for one in comparisons:
            place = f"{where}, {where.place(one.witness.event)}" if one.witness else ""
            part = worker.shifted(one, first, place)
            joined[one.name] = worker.joined(joined.get(one.name), part)
    return list(joined.values())


def _different(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """What the blocks that were compared have shown."""
    different = tuple(one for one in comparisons if not one.equal)
    if different:
        yield f"of the blocks that are compared: {Verdict(different, 0)}"


def _to_json(comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    return [
        {**one._asdict(), "witness": one.witness and one.witness._asdict()} for one in comparisons
    ]


def _from_json(data: Sequence[Mapping[str, Any]]) -> list[Comparison]:
    return [Comparison(**{**one, "witness": _witness(one["witness"])}) for one in data]


def _witness(data: Mapping[str, Any] | None) -> Witness | None:
    return None if data is None else Witness(**{**data, "inputs": tuple(data["inputs"])})


def _signed(text: str) -> str:
    """Equality is believed of this user's own runs alone."""
    return signature(text) or uuid.uuid4().hex


_CODEC = Codec(_to_json, _from_json, _signed)

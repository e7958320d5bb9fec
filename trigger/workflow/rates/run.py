"""The rates of a build on files: what is counted, and of which files."""

from collections.abc import Callable, Sequence
from functools import partial, reduce
from pathlib import Path
from typing import Any, NamedTuple

from trigger.artifacts.folder import Build, read_graph, read_json
from trigger.errors import TriggerError, quoted
from trigger.events.blocks import EventFile
from trigger.events.sources import Generated
from trigger.fixedpoint.serialize import fingerprint
from trigger.physics.counts import Counts, from_json, to_json
from trigger.support.cluster import Pool, pool
from trigger.support.versions import versions
from trigger.workflow.build import open_sealed, steady
from trigger.workflow.prove import REFERENCES
from trigger.workflow.rates import worker
from trigger.workflow.spans.collect import (
    Piece,
    Words,
    collected,
    inspected,
    of_patterns,
    opened_journal,
)
from trigger.workflow.spans.journal import Codec

_WORDS = Words("rates", "counting", "counted", "rates")
_CODEC = Codec(to_json, from_json)


class Rates(NamedTuple):
    """The counts of each class, or of all ``worker.EVENTS``, and the files they are of."""

    build: Build
    graph: str
    engine: str
    files: Sequence[EventFile | Generated]
    counts: dict[str, Counts]


class Generate(NamedTuple):
    """So many events of the source of a build, instead of files; ``seed`` gives others."""

    events: int
    seed: int


class _Counting:
    """The work on a span: its counts."""

    words = _WORDS

    def __init__(self, task: worker.Task) -> None:
        self._task = task

    def call(self, piece: Piece) -> Callable[[], dict[str, Counts]]:
        return partial(worker.counted, self._task, piece.file, piece.span)

    def take(self, piece: Piece, result: dict[str, Counts]) -> bool:
        return True


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
        paths = of_patterns(given, scheduler)
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
        with opened_journal(this.root, _WORDS, _made_of(this, task), _CODEC) as journal:
            results, problems = collected(_Counting(task), found, journal, places)
    if problems:
        raise TriggerError("\n".join(problems))
    return Rates(this, graph, engine, found, reduce(_plus, (counts for _, counts in results)))


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
    """All files, checked; they must be of one kind."""
    found = inspected(paths, partial(worker.inspected, build.spec), places)
    for what, column in (("classes", build.spec.data.label), ("weights", build.spec.data.weight)):
        without = [file.path for file in found if column not in file.columns]
        if column is not None and 0 < len(without) < len(found):
            with_it = next(file.path for file in found if column in file.columns)
            raise TriggerError(
                f"{without[0]}: no column {quoted(column)} of {what}, which {with_it} has; run "
                f"`trigger rates` for each kind of files"
            )
    return found


def _made_of(build: Build, task: worker.Task) -> dict[str, Any]:
    """All that counts depend on, beside the events."""
    spec = build.spec
    return {
        **task._replace(root="")._asdict(),
        "points": read_json(build.root / "graph" / "summary.json")["working_points"],
        "data": spec.data.model_dump(include={"features", "label", "classes", "weight", "tree"}),
        "inputs": spec.inputs.model_dump(),
        "versions": versions(),
    }


def _plus(a: dict[str, Counts], b: dict[str, Counts]) -> dict[str, Counts]:
    both = {name: a[name].plus(b[name]) for name in a if name in b}
    return {**a, **b, **both}

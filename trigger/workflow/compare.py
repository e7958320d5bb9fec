"""Two finished builds, compared part by part; a part that cannot be read is named, not compared."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

from trigger.artifacts.changes.cost import cost
from trigger.artifacts.changes.interfaces import interfaces
from trigger.artifacts.changes.limits import Comparison, Limit, check
from trigger.artifacts.changes.network import network
from trigger.artifacts.changes.performance import performance
from trigger.artifacts.changes.result import Changes, Note, Summary
from trigger.artifacts.changes.sources import sources
from trigger.artifacts.folder import Build, read_graph
from trigger.artifacts.outcome import Outcome, outcome
from trigger.artifacts.staging import SPEC
from trigger.errors import TriggerError
from trigger.workflow.build import open_sealed, steady
from trigger.workflow.prove import require

# What reading the result of another version of this program may raise.
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile)
_MEASURED = ("events", "model", "graph", "verification", "payload", "synthesis", "synth")

Pair = tuple[Build, Build]


class _Part(NamedTuple):
    """What is compared, and the parts of a build that it reads."""

    what: str
    reads: Sequence[str]
    compare: Callable[[Build, Build], Changes]


def compare(first: Path, second: Path, limits: Sequence[Limit] = ()) -> Comparison:
    """What changed between two builds, and which limits that exceeds.

    Raises TriggerError if a folder holds no finished build, or if its trigger.toml was edited.
    """
    builds = (open_sealed(first, (SPEC,)), open_sealed(second, (SPEC,)))
    with ExitStack() as kept:
        for build in builds:
            kept.enter_context(steady(build.root))
        results: list[Outcome] = []

        def physics(*pair: Build) -> Changes:
            results.extend(outcome(build) for build in pair)
            return performance((pair[0], pair[1]), (results[0], results[1]))

        parts = (
            _Part("accuracy, rates and efficiencies", _MEASURED, physics),
            _Part("cost", ("rtl", "firmware", "payload", "synthesis", "synth"), cost),
            _Part("types and weights", ("graph",), _graphs),
            _Part("the interface", ("rtl", "graph", "payload"), interfaces),
            _Part("sources", (), sources),
        )
        changes = Changes()
        for part in parts:
            changes = changes.joined(_compared(part, builds))
    folders = (first, second)
    summaries = [
        Summary(str(folder), build.spec.name, *(results[k].headline if len(results) == 2 else ()))
        for k, (folder, build) in enumerate(zip(folders, builds, strict=True))
    ]
    return Comparison((summaries[0], summaries[1]), changes, tuple(check(limits, changes)))


def _graphs(first: Build, second: Build) -> Changes:
    return network(read_graph(first.root), read_graph(second.root))


def _compared(part: _Part, builds: Pair) -> Changes:
    """The changes of one part; a note if a build does not have it as it was built."""
    try:
        for build in builds:
            require(build.root, part.reads)
        return part.compare(*builds)
    except TriggerError as error:
        why = str(error)
    except _UNREADABLE as error:
        why = f"cannot be read ({type(error).__name__}: {error}); another version built it?"
    return Changes(notes=(Note(part.what, why),))

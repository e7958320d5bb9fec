"""Two finished builds, compared part by part; a part that cannot be read is named, not compared."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar
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
_UNREADABLE = (
    AttributeError,
    BadZipFile,
    EOFError,
    LookupError,
    OSError,
    TypeError,
    ValueError,
)
_MEASURED = ("events", "model", "graph", "verification", "payload", "synthesis", "synth")

_PHYSICS = "accuracy, rates and efficiencies"

Made = TypeVar("Made")


def compare(first: Path, second: Path, limits: Sequence[Limit] = ()) -> Comparison:
    """What changed between two builds, and which limits that exceeds.

    Raises TriggerError if a folder holds no finished build, or if its trigger.toml was edited.
    """
    builds = (open_sealed(first, (SPEC,)), open_sealed(second, (SPEC,)))
    with steady(builds[0].root), steady(builds[1].root):
        outcomes = [_outcome(build) for build in builds]
        changes = Changes()
        for part in (_performance(builds, outcomes), *_parts(builds)):
            found = Changes(notes=(part,)) if isinstance(part, Note) else part
            changes = changes.joined(found)
    one, other = (
        Summary(str(folder), build.spec.name, *(() if isinstance(of, Note) else of.headline))
        for folder, build, of in zip((first, second), builds, outcomes, strict=True)
    )
    return Comparison((one, other), changes, tuple(check(limits, changes)))


def _outcome(build: Build) -> Outcome | Note:
    return _tried(_PHYSICS, [build], _MEASURED, lambda: outcome(build))


def _performance(builds: tuple[Build, Build], outcomes: Sequence[Outcome | Note]) -> Changes | Note:
    one, other = outcomes
    if isinstance(one, Note):
        return one
    if isinstance(other, Note):
        return other
    return _tried(_PHYSICS, builds, (), lambda: performance(builds, (one, other)))


def _parts(builds: tuple[Build, Build]) -> Iterator[Changes | Note]:
    """The changes of all parts but performance."""
    made = ("rtl", "firmware", "payload", "synthesis", "synth")
    yield _tried("cost", builds, made, lambda: cost(*builds))
    yield _tried("types and weights", builds, ("graph",), lambda: _graphs(*builds))
    around = ("rtl", "graph", "payload")
    yield _tried("the interface", builds, around, lambda: interfaces(*builds))
    yield _tried("sources", builds, (), lambda: sources(*builds))


def _graphs(first: Build, second: Build) -> Changes:
    return network(read_graph(first.root), read_graph(second.root))


def _tried(
    what: str, builds: Sequence[Build], reads: Sequence[str], make: Callable[[], Made]
) -> Made | Note:
    """What is made of these parts of builds; a note if one does not have them as it was built."""
    try:
        for build in builds:
            require(build.root, reads)
        return make()
    except TriggerError as error:
        why = str(error)
    except _UNREADABLE as error:
        why = f"cannot be read ({type(error).__name__}: {error}); another version built it?"
    return Note(what, why)

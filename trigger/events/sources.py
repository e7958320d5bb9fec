"""Events of generators, which installed packages offer in the entry point group ``trigger.events``.

A source is a function ``source(events, seed, **arguments)`` that returns a block of as many events:
a table of columns, each an array or a list of numbers, texts or lists, as they would be in an event
file. It returns the same for the same arguments, in any process. Blocks are asked for in any order.
"""

import functools
import importlib.metadata
import importlib.util
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from trigger.errors import TriggerError, quoted
from trigger.events.blocks import Span, even
from trigger.events.readers import Columns, Rows, Wanted, checked, chosen
from trigger.spec.tables import Data, nearest
from trigger.support.digest import data_digest, file_digest
from trigger.support.user_code import is_installed, user_files

GROUP = "trigger.events"
# Events of one call.
_CALL = 1 << 14
# What events are for: those of one purpose are not those of the other, whatever their seed.
BUILD = 0
RATES = 1
_loaded: dict[str, dict[str, Any]] = {}


class Generated(NamedTuple):
    """Events that a source makes for rates, like an ``EventFile``."""

    path: Path
    digest: str
    columns: list[str]
    spans: list[Span]
    seed: int

    @property
    def events(self) -> int:
        """Their number."""
        return sum(span.rows for span in self.spans)


def identity(name: str) -> dict[str, Any]:
    """What the events of a source depend on: its package, the versions of that and of what it
    requires, and its code. Raises TriggerError if no such source is installed.
    """
    entry = _entry(name)
    package = entry.dist
    assert package is not None
    required = [re.match(r"[\w.-]+", text) for text in package.requires or ()]
    return {
        "entry": entry.value,
        "package": package.name,
        "version": package.version,
        "required": {match[0]: _version(match[0]) for match in required if match},
        "files": _digests(entry),
    }


def inspect(
    data: Data, asked: Wanted, optional: Sequence[str], events: int, seed: int
) -> Generated:
    """``events`` events of the source of a spec, which must have the columns ``asked``."""
    assert data.source is not None
    found = _made(data, _function(data.source), 1, seed)
    more = [name for name in optional if name in found]
    columns = chosen(_path(data), list(found), asked._replace(names=[*(asked.names or ()), *more]))
    return Generated(_path(data), _digest(data, seed), columns, even(events), seed)


def blocks(
    data: Data, asked: Wanted, span: Span, seed: int, purpose: int
) -> Iterator[tuple[Rows, Columns]]:
    """The columns of a span of events, a block at a time; its first event begins a block."""
    assert data.source is not None
    path = _path(data)
    make = _function(data.source)
    for first in range(span.first, span.first + span.rows, _CALL):
        count = min(_CALL, span.first + span.rows - first)
        own = np.random.SeedSequence([seed, purpose, first // _CALL]).generate_state(1, np.uint64)
        found = _made(data, make, count, int(own[0]) >> 1)
        columns = chosen(path, list(found), asked)
        where = Rows(path, first)
        yield where, checked(where, {name: found[name] for name in columns}, asked)


def check_same(data: Data, made: Generated) -> None:
    """Raise TriggerError unless the source here is the one of the process that asks."""
    if _digest(data, made.seed) != made.digest:
        raise TriggerError(f"{made.path}: is another version on this worker; install the same")


def _path(data: Data) -> Path:
    """How messages name a source in the place of a file."""
    return Path(f"source {data.source}")


@functools.lru_cache(maxsize=4)
def _known_digest(name: str, arguments: str) -> str:
    return data_digest({"source": identity(name), "arguments": arguments})


def _digest(data: Data, seed: int) -> str:
    assert data.source is not None
    return _known_digest(data.source, repr((sorted(data.arguments.items()), seed)))


def _made(data: Data, make: Callable[..., Any], events: int, seed: int) -> Columns:
    """A block of a source. Raises TriggerError with what went wrong in it."""
    path = _path(data)
    try:
        found = make(events, seed, **data.arguments)
    except TriggerError:
        raise
    except Exception as error:
        first = (str(error).strip() or "no message").splitlines()[0]
        raise TriggerError(f"{path}: {type(error).__name__}: {first}") from error
    if not isinstance(found, Mapping) or not found or not all(isinstance(k, str) for k in found):
        raise TriggerError(f"{path}: must return a table of columns by their names")
    columns = {name: _array(values) for name, values in found.items()}
    for name, values in columns.items():
        if np.ndim(values) == 0 or len(values) != events:
            count = len(values) if np.ndim(values) else "no"
            raise TriggerError(
                f"{path}: column {quoted(name)} has {count} rows; {events} were asked for"
            )
    return columns


def _array(values: Any) -> np.ndarray:
    try:
        found = np.asarray(values)
    except ValueError:  # lists of several lengths
        found = np.empty(len(values), dtype=object)
        found[:] = list(values)
    is_text = found.dtype == object and all(isinstance(value, str) for value in found.flat)
    return found.astype(str) if is_text else found


def _function(name: str) -> Callable[..., Any]:
    """The function of a source. Raises TriggerError if its code changed after it was loaded."""
    entry = _entry(name)
    now = identity(name)
    if _loaded.setdefault(name, now) != now:
        raise TriggerError(f"source {name}: its code has changed; start this program again")
    try:
        found: Callable[..., Any] = entry.load()
    except Exception as error:
        raise TriggerError(
            f"source {name}: cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    return found


def _entry(name: str) -> EntryPoint:
    known = importlib.metadata.entry_points(group=GROUP)
    found = [entry for entry in known if entry.name == name]
    if not found:
        names = ", ".join(sorted(entry.name for entry in known)) or "none"
        raise TriggerError(
            f"data.source: no installed package has the source {quoted(name)}; installed: {names}"
            f"{nearest(name, [entry.name for entry in known])}"
        )
    if len({entry.value for entry in found}) > 1:
        packages = " and ".join(sorted(str(entry.dist and entry.dist.name) for entry in found))
        raise TriggerError(f"data.source: {packages} both have the source {quoted(name)}")
    return found[0]


def _digests(entry: EntryPoint) -> dict[str, str]:
    """SHA-256 of the files of the top package or module of a source, and of the user's files that
    it imports, by their places beside it.
    """
    top = entry.module.partition(".")[0]
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None:
        raise TriggerError(f"source {entry.name}: no module {top}; reinstall its package")
    origin = Path(spec.origin)
    own = [origin]
    if origin.name == "__init__.py":
        own = [path for path in origin.parent.rglob("*") if _is_source(path)]
    imported = (file for path in own if not is_installed(path) for file in user_files(path))
    home = origin.parent
    return {os.path.relpath(path, home): file_digest(path) for path in sorted({*own, *imported})}


def _is_source(path: Path) -> bool:
    return path.is_file() and path.suffix != ".pyc"


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None

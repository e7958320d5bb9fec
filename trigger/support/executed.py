"""Which files Python runs: every way of importing or running a source passes through ``exec``."""

import contextlib
import functools
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Files that are run are added to this set; None if nobody asks.
_into: set[str] | None = None


@contextlib.contextmanager
def executed() -> Iterator[set[str]]:
    """The names of the files whose code is run inside, as Python knows them."""
    global _into  # noqa: PLW0603 - an audit hook cannot be taken away again
    _listen()
    before = _into
    _into = set()
    try:
        yield _into
    finally:
        _into = before


@functools.cache
def _listen() -> None:
    sys.addaudithook(_hear)


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if _into is not None and event == "exec" and isinstance(arguments[0], types.CodeType):
        _into.add(arguments[0].co_filename)


def existing(names: set[str]) -> set[Path]:
    """The files with these names that exist. A file inside an archive counts as the archive."""
    paths = set()
    for name in names:
        path = Path(name)
        holder = next((p for p in (path, *path.parents) if p.is_file()), None)
        if path.is_absolute() and holder is not None:
            paths.add(holder.resolve())
    return paths

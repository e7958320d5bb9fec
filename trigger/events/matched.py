"""Event files by patterns."""

import glob
from collections.abc import Iterable, Sequence
from pathlib import Path

from trigger.errors import TriggerError, quoted
from trigger.events.blocks import EventFile


def matched(patterns: Sequence[str]) -> list[Path]:
    """The files of all patterns, those of each sorted by name.

    In a pattern ``*``, ``?``, ``[...]`` and ``**`` are as in a shell, and ``|`` separates
    alternatives; those without a folder are in that of the first. Raises TriggerError for a pattern
    that no file matches, and for a file that is named twice.
    """
    files: dict[Path, Path] = {}
    for pattern in patterns:
        paths = [path for one in _alternatives(pattern) for path in _of_pattern(one)]
        if not paths:
            raise TriggerError(f"{pattern}: no file matches this pattern")
        for path in paths:
            other = files.setdefault(path.resolve(), path)
            if other is not path:
                raise TriggerError(
                    f"{path}: is named twice{'' if other == path else f', also as {other}'}; its "
                    f"events would count twice: name each file once"
                )
    return list(files.values())


def check_different(files: Iterable[EventFile]) -> None:
    """Raise TriggerError if two files have the same content."""
    seen: dict[str, Path] = {}
    for file in files:
        other = seen.setdefault(file.digest, file.path)
        if other is not file.path:
            raise TriggerError(
                f"{file.path}: has the same content as {other}; its events would count twice: "
                f"remove one of the two"
            )


def _alternatives(pattern: str) -> list[str]:
    if Path(pattern).exists():
        return [pattern]
    first, *others = pattern.split("|")
    folder = Path(first).parent
    return [first, *(one if "/" in one else str(folder / one) for one in others)]


def _of_pattern(pattern: str) -> list[Path]:
    path = Path(pattern)
    if path.is_dir():
        raise TriggerError(
            f"{path}: is a folder; name its files, for example {quoted(f'{path}/*.parquet')}"
        )
    if path.exists() or not glob.has_magic(pattern):
        return [path]
    names = glob.iglob(pattern, recursive=True)  # noqa: PTH207  (of a path that may be absolute)
    return sorted(path for path in map(Path, names) if path.is_file())

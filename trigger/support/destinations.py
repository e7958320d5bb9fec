"""Destinations that the user names: files that this program did not write are never replaced.

An exported folder holds ``export.json`` with the SHA-256 of each file, by which an earlier export
is recognised and replaced whole.
"""

import json
from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from trigger.errors import TriggerError
from trigger.support import files
from trigger.support.digest import file_digest

RECORD = "export.json"


def check_folder(target: Path, kind: str, by_products: Sequence[str] = ()) -> list[Path]:
    """The files of an earlier export of this kind in a folder; none if it is empty or missing.

    ``by_products`` are patterns of files that running the export leaves there; they belong to it.
    Raises TriggerError if the folder holds anything else, or if a file was edited.
    """
    if target.is_symlink():
        raise TriggerError(
            f"{target}: is a link, which this program does not write through; remove it"
        )
    files.check_parents(target)
    if target.exists() and not target.is_dir():
        raise files.not_a_folder(target)
    entries = files.entries(target) if target.is_dir() else []
    if not entries:
        return []
    record = _record(target)
    if record is None:
        raise TriggerError(
            f"{target}: is not empty and holds no earlier export; name a new or empty folder"
        )
    if record["export"] != kind:
        raise TriggerError(
            f"{target}: holds an export of the kind {record['export']}; "
            "name a new or an empty folder"
        )
    for path in entries:
        name = path.relative_to(target).as_posix()
        if name == RECORD or any(_fits(name, pattern) for pattern in by_products):
            continue
        digests = [record[part].get(name) for part in ("files", "before")]
        if digests == [None, None]:
            raise TriggerError(
                f"{path}: does not belong to the export in this folder; move it away, "
                f"or name another folder"
            )
        if not files.is_file(path) or file_digest(path) not in digests:
            raise TriggerError(
                f"{path}: was edited since it was exported; move it away, or name another folder"
            )
    return entries


def _fits(name: str, pattern: str) -> bool:
    """Whether a path fits a pattern, folder by folder: fnmatch's own * goes past a slash."""
    return name.count("/") == pattern.count("/") and fnmatch(name, pattern)


def replace_folder(made: Path, target: Path, kind: str, by_products: Sequence[str] = ()) -> None:
    """Move a folder to the place of an earlier export of its kind, or to a free one; raises as
    ``check_folder``.

    After an interruption the folder holds files and records of both exports, and can be replaced
    again.
    """
    before = check_folder(target, kind, by_products)
    earlier = _record(target) or {"files": {}, "before": {}}
    record = {"export": kind, "files": _digests(made)}
    files.folder(target)
    both = {**record, "before": {**earlier["before"], **earlier["files"]}}
    _write_record(target, both)
    new = {target / name for name in (*record["files"], RECORD)}
    for path in before:
        if path not in new:
            files.remove(path)
    _remove_empty_folders(target, [target / name for name in both["before"]] + before)
    files.put(made, target)
    _write_record(target, record)


def check_file(target: Path, is_ours: Callable[[bytes], bool], what: str) -> None:
    """Raise TriggerError if a file here was not written by this program; ``what`` describes
    ours.
    """
    files.check_parents(target)
    if files.regular(target).exists() and not is_ours(target.read_bytes()):
        raise TriggerError(
            f"{target}: already exists and is not {what}; remove it, or name another file"
        )


def check_json(target: Path, kind: str, command: str) -> None:
    """The same for a JSON file of a command of `trigger`, whose key ``kind`` says what it is."""

    def is_ours(data: bytes) -> bool:
        try:
            found = json.loads(data)
        except (ValueError, RecursionError):
            return False
        return isinstance(found, dict) and found.get("kind") == kind

    check_file(target, is_ours, f"a JSON file of `trigger {command}`")


def write_file(target: Path, text: str) -> None:
    """Write a file after its check, and make the folders above it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    files.write_text(target, text)


def check_absent(target: Path) -> None:
    """Raise TriggerError if anything exists here, or nothing can be written here."""
    files.check_parents(target)
    if target.exists() or target.is_symlink():
        raise TriggerError(f"{target}: already exists; remove it, or name another file")


def check_sample(target: Path) -> None:
    """Raise TriggerError if an events file or its record exists that no generator wrote.

    The record of a generator has the SHA-256 of its events.
    """
    files.check_parents(target)
    about = target.with_suffix(".json")
    there = [path for path in (target, about) if files.regular(path).exists()]
    if there and _sample_digest(about) not in {file_digest(path) for path in there}:
        raise TriggerError(
            f"{there[0]}: already exists and was not generated by this command; "
            "remove it, or name another file"
        )


def _sample_digest(about: Path) -> str | None:
    try:
        recorded = json.loads(about.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return str(recorded["sha256"]) if isinstance(recorded, dict) and "sha256" in recorded else None


def _record(target: Path) -> dict[str, Any] | None:
    """The record of the export in a folder; None if there is none that this program wrote."""
    path = files.regular(target / RECORD)
    try:
        recorded = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(recorded, dict) or not isinstance(recorded.get("export"), str):
        return None
    recorded.setdefault("before", {})
    parts = [recorded.get(part) for part in ("files", "before")]
    return recorded if all(isinstance(part, dict) for part in parts) else None


def _write_record(target: Path, record: dict[str, Any]) -> None:
    files.write_text(target / RECORD, json.dumps(record, indent=1) + "\n")


def _digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): file_digest(path) for path in files.entries(folder)
    }


def _remove_empty_folders(target: Path, before: Sequence[Path]) -> None:
    """Remove the folders that held only files of the earlier export; others are the user's."""
    folders = {parent for path in before for parent in path.parents if target in parent.parents}
    for path in sorted(folders, reverse=True):
        if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
            path.rmdir()

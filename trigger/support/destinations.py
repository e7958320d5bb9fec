"""Places that the user names to be written to: what this program did not write there is never replaced.

A folder that was exported holds ``export.json``, with the SHA-256 of each file. By it an earlier export is recognised and
replaced whole.
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
    """The files of an earlier export of this kind in a folder; none where it is empty or missing.

    ``by_products`` are patterns of what the export's own programs leave in it; they count as its files. Raises TriggerError
    where anything else lies in the folder, or a file was edited.
    """
    if target.is_symlink():
        raise TriggerError(f"{target}: is a link, and files would be written through it; remove it")
    if target.exists() and not target.is_dir():
        raise TriggerError(f"{target}: is a file where a folder is needed; remove it")
    found = files.entries(target) if target.is_dir() else []
    if not found:
        return []
    record = _record(target)
    if record is None:
        raise TriggerError(
            f"{target}: is not empty and holds no earlier export; name a new or an empty folder"
        )
    if record["export"] != kind:
        raise TriggerError(
            f"{target}: holds an export of another kind, {record['export']}; "
            "name a new or an empty folder"
        )
    for path in found:
        name = path.relative_to(target).as_posix()
        if name == RECORD or any(_fits(name, pattern) for pattern in by_products):
            continue
        digests = [record[part].get(name) for part in ("files", "before")]
        if digests == [None, None]:
            raise TriggerError(
                f"{path}: is not of the export in this folder; move it away, or name another folder"
            )
        if not files.is_file(path) or file_digest(path) not in digests:
            raise TriggerError(
                f"{path}: was edited since it was exported; move it away, or name another folder"
            )
    return found


def _fits(name: str, pattern: str) -> bool:
    """Whether a path fits a pattern, folder by folder: fnmatch's own * goes past a slash."""
    return name.count("/") == pattern.count("/") and fnmatch(name, pattern)


def replace_folder(made: Path, target: Path, kind: str, by_products: Sequence[str] = ()) -> None:
    """Put a folder in the place of an earlier export of its kind, or where nothing is. Raises as ``check_folder``.

    Where this is interrupted, the folder holds files of both exports and a record of both, and can be replaced again.
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
    _remove_empty_folders(target)
    files.put(made, target)
    _write_record(target, record)


def check_file(target: Path, is_ours: Callable[[bytes], bool], what: str) -> None:
    """Raise TriggerError where a file has this place that this program did not write; ``what`` is what it writes there."""
    if files.regular(target).exists() and not is_ours(target.read_bytes()):
        raise TriggerError(
            f"{target}: exists already and is not {what}; remove it, or name another file"
        )


def check_absent(target: Path) -> None:
    """Raise TriggerError where anything has this place."""
    if target.exists() or target.is_symlink():
        raise TriggerError(f"{target}: exists already; remove it, or name another file")


def check_sample(target: Path) -> None:
    """Raise TriggerError where an events file, or the record beside it, is there that no generator wrote.

    A generator's record has the SHA-256 of its events.
    """
    about = target.with_suffix(".json")
    there = [path for path in (target, about) if files.regular(path).exists()]
    if there and _sample_digest(about) not in {file_digest(path) for path in there}:
        raise TriggerError(
            f"{there[0]}: exists already and is no sample that this command made; "
            "remove it, or name another file"
        )


def _sample_digest(about: Path) -> str | None:
    try:
        found = json.loads(about.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return str(found["sha256"]) if isinstance(found, dict) and "sha256" in found else None


def _record(target: Path) -> dict[str, Any] | None:
    """What the folder says of the export in it; None where it says nothing that this program wrote."""
    path = files.regular(target / RECORD)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not isinstance(found.get("export"), str):
        return None
    found.setdefault("before", {})
    parts = [found.get(part) for part in ("files", "before")]
    return found if all(isinstance(part, dict) for part in parts) else None


def _write_record(target: Path, record: dict[str, Any]) -> None:
    files.write_text(target / RECORD, json.dumps(record, indent=1) + "\n")


def _digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): file_digest(path) for path in files.entries(folder)
    }


def _remove_empty_folders(target: Path) -> None:
    """Remove the folders in which only files of the earlier export were."""
    for path in sorted(target.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
            path.rmdir()

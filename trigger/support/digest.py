"""SHA-256 of files, folders and plain data."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trigger.errors import TriggerError
from trigger.support import files


def file_digest(path: Path) -> str:
    """SHA-256 of the bytes of a file. Raises TriggerError if it cannot be read."""
    try:
        with files.regular(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise TriggerError(f"{path}: {error.strerror}") from error


def folder_digest(folder: Path) -> str:
    """SHA-256 over the names and bytes of all files in a folder; "" if there is no folder.

    Raises TriggerError for a link, also for the folder itself: its target can change unnoticed.
    """
    if not folder.is_dir():
        return ""
    digest = hashlib.sha256()
    for path in files.entries(folder):
        if not files.is_file(path):
            raise TriggerError(f"{path}: is a link or a device, not a file; remove it")
        digest.update(f"{path.relative_to(folder).as_posix()}\0{file_digest(path)}\n".encode())
    return digest.hexdigest()


def data_digest(data: Mapping[str, Any]) -> str:
    """SHA-256 of numbers, texts, lists and tables. The order of keys counts: accept bits, heads and
    objects are in the order of their tables.
    """
    return hashlib.sha256(json.dumps(data).encode()).hexdigest()

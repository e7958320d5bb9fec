"""Saved networks without dates and memory addresses: equal trainings give equal files."""

import io
import json
import re
import zipfile
from pathlib import Path

from trigger.support.files import write_bytes

_DATE = (1980, 1, 1, 0, 0, 0)
_METADATA = "metadata.json"
_CONFIG = "config.json"
_OBJECT = re.compile(rb'("shared_object_id": )(\d+)')


def normalise(path: Path) -> None:
    """Rewrite a ``.keras`` file with one fixed date and shared objects numbered in their order."""
    made = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(made, "w") as new:
        for member in old.infolist():
            data = old.read(member)
            if member.filename == _METADATA:
                date = "{:04}-{:02}-{:02}@{:02}:{:02}:{:02}".format(*_DATE)
                data = json.dumps({**json.loads(data), "date_saved": date}).encode()
            elif member.filename == _CONFIG:
                data = _numbered(data)
            new.writestr(zipfile.ZipInfo(member.filename, _DATE), data, member.compress_type)
    write_bytes(path, made.getvalue())


def _numbered(config: bytes) -> bytes:
    """Keras uses these numbers, memory addresses, only to identify shared objects."""
    numbers: dict[bytes, int] = {}

    def number(match: re.Match[bytes]) -> bytes:
        return match[1] + b"%d" % numbers.setdefault(match[2], len(numbers))

    return _OBJECT.sub(number, config)

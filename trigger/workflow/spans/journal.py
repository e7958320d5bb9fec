"""The spans that are done, in a file that survives a kill: a line for each."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from trigger.events.blocks import EventFile, Span
from trigger.events.sources import Generated
from trigger.support import files

T = TypeVar("T")


def _unsigned(_text: str) -> str:
    return ""


class Codec(NamedTuple, Generic[T]):
    """A result as plain data and back; ``read`` raises ValueError, TypeError or KeyError for
    anything else. A line without the signature ``sign`` gives is left out.
    """

    write: Callable[[T], Any]
    read: Callable[[Any], T]
    sign: Callable[[str], str] = _unsigned


class _Line(NamedTuple, Generic[T]):
    key: str
    file: str
    digest: str
    result: T


class Journal(Generic[T]):
    """The results of spans, by the digest of their file: a renamed file is not worked on again."""

    def __init__(self, path: Path | None, codec: Codec[T]) -> None:
        """Nothing is kept if the path is None; a damaged line is left out."""
        self._path = path
        self._codec = codec
        self._known: dict[str, T] = {}
        self._files: dict[str, dict[str, int]] = {}
        if path is None or not files.regular(path).exists():
            return
        text = path.read_bytes().decode("utf-8", errors="replace")
        for line in text.splitlines():
            self._take(line)
        if not text.endswith("\n"):  # killed while it wrote
            files.write_text(path, text[: text.rfind("\n") + 1])

    def result(self, file: EventFile | Generated, span: Span) -> T | None:
        """The result of a span, if it is known."""
        return self._known.get(_key(file, span))

    def add(self, file: EventFile | Generated, span: Span, result: T) -> None:
        """Record a span."""
        if self._path is None:
            return
        record = {
            "file": str(file.path.absolute()),
            "digest": file.digest,
            "key": _key(file, span),
            "result": self._codec.write(result),
        }
        signature = self._signature(record)
        signed = {**record, "signature": signature} if signature else record
        files.append_line(self._path, json.dumps(signed))

    def changed(self, file: EventFile | Generated) -> int:
        """The number of spans of other content of this file that are known."""
        before = self._files.get(str(file.path.absolute()), {})
        return 0 if file.digest in before else sum(before.values())

    def drop(self, done: Sequence[EventFile | Generated]) -> None:
        """Forget the spans of these files, also those of other content."""
        if self._path is None or not self._path.exists():
            return
        keys = {_key(file, span) for file in done for span in file.spans}
        names = {str(file.path.absolute()) for file in done}
        lines = {text: self._read(text) for text in self._path.read_text().splitlines()}
        left = [
            f"{text}\n"
            for text, line in lines.items()
            if line is not None and line.key not in keys and line.file not in names
        ]
        if left:
            files.write_text(self._path, "".join(left))
        else:
            self._path.unlink()

    def _take(self, text: str) -> None:
        line = self._read(text)
        if line is None:
            return
        self._known[line.key] = line.result
        of_file = self._files.setdefault(line.file, {})
        of_file[line.digest] = of_file.get(line.digest, 0) + 1

    def _read(self, text: str) -> _Line[T] | None:
        try:
            record = json.loads(text)
            signature = record.pop("signature", "")
            result = self._codec.read(record["result"])
            key, name, digest = (str(record[part]) for part in ("key", "file", "digest"))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None
        if signature != self._signature(record):
            return None
        return _Line(key, name, digest, result)

    def _signature(self, record: dict[str, Any]) -> str:
        """Of a record in this file: in another one it would say that of other firmware."""
        assert self._path is not None
        return self._codec.sign(f"{self._path.name}\0{json.dumps(record)}")


def _key(file: EventFile | Generated, span: Span) -> str:
    return json.dumps([file.digest, file.columns, span])

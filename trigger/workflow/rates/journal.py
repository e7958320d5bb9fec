"""The spans that are counted, in a file that survives a kill: a line for each."""

import json
from collections.abc import Mapping
from pathlib import Path

from trigger.events.blocks import EventFile, Span
from trigger.events.sources import Generated
from trigger.physics.counts import Counts, from_json, to_json
from trigger.support import files


class Journal:
    """The counts of spans, by the digest of their file: a renamed file is not counted again."""

    def __init__(self, path: Path | None) -> None:
        """Nothing is kept if the path is None; a damaged line is left out."""
        self._path = path
        self._known: dict[str, dict[str, Counts]] = {}
        self._files: dict[str, dict[str, int]] = {}
        if path is None or not files.regular(path).exists():
            return
        text = path.read_bytes().decode("utf-8", errors="replace")
        for line in text.splitlines():
            self._take(line)
        if not text.endswith("\n"):  # killed while it wrote
            files.write_text(path, text[: text.rfind("\n") + 1])

    def counts(self, file: EventFile | Generated, span: Span) -> dict[str, Counts] | None:
        """The counts of a span, if it was counted."""
        return self._known.get(_key(file, span))

    def add(self, file: EventFile | Generated, span: Span, counts: Mapping[str, Counts]) -> None:
        """Record a span."""
        if self._path is None:
            return
        record = {
            "file": str(file.path.absolute()),
            "digest": file.digest,
            "key": _key(file, span),
            "counts": to_json(counts),
        }
        files.append_line(self._path, json.dumps(record))

    def changed(self, file: EventFile | Generated) -> int:
        """The number of spans that were counted of other content of this file."""
        before = self._files.get(str(file.path.absolute()), {})
        return 0 if file.digest in before else sum(before.values())

    def _take(self, line: str) -> None:
        try:
            record = json.loads(line)
            counts = from_json(record["counts"])
            key, name, digest = (str(record[part]) for part in ("key", "file", "digest"))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return
        self._known[key] = counts
        of_file = self._files.setdefault(name, {})
        of_file[digest] = of_file.get(digest, 0) + 1


def _key(file: EventFile | Generated, span: Span) -> str:
    return json.dumps([file.digest, file.columns, span])

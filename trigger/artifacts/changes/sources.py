"""What two builds were made from, and with: keys of trigger.toml, digests, versions."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from trigger.artifacts.changes.result import Changes
from trigger.artifacts.folder import Build, read_json
from trigger.artifacts.interface import differences
from trigger.artifacts.staging import MANIFEST

_DIGITS = 12
_LONGEST = 120


def sources(first: Build, second: Build) -> Changes:
    """The keys, digests and versions that differ."""
    different = differences(*(dict(_told(build)) for build in (first, second)))
    return Changes(
        sources=tuple(
            one._replace(before=_short(one.before), after=_short(one.after)) for one in different
        )
    )


def _told(build: Build) -> Iterator[tuple[str, str]]:
    yield from _keys("", build.spec.model_dump(mode="json", exclude_unset=True))
    manifest = read_json(build.root / MANIFEST)
    for name, digest in manifest["data"].items():
        yield f"SHA-256 of {name}", digest[:_DIGITS]
    for name in ("network", "graph", "firmware", "rtl"):
        yield f"SHA-256 of {name}", manifest[name][:_DIGITS]
    yield "trigger", manifest["trigger"]
    yield from manifest["versions"].items()


def _keys(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """The values of a trigger.toml by dotted key."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _keys(f"{path}.{key}" if path else str(key), item)
    else:
        yield path, json.dumps(value, ensure_ascii=False)


def _short(text: str) -> str:
    more = len(text) - _LONGEST
    return text if more <= 0 else f"{text[:_LONGEST]}… ({more:,} more characters)"

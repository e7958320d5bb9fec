"""The sources of the events of a build."""

from collections.abc import Mapping
from typing import Any

from trigger.artifacts.folder import Build, read_json
from trigger.events.sources import identity
from trigger.spec.tables import check_named
from trigger.support.digest import data_digest, file_digest


def data_digests(build: Build) -> dict[str, str]:
    """SHA-256 of each event file, or of what the events of a source depend on.

    Raises TriggerError for one that cannot be read.
    """
    source = build.spec.data.source
    if source is not None:
        return {f"source {source}": data_digest(identity(source))}
    for name in build.spec.data.files:
        check_named(build.source / name, "data.files")
    return {name: file_digest(build.source / name) for name in build.spec.data.files}


def event_sources(build: Build) -> Mapping[str, Any]:
    """The event files or their generator, and all that is in the spec about reading, quantising and
    splitting them.
    """
    return {
        "files": data_digests(build),
        "data": build.spec.data.model_dump(),
        "inputs": build.spec.inputs.model_dump(),
        "heads": {
            name: head.model_dump(include={"task", "label", "classes", "mask"})
            for name, head in build.spec.heads.items()
        },
    }


def recorded_sources(build: Build) -> Mapping[str, Any]:
    """What says which events of which files are the test events of a finished build."""
    keys = {"source", "events", "arguments", "label", "classes", "weight", "split", "seed"}
    return {
        "files": [*read_json(build.root / "events" / "summary.json")["files"].values()],
        "data": build.spec.data.model_dump(include=keys),
        "heads": {
            name: head.model_dump(include={"task", "label", "classes", "mask"})
            for name, head in build.spec.heads.items()
        },
    }

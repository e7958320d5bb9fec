"""The manifest of a build: the digests of its parts and the versions of its tools."""

from typing import Any

import trigger
from trigger.artifacts.folder import Build, network_file, read_json
from trigger.support.digest import file_digest, folder_digest
from trigger.support.versions import versions


def facts(build: Build) -> dict[str, Any]:
    """SHA-256 of spec, data, network, graph and firmware, and the version of every tool.

    ``events`` counts the events and vectors of each kind in the comparison.
    """
    families = read_json(build.root / "graph" / "summary.json")["families"]
    digests = parts(build)
    return {"trigger": trigger.__version__, **digests, "events": families, "versions": versions()}


def parts(build: Build) -> dict[str, Any]:
    """The name of a build, and the SHA-256 of its sources and results."""
    return {
        "name": build.spec.name,
        "spec": file_digest(build.root / "trigger.toml"),
        "data": read_json(build.root / "events" / "summary.json")["files"],
        "network": file_digest(network_file(build.root)),
        "graph": file_digest(build.root / "graph" / "graph.json"),
        "firmware": folder_digest(build.root / "firmware"),
        "rtl": folder_digest(build.root / "rtl"),
    }

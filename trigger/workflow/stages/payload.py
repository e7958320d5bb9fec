"""The payload of a build: the shell around its RTL."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trigger.artifacts.folder import Build, read_graph
from trigger.fixedpoint.serialize import fingerprint

DATA = ("firmware/shell",)


def reads(build: Build) -> Mapping[str, Any]:
    spec = build.spec
    return {
        **{name: build.digests[name] for name in ("rtl", "graph")},
        "spec": spec.model_dump(include={"name", "inputs"}),
        "output": spec.payload and spec.payload.output and spec.payload.output.model_dump(),
        "names_channels": spec.payload and spec.payload.names_channels,
        "decides": spec.decides,
        "features": spec.data.features,
        "outputs": spec.outputs,
    }


def run(build: Build, folder: Path) -> None:
    """Write the shell around the RTL."""
    from trigger.artifacts import built_payload
    from trigger.backends.rtl import open_project
    from trigger.board.shell import write_payload

    graph = read_graph(build.root)
    project = open_project(build.root / "rtl", graph)
    shell = built_payload.payload(build.root, build.spec, project, folder)
    if build.spec.payload and build.spec.payload.names_channels:
        # Check that they fit, now that the widths of the scores are known.
        built_payload.output_fields(build.spec, shell)
    write_payload(shell, fingerprint(graph))

"""The hls4ml project of a build."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trigger.artifacts.folder import Build, read_graph
from trigger.spec import parts
from trigger.support.digest import file_digest

DATA = parts.DATA


def reads(build: Build) -> Mapping[str, Any]:
    graph = file_digest(build.root / "graph" / "graph.json")
    return {
        "graph": graph,
        "target": build.spec.target.model_dump(),
        "name": build.spec.name,
        "backend": build.spec.training.backend,
    }


def run(build: Build, folder: Path) -> None:
    """Write the hls4ml project."""
    from trigger.frontends import keras_backend

    keras_backend.start(build.spec.training.backend)  # hls4ml imports Keras
    from trigger.backends.hls4ml.project import Hls4mlOptions, write

    target = build.spec.target
    options = Hls4mlOptions(
        target.fpga,
        target.clock_mhz,
        backend=target.backend,
        strategy=target.strategy,
        reuse_factor=target.sharing,
        project_name=build.spec.name,
    )
    write(read_graph(build.root), folder, options)

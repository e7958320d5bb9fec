"""The RTL project of a build."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trigger.artifacts.folder import Build, read_graph
from trigger.backends.rtl import area
from trigger.board.core import allowed_dsp
from trigger.fixedpoint.passes import optimize
from trigger.spec import parts
from trigger.support.digest import file_digest
from trigger.support.progress import progress

DATA = (*parts.DATA, *area.DATA, "synth/rtl")


def reads(build: Build) -> Mapping[str, Any]:
    spec = build.spec
    names = [spec.data.features, spec.outputs]
    used = {"part", "device", "clock_mhz", "latency_cycles", "ii", "multipliers"}
    target = spec.target.model_dump(include=used)
    graph = file_digest(build.root / "graph" / "graph.json")
    return {
        "graph": graph,
        "target": target,
        "dsp": allowed_dsp(spec),
        "names": names,
        "name": spec.name,
        "payload": spec.payload is not None,
    }


def run(build: Build, folder: Path) -> None:
    """Write the RTL project."""
    from trigger.backends.rtl import write
    from trigger.backends.rtl.logic import weights
    from trigger.board.core import core_options

    graph = read_graph(build.root)
    with progress("tracing the logic", weights(optimize(graph)), "weights") as done:
        write(graph, folder, core_options(build.spec), done)

"""The proof of a build: its RTL gives the outputs of the graph for every possible input."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from trigger.artifacts.folder import Build, read_graph, write_json
from trigger.proof import core
from trigger.support.digest import file_digest
from trigger.support.progress import say

DATA = core.DATA


def reads(build: Build) -> Mapping[str, Any]:
    graph = file_digest(build.root / "graph" / "graph.json")
    return {"rtl": build.digests.get("rtl"), "graph": graph}


def run(build: Build, folder: Path) -> None:
    """Prove the core as far as its normal forms reach."""
    from trigger.backends.rtl import open_project
    from trigger.synthesis.tool import ToolFailed

    rtl = open_project(build.root / "rtl", read_graph(build.root))
    with TemporaryDirectory() as work:
        try:
            proof = core.prove(rtl, Path(work))
        except ToolFailed as failure:
            proof = core.unproven(rtl.graph, str(failure).replace(work, "proof"))
    say(f"  {proof}")
    nodes = {name: found._asdict() for name, found in proof.nodes.items()}
    found = {"complete": proof.complete, "proven": sum(proof.outputs), "text": str(proof)}
    write_json(folder / "results.json", {**proof._asdict(), "nodes": nodes, **found})

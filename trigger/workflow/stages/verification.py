"""The verification of a build: all implementations against Keras, and the overflow proof."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trigger.artifacts import implementations
from trigger.artifacts.folder import Build, read_graph, reference, write_json
from trigger.fixedpoint.ranges import overflow_proof
from trigger.spec import parts
from trigger.support.digest import file_digest

DATA = parts.DATA
# References that are no networks of a library.
_NAMES = {"trees": "trees", "hls4ml": "hls4ml project"}


def reads(build: Build) -> Mapping[str, Any]:
    spec = build.spec
    return {
        **{name: build.digests.get(name) for name in ("graph", "firmware", "rtl", "payload")},
        "trained": file_digest(build.root / "model" / "trained.npz"),
        "spec": spec.model_dump(include={"name", "inputs"}),
        "target": spec.target.model_dump(include={"part", "device", "backend"}),
        "decides": spec.decides,
        "features": spec.data.features,
    }


def run(build: Build, folder: Path) -> None:
    """Compile csim and RTL, compare, prove."""
    graph = read_graph(build.root)
    verdict, outputs = implementations.check_implementations(
        build.root, build.spec, implementations.recorded_expectations(build.root)
    )
    trained = implementations.trained_network(build.root)
    of = reference(build.root)
    results = {
        "reference": _NAMES.get(of, f"{of} network"),
        "trained": {"events": trained.comparison.events, "exact": trained.exact},
        "comparisons": [
            {**c._asdict(), "witness": str(c.witness) if c.witness else None, "equal": c.equal}
            for c in verdict.comparisons
        ],
        "proof": [row._asdict() for row in overflow_proof(graph)],
        "equal": verdict.equal,
    }
    write_json(folder / "results.json", results)
    np.save(folder / "outputs.npy", outputs)

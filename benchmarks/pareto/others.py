"""The networks of other tools as graphs, so that the contest counts all by the same flow.

Each is trained by a script in an environment of its own, which CONTEST_PYTHON names. The script
reads the events as hardware integers, and leaves comparisons, tables and sums in a JSON file.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from count import counted, normalised

import trigger.trees
from trigger.events.dataset import Events
from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import Constant
from trigger.fixedpoint.types import Fixed
from trigger.spec.spec import find, load

HERE = Path(__file__).resolve().parent
SCRIPTS = {
    "dwn": "dwn.py",
    "dwn-32": "dwn.py",
    "torchlogix": "gates.py",
    "treelut": "forests.py",
    "conifer": "forests.py",
}
PYTHON = "CONTEST_PYTHON"
BIT = Fixed(False, 1, 1)


def trained(
    method: str, point: float, seed: int, events: dict[str, Events], types: tuple[Fixed, ...]
) -> tuple[Graph, dict[str, Any]]:
    """The graph of a network that a script trained, and what the script says of it."""
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "events.npz", Path(folder) / "network.json"
        columns = {f"{name}_x": e.x for name, e in events.items()}
        truths = {f"{name}_y": e.y for name, e in events.items()}
        np.savez(given, **columns, **truths)
        script = [os.environ[PYTHON], HERE / SCRIPTS[method]]
        subprocess.run([*script, method, given, str(point), str(seed), found], check=True)
        network = json.loads(found.read_text())
    graph = _forest if "trees" in network else _tables
    return graph(network, types), network["notes"]


def _tables(network: dict[str, Any], types: tuple[Fixed, ...]) -> Graph:
    """Comparisons, layers of truth tables, and the number of ones of each class."""
    builder = Builder(types)
    features, bounds = np.array(network["comparisons"], dtype=np.int64).T
    source = builder.threshold("comparisons", builder.last, features, bounds)
    for wires, tables in network["layers"]:
        ones = Constant(np.array(tables, dtype=np.int64), BIT)
        source = builder.truth_table("neurons", source, np.array(wires, dtype=np.int64), ones)
    groups = network["classes"]
    members = len(builder[source].types) // groups
    ones = constant(np.kron(np.eye(groups), np.ones((members, 1))))
    return builder.graph(builder.dense("scores", source, ones, constant(np.zeros(groups))))


def _forest(network: dict[str, Any], types: tuple[Fixed, ...]) -> Graph:
    """Trees in the JSON of conifer, of which thresholds are hardware integers."""
    steps = np.array([2.0**-t.fraction for t in types])
    for row in network["trees"]:
        for tree in row:
            features = np.maximum(tree["feature"], 0)
            tree["threshold"] = (np.array(tree["threshold"]) * steps[features]).tolist()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trees.json"
        path.write_text(json.dumps(network))
        return trigger.trees.lower(path, list(types))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("method", choices=SCRIPTS)
    parser.add_argument("point", type=float, help="neurons or gates of a layer; trees a class")
    parser.add_argument("seed", type=int)
    parser.add_argument("result", type=Path)
    asked = parser.parse_args()
    start = time.monotonic()
    spec, _, exact = normalised(load(find("jet_tagger")))
    graph, notes = trained(asked.method, asked.point, asked.seed, exact, spec.input_types)
    found = {"method": asked.method, "point": asked.point, "seed": asked.seed, **notes}
    found |= counted(graph, spec, exact)
    found["seconds"] = round(time.monotonic() - start)
    asked.result.write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()

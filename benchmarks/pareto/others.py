"""The networks of other tools as graphs, so that the contest counts all by the same flow.

Each is trained by a script in an environment of its own, which CONTEST_PYTHON names. The script
reads the events as hardware integers, and leaves comparisons, tables and sums in a JSON file. Where it
leaves its scores, too, the result says for how many events those of the graph are equal.
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
from trigger.fixedpoint import evaluate
from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import Constant
from trigger.fixedpoint.types import Fixed, Overflow, Rounding, smallest
from trigger.spec.spec import find, load

HERE = Path(__file__).resolve().parent
SCRIPTS = {
    "dwn": "dwn.py",
    "dwn-32": "dwn.py",
    "dwn-32-60": "dwn.py",
    "torchlogix": "gates.py",
    "treelut": "forests.py",
    "conifer": "forests.py",
    "kanele": "kanele.py",
    "neuralut": "neuralut.py",
    "neuralut-assemble": "neuralut.py",
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
    (kind,) = network.keys() & GRAPHS
    graph, notes = GRAPHS[kind](network, types), network["notes"]
    if "validation_scores" in network:
        own = evaluate.run(graph, events["validation"].x)
        equal = (own == np.array(network["validation_scores"])).all(axis=1)
        notes["events_with_equal_scores"] = f"{equal.sum()} of {len(equal)}"
    return graph, notes


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


def _edges(network: dict[str, Any], types: tuple[Fixed, ...]) -> Graph:
    """Layers of a table for each edge, whose sums are saturated."""
    builder = Builder(types)
    source = _codes(builder, network["inputs"], types)
    for layer in network["edges"]:
        # Without its least entry and its lowest zero bits a table is smaller, and sums are the same.
        levels = np.array(layer["tables"], dtype=np.int64)
        least = levels.min(axis=2)
        levels -= least[..., None]
        inputs, units = np.nonzero(levels.any(axis=2))
        levels = levels[inputs, units]
        used = np.bitwise_or.reduce(levels, axis=1)
        last = used & -used
        # Addresses are in two's complement.
        levels = np.roll(levels // last[:, None], levels.shape[1] // 2, axis=1)
        bits = levels.shape[1].bit_length() - 1
        entries = Constant(levels, smallest(0, int(levels.max()), 0))
        widths = np.full((len(inputs), 1), bits)
        tables = builder.truth_table("edges", source, inputs[:, None], entries, widths)
        sums = np.zeros((len(inputs), least.shape[1]))
        sums[np.arange(len(inputs)), units] = last
        total = builder.dense("sums", tables, constant(sums), constant(least.sum(axis=0)))
        kept = int(layer["least"]).bit_length()
        saturated = (Fixed(True, kept, kept),) * least.shape[1]
        source = builder.quantize("values", total, saturated, Rounding.TRN, Overflow.SAT)
    return builder.graph(source)


def _neurons(network: dict[str, Any], types: tuple[Fixed, ...]) -> Graph:
    """Layers of tables of several values of some bits."""
    builder = Builder(types)
    source = _codes(builder, network["inputs"], types)
    for layer in network["neurons"]:
        wires, levels = (np.array(layer[part], dtype=np.int64) for part in ("wires", "tables"))
        widths = np.full(wires.shape, layer["bits"])
        entries = Constant(levels, smallest(int(levels.min()), int(levels.max()), 0))
        source = builder.truth_table("neurons", source, wires, entries, widths)
    return builder.graph(source)


def _codes(builder: Builder, inputs: dict[str, Any], types: tuple[Fixed, ...]) -> str:
    """Hardware integers without some of their lowest bits, saturated."""
    bits = inputs["bits"]
    kept = tuple(
        Fixed(True, bits, bits - (t.fraction - shift))
        for t, shift in zip(types, inputs["shifts"], strict=True)
    )
    return builder.quantize("codes", builder.last, kept, Rounding.TRN, Overflow.SAT)


# The part of a script's JSON that says what its graph is made of.
GRAPHS = {"layers": _tables, "trees": _forest, "edges": _edges, "neurons": _neurons}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("method", choices=SCRIPTS)
    parser.add_argument(
        "point",
        type=float,
        help="neurons or gates of a layer; trees a class; hidden units; leaves a class",
    )
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

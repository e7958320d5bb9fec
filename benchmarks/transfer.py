"""A trained body reused for other tasks: AUC against the number of training events, with the body's
layers frozen, and with all layers trained from scratch.

The body separates four kinds of jets. The tasks that reuse it separate Z bosons, of which it has
seen none, from W bosons and from light quarks. All networks have the same layers; a frozen body has
the same integers in every one of them, which is checked. The AUC is of the integers, on the test
events.
"""

import argparse
import itertools
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
from sklearn.metrics import roc_auc_score

from trigger.events.dataset import Events
from trigger.events.hardware import splits, to_real
from trigger.fixedpoint.evaluate import run
from trigger.fixedpoint.graph import Graph
from trigger.frontends.networks import lower
from trigger.spec.spec import Spec, find, load, parse
from trigger.training import recipe

RESULTS = Path(__file__).resolve().parent / "results" / "transfer.json"
BODY = ("g", "q", "W", "t")
TASKS = {"Z or W": ("Z", "W"), "Z or q": ("Z", "q")}
EVENTS = (100, 300, 1000, 3000)
SEEDS = (1, 2, 3)
LAYERS = ("norm", "body1", "body2")
MODEL = """
import keras
from qkeras import QActivation, QDense, quantized_bits, quantized_relu


def network(features, classes):
    def dense(units, name):
        return QDense(units, kernel_quantizer=quantized_bits(6, 0, alpha=1),
                      bias_quantizer=quantized_bits(6, 0, alpha=1), name=name)

    x = inputs = keras.Input((features,))
    x = keras.layers.Normalization(name="norm")(x)
    x = QActivation(quantized_bits(8, 2, alpha=1), name="scaled")(x)
    for units, name in ((32, "body1"), (16, "body2")):
        x = QActivation(quantized_relu(6, 2), name=f"{name}_relu")(dense(units, name)(x))
    return keras.Model(inputs, dense(classes, "head")(x))
"""
TOML = """
name = "jets"
task = "classification"
[data]
files = ["jets.parquet"]
features = {features}
label = "jet"
classes = {classes}
[model]
function = "network"
[training]
epochs = {epochs}
batch_size = 100
learning_rate = {rate}
seed = {seed}
{more}
[inputs.types]
{types}
[target]
part = "xcvu13p-flga2577-2-e"
clock_mhz = 240
"""
FREEZE = f'[training.freeze]\nnetwork = "body.keras"\nlayers = {json.dumps(LAYERS)}'


class Row(NamedTuple):
    """The AUC of each seed."""

    task: str
    events: int
    start: str
    auc: list[float]


def spec_of(folder: Path, classes: tuple[str, ...], epochs: int, seed: int, more: str = "") -> Spec:
    """The jet tagger's events of these classes alone; ``folder`` receives them."""
    jets = load(find("jet_tagger"))
    file = find("jet_tagger").parent / jets.data.files[0]
    table = pq.read_table(file)
    pq.write_table(table.filter(np.isin(table["jet"].to_numpy(), classes)), folder / "jets.parquet")
    (folder / "model.py").write_text(MODEL)
    types = zip(jets.data.features, jets.input_types, strict=True)
    text = TOML.format(
        types="\n".join(f'{name} = "{kind}"' for name, kind in types),
        features=json.dumps(jets.data.features),
        classes=json.dumps(classes),
        epochs=epochs,
        rate=0.005,
        seed=seed,
        more=more,
    )
    return parse(text, folder / "trigger.toml")


def some(events: dict[str, Events], count: int, seed: int) -> dict[str, Events]:
    """``count`` training events and a third as many for the choice of the epoch."""
    rng = np.random.default_rng(seed)

    def few(name: str, number: int) -> Events:
        return events[name].take(np.sort(rng.permutation(len(events[name].y))[:number]))

    return {**events, "train": few("train", count), "validation": few("validation", count // 3)}


def auc(graph: Graph, test: Events) -> float:
    """The AUC of the first of two classes, from the integers."""
    scores = run(graph, test.x)
    return float(roc_auc_score(test.y == 0, scores[:, 0] - scores[:, 1]))


def body_of(graph: Graph) -> list[np.ndarray]:
    return [node.weights.values for node in graph.nodes if node.name in LAYERS[1:]]


def rows(folder: Path, seeds: Sequence[int], epochs: int) -> Iterator[Row]:
    """The body is trained first; each row is of all seeds."""
    spec = spec_of(folder, BODY, epochs, 1)
    events = splits(spec, folder).events
    recipe.trained(spec, to_real(events, spec), folder, unseen).save(folder / "body.keras")
    more = {"scratch": "", "frozen": FREEZE}
    bodies = []
    for (task, classes), count, start in itertools.product(TASKS.items(), EVENTS, more):
        found = []
        for seed in seeds:
            spec = spec_of(folder, classes, epochs, seed, more[start])
            few = some(splits(spec, folder).events, count, seed)
            model = recipe.trained(spec, to_real(few, spec), folder, unseen)
            graph = lower(model, spec.input_types)
            found.append(auc(graph, few["test"]))
            if start == "frozen":
                bodies.append(body_of(graph))
                assert all(map(np.array_equal, bodies[0], bodies[-1])), "the body has changed"
        yield Row(task, count, start, found)


def text(auc: Sequence[float]) -> str:
    """Mean and spread of the seeds."""
    return f"{np.mean(auc):.4f} ± {np.std(auc, ddof=1):.4f}"


def unseen(logs: Mapping[str, float]) -> None:
    pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    given = parser.parse_args()
    print("| task | training events | start | AUC, mean and spread of the seeds |")
    print("|---|---:|---|---:|")
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for row in rows(Path(folder), given.seeds, given.epochs):
            print(f"| {row.task} | {row.events:,} | {row.start} | {text(row.auc)} |", flush=True)
            found.append(row._asdict())
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

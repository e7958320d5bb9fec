"""Kinds of particles from toy images of three planes of wires: a convolution in bits, against a
linear classifier in the same bits, boosted trees, and the same network in floating point.
"""

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import chamber
import numpy as np
from results import Trained, accuracy, percent, row, share, size, trained
from sample import SPLITS, labels_of, trigger_folder, write
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from trigger.events.dataset import Events
from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.evaluate import predict, run
from trigger.fixedpoint.graph import Graph
from trigger.frontends import keras_backend
from trigger.training import fit

RESULTS = Path(__file__).resolve().parents[1] / "results" / "neutrino.json"
WEIGHT_BITS = 8
TREES = 50
# The test images of seed 3 were looked at while networks were tried; those of 4 were not.
SEEDS = {"train": 1, "validation": 2, "test": 4}
SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}
# Filters, hidden neurons and the share of pruned weights.
CONFIGURATIONS = ((5, 12, 0.5), (5, 12, 0.2), (8, 16, 0.5), (8, 16, 0.2))


class Method(NamedTuple):
    """Scores (events, kinds) of the test events; the graph of a method in bits."""

    name: str
    scores: np.ndarray
    graph: Graph | None = None


def write_events(folder: Path, events: int) -> None:
    """All kinds alike; the three splits have seeds of their own."""
    each = [round(SHARES[split] * events / len(chamber.KINDS)) for split in SPLITS]
    counts = dict.fromkeys(chamber.KINDS, each)
    parts = {}
    for split in SPLITS:
        labels = labels_of(counts, split)
        parts[split] = (chamber.images(labels, SEEDS[split]), labels)
    write(folder, "pixel_charge", parts, chamber.KINDS)


def in_bits(classifier: LogisticRegression, types: tuple) -> Graph:
    """The graph of a linear classifier whose weights are rounded to 8 bits."""
    largest = np.abs(classifier.coef_).max()
    step = 2.0 ** (np.ceil(np.log2(largest)) - WEIGHT_BITS + 1)
    builder = Builder(types)
    weights, bias = (
        constant(np.rint(values / step) * step)
        for values in (classifier.coef_.T, classifier.intercept_)
    )
    return builder.graph(builder.dense("scores", builder.last, weights, bias))


def linear(events: dict[str, Events], types: tuple) -> Method:
    classifier = LogisticRegression(C=0.01, max_iter=300)
    classifier.fit(events["train"].x / chamber.LEVELS, events["train"].y)
    classifier.coef_ = classifier.coef_ / chamber.LEVELS
    graph = in_bits(classifier, types)
    return Method("linear, in bits", predict(graph, events["test"].x.astype(float)), graph)


def trees(events: dict[str, Events]) -> Method:
    classifier = HistGradientBoostingClassifier(
        max_iter=TREES, early_stopping=False, max_features=0.1, random_state=1
    )
    classifier.fit(events["train"].x, events["train"].y)
    return Method(f"boosted trees, {TREES} a kind", classifier.predict_proba(events["test"].x))


def methods(made: Trained) -> list[Method]:
    firmware = run(made.graph, made.events["test"].x)
    in_float = fit.scores(made.in_float, made.events["test"].x.astype(float))
    return [
        linear(made.events, made.graph.input.types),
        trees(made.events),
        Method("convolution, float", in_float),
        Method("convolution, in bits", firmware, made.graph),
    ]


def comparison(found: list[Method], y: np.ndarray) -> list[str]:
    """Accuracies on the test events, and sizes of what is in bits."""
    lines = ["| method | accuracy | LUT, estimated | cycles |", "|---|---:|---:|---:|"]
    for method in found:
        cost = ["", ""] if method.graph is None else size(method.graph)
        right = method.scores.argmax(axis=1) == y
        lines.append(row([method.name, percent(share(right)), *cost]))
    return lines


def confusion(scores: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A row for each true kind: the shares that are put into each kind."""
    count = len(chamber.KINDS)
    found = [scores[y == number].argmax(axis=1) for number in range(count)]
    return np.stack([np.bincount(kinds, minlength=count) / len(kinds) for kinds in found])


def confusion_table(shares: np.ndarray) -> list[str]:
    lines = [row(["true kind", *chamber.KINDS]), f"|---|{'---:|' * len(chamber.KINDS)}"]
    for kind, line in zip(chamber.KINDS, shares, strict=True):
        lines.append(row([kind, *(f"{100 * share:.1f} %" for share in line)]))
    return lines


def examples(events: Events) -> dict[str, list[int]]:
    """The first plane of the first image of each kind."""
    first = [int(np.flatnonzero(events.y == number)[0]) for number in range(len(chamber.KINDS))]
    pixels = events.x[first, : chamber.PIXELS**2]
    return dict(zip(chamber.KINDS, pixels.tolist(), strict=True))


def configurations(folder: Path) -> None:
    """What each of them reaches on the validation images."""
    head = ["filters, hidden neurons, pruned", "validation accuracy", "LUT, estimated", "cycles"]
    print(row(head), "|---|---:|---:|---:|", sep="\n")
    for filters, hidden, pruned in CONFIGURATIONS:
        name = f"{filters}, {hidden}, {100 * pruned:.0f} %"
        print(row([name, *accuracy(folder, filters, hidden, pruned)]), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument(
        "--configurations", action="store_true", help="only compare networks on validation images"
    )
    parser.add_argument("--output", type=Path, default=Path("build/images"))
    given = parser.parse_args()
    folder = trigger_folder("neutrino", given.output)
    write_events(folder, given.events)
    keras_backend.start()
    if given.configurations:
        configurations(folder)
        return
    made = trained(folder)
    found = methods(made)
    test = made.events["test"]
    shares = confusion(found[-1].scores, test.y)
    print("\n".join([*comparison(found, test.y), "", *confusion_table(shares)]))
    kept = {"comparison": comparison(found, test.y), "confusion": shares.tolist()}
    RESULTS.write_text(json.dumps(kept | {"examples": examples(test)}) + "\n")


if __name__ == "__main__":
    main()

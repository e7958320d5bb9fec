"""A trained forest as the network of a build: its leaves rounded as trigger.toml asks."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trigger.errors import TriggerError
from trigger.events.dataset import Events
from trigger.fixedpoint.types import Integers
from trigger.frontends.trees import conifer
from trigger.frontends.trees.forest import Forest
from trigger.frontends.trees.network import ends
from trigger.frontends.trees.reading import is_forest, read
from trigger.frontends.trees.rounding import rounded
from trigger.physics.metrics import logits, of_classes
from trigger.spec.spec import Spec
from trigger.support.files import write_text
from trigger.training.calibrations import refuse_calibration

WIDTHS = range(2, 17)


class Row(NamedTuple):
    """The cost of a width: the mean AUC of the classes on validation events; ``loss`` against
    leaves that are not rounded.
    """

    bits: int
    auc: float
    loss: float


class Choice(NamedTuple):
    """The rounded forest, the bits of its leaves, and the table of widths, empty without labels."""

    forest: Forest
    bits: int
    rows: tuple[Row, ...]


def file_of(spec: Spec, folder: Path) -> Path | None:
    """The file of the forest in trigger.toml; None if its network is of Keras."""
    if spec.model.network is None or spec.model.weights is not None:
        return None
    path = folder / spec.model.network
    return path if is_forest(path) else None


def trained(spec: Spec, path: Path) -> Forest:
    """The forest in trigger.toml. Raises TriggerError if it does not fit the data."""
    forest = read(path)
    refuse_calibration(spec, path, "holds trees")
    check_names(forest, path, spec.data.features)
    if (forest.features, forest.outputs) == (len(spec.data.features), len(spec.scores)):
        return forest
    if forest.outputs == 1 and len(spec.data.classes) == 2 and spec.model.output is None:
        raise TriggerError(
            f"{path}: holds trees of one score; set model.output in trigger.toml to the class it "
            f"scores"
        )
    raise TriggerError(
        f"{path}: holds trees from {forest.features} features to {forest.outputs} scores; the data "
        f"needs {len(spec.data.features)} to {len(spec.scores)}"
    )


def check_names(forest: Forest, path: Path, features: list[str]) -> None:
    """Raise TriggerError if the file names the same features in another order."""
    if sorted(forest.names) == sorted(features) and list(forest.names) != features:
        raise TriggerError(
            f"{path}: its features are {', '.join(forest.names)}, in this order; order those of "
            f"the data alike"
        )


def choose(forest: Forest, events: Mapping[str, Events], spec: Spec) -> Choice:
    """The forest rounded as trigger.toml asks. Raises TriggerError if no width is good enough."""
    wanted = spec.quantization
    assert wanted is not None
    seen = events["validation"]
    leaves = forest.leaves(seen.x)

    def auc(one: Forest) -> float:
        return of_classes("auc", of_leaves(one, leaves), seen, spec.scoring)

    rows: list[Row] = []
    separating = [head for head in spec.scoring if not head.is_regression]
    if separating and (spec.data.label is not None or spec.heads):
        best = auc(forest)
        for bits in WIDTHS:
            measured = auc(rounded(forest, spec.input_types, bits))
            rows.append(Row(bits, measured, best - measured))
    bits = wanted.bits or _fewest(rows, wanted.max_auc_loss or 0)
    return Choice(rounded(forest, spec.input_types, bits), bits, tuple(rows))


def _fewest(rows: list[Row], most: float) -> int:
    good = [row.bits for row in rows if row.loss <= most]
    if not good:
        nearest = min(rows, key=lambda row: row.loss)
        raise TriggerError(
            f"quantization: no leaves of up to {WIDTHS[-1]} bits lose at most {most:g} of AUC; "
            f"{nearest.bits} bits lose {nearest.loss:.2g}; raise max_auc_loss"
        )
    return good[0]


def scores(forest: Forest, x: np.ndarray) -> np.ndarray:
    """The logits of a forest for real inputs, float64 of shape (events, outputs)."""
    return of_leaves(forest, forest.leaves(x))


def of_leaves(forest: Forest, leaves: Integers) -> np.ndarray:
    """The logits of events that reach these leaves."""
    return logits(forest.scores(leaves), ends(forest))


def save(forest: Forest, path: Path) -> None:
    """Write a forest in our own form, for the next stages."""
    write_text(path, json.dumps(conifer.document(forest)) + "\n")


def parameters(forest: Forest) -> int:
    """The numbers in a forest: thresholds and leaves."""
    return sum(2 * tree.splits + 1 for tree in forest.trees)

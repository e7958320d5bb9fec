"""The cross-validation of a build: mean and spread over its folds."""

from typing import NamedTuple

import numpy as np

from trigger.artifacts.folder import Build, read_json
from trigger.support.numbers import plain

_TITLES = {"auc": "AUC", "accuracy": "accuracy", "resolution": "resolution"}


class Spread(NamedTuple):
    """Mean and standard deviation of a metric over the folds."""

    mean: float
    deviation: float

    def __str__(self) -> str:
        return f"{plain(self.mean)} ± {plain(self.deviation, 2)}"


class Point(NamedTuple):
    """The metric after training on ``events`` events, on these and on the events kept back."""

    events: int
    training: Spread
    kept_back: Spread


class CrossValidated(NamedTuple):
    """The metric's ``title``, the number of folds, and a point for each number of events."""

    title: str
    folds: int
    points: tuple[Point, ...]


def cross_validated(build: Build) -> CrossValidated | None:
    """Read from the finished stage; None if the spec asks for no cross-validation."""
    asked = build.spec.cross_validation
    if asked is None:
        return None
    rows = read_json(build.root / "cross_validation" / "summary.json")["rows"]
    points = []
    for fraction in asked.fractions:
        folds = [row for row in rows if row["fraction"] == fraction]
        events = round(np.mean([row["events"] for row in folds]))
        spreads = (_spread([row[key] for row in folds]) for key in ("training", "kept_back"))
        points.append(Point(events, *spreads))
    return CrossValidated(_TITLES[asked.metric], asked.folds, tuple(points))


def _spread(values: list[float]) -> Spread:
    return Spread(float(np.mean(values)), float(np.std(values, ddof=1)))

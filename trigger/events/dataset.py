"""Events for a network: features, class numbers and weights, checked and split."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trigger.errors import TriggerError, quoted
from trigger.events.readers import place, read
from trigger.spec.tables import Data
from trigger.support.numbers import counted

SPLITS = ("train", "validation", "test")


class Events(NamedTuple):
    """``x`` (events, features) float64; ``y`` (events,) class numbers; ``weight`` (events,)
    float64.
    """

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray

    def take(self, rows: np.ndarray) -> "Events":
        """The events of these rows."""
        return Events(self.x[rows], self.y[rows], self.weight[rows])


class Loaded(NamedTuple):
    """``events`` of all files, and, if a column gives it, the split of each, as its number in
    ``SPLITS``.
    """

    events: Events
    split: np.ndarray | None


def load(data: Data, folder: Path, missing: bool = False) -> Loaded:
    """All events of the files, in order; with ``missing`` a feature may be NaN, as of an absent
    object.

    Raises TriggerError that names file, column and row of a fault.
    """
    parts = [_load_file(data, folder / name, missing) for name in data.files]
    events = Events(
        *(np.concatenate(columns) for columns in zip(*(part.events for part in parts), strict=True))
    )
    for number, name in enumerate(data.classes if data.label else ()):
        if not (events.y == number).any():
            raise TriggerError(
                f"{', '.join(data.files)}: no event of the class {quoted(name)} in the "
                f"column {quoted(data.label)}"
            )
    split = (
        np.concatenate([part.split for part in parts if part.split is not None])
        if data.split.column
        else None
    )
    return Loaded(events, split)


def features(
    path: Path, names: Sequence[str], tree: str | None = None, missing: bool = False
) -> np.ndarray:
    """The feature columns of one file, float64 of shape (events, features), checked."""
    columns = read(path, names, tree)
    _check_events(path, columns)
    for name, values in columns.items():
        _check_numbers(path, name, values, missing)
    return np.stack([columns[name].astype(np.float64) for name in names], axis=1)


def numeric_columns(path: Path) -> dict[str, np.ndarray]:
    """All numeric columns of one file, in order, float64 of shape (events,), checked."""
    columns = read(path, None)
    _check_events(path, columns)
    numbers = {name: values for name, values in columns.items() if values.dtype.kind in "biuf"}
    if not numbers:
        raise TriggerError(f"{path}: no numeric column; the columns are {', '.join(columns)}")
    for name, values in numbers.items():
        _check_numbers(path, name, values)
    return {name: values.astype(np.float64) for name, values in numbers.items()}


def split(loaded: Loaded, data: Data) -> dict[str, Events]:
    """Train, validation and test events, by a column or with equal fractions of each class;
    disjoint.

    Raises TriggerError if a class would be missing from one of them.
    """
    rng = np.random.default_rng(data.seed)
    events = loaded.events
    chosen: dict[str, list[np.ndarray]] = {name: [] for name in SPLITS}
    for number, label in enumerate(data.classes if data.label else ("events",)):
        rows = rng.permutation(np.flatnonzero(events.y == number))
        ends = np.rint(np.cumsum([data.split.train, data.split.validation]) * len(rows)).astype(int)
        parts = np.split(rows, ends)
        if loaded.split is not None:
            parts = [rows[loaded.split[rows] == place] for place in range(len(SPLITS))]
        for name, part in zip(SPLITS, parts, strict=True):
            if len(part) == 0:
                raise TriggerError(
                    f"the class {quoted(label)} has {counted(len(rows), 'event')}, "
                    f"not enough for one in the {name} split"
                )
            if not events.weight[part].any():
                raise TriggerError(
                    f"the weights of all events of the class {quoted(label)} in the {name} split "
                    f"are 0; give some of them a weight, or remove the class"
                )
            chosen[name].append(part)
    return {name: events.take(np.sort(np.concatenate(parts))) for name, parts in chosen.items()}


def _load_file(data: Data, path: Path, missing: bool) -> Loaded:
    names = [name for name in (*data.features, data.label, data.weight, data.split.column) if name]
    columns = read(path, names, data.tree)
    _check_events(path, columns)
    for name in names:
        if name not in (data.label, data.split.column):
            _check_numbers(path, name, columns[name], missing and name != data.weight)
    x = np.stack([columns[name].astype(np.float64) for name in data.features], axis=1)
    weight = columns[data.weight].astype(np.float64) if data.weight else np.ones(len(x))
    if (weight < 0).any():
        raise TriggerError(
            f"{path}: column {quoted(data.weight)}, "
            f"{place(path, int(np.argmax(weight < 0)))}: a negative weight"
        )
    with np.errstate(over="ignore"):
        total = weight.sum() ** 2
    if not np.isfinite(total):
        raise TriggerError(
            f"{path}: column {quoted(data.weight)}: the sum of the weights overflows; "
            f"scale them down"
        )
    y = np.zeros(len(x), dtype=np.int64)
    if data.label is not None:
        y = _numbers(path, data.label, data.classes, columns[data.label], "classes")
    column = data.split.column
    return Loaded(
        Events(x, y, weight),
        _numbers(path, column, SPLITS, columns[column], "splits") if column else None,
    )


def _check_events(path: Path, columns: Mapping[str, np.ndarray]) -> None:
    if not any(len(values) for values in columns.values()):
        raise TriggerError(f"{path}: no events")


def _check_numbers(path: Path, name: str, values: np.ndarray, missing: bool = False) -> None:
    if values.dtype.kind not in "biuf":
        raise TriggerError(f"{path}: column {quoted(name)} is text, not numbers")
    bad = (
        np.isinf(values.astype(np.float64)) if missing else ~np.isfinite(values.astype(np.float64))
    )
    if bad.any():
        row = int(np.argmax(bad))
        raise TriggerError(
            f"{path}: column {quoted(name)}, {place(path, row)}: {values[row]} is not a "
            f"finite number"
        )


def _numbers(
    path: Path, column: str, names: Sequence[str], labels: np.ndarray, what: str
) -> np.ndarray:
    """The number of each label; labels are names, or numbers from 0 in the order of ``names``."""
    if labels.dtype.kind in "US":
        texts = labels.astype(str)
    else:
        with np.errstate(invalid="ignore"):  # NaN counts as out of range below
            numbers = labels.astype(np.int64)
        texts = np.array(names)[np.clip(numbers, 0, len(names) - 1)]
        outside = (labels != np.floor(labels)) | (labels < 0) | (labels >= len(names))
        texts = np.where(outside, labels.astype(str), texts)
    known = np.isin(texts, names)
    if not known.all():
        row = int(np.argmin(known))
        raise TriggerError(
            f"{path}: column {quoted(column)}, {place(path, row)}: {labels[row]!s} is "
            f"none of the {what} {', '.join(names)}"
        )
    order = np.argsort(names)
    return order[np.searchsorted(np.array(names)[order], texts)]

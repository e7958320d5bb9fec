"""Events for a network: features, class numbers and weights, checked and split."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from trigger.errors import TriggerError, quoted
from trigger.events import sources
from trigger.events.blocks import Span
from trigger.events.lists import elements
from trigger.events.readers import Columns, Rows, Wanted, read
from trigger.spec.head_tables import Head, Scoring
from trigger.spec.input_tables import Inputs
from trigger.spec.tables import Data
from trigger.support.numbers import counted

SPLITS = ("train", "validation", "test")
# Squares of weights, and their sums, must fit into a float64.
_MOST_WEIGHT = 1e140


class Events(NamedTuple):
    """``x`` (events, features) float64; ``y`` (events,) class numbers; ``weight`` (events,)
    float64.

    ``truth`` (events, heads) float64 has what each head of a network with several learns, a class
    number or a value: NaN where an event has none. It is None for a network with one head.
    ``nuisance`` (events,) is what adversarial training makes the scores independent of.
    """

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    truth: np.ndarray | None = None
    nuisance: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> "Events":
        """The events of these rows."""
        truth, nuisance = (
            None if part is None else part[rows] for part in (self.truth, self.nuisance)
        )
        return Events(self.x[rows], self.y[rows], self.weight[rows], truth, nuisance)

    def of(self, head: Scoring) -> tuple["Events", np.ndarray]:
        """The events that have a truth for a head, with that as ``y``, and their rows."""
        if head.column is None or self.truth is None:
            return self, np.arange(len(self.y))
        truth = self.truth[:, head.column]
        rows = np.flatnonzero(~np.isnan(truth))
        y = truth[rows] if head.is_regression else truth[rows].astype(np.int64)
        return self.take(rows)._replace(y=y), rows


class Change(Protocol):
    """A change of the columns of a file: as they are read, and as objects are chosen from lists."""

    def columns(self, columns: Columns) -> Columns: ...

    def chosen(self, columns: Columns) -> Columns: ...


class Loaded(NamedTuple):
    """``events`` of all files, and, if a column gives it, the split of each, as its number in
    ``SPLITS``.
    """

    events: Events
    split: np.ndarray | None


def load(
    data: Data,
    folder: Path,
    inputs: Inputs | None = None,
    heads: Mapping[str, Head] | None = None,
    change: Change | None = None,
    nuisance: str | None = None,
) -> Loaded:
    """All events of the files, in order, or of the source. With objects in ``inputs`` a feature may
    be NaN, as of an absent object, and a file may have the objects as lists. ``heads`` need their
    truth. A ``change`` is made to the columns first. ``nuisance`` is a column of its own.

    Raises TriggerError that names file, column and row of a fault.
    """
    asked = _asked(data, inputs, heads or {}, nuisance)
    parts = [
        _loaded(
            data, where, _prepared(where, columns, inputs, change), inputs, heads or {}, nuisance
        )
        for where, columns in _given(data, folder, asked)
    ]
    events = joined([part.events for part in parts])
    for number, name in enumerate(data.classes if data.label else ()):
        if not (events.y == number).any():
            origin = ", ".join(data.files) or f"source {data.source}"
            raise TriggerError(
                f"{origin}: no event of the class {quoted(name)} in the column {quoted(data.label)}"
            )
    split = (
        np.concatenate([part.split for part in parts if part.split is not None])
        if data.split.column
        else None
    )
    return Loaded(events, split)


class Block(NamedTuple):
    """Events of some rows of a file: ``x`` (events, features) float64; ``y`` and ``weight`` are
    None where the file has no column for them.
    """

    x: np.ndarray
    y: np.ndarray | None
    weight: np.ndarray | None


def block(where: Rows, columns: Columns, data: Data, inputs: Inputs) -> Block:
    """The events of columns that were read of a file, checked as by ``load``."""
    columns = _with_elements(where, columns, inputs)
    x = _matrix(where, data.features, columns, bool(inputs.objects))
    y = weight = None
    if data.label in columns:
        y = _numbers(where, data.label, data.classes, columns[data.label], "classes")
    if data.weight in columns:
        weight = _weights(where, data.weight, columns[data.weight])
    return Block(x, y, weight)


def features(
    path: Path, names: Sequence[str], tree: str | None = None, inputs: Inputs | None = None
) -> np.ndarray:
    """The feature columns of one file, float64 of shape (events, features), checked; ``inputs`` as
    for ``load``.
    """
    where = Rows(path)
    lists = None if inputs is None else inputs.lists()
    columns = _prepared(where, read(path, names, tree, lists), inputs)
    _check_events(where, columns)
    return _matrix(where, names, columns, inputs is not None and bool(inputs.objects))


def numeric_columns(path: Path) -> dict[str, np.ndarray]:
    """All numeric columns of one file, in order, float64 of shape (events,), checked."""
    columns = read(path, None)
    _check_events(Rows(path), columns)
    numbers = {name: values for name, values in columns.items() if values.dtype.kind in "biuf"}
    if not numbers:
        raise TriggerError(f"{path}: no numeric column; the columns are {', '.join(columns)}")
    for name, values in numbers.items():
        _check_numbers(Rows(path), name, values)
    return {name: values.astype(np.float64) for name, values in numbers.items()}


def joined(parts: Sequence[Events]) -> Events:
    """The events of all parts, in order."""
    x, y, weight = (np.concatenate([part[k] for part in parts]) for k in range(3))
    truth = [part.truth for part in parts if part.truth is not None]
    nuisance = [part.nuisance for part in parts if part.nuisance is not None]
    return Events(
        x,
        y,
        weight,
        np.concatenate(truth) if truth else None,
        np.concatenate(nuisance) if nuisance else None,
    )


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


def check_truth(splits: Mapping[str, Events], heads: Sequence[Scoring]) -> None:
    """Raise TriggerError if a head has no truth, or lacks a class, in one of the splits."""
    for head in heads:
        if head.column is None:
            continue
        for split_name, events in splits.items():
            seen, _ = events.of(head)
            if not len(seen.y) or not seen.weight.any():
                raise TriggerError(
                    f"heads.{head.name}: no event of the {split_name} split has a truth "
                    f"and a weight"
                )
            absent = [c for k, c in enumerate(head.classes) if not seen.weight[seen.y == k].any()]
            if absent:
                raise TriggerError(
                    f"heads.{head.name}: no event of the class {quoted(absent[0])} in the "
                    f"{split_name} split has a weight"
                )


def _asked(
    data: Data, inputs: Inputs | None, heads: Mapping[str, Head], nuisance: str | None
) -> Wanted:
    """The columns of a spec; fields of objects may be lists, and some columns have no value."""
    asked = (*data.features, data.label, data.weight, data.split.column, nuisance)
    of_heads = [column for head in heads.values() for column in (head.label, head.mask)]
    names = [name for name in dict.fromkeys((*asked, *of_heads)) if name]
    gaps = [head.label for head in heads.values() if head.mask and head.label]
    return Wanted(names, {} if inputs is None else inputs.lists(), gaps)


def _given(data: Data, folder: Path, asked: Wanted) -> Iterator[tuple[Rows, Columns]]:
    """The columns of each file, or of each block of a source."""
    for name in data.files:
        path = folder / name
        yield Rows(path), read(path, asked.names, data.tree, asked.lists, asked.gaps)
    if data.source is not None:
        assert data.events is not None
        everything = Span(0, data.events, 0, data.events)
        yield from sources.blocks(data, asked, everything, data.seed, sources.BUILD)


def _prepared(
    where: Rows, columns: Columns, inputs: Inputs | None, change: Change | None = None
) -> Columns:
    """The columns after a change, with the features of objects that are lists."""
    if change is not None:
        columns = change.columns(columns)
    return columns if inputs is None else _with_elements(where, columns, inputs, change)


def _with_elements(
    where: Rows, columns: Columns, inputs: Inputs, change: Change | None = None
) -> Columns:
    """The columns, and the features of objects that are lists in the file."""
    features = dict(columns)
    for name, collection in inputs.objects.items():
        chosen = elements(where, name, collection, features)
        features |= chosen if change is None else change.chosen(chosen)
    return features


def _matrix(
    where: Rows, names: Sequence[str], columns: Mapping[str, np.ndarray], missing: bool
) -> np.ndarray:
    """The columns as float64 of shape (events, columns), checked as by ``_check_numbers``."""
    for name in names:
        _check_numbers(where, name, columns[name], missing)
    x = np.empty((len(columns[names[0]]), len(names)))
    for k, name in enumerate(names):
        x[:, k] = columns[name]
    return x


def _weights(where: Rows, name: str, values: np.ndarray) -> np.ndarray:
    _check_numbers(where, name, values)
    weight = values.astype(np.float64)
    if (weight < 0).any():
        raise TriggerError(
            f"{where}: column {quoted(name)}, "
            f"{where.place(int(np.argmax(weight < 0)))}: a negative weight"
        )
    beyond = (weight > 0) & ((weight < 1 / _MOST_WEIGHT) | (weight > _MOST_WEIGHT))
    if beyond.any():
        row = int(np.argmax(beyond))
        raise TriggerError(
            f"{where}: column {quoted(name)}, {where.place(row)}: the square of the weight "
            f"{values[row]} has no room in a sum; scale the weights to about 1"
        )
    return weight


def _loaded(
    data: Data,
    where: Rows,
    columns: Columns,
    inputs: Inputs | None,
    heads: Mapping[str, Head],
    nuisance: str | None,
) -> Loaded:
    missing = inputs is not None and bool(inputs.objects)
    _check_events(where, columns)
    x = _matrix(where, data.features, columns, missing)
    weight = _weights(where, data.weight, columns[data.weight]) if data.weight else np.ones(len(x))
    y = np.zeros(len(x), dtype=np.int64)
    if data.label is not None:
        y = _numbers(where, data.label, data.classes, columns[data.label], "classes")
    column = data.split.column
    truth = [_truth(where, head, data, columns) for head in heads.values()]
    return Loaded(
        Events(
            x,
            y,
            weight,
            np.stack(truth, axis=1) if truth else None,
            None if nuisance is None else _matrix(where, [nuisance], columns, False)[:, 0],
        ),
        _numbers(where, column, SPLITS, columns[column], "splits") if column else None,
    )


def _truth(where: Rows, head: Head, data: Data, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """What a head learns, float64 of shape (events,): NaN where its mask is 0."""
    label = head.label or data.label
    assert label is not None
    given = columns[label]
    present = np.full(len(given), True)
    if head.mask is not None:
        _check_numbers(where, head.mask, columns[head.mask])
        present = columns[head.mask] != 0
    truth = np.full(len(given), np.nan)
    rows = np.flatnonzero(present)
    if head.task == "regression":
        _check_numbers(where, label, given, rows=rows)
        truth[rows] = given[rows]
    else:
        classes = head.classes or data.classes
        truth[rows] = _numbers(where, label, classes, given, "classes", rows)
    return truth


def _check_events(where: Rows, columns: Mapping[str, np.ndarray]) -> None:
    if not any(len(values) for values in columns.values()):
        raise TriggerError(f"{where}: no events")


def _check_numbers(
    where: Rows,
    name: str,
    values: np.ndarray,
    missing: bool = False,
    rows: np.ndarray | None = None,
) -> None:
    """Raise TriggerError unless the values, in these rows, are numbers; finite, or NaN if
    ``missing``.
    """
    if values.dtype.kind not in "biuf":
        raise TriggerError(f"{where}: column {quoted(name)} is text, not numbers")
    numbers = values if rows is None else values[rows]
    if numbers.dtype.kind != "f":
        return
    if numbers.dtype.itemsize > 8:
        numbers = numbers.astype(np.float64)
    bad = np.isinf(numbers) if missing else ~np.isfinite(numbers)
    if bad.any():
        number = int(np.argmax(bad))
        row = number if rows is None else int(rows[number])
        raise TriggerError(
            f"{where}: column {quoted(name)}, {where.place(row)}: {values[row]} is not a "
            f"finite number"
        )


def _numbers(
    where: Rows,
    column: str,
    names: Sequence[str],
    labels: np.ndarray,
    what: str,
    rows: np.ndarray | None = None,
) -> np.ndarray:
    """The number of each label, of all or of these rows; labels are names, or numbers from 0 in the
    order of ``names``. If all names are whole numbers, a number is a name.
    """
    rows = np.arange(len(labels)) if rows is None else rows
    labels = labels[rows]
    if labels.dtype.kind in "US":
        texts = labels.astype(str)
        whole = np.full(len(texts), True)
    else:
        with np.errstate(invalid="ignore"):  # NaN counts as out of range below
            numbers = labels.astype(np.int64)
        whole = labels == np.floor(labels)
        if all(re.fullmatch("-?[0-9]+", name) for name in names):
            texts = numbers.astype(str)
        else:
            texts = np.array(names)[np.clip(numbers, 0, len(names) - 1)]
            whole &= (labels >= 0) & (labels < len(names))
    known = np.isin(texts, names) & whole
    if not known.all():
        wrong = int(np.argmin(known))
        raise TriggerError(
            f"{where}: column {quoted(column)}, {where.place(int(rows[wrong]))}: {labels[wrong]!s} "
            f"is none of the {what} {', '.join(names)}"
        )
    order = np.argsort(names)
    return order[np.searchsorted(np.array(names)[order], texts)]

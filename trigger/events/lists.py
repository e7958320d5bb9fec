"""Objects that an event file holds as lists: a column for each field, a list for each event."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from trigger.errors import TriggerError, quoted
from trigger.events.readers import place
from trigger.spec.input_tables import HardwareObject


def elements(
    path: Path, name: str, kind: HardwareObject, columns: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """The features of the objects of one kind, float64 of shape (events,), from its columns of
    lists in a file, (events, longest list); none if the file has no such column.

    They are the first objects of each list, or those with the largest ``order_by``. Absent objects
    are NaN. Raises TriggerError if only some fields are lists, or if the lists of an event have
    different lengths.
    """
    lists = {
        field: columns[f"{name}_{field}"]
        for field in kind.fields
        if columns.get(f"{name}_{field}", np.empty(0)).ndim == 2
    }
    if not lists:
        return {}
    single = [field for field in kind.fields if field not in lists]
    if single:
        raise TriggerError(
            f"{path}: the column {quoted(f'{name}_{next(iter(lists))}')} has a list of objects in "
            f"each row, but their field {quoted(single[0])} has columns of numbers; write all "
            f"fields as lists, or none"
        )
    _check_lengths(path, name, lists)
    if kind.order_by in lists:
        # NaN, which stands for no object, comes last.
        order = np.argsort(-lists[kind.order_by], axis=1, kind="stable")
        lists = {field: np.take_along_axis(v, order, axis=1) for field, v in lists.items()}
    found = {}
    for number in range(len(kind.at)):
        for feature, field in zip(kind.features(name, number), kind.fields, strict=True):
            values = lists[field]
            absent = np.full(len(values), np.nan)
            found[feature] = values[:, number] if number < values.shape[1] else absent
    return found


def _check_lengths(path: Path, name: str, lists: Mapping[str, np.ndarray]) -> None:
    """Raise TriggerError unless all fields have as many objects in each event."""
    lengths = {field: _lengths(values) for field, values in lists.items()}
    first, *others = lengths
    for field in others:
        apart = lengths[field] != lengths[first]
        if apart.any():
            row = int(np.argmax(apart))
            raise TriggerError(
                f"{path}: {place(path, row)}: column {quoted(f'{name}_{first}')} has "
                f"{lengths[first][row]} objects, {quoted(f'{name}_{field}')} has "
                f"{lengths[field][row]}"
            )


def _lengths(values: np.ndarray) -> np.ndarray:
    """The number of objects of each event: up to the last that is not NaN."""
    present = ~np.isnan(values)
    last = values.shape[1] - np.argmax(present[:, ::-1], axis=1)
    return np.where(present.any(axis=1), last, 0)

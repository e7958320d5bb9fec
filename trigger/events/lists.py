"""Objects that an event file holds as lists: a column for each field, a list for each event."""

from collections.abc import Mapping

import numpy as np

from trigger.errors import TriggerError, quoted
from trigger.events.readers import Rows
from trigger.spec.input_tables import HardwareObject


def elements(
    where: Rows, name: str, collection: HardwareObject, columns: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """The features of the objects of one kind, float64 of shape (events,), from its columns of
    lists in a file, (events, longest list); none if the file has no such column.

    They are the first objects of each list, or those with the largest ``order_by`` of those that
    have all their fields. Absent objects are NaN. Raises TriggerError if the file has numbered
    columns of this kind, too, or if the lists of an event have different lengths.
    """
    lists = {
        field: columns[f"{name}_{field}"]
        for field in collection.fields
        if columns.get(f"{name}_{field}", np.empty(0)).ndim == 2
    }
    if not lists:
        return {}
    numbered = [
        feature
        for number in range(len(collection.at))
        for feature in collection.features(name, number)
        if feature in columns
    ]
    if numbered:
        raise TriggerError(
            f"{where}: has the objects {quoted(name)} as lists, in the column "
            f"{quoted(f'{name}_{next(iter(lists))}')}, and in columns of numbers, such as "
            f"{quoted(numbered[0])}; keep one of the two"
        )
    _check_lengths(where, name, lists)
    values = np.stack([np.ma.filled(lists[field], np.nan) for field in collection.fields])
    if collection.order_by is not None:
        key = values[list(collection.fields).index(collection.order_by)].copy()
        key[np.isnan(values).any(axis=0)] = np.nan
        # NaN, which stands for no object, comes last.
        values = np.take_along_axis(values, np.argsort(-key, axis=1, kind="stable")[None], axis=2)
    missing = max(len(collection.at) - values.shape[2], 0)
    values = np.pad(values, ((0, 0), (0, 0), (0, missing)), constant_values=np.nan)
    return {
        feature: values[k, :, number]
        for number in range(len(collection.at))
        for k, feature in enumerate(collection.features(name, number))
    }


def _check_lengths(where: Rows, name: str, lists: Mapping[str, np.ndarray]) -> None:
    """Raise TriggerError unless all fields have as many objects in each event."""
    lengths = {field: np.ma.count(values, axis=1) for field, values in lists.items()}
    first, *others = lengths
    for field in others:
        apart = lengths[field] != lengths[first]
        if apart.any():
            row = int(np.argmax(apart))
            raise TriggerError(
                f"{where}: {where.place(row)}: column {quoted(f'{name}_{first}')} has "
                f"{lengths[first][row]} objects, {quoted(f'{name}_{field}')} has "
                f"{lengths[field][row]}"
            )

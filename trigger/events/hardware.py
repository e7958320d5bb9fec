"""Events in hardware units: integers, objects in order, missing ones zero."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trigger.events import dataset
from trigger.events.dataset import Events
from trigger.events.repeated import repeated
from trigger.fixedpoint.types import Integers, bounds
from trigger.spec.input_tables import HardwareObject
from trigger.spec.spec import Spec

# Events at a time: few enough to stay in the processor's cache.
_BLOCK = 2048


class Hardware(NamedTuple):
    """``x`` (events, features), integers, and the number of saturated values per feature."""

    x: Integers
    saturated: Integers


class Splits(NamedTuple):
    """``events`` in integers by split, the number of ``saturated`` values per feature, and the
    events of validation and test that are ``repeated`` training events, before rounding.
    """

    events: dict[str, Events]
    saturated: Integers
    repeated: dict[str, int]


def to_hardware(x: np.ndarray, spec: Spec) -> Hardware:
    """Values of event files, float64 (events, features), as the integers on the links.

    Values are rounded half to even and saturated. With ``inputs.objects`` they are in units of the
    LSB of each field, and angles wrap. An object with a NaN, or whose ``order_by`` field is not
    positive, is missing and zero in all fields. Objects are sorted by descending ``order_by``.
    """
    low, high = bounds(spec.input_types)
    steps = np.array([2.0**-t.fraction for t in spec.input_types])
    fields = {name: place.field for name, place in spec.inputs.fields().items()}
    if fields and spec.inputs.units == "physical":
        steps = np.array([fields[name].lsb for name in spec.data.features])
    turns = {}
    for k, name in enumerate(spec.data.features):
        if fields and fields[name].wraps:
            turn = round(2 * np.pi / fields[name].lsb)
            turns[k] = turn, -(turn // 2) if fields[name].signed else 0
    objects = list(_objects(spec))
    integers = np.empty(x.shape, dtype=np.int64)
    saturated = np.zeros(x.shape[1], dtype=np.int64)
    for start in range(0, len(x), _BLOCK):
        rows = slice(start, start + _BLOCK)
        with np.errstate(invalid="ignore"):
            rounded = x[rows] / steps
            np.rint(rounded, out=rounded)
        for k, (turn, first) in turns.items():
            angle = rounded[:, k]
            if ((angle < first) | (angle >= first + turn)).any():
                rounded[:, k] = (angle - first) % turn + first
        for collection, places in objects:
            _in_order(rounded, collection, places)
        saturated += ((rounded < low) | (rounded > high)).sum(axis=0)
        integers[rows] = np.clip(rounded, low, high, out=rounded)
    return Hardware(integers, saturated)


def splits(spec: Spec, folder: Path) -> Splits:
    """The train, validation and test events of a spec in integers.

    ``folder`` holds the files. Raises TriggerError as ``dataset.load`` and ``dataset.split`` do.
    """
    loaded = dataset.load(spec.data, folder, spec.inputs, spec.heads)
    shares = dataset.split(loaded, spec.data)
    if spec.heads:
        dataset.check_truth(shares, spec.scoring)
    made = {name: to_hardware(events.x, spec) for name, events in shares.items()}
    return Splits(
        {name: events._replace(x=made[name].x) for name, events in shares.items()},
        np.sum([hardware.saturated for hardware in made.values()], axis=0),
        repeated(shares),
    )


def to_real(integers: dict[str, Events], spec: Spec) -> dict[str, Events]:
    """Events in integers with ``x`` as their real values, float64."""
    step = np.array([2.0**-t.fraction for t in spec.input_types])
    return {name: events._replace(x=events.x * step) for name, events in integers.items()}


def structured(spec: Spec, events: int, seed: int) -> Integers:
    """Random integers in hardware form: objects in order, missing ones zero, some saturated.

    Shape (events, features). The first event is all zeros, the last has every object with all
    fields at their ends. Empty without ``inputs.objects``.
    """
    objects = list(_objects(spec))
    if not objects:
        return np.empty((0, len(spec.data.features)), dtype=np.int64)
    rng = np.random.default_rng(seed)
    low, high = bounds(spec.input_types)
    # Few values are large: a random number of bits, then random bits.
    shift = rng.integers(
        0, np.maximum(np.frexp(high.astype(np.float64))[1], 1), (events, len(high))
    )
    x = rng.integers(low, high + 1, (events, len(high))) >> shift
    x = np.where(rng.random(x.shape) < 0.05, high, x).astype(np.float64)
    for _, places in objects:
        present = rng.integers(0, len(places) + 1, events)
        for number, columns in enumerate(places):
            x[np.flatnonzero(number >= present)[:, None], columns] = 0
    for collection, places in objects:
        _in_order(x, collection, places)
    x[0] = 0
    x[-1] = high
    return x.astype(np.int64)


def _objects(spec: Spec) -> Iterator[tuple[HardwareObject, list[list[int]]]]:
    """Each kind of object in the features, with the columns of the fields of each object."""
    place = {name: number for number, name in enumerate(spec.data.features)}
    for name, collection in spec.inputs.objects.items():
        objects = (collection.features(name, number) for number in range(len(collection.at)))
        columns = [
            [place[feature] for feature in features] for features in objects if features[0] in place
        ]
        if columns:
            yield collection, columns


def _in_order(x: np.ndarray, collection: HardwareObject, places: list[list[int]]) -> None:
    """Set missing objects to zero and sort the others, in place."""
    columns = np.concatenate(places)
    objects = x[:, columns].reshape(len(x), len(places), -1)
    missing = ~np.isfinite(objects).all(axis=2)
    if collection.order_by is None:
        objects[missing] = 0
    else:
        key = objects[..., list(collection.fields).index(collection.order_by)]
        missing |= ~(key > 0)
        objects[missing] = 0
        # Most events come in order, and a stable sort leaves them as they are.
        rows = np.flatnonzero((key[:, 1:] > key[:, :-1]).any(axis=1))
        order = np.argsort(-key[rows], axis=1, kind="stable")
        objects[rows] = np.take_along_axis(objects[rows], order[..., None], axis=1)
    x[:, columns] = objects.reshape(len(x), -1)

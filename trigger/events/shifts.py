"""Named shifts of the inputs, applied to the columns of event files in physical units."""

from pathlib import Path

import numpy as np

from trigger.errors import TriggerError
from trigger.events import dataset
from trigger.events.dataset import Events
from trigger.events.hardware import to_hardware
from trigger.events.readers import Columns
from trigger.fixedpoint.types import Integers
from trigger.spec.shift_tables import Shift
from trigger.spec.spec import Spec


class Shifting:
    """A shift that is applied file after file, with one sequence of random numbers.

    A field that files hold as lists is shifted before the objects are chosen that the trigger
    reads, unless only some of the objects are shifted. With ``drawn`` each event has a shift of a
    size of its own, which ``sizes`` keeps by file: between 0, none, and 1, the whole; or from -1,
    the opposite, for a scale and an offset.
    """

    def __init__(self, shift: Shift, spec: Spec, drawn: bool = False) -> None:
        self._shift = shift
        self._drawn = drawn
        self.sizes: list[np.ndarray] = []
        self._features = set(spec.shifted(shift))
        self._random = np.random.default_rng(shift.seed)
        self._in_lists = {
            column: [feature for feature, name in spec.inputs.lists().items() if name == column]
            for column in spec.inputs.lists().values()
        }
        self._keys = _keys(spec)
        fields = spec.inputs.fields() if spec.inputs.units == "hardware" else {}
        self._units = {name: place.field.lsb for name, place in fields.items()}

    def columns(self, columns: Columns) -> Columns:
        """The columns of a file, of numbers or of lists, as the shift leaves them."""
        if self._drawn:
            least = -1 if self._shift.kind in ("scale", "add") else 0
            events = len(next(iter(columns.values())))
            self.sizes.append(self._random.uniform(least, 1, events))
        return {**columns, **self._shifted(columns, self._features | self._whole_lists())}

    def chosen(self, columns: Columns) -> Columns:
        """The same for features chosen from lists that ``columns`` left unchanged."""
        done = {name for whole in self._whole_lists() for name in self._in_lists[whole]}
        return {**columns, **self._shifted(columns, self._features - done)}

    def _whole_lists(self) -> set[str]:
        """The columns of lists of which all objects are shifted."""
        return {
            column
            for column, features in self._in_lists.items()
            if self._features.issuperset(features)
        }

    def _shifted(self, columns: Columns, names: set[str]) -> Columns:
        return {
            name: self._one(name, values.astype(np.float64), columns)
            for name, values in columns.items()
            if name in names
        }

    def _one(self, name: str, values: np.ndarray, columns: Columns) -> np.ndarray:
        shift = self._shift
        size = self._size(values)
        changed: np.ndarray
        if shift.scale is not None:
            changed = values * shift.scale**size
        elif shift.smear is not None:
            factor = 1 + size * shift.smear * self._random.standard_normal(values.shape)
            changed = values * np.maximum(factor, 0)
        elif shift.dead is not None:
            changed = values * (self._random.random(values.shape) >= size * shift.dead)
        else:
            added = (
                size * np.full(values.shape, shift.add)
                if shift.poisson is None
                else self._random.poisson(size * shift.poisson, values.shape)
            )
            feature = self._in_lists.get(name, [name])[0]
            changed = values + added / self._units.get(feature, 1) * self._present(name, columns)
        return changed

    def _size(self, values: np.ndarray) -> np.ndarray | float:
        """The size of the shift of each event, with as many axes as ``values``."""
        if not self._drawn:
            return 1.0
        return self.sizes[-1] if values.ndim == 1 else self.sizes[-1][:, None]

    def _present(self, name: str, columns: Columns) -> np.ndarray | bool:
        """Where there is an object: nothing is added to one that is absent."""
        if name not in self._keys:
            return True
        with np.errstate(invalid="ignore"):
            return np.asarray(np.ma.filled(columns[self._keys[name]] > 0, False))


def shifted_test_events(spec: Spec, folder: Path, name: str, unshifted: Integers) -> Integers:
    """The test events of a spec in integers, shifted; ``unshifted`` are those without the shift.

    ``folder`` holds the files. Raises TriggerError if the shift changes none of them.
    """
    shift = spec.robustness[name]
    loaded = dataset.load(spec.data, folder, spec.inputs, spec.heads, Shifting(shift, spec))
    integers = to_hardware(dataset.split(loaded, spec.data)["test"].x, spec).x
    if (integers == unshifted).all():
        raise TriggerError(
            f"robustness.{name}: {shift} changes no input of the {len(integers):,} test events; "
            f"set a larger {shift.kind}, name other features, or remove the shift"
        )
    return integers


def nuisance_events(spec: Spec, folder: Path) -> dict[str, Events]:
    """The training and validation events of a spec in integers, with the nuisance of its adversary:
    the column that it names, or the size of the shift, drawn for each event.
    """
    adversary = spec.training.adversary
    assert adversary is not None
    column = adversary.nuisance
    change = (
        None
        if adversary.shift is None
        else Shifting(spec.robustness[adversary.shift], spec, drawn=True)
    )
    loaded = dataset.load(spec.data, folder, spec.inputs, spec.heads, change, column)
    if change is not None:
        events = loaded.events._replace(nuisance=np.concatenate(change.sizes))
        loaded = loaded._replace(events=events)
    shares = dataset.split(loaded, spec.data)
    return {
        name: shares[name]._replace(x=to_hardware(shares[name].x, spec).x)
        for name in ("train", "validation")
    }


def _keys(spec: Spec) -> dict[str, str]:
    """For each feature of an object that may be absent, and for its column of lists: the feature or
    column by which objects are ordered, which is positive where there is one.
    """
    keys: dict[str, str] = {}
    lists = spec.inputs.lists()
    for name, collection in spec.inputs.objects.items():
        if collection.order_by is None:
            continue
        place = list(collection.fields).index(collection.order_by)
        for number in range(len(collection.at)):
            features = collection.features(name, number)
            keys |= dict.fromkeys(features, features[place])
            if features[0] in lists:
                keys |= {lists[feature]: lists[features[place]] for feature in features}
    return keys

"""The table ``inputs`` of trigger.toml: the hardware types of the features, or the objects whose
fields they are.
"""

from collections import Counter
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, field_validator, model_validator

from trigger.errors import quoted
from trigger.fixedpoint.types import MAX_WIDTH, Fixed
from trigger.spec.tables import Name, Section, nearest
from trigger.support.spelling import read_type

_GRID = ("links", "per_link", "per_word", "bits")
_MOST_OBJECTS = 4096


def _type(text: str) -> str:
    return str(read_type(text))


class ObjectField(Section):
    """One field of an object: its first and last bit, counted from the lowest, its LSB, and the
    ``unit`` of that.

    An angle ``wraps``: 2 pi and 0 are the same.
    """

    bits: Annotated[list[int], Field(min_length=2, max_length=2)]
    signed: bool = False
    lsb: Annotated[float, Field(gt=1e-12, lt=1e12)] = 1.0
    unit: Name | None = None
    wraps: bool = False

    @model_validator(mode="after")
    def _is_range(self) -> "ObjectField":
        if not 0 <= self.bits[0] <= self.bits[1] < self.bits[0] + MAX_WIDTH:
            raise ValueError(
                f"bits are {self.bits}; write [first, last], with at most {MAX_WIDTH} bits"
            )
        return self

    @property
    def type(self) -> Fixed:
        width = self.bits[1] - self.bits[0] + 1
        return Fixed(self.signed, width, width)


class PlacedField(NamedTuple):
    """The field of one object, and the link, the word and the lowest bit at which it comes."""

    link: int
    word: int
    low: int
    field: ObjectField


class HardwareObject(Section):
    """Objects of one kind: ``at`` has link, word and lowest bit of each, or the grid that they
    form; sorted by descending ``order_by``.
    """

    at: Annotated[
        list[
            Annotated[list[Annotated[int, Field(ge=0, lt=4096)]], Field(min_length=3, max_length=3)]
        ],
        Field(min_length=1),
    ]
    fields: Annotated[dict[Name, ObjectField], Field(min_length=1)]
    order_by: str | None = None

    @field_validator("at", mode="before")
    @classmethod
    def _places(cls, value: Any) -> Any:
        return _grid(value) if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _has_order(self) -> "HardwareObject":
        if self.order_by is not None and self.order_by not in self.fields:
            raise ValueError(
                f"order_by is {quoted(self.order_by)}, which is not a "
                f"field{nearest(self.order_by, self.fields)}"
            )
        return self

    def features(self, name: str, number: int) -> list[str]:
        """The features that the fields of object ``number``, from 0, are."""
        return [f"{name}{number + 1 if len(self.at) > 1 else ''}_{field}" for field in self.fields]


def _grid(table: dict[str, Any]) -> list[list[int]]:
    """The places of objects that fill links in order: on each link ``per_link`` of them,
    ``per_word`` in a word, ``bits`` apart.
    """
    match [table.get(key) for key in _GRID]:
        case [[int(first), int(last)], int(per_link), int(per_word), int(bits)] if (
            len(table) == len(_GRID)
            and bool not in map(type, (first, last, per_link, per_word, bits))
            and 0 <= first <= last
            and min(per_link, per_word, bits) > 0
            and (last - first + 1) * per_link <= _MOST_OBJECTS
        ):
            return [
                [link, number // per_word, number % per_word * bits]
                for link in range(first, last + 1)
                for number in range(per_link)
            ]
    raise ValueError(
        f"not a grid of at most {_MOST_OBJECTS} objects; write {{ links = [first, last], "
        f"per_link = 14, per_word = 4, bits = 16 }}, or a list of [link, word, bit]"
    )


class Inputs(Section):
    """The hardware type of the features: ``type`` for all, ``types`` for single ones by name, or
    ``objects`` with their bits.

    ``units`` says whether the files hold the objects in physical units or as the hardware's
    integers.
    """

    type: str | None = None
    types: dict[str, str] = Field(default_factory=dict)
    word_bits: Annotated[int, Field(ge=8, le=64)] = 64
    objects: dict[Name, HardwareObject] = Field(default_factory=dict)
    units: Literal["physical", "hardware"] = "physical"

    @field_validator("type")
    @classmethod
    def _is_type(cls, value: str | None) -> str | None:
        return None if value is None else _type(value)

    @field_validator("types")
    @classmethod
    def _are_types(cls, value: dict[str, str]) -> dict[str, str]:
        return {name: _type(text) for name, text in value.items()}

    @model_validator(mode="after")
    def _fits_the_links(self) -> "Inputs":
        if self.objects and (self.type is not None or self.types):
            raise ValueError("set either type and types, or objects, whose bits define their types")
        if self.units == "hardware" and not self.objects:
            raise ValueError("units is for objects; other features are in the units of their types")
        repeated = self._repeated_feature()
        if repeated is not None:
            raise ValueError(
                f"objects: two fields are the feature {quoted(repeated)}; rename one of them"
            )
        taken: dict[tuple[int, int, int], str] = {}
        for name, (link, word, low, field) in self.fields().items():
            last = low + field.type.width - 1
            if last >= self.word_bits:
                raise ValueError(
                    f"{name} takes bits {low} to {last} of word {word} of link {link}; "
                    f"a word has {self.word_bits}"
                )
            for bit in range(low, last + 1):
                other = taken.setdefault((link, word, bit), name)
                if other != name:
                    raise ValueError(
                        f"{other} and {name} share bit {bit} of word {word} of link {link}"
                    )
        return self

    def lists(self) -> dict[str, str]:
        """For each feature of an object of several: the column of a file that may have this field
        of all of them, as a list.
        """
        return {
            feature: f"{name}_{field}"
            for name, collection in self.objects.items()
            if len(collection.at) > 1
            for number in range(len(collection.at))
            for feature, field in zip(
                collection.features(name, number), collection.fields, strict=True
            )
        }

    def _repeated_feature(self) -> str | None:
        names: list[str] = []
        for name, collection in self.objects.items():
            for number in range(len(collection.at)):
                names += collection.features(name, number)
        return next((name for name, count in Counter(names).items() if count > 1), None)

    def fields(self) -> dict[str, PlacedField]:
        """Each field of each object, by the name of the feature it is."""
        placed = {}
        for name, collection in self.objects.items():
            for number, (link, word, low) in enumerate(collection.at):
                features = collection.features(name, number)
                for feature, field in zip(features, collection.fields.values(), strict=True):
                    placed[feature] = PlacedField(link, word, low + field.bits[0], field)
        return placed

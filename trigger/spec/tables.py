"""The tables of trigger.toml, each checked on its own; see docs/trigger-toml.md."""

import difflib
import math
import re
from collections import Counter
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from trigger.errors import TriggerError, quoted
from trigger.fixedpoint.types import MAX_WIDTH, Fixed
from trigger.spec.parts import TOTALS, Part, families, own_part, part
from trigger.support.names import file_name, printable
from trigger.support.spelling import read_type

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
PositiveInt = Annotated[int, Field(gt=0, lt=1 << 31)]
Seed = Annotated[int, Field(ge=0, lt=1 << 32)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
# The LHC at 6.8 TeV: 3564 places for bunches, each crossing 11,245 times a second.
CROSSINGS_MHZ = 40.079
BUNCHES = 3564
# What a user calls something, and where a file is. Each place that a name is written to quotes it for its own language.
Name = Annotated[str, AfterValidator(printable)]
FileName = Annotated[str, AfterValidator(file_name)]


def nearest(name: str, known: Any) -> str:
    """The end of a message: the known name that was perhaps meant."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.4)
    return f"; did you mean {quoted(close[0])}?" if close else ""


class Section(BaseModel):
    """A table of trigger.toml: no unknown keys, no conversion of text to numbers."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Split(Section):
    """How the events are divided: as fractions that add up to 1, or as a ``column`` of the files says."""

    column: Name | None = None
    train: Fraction = 0.6
    validation: Fraction = 0.2
    test: Fraction = 0.2

    @model_validator(mode="after")
    def _adds_up(self) -> "Split":
        if self.column is not None and len(self.model_fields_set) > 1:
            raise ValueError("give either column or train, validation and test")
        total = self.train + self.validation + self.test
        if not math.isclose(total, 1, abs_tol=1e-9):
            raise ValueError(f"train, validation and test add up to {total:g}, not to 1")
        return self


class Data(Section):
    """Where the events are. Paths are relative to trigger.toml."""

    files: Annotated[list[FileName], Field(min_length=1)]
    features: Annotated[list[Name], Field(min_length=1)]
    label: Name | None = None
    classes: Annotated[list[Name], Field(min_length=1)]
    weight: Name | None = None
    tree: Name | None = None
    split: Split = Split()
    seed: Seed = 1

    @model_validator(mode="after")
    def _no_repetition(self) -> "Data":
        for what, names in (("features", self.features), ("classes", self.classes)):
            repeated = sorted({n for n in names if names.count(n) > 1})
            if repeated:
                raise ValueError(f"{what} names {quoted(repeated[0])} twice")
        special = [
            name for name in (self.label, self.weight, self.split.column) if name in self.features
        ]
        if special:
            raise ValueError(
                f"{quoted(special[0])} is a feature and also the label, weight or split"
            )
        if self.label is not None and len(self.classes) < 2:
            raise ValueError("classes names one class; a label tells at least two apart")
        return self


class Model(Section):
    """The network: made by ``function(features, classes, **arguments)`` of ``file``, or trained already, in ``network``."""

    file: FileName = "model.py"
    function: Name | None = None
    arguments: dict[Name, int | Finite | str | bool] = {}
    network: FileName | None = None
    weights: FileName | None = None
    output: str | list[str] | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "Model":
        if (self.function is None) == (self.network is None):
            raise ValueError(
                "give either function, to train a network, or network, for one that is trained"
            )
        if self.weights is not None and not str(self.network).endswith(".json"):
            raise ValueError("weights go with a network whose architecture is a .json file")
        return self


class WarmStart(Section):
    """A trained network whose weights training begins with, and how long it then goes on, from which learning rate."""

    network: FileName
    epochs: PositiveInt
    learning_rate: Positive


class Training(Section):
    """How the network is trained."""

    epochs: PositiveInt = 50
    batch_size: PositiveInt = 1024
    learning_rate: Positive = 0.003
    patience: PositiveInt | None = None
    target_lut: PositiveInt | None = None
    refinement: Annotated[int, Field(ge=0)] = 0
    distillation: Annotated[float, Field(gt=0, le=1)] | None = None
    classes: Annotated[list[str], Field(min_length=1)] | None = None
    beta: Positive = 1.0
    reconstruct: Annotated[list[str], Field(min_length=1)] | None = None
    warm_start: WarmStart | None = None
    backend: Literal["tensorflow", "jax"] = "tensorflow"
    seed: Seed = 1


class Quantization(Section):
    """Post-training quantisation of a float network: to ``bits``, or to as few as lose no more than ``max_auc_loss``."""

    bits: Annotated[int, Field(ge=2, le=16)] | None = None
    max_auc_loss: Annotated[float, Field(gt=0, lt=1)] | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "Quantization":
        if (self.bits is None) == (self.max_auc_loss is None):
            raise ValueError("give either bits or max_auc_loss")
        return self


class Pruning(Section):
    """The share of each kernel's weights set to zero, on a cubic schedule between two epochs."""

    sparsity: Annotated[float, Field(ge=0, lt=1)]
    start_epoch: Annotated[int, Field(ge=0)] = 0
    end_epoch: PositiveInt

    @model_validator(mode="after")
    def _in_order(self) -> "Pruning":
        if self.end_epoch <= self.start_epoch:
            raise ValueError(
                f"end_epoch {self.end_epoch} is not after start_epoch {self.start_epoch}"
            )
        return self


def _type(text: str) -> str:
    return str(read_type(text))


class ObjectField(Section):
    """One field of an object: its bits, first and last, counted from the object's lowest, and what an integer is worth.

    An angle ``wraps``: 2 pi and 0 are the same.
    """

    bits: Annotated[list[int], Field(min_length=2, max_length=2)]
    signed: bool = False
    lsb: Annotated[float, Field(gt=1e-12, lt=1e12)] = 1.0
    wraps: bool = False

    @model_validator(mode="after")
    def _is_range(self) -> "ObjectField":
        if not 0 <= self.bits[0] <= self.bits[1] < self.bits[0] + MAX_WIDTH:
            raise ValueError(
                f"bits are {self.bits}; they are the first and the last, at most {MAX_WIDTH} of them"
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
    """Objects of one kind: ``at`` has link, word and lowest bit of each; they come by falling ``order_by``, a field."""

    at: Annotated[
        list[
            Annotated[list[Annotated[int, Field(ge=0, lt=4096)]], Field(min_length=3, max_length=3)]
        ],
        Field(min_length=1),
    ]
    fields: Annotated[dict[Name, ObjectField], Field(min_length=1)]
    order_by: str | None = None

    @model_validator(mode="after")
    def _has_order(self) -> "HardwareObject":
        if self.order_by is not None and self.order_by not in self.fields:
            raise ValueError(
                f"order_by is {quoted(self.order_by)}, which is no field{nearest(self.order_by, self.fields)}"
            )
        return self

    def features(self, name: str, number: int) -> list[str]:
        """The features that the fields of object ``number``, from 0, are."""
        return [f"{name}{number + 1 if len(self.at) > 1 else ''}_{field}" for field in self.fields]


class Inputs(Section):
    """The hardware type of the features: ``type`` for all, ``types`` for single ones by name, or ``objects`` with their bits.

    ``units`` says whether the files hold the objects in physical units or as the hardware's integers.
    """

    type: str | None = None
    types: dict[str, str] = {}
    word_bits: Annotated[int, Field(ge=8, le=64)] = 64
    objects: dict[Name, HardwareObject] = {}
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
            raise ValueError("give either type and types, or objects, whose bits are their types")
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
                    f"{name} takes bits {low} to {last} of word {word} of link {link}; a word has {self.word_bits}"
                )
            for bit in range(low, last + 1):
                other = taken.setdefault((link, word, bit), name)
                if other != name:
                    raise ValueError(
                        f"{other} and {name} share bit {bit} of word {word} of link {link}"
                    )
        return self

    def _repeated_feature(self) -> str | None:
        names = [
            feature
            for name, kind in self.objects.items()
            for number in range(len(kind.at))
            for feature in kind.features(name, number)
        ]
        return next((name for name, count in Counter(names).items() if count > 1), None)

    def fields(self) -> dict[str, PlacedField]:
        """Each field of each object, by the name of the feature it is."""
        return {
            feature: PlacedField(link, word, low + field.bits[0], field)
            for name, kind in self.objects.items()
            for number, (link, word, low) in enumerate(kind.at)
            for feature, field in zip(
                kind.features(name, number), kind.fields.values(), strict=True
            )
        }


class Device(Section):
    """An FPGA that the user describes: its family, its totals, and how slow its logic is against UltraScale+."""

    family: Name
    lut: PositiveInt | None = None
    ff: PositiveInt | None = None
    dsp: Annotated[int, Field(ge=0)] | None = None
    bram: Annotated[int, Field(ge=0)] | None = None
    delay: Positive | None = None

    @model_validator(mode="after")
    def _has_a_delay(self) -> "Device":
        if self.family not in families() and self.delay is None:
            hint = nearest(self.family, families())
            raise ValueError(
                f"family is {quoted(self.family)}, of which no delay is known{hint}; "
                "give delay too: the delay of its logic against "
                "that of UltraScale+ of speed grade -2"
            )
        return self


class Target(Section):
    """The FPGA and how hls4ml is to use it."""

    device: Device | None = None
    part: str
    clock_mhz: Annotated[float, Field(gt=0, lt=2000)]
    backend: Literal["Vitis", "Vivado", "Quartus", "oneAPI", "Catapult"] = "Vitis"
    strategy: Literal["latency", "resource", "distributed_arithmetic"] = "latency"
    reuse_factor: PositiveInt = 1

    @field_validator("part")
    @classmethod
    def _is_known(cls, value: str, info: ValidationInfo) -> str:
        """``device`` is checked first: what it describes may have any name that tools take."""
        if info.data.get("device") is not None:
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+-]*", value):
                raise ValueError(
                    f"{quoted(value)} cannot name a part; use letters, digits and . + - _"
                )
            return value
        try:
            return part(value).name
        except TriggerError as error:
            raise ValueError(str(error)) from error

    @property
    def fpga(self) -> Part:
        """What is known of the FPGA."""
        if self.device is None:
            return part(self.part)
        totals = self.device.model_dump(include=set(TOTALS))
        return own_part(self.part, self.device.family, self.device.delay, totals)


class Budget(Section):
    """What the trigger may cost at most."""

    latency_ns: Positive | None = None
    ii: PositiveInt | None = None
    lut: PositiveInt | None = None
    ff: PositiveInt | None = None
    dsp: Annotated[int, Field(ge=0)] | None = None
    bram: Annotated[int, Field(ge=0)] | None = None
    rate_khz: Positive | None = None


class WorkingPoint(Section):
    """One accept bit: whether a score is at least ``threshold``, or so high that zero bias is kept at ``rate_khz``.

    ``output`` is the class that is scored; it may be left out where the network has one output. The threshold is a number on
    the scale of that output.
    """

    output: str | None = None
    threshold: Finite | None = None
    rate_khz: Positive | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "WorkingPoint":
        if (self.threshold is None) == (self.rate_khz is None):
            raise ValueError("give either threshold or rate_khz")
        return self


class Decision(Section):
    """Accept bits instead of scores: what cannot change them is then not computed."""

    accept: Annotated[dict[Name, WorkingPoint], Field(min_length=1)]


class Physics(Section):
    """What is reported besides accuracy: rejections at a signal efficiency, and rates where ``zero_bias`` names a class.

    A rate is the share of zero bias that is kept, times the crossings of ``filled_bunches`` bunches of the LHC's 3564.
    """

    signal_efficiency: Fraction = 0.5
    zero_bias: str | None = None
    filled_bunches: Annotated[int, Field(gt=0, le=BUNCHES)] = 2760
    turn_on: list[str] = []

    @property
    def crossings_khz(self) -> float:
        """How often filled bunches cross, in kHz."""
        return 1000 * CROSSINGS_MHZ * self.filled_bunches / BUNCHES


class Parameter(Section):
    """What a search may put at one key: one of ``choices``, or a number from ``low`` to ``high``, whole where both are."""

    choices: Annotated[list[int | Finite | str | bool], Field(min_length=2)] | None = None
    low: int | Finite | None = None
    high: int | Finite | None = None
    step: int | Finite | None = None
    log: bool = False

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "Parameter":
        if (self.choices is None) == (self.low is None and self.high is None):
            raise ValueError("give either choices, or low and high")
        if self.choices is not None:
            if self.log or self.step is not None:
                raise ValueError("log and step go with low and high")
            return self
        if self.low is None or self.high is None or not self.low < self.high:
            raise ValueError("low and high are both needed, low below high")
        if self.log and (self.step is not None or self.low <= 0):
            raise ValueError("with log, low is above 0, and there is no step")
        if self.step is not None and self.step <= 0:
            raise ValueError("step is above 0")
        return self


class Search(Section):
    """What ``trigger search`` varies, by the key of trigger.toml, and the metric on validation events that it raises."""

    parameters: Annotated[dict[Name, Parameter], Field(min_length=1)]
    metric: Literal["accuracy", "auc", "efficiency"] = "auc"
    seed: Seed = 1

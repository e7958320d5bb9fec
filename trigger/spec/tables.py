"""The tables of trigger.toml, each checked on its own; see docs/trigger-toml.md."""

import difflib
import math
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)

from trigger.errors import TriggerError, quoted
from trigger.support.names import file_name, printable

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
PositiveInt = Annotated[int, Field(gt=0, lt=1 << 31)]
Seed = Annotated[int, Field(ge=0, lt=1 << 32)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
# The LHC at 6.8 TeV: 3564 bunch slots, each crossing 11,245 times per second.
CROSSINGS_MHZ = 40.079
BUNCHES = 3564
# All accept bits together, where figures name accept bits.
ANY = "any"
# User-given names and paths. Each output quotes them for its own language.
Name = Annotated[str, AfterValidator(printable)]
FileName = Annotated[str, AfterValidator(file_name)]


def nearest(name: str, known: Any, likeness: float = 0.4) -> str:
    """The end of a message with the nearest known name, or "" if none is as like, from 0 to 1; the
    first one that an abbreviation of three letters or more begins is the nearest.
    """
    names = list(known)
    longer = [one for one in names if len(name) > 2 and one.startswith(name)]
    close = longer or difflib.get_close_matches(name, names, n=1, cutoff=likeness)
    return f"; did you mean {quoted(close[0])}?" if close else ""


def check_named(path: Path, key: str) -> None:
    """Raise TriggerError if there is no such file; ``key`` of trigger.toml names it."""
    if path.exists():
        return
    names = [file.name for file in path.parent.glob(f"*{path.suffix}")]
    hint = nearest(path.name, names, 0.7) or f"; check {key} in trigger.toml"
    raise TriggerError(f"{path}: no such file{hint}")


def pattern(text: str) -> re.Pattern[str]:
    """What a name must be in full; ``*`` is any text, and nothing else is special."""
    return re.compile(".*".join(map(re.escape, text.split("*"))), re.DOTALL)


class Section(BaseModel):
    """A table of trigger.toml: no unknown keys, no conversion of text to numbers."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Split(Section):
    """The split of the events: by fractions that add up to 1, or by a ``column`` of the files."""

    column: Name | None = None
    train: Fraction = 0.6
    validation: Fraction = 0.2
    test: Fraction = 0.2

    @model_validator(mode="after")
    def _adds_up(self) -> "Split":
        if self.column is not None and len(self.model_fields_set) > 1:
            raise ValueError("set either column, or train, validation and test")
        total = self.train + self.validation + self.test
        if not math.isclose(total, 1, abs_tol=1e-9):
            raise ValueError(
                f"train, validation and test add up to {total:g}; they must add up to 1"
            )
        return self


class Data(Section):
    """Where the events are: in ``files``, whose paths are relative to trigger.toml, or the first
    ``events`` of a ``source``, an entry point of an installed package, with its ``arguments``.
    """

    files: list[FileName] = []
    source: Name | None = None
    events: Annotated[int, Field(gt=0, lt=1 << 31)] | None = None
    arguments: dict[Name, int | Finite | str | bool] = {}
    features: Annotated[list[Name], Field(min_length=1)]
    label: Name | None = None
    classes: Annotated[list[Name], Field(min_length=1)] = []
    weight: Name | None = None
    tree: Name | None = None
    split: Split = Split()
    seed: Seed = 1

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "Data":
        if bool(self.files) == (self.source is not None):
            raise ValueError("set either files, or source and events")
        if (self.source is None) != (self.events is None):
            raise ValueError("source and events need each other")
        if self.source is None and self.arguments:
            raise ValueError("arguments are only for a source")
        return self

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
        if self.label is not None and len(self.classes) == 1:
            raise ValueError("classes names one class; a label needs at least two")
        return self


class Model(Section):
    """The network: made by ``function(features, classes, **arguments)`` of ``file``, built in, of a
    ``family``, or trained already, in ``network``. ``teacher(features)`` makes the autoencoder
    whose errors it learns.
    """

    file: FileName = "model.py"
    function: Name | None = None
    teacher: Name | None = None
    family: Literal["mlp", "weightless", "tables", "mixed", "trees"] | None = None
    arguments: dict[Name, int | Finite | str | bool] = {}
    network: FileName | None = None
    weights: FileName | None = None
    output: str | list[str] | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "Model":
        if self.family is not None:
            others = ("function", "file", "network", "weights", "teacher")
            if given := [name for name in others if name in self.model_fields_set]:
                raise ValueError(
                    f"family is a network of this program; remove {given[0]}, or remove family"
                )
            return self
        if (self.function is None) == (self.network is None):
            raise ValueError(
                "set either function, to train a network, or network, for a trained one"
            )
        if self.weights is not None and not str(self.network).endswith(".json"):
            raise ValueError("weights are only for a network whose architecture is a .json file")
        return self


class WarmStart(Section):
    """A trained network with initial weights, and the epochs and learning rate that follow."""

    network: FileName
    epochs: PositiveInt
    learning_rate: Positive


class Freeze(Section):
    """Layers, by name or pattern, that take the weights of a trained network and keep them."""

    network: FileName
    layers: Annotated[list[Name], Field(min_length=1)]


class Adversary(Section):
    """Training against a nuisance: an adversary tries to find it from the scores.

    The nuisance is the size of a ``shift`` of [robustness], drawn for each event, or a column of
    the event files. ``classes`` are those whose events the adversary sees.
    """

    shift: Name | None = None
    nuisance: Name | None = None
    strength: Positive = 1.0
    classes: Annotated[list[Name], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "Adversary":
        if (self.shift is None) == (self.nuisance is None):
            raise ValueError("set either shift, a table of [robustness], or nuisance, a column")
        return self


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
    freeze: Freeze | None = None
    adversary: Adversary | None = None
    backend: Literal["tensorflow", "jax"] = "tensorflow"
    seed: Seed = 1


class Quantization(Section):
    """Post-training quantisation of a float network: to ``bits``, or to as few as lose no more than
    ``max_auc_loss``.
    """

    bits: Annotated[int, Field(ge=2, le=16)] | None = None
    max_auc_loss: Annotated[float, Field(gt=0, lt=1)] | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "Quantization":
        if (self.bits is None) == (self.max_auc_loss is None):
            raise ValueError("set either bits or max_auc_loss")
        return self


class CrossValidation(Section):
    """The network is trained again without each of ``folds`` parts of the events in turn, with each
    of ``fractions`` of the events left for training, and measured by ``metric`` on that part.
    """

    folds: Annotated[int, Field(ge=2, le=20)] = 5
    fractions: Annotated[list[Annotated[float, Field(gt=0, le=1)]], Field(min_length=1)] = [1.0]
    metric: Literal["accuracy", "auc", "resolution"] = "auc"

    @model_validator(mode="after")
    def _rises(self) -> "CrossValidation":
        if self.fractions != sorted(set(self.fractions)):
            raise ValueError("fractions must rise; each stands once")
        return self


class Pruning(Section):
    """The fraction of zero weights per kernel, on a cubic schedule between two epochs."""

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


class Budget(Section):
    """The limits on the cost of the trigger."""

    latency_ns: Positive | None = None
    ii: PositiveInt | None = None
    lut: PositiveInt | None = None
    ff: PositiveInt | None = None
    dsp: Annotated[int, Field(ge=0)] | None = None
    bram: Annotated[int, Field(ge=0)] | None = None
    rate_khz: Positive | None = None


class WorkingPoint(Section):
    """One accept bit: a score is at least ``threshold``, or a threshold derived from ``rate_khz``.

    ``output`` is the class of the score; it may be omitted if the network has one output. The
    threshold is a number on the scale of that output.
    """

    output: str | None = None
    threshold: Finite | None = None
    rate_khz: Positive | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "WorkingPoint":
        if (self.threshold is None) == (self.rate_khz is None):
            raise ValueError("set either threshold or rate_khz")
        return self


class Decision(Section):
    """Accept bits instead of scores; the core then omits everything that cannot change them."""

    accept: Annotated[dict[Name, WorkingPoint], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_none_of_several_as_all(self) -> "Decision":
        if ANY in self.accept and len(self.accept) > 1:
            raise ValueError(
                f"accept.{ANY}: this is the name of all accept bits together; use another one"
            )
        return self


class Physics(Section):
    """Further figures: rejections at a signal efficiency, and rates if ``zero_bias`` names a class.

    A rate is the accepted fraction of zero bias times the crossing rate of ``filled_bunches`` of
    3564 bunches.
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
    """The values of one key in a search: ``choices``, or a number from ``low`` to ``high``, whole
    if both are.
    """

    choices: Annotated[list[int | Finite | str | bool], Field(min_length=2)] | None = None
    low: int | Finite | None = None
    high: int | Finite | None = None
    step: int | Finite | None = None
    log: bool = False

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "Parameter":
        if (self.choices is None) == (self.low is None and self.high is None):
            raise ValueError("set either choices, or low and high")
        if self.choices is not None:
            if self.log or self.step is not None:
                raise ValueError("log and step need low and high")
            return self
        if self.low is None or self.high is None or not self.low < self.high:
            raise ValueError("low and high are both needed, with low below high")
        if self.log and (self.step is not None or self.low <= 0):
            raise ValueError("with log, low must be above 0 and step is not allowed")
        if self.step is not None and self.step <= 0:
            raise ValueError("step must be above 0")
        return self


class SearchedFamily(Section):
    """The ranges of a family in a search, where they differ from its own."""

    parameters: dict[Name, Parameter] = {}


class Search(Section):
    """The keys of trigger.toml that ``trigger search`` varies, the families of networks that it
    tries, and the validation metric that it maximises.
    """

    parameters: dict[Name, Parameter]
    family: dict[Name, SearchedFamily] = {}
    metric: Literal["accuracy", "auc", "efficiency"] = "auc"
    seed: Seed = 1

    @model_validator(mode="before")
    @classmethod
    def _families_have_parameters(cls, data: Any) -> Any:
        families = isinstance(data, dict) and "family" in data
        return {"parameters": {}, **data} if families else data

    @model_validator(mode="after")
    def _varies(self) -> "Search":
        if not self.parameters and not self.family:
            raise ValueError("parameters is empty; set the keys to vary, or name families")
        return self

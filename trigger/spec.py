"""trigger.toml: what a trigger is asked to be. Everything is checked before anything is done; see docs/trigger-toml.md."""

import difflib
import math
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from trigger.errors import TriggerError
from trigger.fixedpoint.types import MAX_WIDTH, Fixed
from trigger.naming import identifier
from trigger.parts import part
from trigger.resources import folder

FILE_NAME = "trigger.toml"

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
PositiveInt = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(gt=0, lt=1)]


class Section(BaseModel):
    """A table of trigger.toml: no unknown keys, no conversion of text to numbers."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Split(Section):
    """How the events are divided: as fractions that add up to 1, or as a ``column`` of the files says."""

    column: str | None = None
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

    files: Annotated[list[str], Field(min_length=1)]
    features: Annotated[list[str], Field(min_length=1)]
    label: str | None = None
    classes: Annotated[list[str], Field(min_length=1)]
    weight: str | None = None
    tree: str | None = None
    split: Split = Split()
    seed: int = 1

    @model_validator(mode="after")
    def _no_repetition(self) -> "Data":
        for what, names in (("features", self.features), ("classes", self.classes)):
            repeated = sorted({n for n in names if names.count(n) > 1})
            if repeated:
                raise ValueError(f"{what} names {repeated[0]!r} twice")
        special = [name for name in (self.label, self.weight, self.split.column) if name in self.features]
        if special:
            raise ValueError(f"{special[0]!r} is a feature and also the label, weight or split")
        if self.label is not None and len(self.classes) < 2:
            raise ValueError("classes names one class; a label tells at least two apart")
        return self


class Model(Section):
    """The network: made by ``function(features, classes, **arguments)`` of ``file``, or trained already, in ``network``."""

    file: str = "model.py"
    function: str | None = None
    arguments: dict[str, int | float | str | bool] = {}
    network: str | None = None
    weights: str | None = None
    output: str | list[str] | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "Model":
        if (self.function is None) == (self.network is None):
            raise ValueError("give either function, to train a network, or network, for one that is trained")
        if self.weights is not None and not str(self.network).endswith(".json"):
            raise ValueError("weights go with a network whose architecture is a .json file")
        return self


class Training(Section):
    """How the network is trained."""

    epochs: PositiveInt = 50
    batch_size: PositiveInt = 1024
    learning_rate: Positive = 0.003
    patience: PositiveInt | None = None
    target_lut: PositiveInt | None = None
    distillation: Annotated[float, Field(gt=0, le=1)] | None = None
    classes: Annotated[list[str], Field(min_length=1)] | None = None
    beta: Positive = 1.0
    reconstruct: Annotated[list[str], Field(min_length=1)] | None = None
    backend: Literal["tensorflow", "jax"] = "tensorflow"
    seed: int = 1


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
            raise ValueError(f"end_epoch {self.end_epoch} is not after start_epoch {self.start_epoch}")
        return self


def _type(text: str) -> str:
    return str(Fixed.parse(text))


class ObjectField(Section):
    """One field of an object: its bits, first and last, counted from the object's lowest, and what an integer is worth.

    An angle ``wraps``: 2 pi and 0 are the same.
    """

    bits: Annotated[list[int], Field(min_length=2, max_length=2)]
    signed: bool = False
    lsb: Positive = 1.0
    wraps: bool = False

    @model_validator(mode="after")
    def _is_range(self) -> "ObjectField":
        if not 0 <= self.bits[0] <= self.bits[1] < self.bits[0] + MAX_WIDTH:
            raise ValueError(f"bits are {self.bits}; they are the first and the last, at most {MAX_WIDTH} of them")
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

    at: Annotated[list[Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=3, max_length=3)]], Field(min_length=1)]
    fields: Annotated[dict[str, ObjectField], Field(min_length=1)]
    order_by: str | None = None

    @model_validator(mode="after")
    def _has_order(self) -> "HardwareObject":
        if self.order_by is not None and self.order_by not in self.fields:
            raise ValueError(f"order_by is {self.order_by!r}, which is no field{_nearest(self.order_by, self.fields)}")
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
    objects: dict[str, HardwareObject] = {}
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
                    raise ValueError(f"{other} and {name} share bit {bit} of word {word} of link {link}")
        return self

    def fields(self) -> dict[str, PlacedField]:
        """Each field of each object, by the name of the feature it is."""
        return {
            feature: PlacedField(link, word, low + field.bits[0], field)
            for name, kind in self.objects.items()
            for number, (link, word, low) in enumerate(kind.at)
            for feature, field in zip(kind.features(name, number), kind.fields.values(), strict=True)
        }


class Target(Section):
    """The FPGA and how hls4ml is to use it."""

    part: str
    clock_mhz: Positive
    backend: Literal["Vitis", "Vivado", "Quartus", "oneAPI", "Catapult"] = "Vitis"
    strategy: Literal["latency", "resource", "distributed_arithmetic"] = "latency"
    reuse_factor: PositiveInt = 1

    @field_validator("part")
    @classmethod
    def _is_known(cls, value: str) -> str:
        try:
            return part(value).name
        except TriggerError as error:
            raise ValueError(str(error)) from error


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
    threshold: Annotated[float, Field(allow_inf_nan=False)] | None = None
    rate_khz: Positive | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "WorkingPoint":
        if (self.threshold is None) == (self.rate_khz is None):
            raise ValueError("give either threshold or rate_khz")
        return self


class Decision(Section):
    """Accept bits instead of scores: what cannot change them is then not computed."""

    accept: Annotated[dict[str, WorkingPoint], Field(min_length=1)]


class Payload(Section):
    """The core in a shell: link words in, accept bits out. Thresholds are registers of the shell, or fixed in the core.

    ``input_links`` are the channels of an EMP board that links 0, 1, ... come on, ``output_link`` the one of the decision.
    """

    thresholds: Literal["registers", "fixed"] = "registers"
    input_links: list[Annotated[int, Field(ge=0)]] = []
    output_link: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _no_repetition(self) -> "Payload":
        repeated = sorted({link for link in self.input_links if self.input_links.count(link) > 1})
        if repeated:
            raise ValueError(f"input_links names {repeated[0]} twice")
        return self


class Physics(Section):
    """What is reported besides accuracy: rejections at a signal efficiency, and rates where ``zero_bias`` names a class.

    A rate is the share of zero bias that is kept, times the crossings of ``filled_bunches`` bunches of the LHC's 3564.
    """

    signal_efficiency: Fraction = 0.5
    zero_bias: str | None = None
    filled_bunches: Annotated[int, Field(gt=0, le=3564)] = 2760
    turn_on: list[str] = []


class Spec(Section):
    """A whole trigger.toml."""

    name: str
    task: Literal["classification", "anomaly"]
    description: str = ""
    data: Data
    model: Model
    training: Training = Training()
    pruning: Pruning | None = None
    quantization: Quantization | None = None
    inputs: Inputs
    target: Target
    budget: Budget = Budget()
    decision: Decision | None = None
    payload: Payload | None = None
    physics: Physics = Physics()

    @field_validator("name")
    @classmethod
    def _is_identifier(cls, value: str) -> str:
        return identifier(value)

    @model_validator(mode="before")
    @classmethod
    def _features_of_objects(cls, data: Any) -> Any:
        """Where data.features is left out, every field of every object is a feature."""
        try:
            if "features" in data["data"] or not data["inputs"]["objects"]:
                return data
            names = list(Inputs.model_validate(data["inputs"]).fields())
        except (KeyError, TypeError):
            return data
        except ValidationError:  # is told where it belongs, and not as missing features
            names = ["unknown"]
        return {**data, "data": {**data["data"], "features": names}}

    @model_validator(mode="after")
    def _agrees(self) -> "Spec":
        if self.inputs.objects:
            self._check_objects()
        unknown = [name for name in self.inputs.types if name not in self.data.features]
        if unknown:
            raise ValueError(f"inputs.types has {unknown[0]!r}, which is no feature{_nearest(unknown[0], self.data.features)}")
        missing = [name for name in self.data.features if name not in self.inputs.types]
        if self.inputs.type is None and not self.inputs.objects and missing:
            raise ValueError(f"inputs has no type for the feature {missing[0]!r}; give inputs.type for all")
        if self.model.network is not None:
            given = [name for name in ("training", "pruning") if name in self.model_fields_set]
            if given:
                raise ValueError(f"{given[0]} is for networks that are trained here; model.network is trained")
        elif self.data.label is None:
            raise ValueError("data.label is missing; without it no network can be trained")
        if self.quantization is not None and self.model.network is None:
            raise ValueError("quantization is for a float network in model.network; one trained here has quantised layers")
        if self.quantization is not None and self.quantization.max_auc_loss is not None and self.data.label is None:
            raise ValueError("quantization.max_auc_loss needs data.label; without it give quantization.bits")
        if self.pruning is not None and self.training.target_lut is not None:
            raise ValueError("give either pruning or training.target_lut, by which widths are learned down to no bit at all")
        if self.payload is not None and self.decision is None:
            raise ValueError("payload needs decision.accept, which says when an event is accepted")
        self._check_output()
        self._check_physics()
        if self.pruning and self.pruning.end_epoch >= self.training.epochs:
            raise ValueError(
                f"pruning.end_epoch {self.pruning.end_epoch} leaves no epoch to fine-tune; "
                f"training.epochs is {self.training.epochs}"
            )
        return self

    def _check_objects(self) -> None:
        fields = self.inputs.fields()
        unknown = [name for name in self.data.features if name not in fields]
        if unknown:
            raise ValueError(
                f"data.features has {unknown[0]!r}, which is no field of inputs.objects{_nearest(unknown[0], fields)}"
            )
        for name, kind in self.inputs.objects.items():
            for number in range(len(kind.at)):
                given = [feature in self.data.features for feature in kind.features(name, number)]
                if any(given) and not all(given):
                    left = kind.features(name, number)[given.index(False)]
                    raise ValueError(f"data.features has {name} without {left!r}; take whole objects, or leave the field out")

    def _check_output(self) -> None:
        if isinstance(self.model.output, str) and (len(self.data.classes) != 2 or self.model.output not in self.data.classes):
            raise ValueError(
                f"model.output is {self.model.output!r}; it names one of two classes, the one that is scored; "
                "of more classes it lists those that are"
            )
        if isinstance(self.model.output, list):
            unknown = [name for name in self.model.output if name not in self.data.classes]
            if unknown:
                raise ValueError(f"model.output has {unknown[0]!r}, which is no class{_nearest(unknown[0], self.data.classes)}")
            if not 0 < len(set(self.model.output)) < len(self.data.classes):
                raise ValueError("model.output lists no class, or all of them; it lists those that score high")
        taught = self.training.classes
        if self.task == "anomaly":
            self._check_anomaly()
        if taught is not None:
            unknown = [name for name in taught if name not in self.data.classes]
            if unknown:
                raise ValueError(
                    f"training.classes has {unknown[0]!r}, which is no class{_nearest(unknown[0], self.data.classes)}"
                )
            if self.model.output is None and self.task != "anomaly":
                raise ValueError("training.classes is for a network of one output; one for each class must see them all")
            missing = [name for name in self._scored_names if name not in taught]
            if missing:
                raise ValueError(f"training.classes is without {missing[0]!r}, which model.output scores")
        for name, point in (self.decision.accept if self.decision else {}).items():
            if point.output is None and len(self.scores) > 1:
                raise ValueError(f"decision.accept.{name}.output is missing; it names the class whose score decides")
            if point.output is not None and point.output not in self.scores:
                hint = _nearest(point.output, self.scores)
                what = "class" if self.model.output is None else "class that the network scores"
                raise ValueError(f"decision.accept.{name}.output is {point.output!r}, which is no {what}{hint}")

    def _check_anomaly(self) -> None:
        if self.model.function is None:
            raise ValueError('task "anomaly" is for networks that are trained here; model.network is trained')
        if self.model.output is not None:
            raise ValueError('model.output is for classification; the one output of task "anomaly" scores what is unusual')
        if self.training.distillation is not None:
            raise ValueError('training.distillation is for classification; task "anomaly" has nothing to be told')
        if self.training.classes is None or set(self.training.classes) >= set(self.data.classes):
            raise ValueError("training.classes is missing; it names the classes that are usual, the others are what is not")

        unknown = [name for name in self.training.reconstruct or [] if name not in self.data.features]
        if unknown:
            hint = _nearest(unknown[0], self.data.features)
            raise ValueError(f"training.reconstruct has {unknown[0]!r}, which is no feature{hint}")

    def _check_physics(self) -> None:
        zero_bias, accept = self.physics.zero_bias, self.decision.accept if self.decision else {}
        if zero_bias is not None and (self.data.label is None or zero_bias not in self.data.classes):
            raise ValueError(
                f"physics.zero_bias is {zero_bias!r}, which is no class of labelled events"
                f"{_nearest(zero_bias, self.data.classes)}"
            )
        rates = [f"decision.accept.{name}.rate_khz" for name, point in accept.items() if point.rate_khz is not None]
        rates += ["budget.rate_khz"] if self.budget.rate_khz is not None else []
        if rates and zero_bias is None:
            raise ValueError(f"{rates[0]} needs physics.zero_bias, the class that says what bunch crossings look like")
        if self.budget.rate_khz is not None and not accept:
            raise ValueError("budget.rate_khz needs decision.accept; a score alone accepts nothing")
        unknown = [name for name in self.physics.turn_on if name not in self.data.features]
        if unknown:
            raise ValueError(
                f"physics.turn_on has {unknown[0]!r}, which is no feature{_nearest(unknown[0], self.data.features)}"
            )

    @property
    def model_files(self) -> list[str]:
        """The files that the network comes from."""
        files = [self.model.file] if self.model.network is None else [self.model.network, self.model.weights]
        return [name for name in files if name]

    @property
    def decides(self) -> bool:
        """Whether the core gives accept bits; otherwise it gives scores, and a payload's shell may compare them."""
        return self.decision is not None and (self.payload is None or self.payload.thresholds == "fixed")

    @property
    def scores(self) -> list[str]:
        """What the network's outputs score, in their order: each class, or the one or more that its only output scores."""
        if self.task == "anomaly":
            return ["anomaly"]
        match self.model.output:
            case None:
                return self.data.classes
            case str(name):
                return [name]
            case names:
                return ["_or_".join(names)]

    @property
    def _scored_names(self) -> list[str]:
        names = self.model.output or []
        return [names] if isinstance(names, str) else names

    @property
    def taught(self) -> tuple[int, ...]:
        """The numbers of the classes that the network is trained on; the others are only measured."""
        return tuple(self.data.classes.index(name) for name in self.training.classes or self.data.classes)

    @property
    def background(self) -> tuple[int, ...] | None:
        """The numbers of the classes that the only output scores low; None where there is an output for each class."""
        if self.task == "anomaly":
            return self.taught
        if self.model.output is None:
            return None
        return tuple(k for k in self.taught if self.data.classes[k] not in self._scored_names)

    @property
    def input_types(self) -> tuple[Fixed, ...]:
        """The hardware type of each feature, in the order of ``data.features``."""
        if self.inputs.objects:
            fields = self.inputs.fields()
            return tuple(fields[name].field.type for name in self.data.features)
        return tuple(Fixed.parse(self.inputs.types.get(name) or self.inputs.type or "") for name in self.data.features)


def outputs(spec: Spec) -> list[str]:
    """What the firmware's outputs are called: the accept bits, or the classes whose scores it gives."""
    return list(spec.decision.accept if spec.decision and spec.decides else spec.scores)


def load(path: Path) -> Spec:
    """Read and check a trigger.toml. Raises TriggerError naming file, key, what is wrong and the nearest right key."""
    try:
        return parse(path.read_text(encoding="utf-8"), path)
    except OSError as error:
        raise TriggerError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TriggerError(f"{path}: not TOML: {error}") from error


def parse(text: str, path: Path) -> Spec:
    """As ``load``, for the text that stands or will stand in a file."""
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise TriggerError(f"{path}: not TOML: {error}") from error
    try:
        return Spec.model_validate(data)
    except ValidationError as error:
        problems = [_explain(problem) for problem in error.errors()]
        raise TriggerError("\n".join(f"{path}: {problem}" for problem in problems)) from error


def find(target: str) -> Path:
    """The trigger.toml of a zoo name, a folder or a file. Raises TriggerError with the zoo's nearest name."""
    path = Path(target)
    candidates = [path, path / FILE_NAME, folder("models") / target / FILE_NAME]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    known = ", ".join(zoo())
    raise TriggerError(
        f"no trigger {target!r}: neither a file, a folder with {FILE_NAME}, nor in the zoo ({known}){_nearest(target, zoo())}"
    )


def zoo() -> list[str]:
    """The names of the triggers that come with this program."""
    return sorted(path.parent.name for path in folder("models").glob(f"*/{FILE_NAME}"))


def _nearest(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.4)
    return f"; did you mean {close[0]!r}?" if close else ""


def _explain(problem: ErrorDetails) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    match problem["type"]:
        case "extra_forbidden":
            *section, key = problem["loc"]
            return f"unknown key {where}{_nearest(str(key), _keys(tuple(section)))}"
        case "missing":
            return f"the key {where} is missing"
        case "value_error":
            return f"{where + ': ' if where else ''}{problem['ctx']['error']}"
    value = problem["input"]
    text = problem["msg"].removeprefix("Input should be ")
    unit = re.search(r"_(mhz|ns)$", where)
    hint = f" in {'MHz' if unit[1] == 'mhz' else 'ns'}, as a plain number" if unit and isinstance(value, str) else ""
    return f"{where} is {value!r}; it should be {text}{hint}"


def _keys(location: tuple[int | str, ...]) -> list[str]:
    """The keys that the table at ``location`` may have."""
    section: Any = Spec
    for name in location:
        if name not in section.model_fields:  # the user's own name of a working point or an object
            continue
        annotation = section.model_fields[name].annotation
        options = [annotation, *getattr(annotation, "__args__", ())]
        section = next(option for option in options if isinstance(option, type) and issubclass(option, Section))
    return list(section.model_fields)

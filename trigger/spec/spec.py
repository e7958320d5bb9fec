"""trigger.toml: the specification of a trigger.

Everything is checked before anything is done; see docs/trigger-toml.md.
"""

import contextlib
import re
import tomllib
from pathlib import Path
from typing import Any, Literal, get_origin

import tomlkit
from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from trigger.errors import TriggerError, quoted
from trigger.fixedpoint.types import Fixed
from trigger.spec.emulator_tables import Emulator
from trigger.spec.head_tables import Head, Scoring, scored_high, scorings
from trigger.spec.input_tables import Inputs
from trigger.spec.payload_tables import Payload
from trigger.spec.rules import first_problem
from trigger.spec.shift_tables import Shift
from trigger.spec.tables import (
    Budget,
    CrossValidation,
    Data,
    Decision,
    Model,
    Name,
    Physics,
    Pruning,
    Quantization,
    Search,
    Section,
    Training,
    WorkingPoint,
    nearest,
    pattern,
)
from trigger.spec.target_tables import Synth, Target
from trigger.support.files import regular
from trigger.support.names import as_project, identifier, visible
from trigger.support.resources import folder

FILE_NAME = "trigger.toml"
_MOST_PROBLEMS = 20
# Longer texts are shortened in messages.
_LONGEST_KEY = 128


class Spec(Section):
    """A whole trigger.toml."""

    name: str
    task: Literal["classification", "anomaly"] | None = None
    description: str = ""
    data: Data
    model: Model
    heads: dict[Name, Head] = Field(default_factory=dict)
    training: Training = Training()
    pruning: Pruning | None = None
    quantization: Quantization | None = None
    cross_validation: CrossValidation | None = None
    inputs: Inputs
    target: Target
    synth: Synth = Synth()
    budget: Budget = Budget()
    decision: Decision | None = None
    payload: Payload | None = None
    emulator: Emulator = Emulator()
    physics: Physics = Physics()
    robustness: dict[Name, Shift] = Field(default_factory=dict)
    search: Search | None = None

    @field_validator("name")
    @classmethod
    def _is_identifier(cls, value: str) -> str:
        try:
            return identifier(value)
        except ValueError as error:
            raise ValueError(f"{error}; for example {quoted(as_project(value))}") from error

    @field_validator("description")
    @classmethod
    def _is_text(cls, value: str) -> str:
        return visible(value, besides="\n\t")

    @model_validator(mode="before")
    @classmethod
    def _features_of_objects(cls, data: Any) -> Any:
        """Without data.features, every field of every object is a feature."""
        given, inputs = (
            data.get(name) if isinstance(data, dict) else None for name in ("data", "inputs")
        )
        if not isinstance(given, dict) or not isinstance(inputs, dict):
            return data
        if "features" in given or not inputs.get("objects"):
            return data
        try:
            names = list(Inputs.model_validate(inputs).fields())
        except ValidationError:  # reported with the table itself, not as missing features
            names = ["unknown"]
        return {**data, "data": {**given, "features": names}}

    @model_validator(mode="after")
    def _agrees(self) -> "Spec":
        problem = first_problem(self)
        if problem is not None:
            raise ValueError(problem)
        return self

    @property
    def model_files(self) -> list[str]:
        """The files of the network."""
        others = [self.training.warm_start, self.training.freeze]
        own = [self.model.file] if self.model.function is not None else []
        files = [*own, self.model.network, self.model.weights]
        return [name for name in [*files, *(one and one.network for one in others)] if name]

    @property
    def accept(self) -> dict[str, WorkingPoint]:
        """The accept bits by name, in their order; none if there is no decision."""
        return self.decision.accept if self.decision is not None else {}

    @property
    def outputs(self) -> list[str]:
        """The names of the firmware's outputs: the accept bits, or the classes of the scores."""
        return list(self.accept if self.decides else self.scores)

    @property
    def decides(self) -> bool:
        """Whether the core gives accept bits; otherwise it gives scores, and a payload's shell may
        compare them.
        """
        return self.decision is not None and (
            self.payload is None or self.payload.thresholds == "fixed"
        )

    @property
    def scores(self) -> list[str]:
        """The names of the scores, in order: each class, or those that the only output scores; with
        heads, the scores of each.
        """
        if self.heads:
            return [name for head in self.scoring for name in head.outputs]
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
    def scored_high(self) -> list[str]:
        """The classes that the only output scores high; none if there is an output for each
        class.
        """
        return scored_high(self.model.output)

    @property
    def scoring(self) -> tuple[Scoring, ...]:
        """The heads of the network, in the order of its outputs."""
        return scorings(self)

    @property
    def taught(self) -> tuple[int, ...]:
        """The numbers of the classes that the network is trained on; the others are only
        measured.
        """
        return tuple(
            self.data.classes.index(name) for name in self.training.classes or self.data.classes
        )

    @property
    def background(self) -> tuple[int, ...] | None:
        """The numbers of the classes that the only output scores low; None if there is an output
        for each class.
        """
        if self.task == "anomaly":
            return self.taught
        if self.model.output is None:
            return None
        return tuple(k for k in self.taught if self.data.classes[k] not in self.scored_high)

    def summands(self, name: str) -> list[str]:
        """The feature of a name, or, for a field of a kind of objects such as "jet_pt", those of
        all its objects; none if it is neither.
        """
        if name in self.data.features:
            return [name]
        fields = self.inputs.lists()
        return [feature for feature in self.data.features if fields.get(feature) == name]

    def matching(self, name: str) -> list[str]:
        """The same as ``summands``; or the features that match a pattern, in which ``*`` is any
        text.
        """
        asked = pattern(name)
        return self.summands(name) or [f for f in self.data.features if asked.fullmatch(f)]

    def shifted(self, shift: Shift) -> list[str]:
        """The features that a shift changes, in the order of ``data.features``."""
        features = {feature for name in shift.features for feature in self.matching(name)}
        return [feature for feature in self.data.features if feature in features]

    @property
    def input_types(self) -> tuple[Fixed, ...]:
        """The hardware type of each feature, in the order of ``data.features``."""
        if self.inputs.objects:
            fields = self.inputs.fields()
            return tuple(fields[name].field.type for name in self.data.features)
        return tuple(
            Fixed.parse(self.inputs.types.get(name) or self.inputs.type or "")
            for name in self.data.features
        )


def load(path: Path) -> Spec:
    """Read and check a trigger.toml.

    Raises TriggerError with file, key, fault and the nearest valid key.
    """
    try:
        return parse(regular(path).read_text(encoding="utf-8"), path)
    except OSError as error:
        raise TriggerError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TriggerError(f"{path}: not TOML: {error}") from error


def parse(text: str, path: Path) -> Spec:
    """The same as ``load``, for the text of a file."""
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number with too many digits is a ValueError
        twice = str(error).startswith("Cannot declare")
        remedy = "; rename one of the two tables, or remove it" if twice else ""
        raise TriggerError(f"{path}: not TOML: {error}{remedy}") from error
    try:
        return Spec.model_validate(data)
    except ValidationError as error:
        errors = error.errors()
        problems = [_explain(problem) for problem in errors[:_MOST_PROBLEMS]]
        if len(errors) > _MOST_PROBLEMS:
            problems.append(f"and {len(errors) - _MOST_PROBLEMS:,} more problems")
        raise TriggerError("\n".join(f"{path}: {problem}" for problem in problems)) from error


def without_warm_start(text: str) -> str:
    """The text of a trigger.toml without its warm start."""
    document: Any = tomlkit.parse(text)
    document.get("training", {}).pop("warm_start", None)
    return tomlkit.dumps(document)


def find(target: str) -> Path:
    """The trigger.toml of a zoo name, a folder or a file.

    Raises TriggerError with the zoo's nearest name.
    """
    path = Path(target)
    candidates = [path, path / FILE_NAME, folder("models") / target / FILE_NAME]
    for candidate in candidates:
        with contextlib.suppress(OSError):  # a name that is too long for a file
            if candidate.exists() and not (candidate is path and path.is_dir()):
                return regular(candidate)
    known = ", ".join(zoo())
    raise TriggerError(
        f"no trigger {quoted(target)}: neither a file, a folder with {FILE_NAME}, nor "
        f"in the zoo ({known})"
        f"{nearest(target, zoo())}"
    )


def zoo() -> list[str]:
    """The names of the triggers that come with this program."""
    return sorted(path.parent.name for path in folder("models").glob(f"*/{FILE_NAME}"))


def _explain(problem: ErrorDetails) -> str:
    parts = [str(part) for part in problem["loc"] if part != "[key]"]
    where = ".".join(
        part if part.isprintable() and len(part) <= _LONGEST_KEY else quoted(part) for part in parts
    )
    match problem["type"]:
        case "extra_forbidden":
            *section, key = problem["loc"]
            return f"unknown key {where}{nearest(str(key), _keys(tuple(section)))}"
        case "missing":
            return f"the key {where} is missing"
        case "value_error":
            return f"{where + ': ' if where else ''}{problem['ctx']['error']}"
    value = problem["input"]
    demand = re.sub(r"^\w+ should ", "", problem["msg"])
    unit = re.search(r"_(mhz|ns)$", where)
    if unit and isinstance(value, str):
        demand = f"be a number, in {'MHz' if unit[1] == 'mhz' else 'ns'}, without quotes and unit"
    return f"{where} is {quoted(value)}; it must {demand}"


def _keys(location: tuple[int | str, ...]) -> list[str]:
    """The keys that the table at ``location`` may have."""
    section: Any = Spec
    names = iter(location)
    for name in names:
        annotation = section.model_fields[name].annotation
        if get_origin(annotation) is dict:
            next(names, None)  # the user's name of a working point or an object
        options = [annotation, *getattr(annotation, "__args__", ())]
        section = next(
            option for option in options if isinstance(option, type) and issubclass(option, Section)
        )
    return list(section.model_fields)

"""trigger.toml: what a trigger is asked to be. Everything is checked before anything is done; see docs/trigger-toml.md."""

import contextlib
import re
import tomllib
from pathlib import Path
from typing import Any, Literal, get_origin

import tomlkit
from pydantic import ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from trigger.errors import TriggerError, quoted
from trigger.fixedpoint.types import Fixed
from trigger.spec.limits import check_payload, check_rates
from trigger.spec.payload_tables import Payload, ScorePort
from trigger.spec.tables import (
    Budget,
    Data,
    Decision,
    Inputs,
    Model,
    Physics,
    Pruning,
    Quantization,
    Search,
    Section,
    Target,
    Training,
    nearest,
)
from trigger.support.files import regular
from trigger.support.names import as_project, identifier, visible
from trigger.support.resources import folder

FILE_NAME = "trigger.toml"
_MOST_PROBLEMS = 20
# Longer than the longest name that there may be is told by its start.
_LONGEST_KEY = 128


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
        """Where data.features is left out, every field of every object is a feature."""
        given, inputs = (
            data.get(name) if isinstance(data, dict) else None for name in ("data", "inputs")
        )
        if not isinstance(given, dict) or not isinstance(inputs, dict):
            return data
        if "features" in given or not inputs.get("objects"):
            return data
        try:
            names = list(Inputs.model_validate(inputs).fields())
        except ValidationError:  # is told where it belongs, and not as missing features
            names = ["unknown"]
        return {**data, "data": {**given, "features": names}}

    @model_validator(mode="after")
    def _agrees(self) -> "Spec":
        if self.inputs.objects:
            self._check_objects()
        unknown = [name for name in self.inputs.types if name not in self.data.features]
        if unknown:
            raise ValueError(
                f"inputs.types has {quoted(unknown[0])}, which is no feature{nearest(unknown[0], self.data.features)}"
            )
        missing = [name for name in self.data.features if name not in self.inputs.types]
        if self.inputs.type is None and not self.inputs.objects and missing:
            raise ValueError(
                f"inputs has no type for the feature {quoted(missing[0])}; give inputs.type for all"
            )
        if self.model.network is not None:
            given = [name for name in ("training", "pruning") if name in self.model_fields_set]
            if given:
                raise ValueError(
                    f"{given[0]} is for networks that are trained here; model.network is trained"
                )
        elif self.data.label is None:
            raise ValueError("data.label is missing; without it no network can be trained")
        if self.quantization is not None and self.model.network is None:
            raise ValueError(
                "quantization is for a float network in model.network; one trained here has quantised layers"
            )
        if (
            self.quantization is not None
            and self.quantization.max_auc_loss is not None
            and self.data.label is None
        ):
            raise ValueError(
                "quantization.max_auc_loss needs data.label; without it give quantization.bits"
            )
        if self.pruning is not None and self.training.target_lut is not None:
            raise ValueError(
                "give either pruning or training.target_lut, by which widths are learned down to no bit at all"
            )
        if self.training.refinement and self.training.target_lut is None:
            raise ValueError(
                "training.refinement is for learned widths; give training.target_lut, which it comes down to"
            )
        if self.payload is not None and self.decision is None:
            raise ValueError("payload needs decision.accept, which says when an event is accepted")
        self._check_payload_output()
        if self.pruning is not None and self.training.warm_start is not None:
            raise ValueError(
                "pruning is for training from the start; with training.warm_start nothing is left to be pruned"
            )
        self._check_output()
        self._check_physics()
        check_rates(self)
        check_payload(self)
        self._check_search()
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
                f"data.features has {quoted(unknown[0])}, which is no field of inputs.objects{nearest(unknown[0], fields)}"
            )
        for name, kind in self.inputs.objects.items():
            for number in range(len(kind.at)):
                given = [feature in self.data.features for feature in kind.features(name, number)]
                if any(given) and not all(given):
                    left = kind.features(name, number)[given.index(False)]
                    raise ValueError(
                        f"data.features has {name} without {quoted(left)}; take whole objects, or leave the field out"
                    )

    def _check_payload_output(self) -> None:
        """Where parts of a decision go, as far as that is known without the network: its scores have one bit or more."""
        if self.payload is None or not self.payload.names_channels or self.decision is None:
            return
        scores = [ScorePort(name, 0, 1) for name in outputs(self)]
        try:
            self.payload.output_fields(list(self.decision.accept), scores)
        except ValueError as error:
            raise ValueError(f"{self.payload.output_key}: {error}") from error

    def _check_output(self) -> None:
        if isinstance(self.model.output, str) and (
            len(self.data.classes) != 2 or self.model.output not in self.data.classes
        ):
            raise ValueError(
                f"model.output is {quoted(self.model.output)}; it names one of two classes, the one that is scored; "
                "of more classes it lists those that are"
            )
        if isinstance(self.model.output, list):
            unknown = [name for name in self.model.output if name not in self.data.classes]
            if unknown:
                raise ValueError(
                    f"model.output has {quoted(unknown[0])}, which is no class{nearest(unknown[0], self.data.classes)}"
                )
            if not 0 < len(set(self.model.output)) < len(self.data.classes):
                raise ValueError(
                    "model.output lists no class, or all of them; it lists those that score high"
                )
        taught = self.training.classes
        if self.task == "anomaly":
            self._check_anomaly()
        if taught is not None:
            unknown = [name for name in taught if name not in self.data.classes]
            if unknown:
                raise ValueError(
                    f"training.classes has {quoted(unknown[0])}, which is no class{nearest(unknown[0], self.data.classes)}"
                )
            if self.model.output is None and self.task != "anomaly":
                raise ValueError(
                    "training.classes is for a network of one output; one for each class must see them all"
                )
            missing = [name for name in self._scored_names if name not in taught]
            if missing:
                raise ValueError(
                    f"training.classes is without {quoted(missing[0])}, which model.output scores"
                )
        for name, point in (self.decision.accept if self.decision else {}).items():
            if point.output is None and len(self.scores) > 1:
                raise ValueError(
                    f"decision.accept.{name}.output is missing; it names the class whose score decides"
                )
            if point.output is not None and point.output not in self.scores:
                hint = nearest(point.output, self.scores)
                what = "class" if self.model.output is None else "class that the network scores"
                raise ValueError(
                    f"decision.accept.{name}.output is {quoted(point.output)}, which is no {what}{hint}"
                )

    def _check_anomaly(self) -> None:
        if self.model.function is None:
            raise ValueError(
                'task "anomaly" is for networks that are trained here; model.network is trained'
            )
        if self.model.output is not None:
            raise ValueError(
                'model.output is for classification; the one output of task "anomaly" scores what is unusual'
            )
        if self.training.distillation is not None:
            raise ValueError(
                'training.distillation is for classification; task "anomaly" has nothing to be told'
            )
        if self.training.classes is None or set(self.training.classes) >= set(self.data.classes):
            raise ValueError(
                "training.classes is missing; it names the classes that are usual, the others are what is not"
            )

        unknown = [
            name for name in self.training.reconstruct or [] if name not in self.data.features
        ]
        if unknown:
            hint = nearest(unknown[0], self.data.features)
            raise ValueError(
                f"training.reconstruct has {quoted(unknown[0])}, which is no feature{hint}"
            )

    def _check_physics(self) -> None:
        zero_bias, accept = self.physics.zero_bias, self.decision.accept if self.decision else {}
        if zero_bias is not None and (
            self.data.label is None or zero_bias not in self.data.classes
        ):
            raise ValueError(
                f"physics.zero_bias is {quoted(zero_bias)}, which is no class of labelled events"
                f"{nearest(zero_bias, self.data.classes)}"
            )
        rates = [
            f"decision.accept.{name}.rate_khz"
            for name, point in accept.items()
            if point.rate_khz is not None
        ]
        rates += ["budget.rate_khz"] if self.budget.rate_khz is not None else []
        if rates and zero_bias is None:
            raise ValueError(
                f"{rates[0]} needs physics.zero_bias, the class that says what bunch crossings look like"
            )
        if self.budget.rate_khz is not None and not accept:
            raise ValueError("budget.rate_khz needs decision.accept; a score alone accepts nothing")
        unknown = [name for name in self.physics.turn_on if name not in self.data.features]
        if unknown:
            raise ValueError(
                f"physics.turn_on has {quoted(unknown[0])}, which is no feature{nearest(unknown[0], self.data.features)}"
            )

    def _check_search(self) -> None:
        if self.search is None:
            return
        if self.model.function is None:
            raise ValueError(
                "search is for networks that are trained here; model.network is trained"
            )
        if self.search.metric == "accuracy" and self.task == "anomaly":
            raise ValueError(
                'search.metric "accuracy" is for classification; task "anomaly" puts nothing into classes'
            )
        if self.search.metric == "efficiency" and (
            self.decision is None or self.physics.zero_bias is None
        ):
            raise ValueError(
                'search.metric "efficiency" is that of decision.accept against physics.zero_bias; give both'
            )
        tables = {
            name for name, field in type(self).model_fields.items() if field.annotation is not str
        }
        for key in self.search.parameters:
            table = key.split(".")[0]
            if "." not in key or table not in tables or table == "search":
                hint = nearest(table, tables - {"search"})
                raise ValueError(
                    f"search.parameters has {quoted(key)}, which is no key of a table such as training.target_lut{hint}"
                )

    @property
    def model_files(self) -> list[str]:
        """The files that the network comes from."""
        warm = self.training.warm_start
        files = (
            [self.model.file]
            if self.model.network is None
            else [self.model.network, self.model.weights]
        )
        return [name for name in [*files, warm and warm.network] if name]

    @property
    def decides(self) -> bool:
        """Whether the core gives accept bits; otherwise it gives scores, and a payload's shell may compare them."""
        return self.decision is not None and (
            self.payload is None or self.payload.thresholds == "fixed"
        )

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
        return tuple(
            self.data.classes.index(name) for name in self.training.classes or self.data.classes
        )

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
        return tuple(
            Fixed.parse(self.inputs.types.get(name) or self.inputs.type or "")
            for name in self.data.features
        )


def outputs(spec: Spec) -> list[str]:
    """What the firmware's outputs are called: the accept bits, or the classes whose scores it gives."""
    return list(spec.decision.accept if spec.decision and spec.decides else spec.scores)


def load(path: Path) -> Spec:
    """Read and check a trigger.toml. Raises TriggerError naming file, key, what is wrong and the nearest right key."""
    try:
        return parse(regular(path).read_text(encoding="utf-8"), path)
    except OSError as error:
        raise TriggerError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TriggerError(f"{path}: not TOML: {error}") from error


def parse(text: str, path: Path) -> Spec:
    """As ``load``, for the text that stands or will stand in a file."""
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of too many digits is a ValueError
        raise TriggerError(f"{path}: not TOML: {error}") from error
    try:
        return Spec.model_validate(data)
    except ValidationError as error:
        found = error.errors()
        problems = [_explain(problem) for problem in found[:_MOST_PROBLEMS]]
        if len(found) > _MOST_PROBLEMS:
            problems.append(f"and {len(found) - _MOST_PROBLEMS:,} more problems")
        raise TriggerError("\n".join(f"{path}: {problem}" for problem in problems)) from error


def without_warm_start(text: str) -> str:
    """The text of a trigger.toml whose network is trained from the start."""
    document: Any = tomlkit.parse(text)
    document.get("training", {}).pop("warm_start", None)
    return tomlkit.dumps(document)


def find(target: str) -> Path:
    """The trigger.toml of a zoo name, a folder or a file. Raises TriggerError with the zoo's nearest name."""
    path = Path(target)
    candidates = [path, path / FILE_NAME, folder("models") / target / FILE_NAME]
    for candidate in candidates:
        with contextlib.suppress(OSError):  # a name too long for any file
            if candidate.exists() and not (candidate is path and path.is_dir()):
                return regular(candidate)
    known = ", ".join(zoo())
    raise TriggerError(
        f"no trigger {quoted(target)}: neither a file, a folder with {FILE_NAME}, nor in the zoo ({known})"
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
    text = problem["msg"].removeprefix("Input should be ")
    unit = re.search(r"_(mhz|ns)$", where)
    hint = (
        f" in {'MHz' if unit[1] == 'mhz' else 'ns'}, as a plain number"
        if unit and isinstance(value, str)
        else ""
    )
    return f"{where} is {quoted(value)}; it should be {text}{hint}"


def _keys(location: tuple[int | str, ...]) -> list[str]:
    """The keys that the table at ``location`` may have."""
    section: Any = Spec
    names = iter(location)
    for name in names:
        annotation = section.model_fields[name].annotation
        if get_origin(annotation) is dict:
            next(names, None)  # the user's own name of a working point or an object
        options = [annotation, *getattr(annotation, "__args__", ())]
        section = next(
            option for option in options if isinstance(option, type) and issubclass(option, Section)
        )
    return list(section.model_fields)

"""The families of built-in networks: their arguments in ``model.arguments``, how their training
differs from [training], and what a search varies.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import Field, ValidationError

from trigger.errors import quoted
from trigger.spec.tables import Parameter, PositiveInt, Section, Training, nearest

if TYPE_CHECKING:
    from trigger.spec.spec import Spec

TREES = "trees"
# The network of [model] itself, among those of a search.
OWN = "model"
# A range in LUT ends here where budget.lut does not end it.
_MOST_LUT = 6000
_MOST_WEIGHTLESS = 2000
# Gradients only give a start to neurons that are tables. Refinement, which tries every wire and
# entry, does the rest.
_FEWER_EPOCHS = 15
_LEAST_EPOCHS = 5
_PASSES = 24
# Passes that grow each tree again.
_REGROWN = 2
_TABLES: dict[str, Any] = {"batch_size": 128, "learning_rate": 0.01, "refinement": _PASSES}

Units = Annotated[str, Field(pattern=r"^[1-9]\d{0,3}(-[1-9]\d{0,3})*$")]


class Mlp(Section):
    """Dense layers with learned widths: the neurons of each hidden layer."""

    units: Units = "32-32"
    granularity: Literal["element", "channel"] = "element"


class Weightless(Section):
    """Comparators, neurons that are tables of six bits, and counts of ones: the neurons for each
    score, by ``training.target_lut`` if not given, and the comparators for each feature at most.
    """

    units: PositiveInt | None = None
    thresholds: Annotated[int, Field(gt=0, le=256)] = 32


class Mixed(Weightless):
    """The same neurons, read by a dense layer with learned widths."""


class Tables(Section):
    """A table for each edge: the neurons of each hidden layer, and the bits that a table reads."""

    units: Units = "8"
    bits: Annotated[int, Field(gt=0, le=12)] = 6


class Trees(Section):
    """Gradient boosting: the trees for each score, their levels, the bits of their leaves."""

    trees: Annotated[int, Field(gt=0, le=1000)] = 10
    depth: Annotated[int, Field(gt=0, le=8)] = 5
    bits: Annotated[int, Field(gt=0, le=16)] = 3
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.5


class Family(NamedTuple):
    """A family: the table of its arguments, the ranges of a search by key of trigger.toml, without
    and in LUT, the keys of [training] that differ, and whether it trains for fewer epochs.
    """

    arguments: type[Section]
    ranges: Mapping[str, Mapping[str, Any]]
    lut: tuple[int, int] | None
    training: Mapping[str, Any] = {}
    few_epochs: bool = False


_RATE = {"training.learning_rate": {"low": 0.003, "high": 0.02, "log": True}}
_THRESHOLDS = {"model.arguments.thresholds": {"choices": [8, 16, 32]}}
FAMILIES = {
    "mlp": Family(
        Mlp,
        {**_RATE, "model.arguments.units": {"choices": ["16", "32-16", "32-32", "64-32-32"]}},
        (200, _MOST_LUT),
    ),
    "weightless": Family(Weightless, _THRESHOLDS, (30, _MOST_WEIGHTLESS), _TABLES, few_epochs=True),
    "tables": Family(
        Tables,
        {
            **_RATE,
            "model.arguments.units": {"choices": ["4", "8", "16"]},
            "model.arguments.bits": {"low": 4, "high": 6},
        },
        (100, _MOST_LUT),
    ),
    # Its learned widths need all epochs to reach their target.
    "mixed": Family(Mixed, _THRESHOLDS, (60, _MOST_WEIGHTLESS), _TABLES),
    TREES: Family(
        Trees,
        {
            "model.arguments.trees": {"low": 4, "high": 30, "log": True},
            "model.arguments.depth": {"low": 3, "high": 6},
            "model.arguments.bits": {"low": 2, "high": 5},
            "model.arguments.learning_rate": {"low": 0.2, "high": 0.8, "log": True},
        },
        (30, _MOST_WEIGHTLESS),
        {"refinement": _REGROWN},
    ),
}


def training(family: str, given: Training) -> dict[str, Any]:
    """The keys of [training] that differ for a family."""
    known = FAMILIES[family]
    epochs = {"epochs": max(_LEAST_EPOCHS, given.epochs // _FEWER_EPOCHS)}
    return {**known.training, **(epochs if known.few_epochs else {})}


def arguments(spec: "Spec") -> Any:
    """The checked arguments of the family of a spec. Raises ValueError for bad ones."""
    assert spec.model.family is not None
    try:
        return FAMILIES[spec.model.family].arguments.model_validate(spec.model.arguments)
    except ValidationError as error:
        raise ValueError(_explained(spec.model.family, error)) from error


def ranges(family: str, most_lut: int | None) -> dict[str, Parameter]:
    """What a search varies of a family, by key of trigger.toml; LUT up to a budget."""
    if family == OWN:
        return {}
    known = FAMILIES[family]
    found = {key: Parameter.model_validate(given) for key, given in known.ranges.items()}
    if known.lut is not None:
        low, most = known.lut
        high = min(most, most_lut or most)
        lut = Parameter(low=min(low, max(high // 2, 1)), high=max(high, 2), log=True)
        found = {"training.target_lut": lut, **found}
    return found


def _explained(family: str, error: ValidationError) -> str:
    problem = error.errors()[0]
    name = str(problem["loc"][0])
    if problem["type"] == "extra_forbidden":
        known = FAMILIES[family].arguments.model_fields
        return (
            f"model.arguments has {quoted(name)}, which is not an argument of model.family "
            f"{quoted(family)}; its arguments are {', '.join(known)}{nearest(name, known)}"
        )
    if problem["type"] == "string_pattern_mismatch":
        return (
            f"model.arguments.{name} is {quoted(problem['input'])}; it must have the neurons of "
            'each hidden layer, as in "32-16"'
        )
    demand = problem["msg"].partition(" should ")[2]
    return f"model.arguments.{name} is {quoted(problem['input'])}; it must {demand}"

"""The trigger.toml of a trial: that of the search, with other values for some keys."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from trigger.errors import TriggerError, quoted
from trigger.spec import families
from trigger.spec.rules.family import TREES_READ
from trigger.spec.spec import Spec, parse
from trigger.spec.tables import Parameter, Search, Training

# The family of a trial, among its values.
FAMILY = "model.family"
Values = Mapping[str, int | float | str | bool]


def distributions(search: Search) -> dict[str, BaseDistribution]:
    """What Optuna draws from, by key of trigger.toml."""
    return _drawn(search.parameters)


def by_family(spec: Spec) -> dict[str, dict[str, BaseDistribution]]:
    """The same for each family of a search, with the family's own ranges; {} without families."""
    assert spec.search is not None
    most = spec.budget.lut
    return {
        name: _drawn({**families.ranges(name, most), **spec.search.parameters, **family.parameters})
        for name, family in spec.search.family.items()
    }


def check(text: str, path: Path, spec: Spec) -> None:
    """Raises TriggerError for the first parameter value, or family, that gives an invalid
    trigger.toml.
    """
    search = spec.search
    assert search is not None
    if not search.family:
        _check_each(text, path, "search.parameters", {}, search.parameters)
    for name, family in search.family.items():
        own = {**families.ranges(name, spec.budget.lut), **family.parameters}
        first = {key: _ends(parameter)[0] for key, parameter in own.items()}
        values = {FAMILY: name, **first}
        _check(text, path, f"search.family.{name}", values)
        _check_each(text, path, f"search.family.{name}.parameters", values, own)
        try:
            _check_each(text, path, "search.parameters", values, search.parameters)
        except TriggerError as error:
            raise TriggerError(
                f"{error} (family {name}); name what only some families have in "
                "search.family.NAME.parameters"
            ) from error


def _check_each(
    text: str, path: Path, where: str, values: Values, parameters: Mapping[str, Parameter]
) -> None:
    for key, parameter in parameters.items():
        for value in _ends(parameter):
            _check(text, path, f"{where}.{key}: with {quoted(value)}", {**values, key: value})


def _check(text: str, path: Path, where: str, values: Values) -> None:
    try:
        parse(with_values(text, values), path)
    except TriggerError as error:
        raise TriggerError(f"{where}: {error}") from error


def _ends(parameter: Parameter) -> list[int | float | str | bool]:
    """The choices of a parameter, or the ends of its range."""
    if parameter.choices is not None:
        return list(parameter.choices)
    return [end for end in (parameter.low, parameter.high) if end is not None]


def with_values(text: str, values: Values) -> str:
    """The text of a trigger.toml with values set at dotted keys, and with the network of a family,
    if that is among them; comments stay.

    Raises TriggerError for a bad key.
    """
    document = tomlkit.parse(text)
    values = dict(values)
    family = values.pop(FAMILY, families.OWN)
    if family != families.OWN:
        _set_family(document, str(family))
    for key, value in values.items():
        *tables, last = key.split(".")
        table: Any = document
        for name in tables:
            if name not in table:
                table[name] = tomlkit.table()
            table = table[name]
            if not isinstance(table, Mapping):
                raise TriggerError(f"{quoted(name)} is not a table")
        table[last] = value
    return tomlkit.dumps(document)


def _set_family(document: Any, family: str) -> None:
    """Replace the network of a trigger.toml by one of a family, and what is only for the former."""
    model = document["model"]
    for key in [key for key in model if key != "output"]:
        del model[key]
    model["family"] = family
    if "training" not in document:
        document["training"] = tomlkit.table()
    training = document["training"]
    given = Training.model_validate(training.unwrap())
    for key in list(training):
        if key in ("warm_start", "freeze") or (family == families.TREES and key not in TREES_READ):
            del training[key]
    for key, value in families.training(family, given).items():
        training[key] = value
    dropped = ("pruning", "quantization", *(["cross_validation"] * (family == families.TREES)))
    for table in dropped:
        document.pop(table, None)


def moved(text: str, name: str, source: Path, here: Path) -> str:
    """A trigger.toml of the folder ``source`` with a new name and with paths relative to ``here``.

    The search is removed.
    """
    document: Any = tomlkit.parse(text)

    def relative(path: str) -> str:
        return Path(os.path.relpath((source / path).resolve(), here.resolve())).as_posix()

    document["name"] = name
    files = document["data"].get("files", [])
    for k, file in enumerate(files):
        files[k] = relative(file)
    if "family" not in document["model"]:
        document["model"]["file"] = relative(document["model"].get("file", "model.py"))
    document.pop("search", None)
    return tomlkit.dumps(document)


def _drawn(parameters: Mapping[str, Parameter]) -> dict[str, BaseDistribution]:
    return {key: _distribution(parameter) for key, parameter in parameters.items()}


def _distribution(parameter: Parameter) -> BaseDistribution:
    if parameter.choices is not None:
        return CategoricalDistribution(parameter.choices)
    assert parameter.low is not None and parameter.high is not None
    whole = all(isinstance(end, int) for end in (parameter.low, parameter.high))
    if whole and isinstance(parameter.step, int | None):
        return IntDistribution(
            int(parameter.low), int(parameter.high), parameter.log, parameter.step or 1
        )
    return FloatDistribution(parameter.low, parameter.high, parameter.log, parameter.step)

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
from trigger.spec.spec import parse
from trigger.spec.tables import Parameter, Search

Values = Mapping[str, int | float | str | bool]


def distributions(search: Search) -> dict[str, BaseDistribution]:
    """What Optuna draws from, by key of trigger.toml."""
    return {key: _distribution(parameter) for key, parameter in search.parameters.items()}


def check(text: str, path: Path, search: Search) -> None:
    """Raises TriggerError for the first parameter value that gives an invalid trigger.toml."""
    for key, parameter in search.parameters.items():
        for value in parameter.choices or (parameter.low, parameter.high):
            assert value is not None
            try:
                parse(with_values(text, {key: value}), path)
            except TriggerError as error:
                raise TriggerError(
                    f"search.parameters.{key}: with {quoted(value)}: {error}"
                ) from error


def with_values(text: str, values: Values) -> str:
    """The text of a trigger.toml with values set at dotted keys; comments stay.

    Raises TriggerError for a bad key.
    """
    document = tomlkit.parse(text)
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


def moved(text: str, name: str, source: Path, here: Path) -> str:
    """A trigger.toml of the folder ``source`` with a new name and with paths relative to ``here``.

    The search is removed.
    """
    document: Any = tomlkit.parse(text)

    def relative(path: str) -> str:
        return Path(os.path.relpath((source / path).resolve(), here.resolve())).as_posix()

    document["name"] = name
    files = document["data"]["files"]
    for k, file in enumerate(files):
        files[k] = relative(file)
    document["model"]["file"] = relative(document["model"].get("file", "model.py"))
    document.pop("search", None)
    return tomlkit.dumps(document)


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

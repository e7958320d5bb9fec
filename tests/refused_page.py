"""The page of refusals, docs/reference/refused.md: networks that are refused, and tables of them.

QKeras and HGQ2 cannot share an environment, so the page has two parts; each has its test.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pytest
from keras import layers

import trigger
from trigger.frontends import remedies
from trigger.frontends.inexact import Inexact, Problem

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "refused.md"
# The part of HGQ2 starts with it.
HGQ = "\n## Networks of HGQ2\n"

VECTOR, STEPS, IMAGE = (4,), (5, 4), (4, 4, 4)
TABLE = """
{title}

| network | reason | remedy |
|---|---|---|
"""
OTHERS = """
{title}

The reason is "a layer of the type … has no exact lowering".

| layer | remedy |
|---|---|
"""
# For layers without a remedy of their own, which a test refuses.
_ANY = "one of the layers above"


class Refused(NamedTuple):
    """Stages of a network behind an input of this shape and type, of which one is refused."""

    shape: tuple[int | None, ...]
    stages: tuple[Callable, ...]
    inputs: str | None = "fixed<8,4>"

    def problem(self) -> Problem:
        x = given = keras.Input(self.shape, name="inputs")
        for stage in self.stages:
            x = stage(x)
        model = keras.Model(given, x)
        rng = np.random.default_rng(0)
        for weight in model.weights:
            if weight.dtype == "float32" and weight.path.rpartition("/")[2] not in ("f", "i", "b"):
                weight.assign(rng.uniform(0.1, 1, weight.shape))
        with pytest.raises(Inexact) as error:
            trigger.lower(model, self.inputs)
        return error.value.problems[0]


def one(shape, stage, inputs="fixed<8,4>"):
    return Refused(shape, (stage,), inputs)


def without_a_form(libraries: Iterable, exact: Iterable[str]) -> dict[str, list[str]]:
    """The layers of libraries that are not ``exact``, by their remedy."""
    found: dict[str, list[str]] = {}
    values = [value for library in libraries for value in vars(library).values()]
    for kind in {value for value in values if isinstance(value, type)}:
        if issubclass(kind, layers.Layer) and kind.__name__ not in exact:
            stand_in = type(kind.__name__, (layers.Layer,), {})()
            remedy = remedies.of_layer(stand_in, _ANY)
            found.setdefault(remedy, []).append(kind.__name__)
    return {remedy: sorted(names) for remedy, names in sorted(found.items())}


def assert_own(found: Mapping[str, list[str]]) -> None:
    """Every layer has a remedy of its own."""
    assert not [names for remedy, names in found.items() if _ANY in remedy]


def cases(title: str, refused: Mapping[str, Refused]) -> str:
    """A table of networks."""
    text = TABLE.format(title=title)
    for name, case in refused.items():
        problem = case.problem()
        text += f"| {name} | {_escaped(problem.reason)} | {_escaped(problem.remedy)} |\n"
    return text


def others(title: str, found: Mapping[str, list[str]]) -> str:
    """A table of layers."""
    text = OTHERS.format(title=title)
    for remedy, names in found.items():
        text += f"| {', '.join(f'`{name}`' for name in names)} | {_escaped(remedy)} |\n"
    return text


def parts() -> tuple[str, str]:
    """The page without HGQ2, and the rest."""
    before, mark, after = PAGE.read_text().partition(HGQ)
    return before, mark + after


def _escaped(text: str) -> str:
    """As Markdown in a cell of a table."""
    return re.sub(r"([|*<>\[\]])", r"\\\1", text)

"""The values of a form, from those of the variables that it depends on."""

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Protocol

import numpy as np

from trigger.fixedpoint.types import Integers
from trigger.proof.classes import Classes, along
from trigger.proof.values import Form, Function, Terms, direction_of


class Atoms(Protocol):
    """What is known of directions: their values, and the function that one may be."""

    def domain(self, direction: Terms) -> Integers: ...

    def beneath(self, direction: Terms) -> Function | None: ...


class Use:
    """How a form depends on variables: directly, or through the functions that are its atoms."""

    def __init__(self, atoms: Atoms, variables: Sequence[Terms], form: Form) -> None:
        self._atoms, self._form = atoms, form
        self._axes = {variable: axis for axis, variable in enumerate(variables)}

    def classes(self) -> Iterator[tuple[int, Integers | None]]:
        """The axes of variables, each with labels of the classes that the form tells apart; None
        for all values.
        """
        if not self._form.terms:
            return
        yield from self._classes_of(direction_of(self._form)[0])

    def _classes_of(self, direction: Terms) -> Iterator[tuple[int, Integers | None]]:
        if direction in self._axes:
            yield self._axes[direction], None
        elif len(direction) > 1:
            for atom, _ in direction:
                yield from self._classes_of(((atom, 1),))
        else:
            function = self._function(direction)
            for own, labels in zip(function.directions, function.classes, strict=True):
                if own in self._axes:
                    yield self._axes[own], labels
                else:
                    yield from self._classes_of(own)

    def values(self, classes: Sequence[Classes]) -> Integers:
        """The values of the form for all combinations of classes."""
        constant = np.full((1,) * len(self._axes), self._form.constant, dtype=np.int64)
        if not self._form.terms:
            return constant
        direction, factor = direction_of(self._form)
        return constant + factor * self._values_of(direction, classes)

    def _values_of(self, direction: Terms, classes: Sequence[Classes]) -> Integers:
        if direction in self._axes:
            return self._direct(direction, classes)
        if len(direction) > 1:
            parts = [own * self._values_of(((atom, 1),), classes) for atom, own in direction]
            return reduce(np.add, parts)
        function = self._function(direction)
        places = []
        for own, labels in zip(function.directions, function.classes, strict=True):
            if own in self._axes:
                axis = self._axes[own]
                places.append(along(labels[classes[axis].first], axis, len(self._axes)))
            else:
                domain, values = self._atoms.domain(own), self._values_of(own, classes)
                # Combinations that do not occur may give values that are not in the domain.
                places.append(labels.take(np.searchsorted(domain, values), mode="clip"))
        made: Integers = function.values[tuple(places)]
        return made

    def _direct(self, direction: Terms, classes: Sequence[Classes]) -> Integers:
        axis = self._axes[direction]
        return along(self._atoms.domain(direction)[classes[axis].first], axis, len(self._axes))

    def _function(self, atom: Terms) -> Function:
        function = self._atoms.beneath(atom)
        assert function is not None, "a form depends on its variables only"
        return function

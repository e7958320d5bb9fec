"""Forms, and the atoms that they are made of, as data."""

from collections import Counter
from collections.abc import Sequence
from math import gcd
from typing import NamedTuple

from trigger.fixedpoint.types import Integers

Terms = tuple[tuple[int, int], ...]


class Form(NamedTuple):
    """``constant`` and the sum of ``terms``: atoms by number, each with its factor."""

    terms: Terms
    constant: int = 0


class Ends(NamedTuple):
    """The smallest and the largest value."""

    low: int
    high: int


class Function(NamedTuple):
    """``values[classes[0][a], classes[1][b], ...]`` for the a-th value of the first direction, the
    b-th of the second, and so on.
    """

    directions: tuple[Terms, ...]
    classes: tuple[Integers, ...]
    values: Integers


class Atom(NamedTuple):
    """A value: a function, or one of which only the ends are known."""

    ends: Ends
    function: Function | None = None


def direction_of(form: Form) -> tuple[Terms, int]:
    """What a form is a multiple of, without its constant, and the factor."""
    factor = gcd(*(own for _, own in form.terms))
    if form.terms[0][1] < 0:
        factor = -factor
    return tuple((atom, own // factor) for atom, own in form.terms), factor


def form_of(terms: Counter[int], constant: int) -> Form:
    """The form with these factors of atoms, of which some may be zero."""
    return Form(tuple(sorted((atom, own) for atom, own in terms.items() if own)), constant)


def sum_of(parts: Sequence[tuple[int, Form]], constant: int = 0) -> Form:
    """The sum of forms, each times a factor, and a constant, atom by atom."""
    terms: Counter[int] = Counter()
    for factor, form in parts:
        constant += factor * form.constant
        for atom, own in form.terms:
            terms[atom] += factor * own
    return form_of(terms, constant)

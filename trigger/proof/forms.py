"""Values as functions of the inputs, in a normal form: values with equal forms are always equal.

A form is a linear combination of atoms and a constant, all integers. An atom is an input, a
function of a few directions, or a value of which only the ends are known. A direction is a linear
combination of atoms without a constant. So the sum that a neuron rounds is a direction, and what it
gives is an atom. A function is a table over classes of the values of its directions, with as few
directions and classes as possible, which makes it unique: how it is computed does not matter.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from math import prod

import numpy as np

from trigger.fixedpoint.types import Integers
from trigger.proof.classes import digest, fewest, joined, separate
from trigger.proof.uses import Use
from trigger.proof.values import (
    Atom,
    Ends,
    Form,
    Function,
    Terms,
    direction_of,
    form_of,
    sum_of,
)

# The most values of a direction, and the most combinations of several, of a table.
_MOST_VALUES = 1 << 21
_MOST_COMBINATIONS = 1 << 16
# A sum of atoms with at most this many combinations is a function of each of them.
_FEW = 1 << 12
# Tables are of int64; sums of two values must fit, too.
_LARGEST = 1 << 61
# What a term of a sum, and a product of two terms, costs, in entries of tables.
_TERM = 1 << 5
_PRODUCT = 1 << 14


class Exhausted(Exception):
    """The tables and sums of a proof have become too many."""


class Forms:
    """All atoms of a proof, whose forms can be compared. Its tables have ``effort`` entries at
    most, all together, and terms of sums count, too; then ``Exhausted`` is raised.
    """

    def __init__(self, effort: int = 1 << 62) -> None:
        self._effort = effort
        self._atoms: list[Atom] = []
        self._known: dict[object, int] = {}
        self._ends: dict[Terms, Ends] = {}
        self._domains: dict[Terms, Integers] = {}
        self._used: set[Terms] = set()
        self._floors: dict[Terms, list[tuple[int, int, Form]]] = {}

    def variable(self, low: int, high: int) -> Form:
        """A new variable."""
        return self.opaque(("variable", len(self._atoms)), Ends(low, high))

    def opaque(self, key: object, ends: Ends) -> Form:
        """A value of which only the ends are known; those of one key are equal."""
        if ends.low == ends.high:
            return Form((), ends.low)
        return Form(((self._atom(key, Atom(ends)), 1),))

    def _atom(self, key: object, atom: Atom) -> int:
        number = self._known.setdefault(key, len(self._atoms))
        if number == len(self._atoms):
            self._atoms.append(atom)
        return number

    def function(self, atom: int) -> Function | None:
        """What an atom is a function of."""
        return self._atoms[atom].function

    def beneath(self, direction: Terms) -> Function | None:
        """The function that a direction is, if it is one."""
        return self.function(direction[0][0]) if len(direction) == 1 else None

    def inputs(self, form: Form) -> set[int]:
        """The atoms beneath a form that are no functions."""
        found: set[int] = set()
        left = [atom for atom, _ in form.terms]
        while left:
            atom = left.pop()
            function = self.function(atom)
            if function is None:
                found.add(atom)
            else:
                left += [own for direction in function.directions for own, _ in direction]
        return found

    def directions(self, direction: Terms) -> tuple[Terms, ...]:
        """What the function that a direction is reads; nothing if it is none."""
        function = self.beneath(direction)
        return function.directions if function else ()

    # The ends of values

    def ends(self, form: Form) -> Ends:
        """The smallest and the largest value of a form, or bounds of them."""
        if not form.terms:
            return Ends(form.constant, form.constant)
        direction, factor = direction_of(form)
        low, high = (factor * end + form.constant for end in self._direction_ends(direction))
        return Ends(min(low, high), max(low, high))

    def learn(self, form: Form, low: int, high: int) -> None:
        """Note that a form, which no function has used yet, stays between two values."""
        if not form.terms:
            return
        direction, factor = direction_of(form)
        if direction in self._used:
            return
        known = self._direction_ends(direction)
        ends = [end - form.constant for end in (low, high)]
        least, most = ends if factor > 0 else (-ends[1], -ends[0])
        step = abs(factor)
        self._ends[direction] = Ends(
            max(known.low, -(-least // step)), min(known.high, most // step)
        )

    def _direction_ends(self, direction: Terms) -> Ends:
        if direction not in self._ends:
            ends = [
                sorted(factor * end for end in self._atoms[atom].ends) for atom, factor in direction
            ]
            self._ends[direction] = Ends(sum(low for low, _ in ends), sum(high for _, high in ends))
        return self._ends[direction]

    def count(self, direction: Terms) -> int:
        """The number of values of a direction."""
        if self.beneath(direction):
            return len(self.domain(direction))
        low, high = self._direction_ends(direction)
        return high - low + 1

    def domain(self, direction: Terms) -> Integers:
        """All values of a direction, ascending."""
        self._used.add(direction)
        if direction not in self._domains:
            function = self.beneath(direction)
            low, high = self._direction_ends(direction)
            own = np.unique(function.values) if function else np.arange(low, high + 1)
            if len(own) > _FEW:
                return own
            self._domains[direction] = own
        return self._domains[direction]

    # Sums

    def total(self, parts: Sequence[tuple[int, Form]], constant: int = 0) -> Form:
        """The sum of forms, each times a factor, and a constant."""
        self._spend(_TERM * sum(len(form.terms) for _, form in parts))
        return self._joined(sum_of(parts, constant))

    def _spend(self, entries: int) -> None:
        self._effort -= entries
        if self._effort < 0:
            raise Exhausted

    def _joined(self, form: Form) -> Form:
        """The form with alike functions as one. Where joining some takes others apart again, and so
        on in a circle, the least form of the circle.
        """
        seen: dict[Form, int] = {}
        while form not in seen:
            alike = self._alike(form)
            if alike is None:
                return form
            seen[form] = len(seen)
            joined = self._rewritten(form, *alike)
            assert joined is not None, "alike functions have small tables"
            form = joined
        return min(list(seen)[seen[form] :])

    def rewritten(
        self, form: Form, variables: Sequence[Terms], numbers: Sequence[int], modulus: int = 0
    ) -> Form | None:
        """The form in which the atoms ``numbers``, and the first variable where it is in the form,
        are one function of variables; None if it has too many values.
        """
        made = self._rewritten(form, variables, numbers, modulus)
        return made and self._joined(made)

    def _rewritten(
        self, form: Form, variables: Sequence[Terms], numbers: Sequence[int], modulus: int = 0
    ) -> Form | None:
        factors = dict(form.terms)
        read = [Form(((number, 1),)) for number in numbers]
        own = [factors[number] for number in numbers]
        linear = self._multiple(form, variables[0]) if len(variables) == 1 else 0
        if linear:
            read.append(Form(variables[0]))
            own.append(linear)
        made = self._over(list(variables), _weighted(own), read, modulus)
        if made is None:
            return None
        rest = Counter({number: own for number, own in form.terms if number not in numbers})
        for atom, factor in variables[0] if linear else ():
            rest[atom] -= linear * factor
        return sum_of([(1, form_of(rest, form.constant)), (1, made)])

    def _multiple(self, form: Form, direction: Terms) -> int:
        """How often a direction is in a form, so that less than its first atom remains."""
        leading, factor = direction[0]
        return dict(form.terms).get(leading, 0) // factor

    def _alike(self, form: Form) -> tuple[tuple[Terms, ...], list[int]] | None:
        """Functions of the same directions in a sum, or one whose only direction is in the sum."""
        groups: dict[tuple[Terms, ...], list[int]] = {}
        for number, _ in form.terms:
            function = self.function(number)
            if function is not None:
                groups.setdefault(function.directions, []).append(number)
        for directions, numbers in groups.items():
            more = len(numbers) > 1 or (
                len(directions) == 1 and self._multiple(form, directions[0]) != 0
            )
            if more and self._small(form, directions, numbers):
                return directions, numbers
        return None

    def _small(self, form: Form, directions: Sequence[Terms], numbers: Sequence[int]) -> bool:
        """Whether functions of the same directions can be tabulated together."""
        if not self.fits(form):
            return False
        functions = [own for number in numbers if (own := self.function(number))]
        shapes = zip(*(own.values.shape for own in functions), strict=True)
        sizes = [min(prod(own), self.count(d)) for own, d in zip(shapes, directions, strict=True)]
        return len(directions) == 1 or prod(sizes) <= _MOST_COMBINATIONS

    def fits(self, form: Form) -> bool:
        """Whether all sums of parts of a form fit int64."""
        ends = (max(map(abs, self._atoms[atom].ends)) * abs(own) for atom, own in form.terms)
        return abs(form.constant) + sum(ends) < _LARGEST

    # Functions

    def apply(self, function: Callable[..., Integers], read: Sequence[Form]) -> Form | None:
        """A function of forms, which takes and gives arrays; None if it has too many values."""
        if not any(form.terms for form in read):
            if any(abs(form.constant) >= _LARGEST for form in read):
                return None
            return Form((), int(function(*(np.array([form.constant]) for form in read))[0]))
        for variables in self._variables(read):
            made = self._over(variables, function, read)
            if made is not None:
                return self._joined(made)
        return None

    def floor(self, form: Form, shift: int) -> Form:
        """A form divided by 2^shift and rounded down: what its upper bits hold."""
        step = 1 << shift
        if not form.constant % step and not any(own % step for _, own in form.terms):
            terms = tuple((atom, own // step) for atom, own in form.terms)
            return Form(terms, form.constant // step)
        low, high = self.ends(form)
        if low >> shift == high >> shift:
            return Form((), low >> shift)
        made = self.apply(lambda v: v >> shift, [form]) if shift < 62 else None
        return made or self._floor(form, min(shift, max(low.bit_length(), high.bit_length())))

    def _floor(self, form: Form, shift: int) -> Form:
        """The same for a form of too many values, if possible as a function of its lower bits."""
        known = self._floors.setdefault(form.terms, [])
        for own, constant, lower in known:
            if own <= shift and form.constant % (1 << own) == constant:
                finer = self.total([(1, lower)], form.constant >> own)
                made = self.apply(lambda v, by=shift - own: v >> by, [finer])
                if made is not None:
                    return made
        constant = form.constant % (1 << shift)
        low, high = ((end - form.constant + constant) >> shift for end in self.ends(form))
        made = self.opaque(("floor", form.terms, shift, constant), Ends(low, high))
        known.append((shift, constant, made))
        return self.total([(1, made)], form.constant >> shift)

    def negative(self, form: Form) -> Form:
        """1 where a form is negative, 0 elsewhere."""
        low, high = self.ends(form)
        bits = max(low.bit_length(), high.bit_length())
        return self.total([(-1, self.floor(form, bits))]) if low < 0 else Form((), 0)

    def limited(self, form: Form, low: int, high: int) -> Form:
        """``low`` where a form is less, ``high`` where it is more."""
        made = self.apply(lambda v: np.clip(v, low, high), [form])
        if made is not None:
            return made
        reached = self.ends(form)
        for end, sign in ((low, 1), (high, -1)):
            beyond = self.total([(sign, form)], -sign * end)
            cut = self.product(self.negative(beyond), beyond)
            form = self.total([(1, form), (-sign, cut)])
            reached = Ends(*(sign * max(sign * own, sign * end) for own in reached))
            self.learn(form, *reached)
        return form

    def product(self, a: Form, b: Form) -> Form:
        """The product of two forms."""
        if not a.terms or not b.terms:
            return self.total([(a.constant, b)]) if not a.terms else self.total([(b.constant, a)])
        if max(map(abs, self.ends(a))) * max(map(abs, self.ends(b))) < _LARGEST:
            made = self.apply(np.multiply, [a, b])
            if made is not None:
                return made
        self._spend(_PRODUCT * len(a.terms) * len(b.terms))
        parts = [(a.constant, Form(b.terms)), (b.constant, Form(a.terms))]
        for (x, m), (y, n) in ((s, t) for s in a.terms for t in b.terms):
            parts.append((m * n, self._product_of_atoms(min(x, y), max(x, y))))
        return self.total(parts, a.constant * b.constant)

    def _product_of_atoms(self, x: int, y: int) -> Form:
        first, second = (self._atoms[atom].ends for atom in (x, y))
        corners = [p * q for p in first for q in second]
        made = None
        if max(map(abs, corners)) < _LARGEST:
            made = self.apply(np.multiply, [Form(((x, 1),)), Form(((y, 1),))])
        low = max(min(corners), 0) if x == y else min(corners)
        return made or self.opaque(("product", x, y), Ends(low, max(corners)))

    def _variables(self, read: Sequence[Form]) -> Iterator[list[Terms]]:
        """The directions that forms may be functions of, the finest first."""
        directions = {direction_of(form)[0] for form in read if form.terms}
        atoms: set[Terms] = set()
        for direction in directions:
            single: list[Terms] = [((atom, 1),) for atom, _ in direction]
            atoms.update(single if prod(map(self.count, single)) <= _FEW else [direction])
        for variables in (self._finer(atoms), atoms, directions):
            yield sorted(variables)

    def _finer(self, variables: set[Terms]) -> set[Terms]:
        """Atoms replaced by what they are functions of: one direction, those of another atom, or
        other variables.
        """
        read = {variable: self.directions(variable) for variable in variables}
        used = Counter(read.values())
        finer: set[Terms] = set()
        for variable, own in read.items():
            finer.update(own if len(own) == 1 or (own and used[own] > 1) else [variable])
        within = {own for own in finer if read.get(own) and finer.issuperset(read[own])}
        return finer - within

    def _over(
        self,
        variables: list[Terms],
        function: Callable[..., Integers],
        read: Sequence[Form],
        modulus: int = 0,
    ) -> Form | None:
        """A function of forms that depend on variables; None if it has too many values.

        With a modulus, a form that agrees with it modulo that number.
        """
        large = any(max(map(abs, self.ends(form))) >= _LARGEST for form in read)
        if large or any(self.count(variable) > _MOST_VALUES for variable in variables):
            return None
        uses = [Use(self, variables, form) for form in read]
        labels: list[list[Integers | None]] = [[] for _ in variables]
        for axis, own in (pair for use in uses for pair in use.classes()):
            labels[axis].append(own)
        classes = [
            joined(own, len(self.domain(variable)))
            for own, variable in zip(labels, variables, strict=True)
        ]
        shape = [len(own.first) for own in classes]
        if len(variables) > 1 and prod(shape) > _MOST_COMBINATIONS:
            return None
        self._spend(prod(shape) + sum(len(own.of) for own in classes))
        result = np.broadcast_to(function(*(use.values(classes) for use in uses)), shape)
        if max(abs(int(result.min())), abs(int(result.max()))) >= _LARGEST:
            return None
        return self._function(variables, [own.of for own in classes], result, modulus)

    def _function(
        self,
        variables: Sequence[Terms],
        classes: Sequence[Integers],
        values: Integers,
        modulus: int = 0,
    ) -> Form:
        """The form of a table."""
        values = values.astype(np.int64) % modulus if modulus else values.astype(np.int64)
        kept: list[Terms] = []
        own: list[Integers] = []
        for variable, labels in zip(variables, classes, strict=True):
            fewer, values = fewest(labels, values, len(kept))
            if values.shape[len(kept)] == 1:
                values = values.squeeze(len(kept))
            else:
                kept.append(variable)
                own.append(fewer)
        if not kept:
            return Form((), int(values))
        if len(kept) == 1 and (line := self._line(kept[0], own[0], values)) is not None:
            return line
        origin = int(values.flat[0])
        if len(kept) > 1 and (parts := separate(values, modulus)) is not None:
            single = [
                self._function([variable], [labels], part)
                for variable, labels, part in zip(kept, own, parts, strict=True)
            ]
            return sum_of([(1, part) for part in single], origin)
        differences = values - origin
        step = int(np.gcd.reduce(differences, axis=None))
        if differences.flat[np.flatnonzero(differences)[0]] < 0:
            step = -step
        table = differences // step
        key = (tuple(kept), *map(digest, own), digest(table))
        ends = Ends(int(table.min()), int(table.max()))
        atom = self._atom(key, Atom(ends, Function(tuple(kept), tuple(own), table)))
        return Form(((atom, step),), origin)

    def _line(self, direction: Terms, classes: Integers, values: Integers) -> Form | None:
        """The form of a function of one direction if it is linear."""
        if len(values) != len(classes):
            return None
        # In Python's integers: a slope times a distance may be more than int64 holds.
        domain, steps = self.domain(direction), values[classes]
        distance, rise = int(domain[-1] - domain[0]), int(steps[-1] - steps[0])
        slope, rest = divmod(rise, distance)
        if rest or (steps - steps[0] != slope * (domain - domain[0])).any():
            return None
        return sum_of([(slope, Form(direction))], int(steps[0]) - slope * int(domain[0]))


def _weighted(factors: Sequence[int]) -> Callable[..., Integers]:
    """The sum of values, each times its factor."""

    def total(*values: Integers) -> Integers:
        return sum(
            (factor * own for factor, own in zip(factors, values, strict=True)),
            start=np.zeros(1, dtype=np.int64),
        )

    return total

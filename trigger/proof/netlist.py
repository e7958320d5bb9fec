"""The forms of a netlist: each output of a core as a function of its inputs.

Yosys reads the Verilog and writes its cells before any optimisation. While the clock enable is high
a register passes on what it reads a cycle later; all that a cell reads must come from one cycle.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from graphlib import TopologicalSorter
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from trigger.fixedpoint.types import Integers
from trigger.proof.forms import Forms
from trigger.proof.values import Ends, Form, Terms, direction_of

Net = int | str

# The ports that hold what a cell reads.
_READ = ("A", "B", "S", "ADDR", "D")
# Cells that shift to the left.
_SHIFTS = ("$shl", "$sshl")
# Bits of the address of a memory that is read as a table.
_WIDEST_ADDRESS = 20


class Unknown(Exception):
    """A cell that has no form here."""


class Bit(NamedTuple):
    """Bit ``place`` of a form in two's complement, ``cycle`` clock edges after the inputs; a
    constant has no cycle.
    """

    form: Form
    place: int
    cycle: int | None = None


class Cell(NamedTuple):
    """A cell of Yosys: its kind, its parameters, and the nets of its ports, lowest bits first."""

    kind: str
    parameters: Mapping[str, str]
    ports: Mapping[str, Sequence[Net]]
    outputs: frozenset[str]

    def number(self, name: str) -> int:
        return int(self.parameters[name], 2)


def cells(module: Mapping[str, Any]) -> list[Cell]:
    """The cells of a module as Yosys writes it in JSON."""
    return [
        Cell(
            cell["type"],
            cell["parameters"],
            cell["connections"],
            frozenset(p for p, way in cell.get("port_directions", {}).items() if way == "output"),
        )
        for cell in module["cells"].values()
        if cell["type"] != "$scopeinfo"
    ]


class Netlist:
    """The values of the nets of a module, from those of its inputs."""

    def __init__(self, forms: Forms, module: Mapping[str, Any], clock: Net, enable: Net) -> None:
        self._forms, self._clock, self._enable = forms, clock, enable
        self._cells = cells(module)
        self._makers: dict[Net, int] = {}
        self._memories: dict[str, list[Cell]] = {}
        for number, cell in enumerate(self._cells):
            if "MEMID" in cell.parameters and not cell.outputs:
                self._memories.setdefault(cell.parameters["MEMID"], []).append(cell)
            for net in (net for port in cell.outputs for net in cell.ports[port]):
                if self._makers.setdefault(net, number) != number:
                    raise Unknown("two cells drive one net")
        self._bits: dict[Net, Bit] = {"0": Bit(Form(()), 0), "1": Bit(Form((), 1), 0)}

    def give(self, nets: Sequence[Net], form: Form) -> None:
        """The value of nets, in cycle 0. Raises Unknown if something else drives one."""
        for place, net in enumerate(nets):
            if net in self._bits or net in self._makers:
                raise Unknown("a net has an input and something else that drives it")
            self._bits[net] = Bit(form, place, 0)

    def run(self, wanted: Sequence[Net], done: Callable[[int], None] = lambda cells: None) -> None:
        """Find the values of nets. Raises Unknown if one has none."""
        for number in self._order(wanted):
            cell = self._cells[number]
            read = [net for port in _READ for net in cell.ports.get(port, ())]
            if any(net not in self._bits and net != "x" for net in read):
                raise Unknown(f"a cell ({cell.kind}) reads a net that nothing drives")
            self._evaluate(cell, read)
            done(1)
        if any(net not in self._bits for net in wanted):
            raise Unknown("nothing drives a bit of the output")

    def needed(self, wanted: Sequence[Net]) -> int:
        """The number of cells that nets depend on."""
        return sum(1 for _ in self._order(wanted))

    def _order(self, wanted: Sequence[Net]) -> Iterator[int]:
        """The cells that nets depend on, each after those that it reads."""
        graph: dict[int, set[int]] = {}
        left = [self._makers[net] for net in wanted if net in self._makers]
        while left:
            number = left.pop()
            if number in graph:
                continue
            cell = self._cells[number]
            read = {
                self._makers[net]
                for port in _READ
                for net in cell.ports.get(port, ())
                if net in self._makers and net not in self._bits
            }
            graph[number] = read
            left += read
        return iter(TopologicalSorter(graph).static_order())

    def cycle(self, nets: Sequence[Net]) -> int | None:
        """The cycle of nets; None if they are constant. Raises Unknown if they differ."""
        known = (self._bits[net].cycle for net in nets if net != "x")
        cycles = {cycle for cycle in known if cycle is not None}
        if len(cycles) > 1:
            edges = " and ".join(map(str, sorted(cycles)))
            raise Unknown(f"values of {edges} clock edges after the inputs meet in one cell")
        return cycles.pop() if cycles else None

    def _evaluate(self, cell: Cell, read: Sequence[Net]) -> None:
        if cell.kind in ("$dff", "$dffe"):
            self._register(cell)
            return
        port = "DATA" if cell.kind == "$memrd_v2" else "Y"
        if port not in cell.outputs:
            raise Unknown(cell.kind)
        cycle, form = self.cycle(read), self._result(cell, len(cell.ports[port]))
        for place, net in enumerate(cell.ports[port]):
            self._bits[net] = Bit(form, place, cycle if form.terms else None)

    def _register(self, cell: Cell) -> None:
        rising = cell.number("CLK_POLARITY") and list(cell.ports["CLK"]) == [self._clock]
        enabled = cell.kind == "$dffe" and cell.number("EN_POLARITY")
        if not rising or not enabled or list(cell.ports["EN"]) != [self._enable]:
            raise Unknown(f"{cell.kind}: a register with another clock or enable")
        for given, made in zip(cell.ports["D"], cell.ports["Q"], strict=True):
            bit = self._bit(given)
            self._bits[made] = bit if bit.cycle is None else bit._replace(cycle=bit.cycle + 1)

    # --- what a cell makes

    def _result(self, cell: Cell, width: int) -> Form:
        ports, signs = cell.ports, [cell.parameters.get(f"{name}_SIGNED") for name in "AB"]
        if None not in signs and len(set(signs)) > 1 and cell.kind not in _SHIFTS:
            raise Unknown(f"{cell.kind}: one input with a sign and one without")
        match cell.kind:
            case "$add" | "$sub":
                a, b = self._operands(cell, width)
                return self._forms.total([(1, a), (1 if cell.kind == "$add" else -1, b)])
            case "$neg" | "$not":
                (a,) = self._operands(cell, width, "A")
                return self._forms.total([(-1, a)], -1 if cell.kind == "$not" else 0)
            case "$pos":
                return self._operands(cell, width, "A")[0]
            case kind if kind in _SHIFTS and not (by := self.unsigned(ports["B"])).terms:
                (a,) = self._operands(cell, width, "A")
                return self._forms.total([(1 << by.constant, a)])
            case "$mul":
                return self._forms.product(*self._operands(cell, width))
            case "$mux":
                key = self.unsigned(ports["S"])
                return self._choice(key, self._modular(ports["A"]), self._modular(ports["B"]))
            case "$pmux":
                return self._case(cell, width)
            case "$memrd_v2":
                return self._read(cell)
            case "$eq" | "$ne" | "$lt" | "$le" | "$gt" | "$ge":
                return self._comparison(cell)
            case "$logic_not" | "$logic_and" | "$logic_or" | "$reduce_bool" | "$reduce_or":
                return self._logical(cell)
            case "$and" | "$or" | "$xor":
                functions = {"$and": np.bitwise_and, "$or": np.bitwise_or, "$xor": np.bitwise_xor}
                a, b = self._operands(cell, width)
                return self._applied(cell, functions[cell.kind], [a, b], width)
            case _:
                raise Unknown(cell.kind)

    def _applied(
        self,
        cell: Cell,
        function: Callable[..., Integers],
        read: Sequence[Form],
        width: int,
        key: object = None,
    ) -> Form:
        made = self._forms.apply(function, read)
        if made is None:
            made = self._forms.opaque((cell.kind, width, key, *read), Ends(0, (1 << width) - 1))
        return made

    def _choice(self, key: Form, zero: Form, one: Form) -> Form:
        """``one`` where the key is 1, else ``zero``."""
        if not key.terms:
            return one if key.constant else zero
        forms = self._forms
        made = forms.apply(np.where, [key, one, zero])
        if made is None:
            difference = forms.total([(1, one), (-1, zero)])
            made = forms.total([(1, zero), (1, forms.product(key, difference))])
            ends = [forms.ends(form) for form in (zero, one)]
            forms.learn(made, min(e.low for e in ends), max(e.high for e in ends))
        return made

    def _case(self, cell: Cell, width: int) -> Form:
        """The part of B whose bit in S is 1; A where none is."""
        keys = [self.unsigned([net]) for net in cell.ports["S"]]
        b = cell.ports["B"]
        values = [self._modular(b[k : k + width]) for k in range(0, len(b), width)]
        known = self._forms.apply(lambda *read: reduce(np.maximum, read), keys)
        # A default that never comes, which a table leaves open.
        other = values[-1] if known == Form((), 1) else self._modular(cell.ports["A"])

        def choose(*read: Integers) -> Integers:
            conditions = [key != 0 for key in read[: len(keys)]]
            return np.select(np.broadcast_arrays(*conditions), read[len(keys) : -1], read[-1])

        made = self._forms.apply(choose, [*keys, *values, other])
        if made is None:
            made = other
            for key, value in zip(reversed(keys), reversed(values), strict=True):
                made = self._choice(key, made, value)
        return made

    def _read(self, cell: Cell) -> Form:
        if cell.number("CLK_ENABLE"):
            raise Unknown("$memrd_v2: a memory with a clock")
        memory, *others = self._memories.get(cell.parameters["MEMID"], [cell])
        if others or memory.kind != "$meminit":
            raise Unknown(f"{memory.kind}: a memory that is no table")
        width, first = memory.number("WIDTH"), memory.ports["ADDR"]
        if set(first) - {"0"}:
            raise Unknown("$meminit: a memory that does not start at 0")
        text = "".join(map(str, memory.ports["DATA"]))
        words = [text[k : k + width][::-1] for k in range(0, len(text), width)]
        address = self.unsigned(cell.ports["ADDR"])
        if len(cell.ports["ADDR"]) > _WIDEST_ADDRESS:
            raise Unknown("$memrd_v2: a memory of too many words")
        words += ["x"] * (self._forms.ends(address).high + 1 - len(words))
        table = np.array([0 if "x" in word else int(word, 2) for word in words])
        undefined = np.array(["x" in word for word in words])
        made = self._applied(cell, lambda a: table.take(a, mode="clip"), [address], width, text)
        if not undefined.any():
            return made
        forms = self._forms
        anything = forms.product(
            self._applied(
                cell,
                lambda a: undefined.take(a, mode="clip"),
                [address],
                1,
                ("undefined", text),
            ),
            forms.variable(0, (1 << width) - 1),
        )
        return forms.total([(1, made), (1, anything)])

    def _comparison(self, cell: Cell) -> Form:
        forms = self._forms
        signed = bool(cell.number("A_SIGNED"))
        a, b = (self._exact(cell.ports[port], signed) for port in ("A", "B"))
        difference = forms.total([(1, a), (-1, b)])
        function: Mapping[str, Callable[..., Any]] = {
            "$eq": np.equal,
            "$ne": np.not_equal,
            "$lt": np.less,
            "$le": np.less_equal,
            "$gt": np.greater,
            "$ge": np.greater_equal,
        }
        compare = function[cell.kind]
        made = forms.apply(lambda v: compare(v, 0), [difference])
        if made is not None:
            return made
        less, more = forms.negative(difference), forms.negative(forms.total([(-1, difference)]))
        match cell.kind:
            case "$lt":
                return less
            case "$gt":
                return more
            case "$ge":
                return forms.total([(-1, less)], 1)
            case "$le":
                return forms.total([(-1, more)], 1)
            case "$ne":
                return forms.total([(1, less), (1, more)])
            case _:
                return forms.total([(-1, less), (-1, more)], 1)

    def _logical(self, cell: Cell) -> Form:
        read = [self.unsigned(cell.ports[port]) for port in ("A", "B") if port in cell.ports]
        function: Mapping[str, Callable[..., Any]] = {
            "$logic_not": np.logical_not,
            "$logic_and": np.logical_and,
            "$logic_or": np.logical_or,
            "$reduce_bool": lambda v: v != 0,
            "$reduce_or": lambda v: v != 0,
        }
        return self._applied(cell, function[cell.kind], read, 1)

    # --- what a cell reads

    def _operands(self, cell: Cell, width: int, names: str = "AB") -> list[Form]:
        """Inputs, modulo the width of the output."""
        return [
            self._modular(cell.ports[name][:width])
            if len(cell.ports[name]) >= width
            else self._exact(cell.ports[name], bool(cell.number(f"{name}_SIGNED")))
            for name in names
        ]

    def _modular(self, nets: Sequence[Net]) -> Form:
        """Any form that agrees with nets modulo 2 to their number."""
        bits = [self._bit(net) for net in nets]
        if bits[0].place == 0 and all(
            after == bit._replace(place=bit.place + 1) for bit, after in pairwise(bits)
        ):
            return bits[0].form
        last = bits[-1]
        signed = len(bits) > 1 and (bits[-2] == last or self._forms.ends(last.form).low < 0)
        return self._exact(nets, signed)

    def unsigned(self, nets: Sequence[Net]) -> Form:
        """The number that nets hold without a sign."""
        return self._exact(nets, signed=False)

    def _exact(self, nets: Sequence[Net], signed: bool) -> Form:
        bits = [self._bit(net) for net in nets]
        while signed and len(bits) > 1 and bits[-1] == bits[-2]:
            bits.pop()
        parts, low = [], 0
        for last, run in _runs(bits):
            parts.append((1 << low, self._slice(run, signed and last)))
            low += len(run)
        return self._forms.total(parts)

    def _slice(self, run: Sequence[Bit], signed: bool) -> Form:
        """Consecutive bits of a form."""
        forms, form, low, count = self._forms, run[0].form, run[0].place, len(run)
        if not form.terms:
            field = (form.constant >> low) & ((1 << count) - 1)
            return Form((), field - (field >> (count - 1) << count if signed else 0))
        shifted = forms.floor(form, low)
        least = -(1 << (count - 1)) if signed else 0
        ends, most = forms.ends(shifted), least + (1 << count) - 1
        if least <= ends.low and ends.high <= most:
            return shifted
        made = forms.apply(lambda v: ((v - least) & ((1 << count) - 1)) + least, [shifted])
        if made is None:
            beyond = forms.floor(forms.total([(1, form)], -least << low), low + count)
            made = forms.total([(1, shifted), (-1 << count, beyond)])
            forms.learn(made, least, most)
        return made

    def _bit(self, net: Net) -> Bit:
        """A bit; one that the Verilog leaves open is a new variable."""
        if net == "x":
            return Bit(self._forms.variable(0, 1), 0)
        return self._bits[net]

    def form(self, nets: Sequence[Net]) -> Form:
        """A form that agrees with nets modulo 2 to their number."""
        return self._modular(nets)

    def directions(self) -> set[Terms]:
        """What nets hold multiples of, without constants."""
        return {direction_of(bit.form)[0] for bit in self._bits.values() if bit.form.terms}


def _runs(bits: Sequence[Bit]) -> list[tuple[bool, list[Bit]]]:
    """Consecutive bits of one form, and whether they are the last ones; constants together."""
    runs: list[list[Bit]] = []
    for bit in bits:
        before = runs[-1][-1] if runs else None
        if before is not None and before.form == bit.form and before.place + 1 == bit.place:
            runs[-1].append(bit)
        else:
            runs.append([bit])
    return [(number == len(runs) - 1, run) for number, run in enumerate(runs)]

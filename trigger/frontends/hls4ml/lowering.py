"""A walk over the calls of a project's top function, into the fixed-point graph."""

from collections.abc import Sequence
from functools import cached_property, partial

import numpy as np

from trigger.fixedpoint.build import Builder
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import MAX_ENTRIES, GraphError
from trigger.fixedpoint.ranges import TooWide
from trigger.fixedpoint.types import Fixed
from trigger.frontends.hls4ml.foreign_tables import Table, computed
from trigger.frontends.hls4ml.functions import FUNCTIONS, Function
from trigger.frontends.hls4ml.headers import Array, HeaderError, Stream
from trigger.frontends.hls4ml.layer import Layer, Value
from trigger.frontends.hls4ml.numbers import Number, assigned, number
from trigger.frontends.hls4ml.project import Project
from trigger.frontends.hls4ml.source import Call
from trigger.frontends.inexact import Inexact, Problem, Refusal

_COPIES = ("clone_stream", "repack_stream")
_TABLES = {name for name, function in FUNCTIONS.items() if function.table}


def lower(project: Project, types: Sequence[Fixed] | None) -> Graph:
    """The graph of a project for inputs of these types, one for each feature.

    Raises Inexact with everything in the project that cannot be exact.
    """
    types = tuple(types or input_types(project))
    if len(types) != project.features:
        problem = Problem(
            "inputs",
            f"{len(types)} types for {project.features} features",
            'give one type, or one per feature, as in inputs="fixed<16,6>"',
        )
        raise Inexact([problem])
    return _Walk(project, types).graph()


def input_types(project: Project) -> tuple[Fixed, ...]:
    """The types of the features: that of the top function's input."""
    return (project.csim.input_type,) * project.features


class _Walk:
    """It collects every problem; calls that read the value of a refused one are left out."""

    def __init__(self, project: Project, types: tuple[Fixed, ...]) -> None:
        self.project = project
        self.problems: list[Problem] = []
        self.builder = Builder(types)
        self.values: dict[str, Value] = {}
        source, target = project.ports()
        self.target = target.name
        self.softmax = project.softmax
        if self.softmax is not None:
            self.target = self.softmax.arguments[0]
        self._start(source)
        for call in project.program.calls:
            if call is not self.softmax:
                self._visit(call)

    def _start(self, source: Array | Stream) -> None:
        try:
            kind = number(self.project.headers, source.type)
            node = assigned(self.builder, "input", self.builder.last, kind)
            self.values[source.name] = Value(node, kind)
        except (HeaderError, Refusal) as error:
            self.problems.append(self._problem("inputs", error))

    def graph(self) -> Graph:
        if self.problems:
            raise Inexact(self.problems)
        value = self.values.get(self.target)
        if value is None:
            problem = Problem(self._file(), f"nothing gives {self.target}", _again())
            raise Inexact([problem])
        elements = len(self.builder[value.node].types)
        if elements != self.project.outputs:
            reason = f"{self.target} gets {elements} of {self.project.outputs} elements"
            raise Inexact([Problem(self._file(), reason, _again())])
        return self.builder.graph(value.node, self._notes())

    def _notes(self) -> tuple[str, ...]:
        if self.softmax is None:
            return ()
        note = "the softmax is left out; it cannot change the order of the classes"
        return (f"{self.softmax.layer}: {note}",)

    def _visit(self, call: Call) -> None:
        try:
            self._lower(call)
        except (HeaderError, Refusal, TooWide, GraphError, ValueError) as error:
            place = f"{call.layer} ({self._file()}, line {call.line}, nnet::{call.function})"
            self.problems.append(self._problem(place, error))
        except Inexact as error:
            self.problems += error.problems

    def _lower(self, call: Call) -> None:
        if call.function in _COPIES:
            self._copy(call)
            return
        function = FUNCTIONS.get(call.function)
        if function is None:
            raise Refusal(*_unknown(call.function))
        before = function.inputs + function.parameters
        if len(call.arguments) != before + 1 + function.stored:
            raise Refusal(f"it has {len(call.arguments)} arguments", _again())
        names = call.arguments[: function.inputs]
        if any(name not in self.values for name in names):
            if self.problems:
                return  # the problem is that of an earlier call
            raise Refusal(f"nothing gives its input {', '.join(names)}", _again())
        target = call.arguments[before]
        layer = Layer(
            self.builder,
            call.layer,
            self.project.struct(call.types[-1]),
            [self.values[name] for name in names],
            self._type(target),
            list(call.arguments[before + 1 :]),
            self._parameter(call, function),
            self.project,
            partial(self._table, call),
        )
        self.values[target] = Value(function.lower(layer), layer.result)

    def _parameter(self, call: Call, function: Function) -> tuple[str, Number] | None:
        """The argument between input and result, whose type is that between theirs."""
        if not function.parameters:
            return None
        kind = number(self.project.headers, call.types[1])
        return call.arguments[function.inputs], kind

    def _table(self, call: Call) -> np.ndarray:
        return self._tables[self._named(call)]

    @cached_property
    def _tables(self) -> dict[Table, np.ndarray]:
        """The tables of all calls, for which g++ runs once."""
        calls = self.project.program.calls
        read = [call for call in calls if call.function in _TABLES]
        return computed(self.project.csim, list(dict.fromkeys(map(self._named, read))))

    def _named(self, call: Call) -> Table:
        config = self.project.struct(call.types[-1])
        size = config.size("table_size")
        if not 1 <= size <= MAX_ENTRIES:
            raise HeaderError(
                f"the struct {config.name} has table_size = {size}; tables have 1 to "
                f"{MAX_ENTRIES:,} entries"
            )
        return Table(FUNCTIONS[call.function].table, config.name, size)

    def _copy(self, call: Call) -> None:
        """Streams that are read twice, or in words of another size, each into its own type."""
        source, *targets = [name for name in call.arguments if not name.isdigit()]
        if source not in self.values:
            if self.problems:
                return
            raise Refusal(f"nothing gives its input {source}", _again())
        for target in targets:
            kind = self._type(target)
            node = assigned(self.builder, call.layer, self.values[source].node, kind)
            self.values[target] = Value(node, kind)

    def _type(self, variable: str) -> Number:
        known = self.project.program.variables
        port = self.project.ports()[1]
        if variable == port.name:
            return number(self.project.headers, port.type)
        if variable not in known:
            raise HeaderError(f"the variable {variable} is not declared")
        return number(self.project.headers, known[variable])

    def _file(self) -> str:
        csim = self.project.csim
        return self.project.relative(csim.sources / f"{csim.name}.cpp")

    def _problem(self, place: str, error: Exception) -> Problem:
        if isinstance(error, Refusal):
            return Problem(place, error.reason, error.remedy)
        if isinstance(error, TooWide):
            reason = f"a value needs {error.width} bits, but float64 holds 53"
            return Problem(place, reason, "use narrower types before it")
        return Problem(place, str(error), _again())


def _again() -> str:
    return "write the project again with hls4ml"


def _unknown(function: str) -> tuple[str, str]:
    if function == "softmax":
        remedy = "leave it out of the network, or use it only at its end"
        return "nnet::softmax approximates by tables in float32", remedy
    return f"nnet::{function} has no exact lowering", f"use only {', '.join(sorted(FUNCTIONS))}"

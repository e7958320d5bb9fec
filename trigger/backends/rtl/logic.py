"""The graph as logic: alkaid traces every node into shift-and-add form (distributed arithmetic).

alkaid turns arithmetic on its symbolic variables into a list of operations on bit vectors;
``arithmetic`` formulates each node. Layers are traced one by one, so that the origin of every
operation is known. Equal positions of a layer are one kernel, whose logic is held once.
"""

from collections.abc import Callable, Container, Hashable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from alkaid.types import CombLogic, Op, QInterval

from trigger.backends.rtl import multipliers, positions
from trigger.backends.rtl.area import lut
from trigger.backends.rtl.growing import Part, slowest
from trigger.backends.rtl.operations import (
    CONSTANT,
    INPUT,
    LEAST_SAVED,
    PARAMETER,
    Logic,
    Weighed,
)
from trigger.backends.rtl.tracing import check_binary_points, traced
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import Dense, Operation, Select, TruthTable
from trigger.fixedpoint.parameters import types_by_number
from trigger.fixedpoint.ranges import Interval, ranges
from trigger.fixedpoint.types import Fixed, Integers


def weights(graph: Graph) -> int:
    """The number of weights that hardware has, which take nearly all the time of ``to_logic``."""
    return sum(map(_weights, graph.nodes))


def _weights(node: Operation) -> int:
    if not isinstance(node, Dense):
        return 0
    if node.parameters is not None:
        return node.positions * int(np.count_nonzero(node.parameters[:-1] >= 0))
    return node.positions * int(np.count_nonzero(node.weights.values))


def _first_half(node: Operation) -> int:
    return _weights(node) // 2


class Cycles(NamedTuple):
    """The clock cycles from one event to the next, and the nanoseconds of logic in each."""

    number: int
    ns: float


_ONE_CYCLE = Cycles(1, 0.0)


def to_logic(
    graph: Graph,
    done: Callable[[int], None] = lambda weights: None,
    cycles: Cycles = _ONE_CYCLE,
    in_dsp: Container[str] = (),
) -> Logic:
    """Trace a graph, layer by layer. Raises TriggerError for a node without exact logic.

    With several ``cycles`` for an event, a dense layer whose outputs share multipliers is a kernel
    at as many positions, if that is smaller. Products of two variables are in DSP blocks in the
    layers ``in_dsp``.

    ``done`` is called with numbers of weights: half of a product's when its additions are
    found, and the rest when the layer is finished.
    """
    tracer = _Tracer(graph, done, cycles, in_dsp)
    for name, layer in _layers(graph):
        for nodes in positions.parts(layer):
            inside = {node.name for node in nodes}
            later = {s for node in graph.nodes if node.name not in inside for s in node.inputs}
            later.add(graph.output.name)
            results = [node for node in nodes if node.name in later]
            if results:
                tracer.add(name, nodes, results)
            else:  # an unread layer
                done(sum(map(_weights, nodes)))
    tracer.part.logic.outputs.extend(tracer.values[graph.output.name])
    return tracer.part.logic


class _Tracer:
    """The logic so far, and the operations of each node by name."""

    def __init__(
        self, graph: Graph, done: Callable[[int], None], cycles: Cycles, in_dsp: Container[str]
    ) -> None:
        self.part = Part()
        self._cycles, self._in_dsp = cycles, in_dsp
        self._constants: dict[Hashable, int] = {}
        self.values = {graph.input.name: list(range(len(graph.input.types)))}
        self._graph, self._intervals, self._done = graph, ranges(graph), done
        check_binary_points(graph, self._intervals)
        for i, input_type in enumerate(graph.input.types):
            interval = _interval(input_type.minimum, input_type.maximum, input_type.fraction)
            self.part.append("inputs", Op((), INPUT, (i,), interval, 0, 0))
        self._parameters: dict[int, int] = {}
        for number, (layer, own) in sorted(types_by_number(graph).items()):
            interval = _interval(own.minimum, own.maximum, own.fraction)
            op = Op((), PARAMETER, (number,), interval, 0, 0)
            self._parameters[number] = self.part.append(layer, op)

    def add(self, name: str, nodes: Sequence[Operation], results: Sequence[Operation]) -> None:
        """Add the nodes of a layer, of which ``results`` are read later."""
        first = nodes[0]
        if isinstance(first, Dense) and first.parameters is not None:
            self._add_loaded(name, first, first.parameters)
            later = [node for node in results if node is not first]
            if later:
                self.add(name, nodes[1:], later)
            return
        if isinstance(first, Dense) and first.positions > 1:
            self._add_positions(name, first, nodes, results)
            return
        if all(isinstance(node, Select) for node in nodes):
            self._add_wiring(name, nodes)
            return
        if (
            self._cycles.number > 1
            and isinstance(first, Dense)
            and self._share_multipliers(name, first)
        ):
            if nodes[1:]:
                self.add(name, nodes[1:], [node for node in results if node is not first])
            return
        inside = {node.name for node in nodes}
        sources = list(dict.fromkeys(s for node in nodes for s in node.inputs if s not in inside))
        given = [i for source in sources for i in self.values[source]]
        reached = [(self._interval(i), self.part.arrival[i]) for i in given]
        layer = traced(
            self._graph,
            self._intervals,
            nodes,
            sources,
            results,
            reached,
            lambda node: self._done(_first_half(node)),
            name in self._in_dsp,
        )
        indices = iter(self.part.adopt(name, layer, given, self.part.tables(layer)))
        for node in results:
            self.values[node.name] = [next(indices) for _ in node.types]
        self._done(sum(_weights(node) - _first_half(node) for node in nodes))

    def _add_loaded(self, name: str, dense: Dense, parameters: Integers) -> None:
        """Add a dense layer whose weights are loaded: a kernel for outputs that read alike."""
        source = self._graph[dense.inputs[0]]
        types = np.array(source.types, dtype=object).reshape(dense.positions, -1, 3)
        values = np.array(self.values[source.name]).reshape(dense.positions, -1)
        alike: dict[Hashable, list[tuple[int, int]]] = {}
        if (parameters[:-1] < 0).all():
            row = [self._parameters[number] for number in parameters[-1].tolist()]
            self.values[dense.name] = row * dense.positions
            return
        for output, numbers in enumerate(parameters.T):
            read = numbers[:-1] >= 0
            for position in range(dense.positions):
                own = map(self._interval, values[position, read].tolist())
                key = (*own, bool(numbers[-1] >= 0))
                alike.setdefault(key, []).append((position, output))
        made = np.zeros((dense.positions, parameters.shape[1]), dtype=np.int64)
        for places in alike.values():
            first, output = places[0]
            read = parameters[:-1, output] >= 0
            kernel = multipliers.loaded(dense, [Fixed(*t) for t in types[first, read]], output)
            rows = np.array([self._given(values[p], parameters[:, o]) for p, o in places])
            arrival = self._arrival(rows)
            reach = [(self._interval(i), t) for i, t in zip(rows[0].tolist(), arrival, strict=True)]
            layer = self._traced(name, kernel, ranges(kernel), kernel.nodes[1:], reach)
            results = self.part.share(name, layer, rows, frozenset())[:, 0]
            made[tuple(np.array(places).T)] = results
        self.values[dense.name] = made.ravel().tolist()
        self._done(_weights(dense))

    def _given(self, values: Integers, parameters: Integers) -> list[int]:
        """What an output reads: values, their weights, and the bias if there is one."""
        read: list[int] = values[parameters[:-1] >= 0].tolist()
        return read + [self._parameters[n] for n in parameters[parameters >= 0].tolist()]

    def _share_multipliers(self, name: str, dense: Dense) -> bool:
        """Add a dense layer whose outputs share multipliers, if that is smaller than constants."""
        source = self._graph[dense.inputs[0]]
        one = multipliers.output(dense, source.types)
        if one is None:
            return False
        values = self.values[source.name]
        given = [values[i] for i in one.read.tolist()]
        reach = [(self._interval(i), self.part.arrival[i]) for i in values]
        alone = self._traced(name, self._graph, self._intervals, [dense], reach)
        reach = [reach[i] for i in one.read.tolist()] + [(q, 0.0) for q in one.intervals]
        kernel = self._traced(name, one.graph, ranges(one.graph), one.graph.nodes[1:], reach)
        outputs = len(one.numbers)
        copies = -(-outputs // self._cycles.number)
        chosen = copies * sum(sum(q.kif) for q in one.intervals if q.min != q.max)
        cost = copies * sum(map(lut, kernel.ops)) + chosen
        own, slow = sum(map(lut, alone.ops)), slowest(kernel) > self._cycles.ns
        taken = cost < (1 - LEAST_SAVED) * own and not slow
        self.part.logic.weighed.append(Weighed((name,), own, cost, taken, slow))
        if not taken:
            return False
        rows = [
            [
                *given,
                *(self._constant(name, *pair) for pair in zip(row, one.intervals, strict=True)),
            ]
            for row in one.numbers.tolist()
        ]
        made = self.part.share(name, kernel, np.array(rows), frozenset())
        self.values[dense.name] = made[:, 0].tolist()
        self._done(_weights(dense))
        return True

    def _traced(
        self,
        name: str,
        graph: Graph,
        intervals: Mapping[str, Interval],
        nodes: Sequence[Operation],
        reach: Sequence[tuple[QInterval, float]],
    ) -> CombLogic:
        """The logic of nodes of a layer that follow each other."""
        sources, in_dsp = [nodes[0].inputs[0]], name in self._in_dsp
        return traced(
            graph, intervals, nodes, sources, nodes[-1:], reach, lambda node: None, in_dsp
        )

    def _constant(self, group: str, value: float, interval: QInterval) -> int:
        """A constant, once for each value."""
        own = QInterval(value, value, interval.step)
        op = Op((), CONSTANT, (round(value / interval.step),), own, 0, 0)
        return self.part.append(group, op, 0.0, self._constants)

    def _add_wiring(self, name: str, nodes: Sequence[Operation]) -> None:
        for node in nodes:
            assert isinstance(node, Select)
            read = self.values[node.inputs[0]]
            if (node.elements < 0).any():
                zero = Op((), CONSTANT, (0,), QInterval(0.0, 0.0, 1.0), 0, 0)
                read = [*read, self.part.append(name, zero)]  # -1 is the last one
            self.values[node.name] = [read[i] for i in node.elements.tolist()]

    def _add_positions(
        self, name: str, first: Dense, nodes: Sequence[Operation], results: Sequence[Operation]
    ) -> None:
        """Positions that compute the same are traced once, and one kernel serves them all.

        The order of the additions is the same at all positions, too: it follows the latest arrival
        of each value.
        """
        given = np.array(self.values[first.inputs[0]]).reshape(first.positions, -1)
        shared: list[Integers] = []
        known: dict[Hashable, int] = {}
        arrival = self._arrival(given)
        members = self._members(given, nodes)
        for rows in members:
            one = positions.position(self._graph, self._intervals, nodes, rows[0])
            read = map(self._interval, given[rows[0]].tolist())
            layer = traced(
                one.graph,
                one.intervals,
                one.graph.nodes[1:],
                [one.graph.input.name],
                [one.graph[node.name] for node in results],
                list(zip(read, arrival, strict=True)),
                lambda node: None,
                name in self._in_dsp,
            )
            if len(rows) > 1:
                padding = self._zeros(given[rows])
                shared.append(self.part.share(name, layer, given[rows], padding))
            else:
                own = given[rows[0]].tolist()
                places = self.part.adopt(name, layer, own, self.part.tables(layer), known)
                shared.append(np.array([places]))
            self._done(len(rows) * (_weights(first) // first.positions))
        values = np.concatenate(shared)[np.argsort(np.concatenate(members))]
        ends = np.cumsum([len(node.types) // first.positions for node in results])[:-1]
        for node, own_values in zip(results, np.split(values, ends, axis=1), strict=True):
            self.values[node.name] = own_values.ravel().tolist()

    def _members(self, given: Integers, nodes: Sequence[Operation]) -> list[list[int]]:
        """The positions of each kernel, by the first of them."""
        codes: dict[QInterval, int] = {}
        places = given.ravel().tolist()
        read = {i: codes.setdefault(self._interval(i), len(codes)) for i in set(places)}
        kinds = np.array([read[i] for i in places]).reshape(given.shape)
        low, high = (np.array([interval[end] for interval in codes])[kinds] for end in (0, 1))
        reads = positions.Read(kinds, (low == 0) & (high == 0), low > 0, high < 0)
        return positions.members(self._graph, self._intervals, nodes, reads)

    def _zeros(self, given: Integers) -> frozenset[int]:
        """Those of the values that are always zero."""
        return frozenset(i for i in np.unique(given).tolist() if not any(self._interval(i)[:2]))

    def _interval(self, i: int) -> QInterval:
        interval: QInterval = self.part.logic.ops[i].qint
        return interval

    def _arrival(self, given: Integers) -> list[float]:
        """When each value of a position is ready at the latest."""
        latest: list[float] = np.array(self.part.arrival)[given].max(axis=0).tolist()
        return latest


def _layers(graph: Graph) -> Iterator[tuple[str, list[Operation]]]:
    """The nodes by layer: each Dense or TruthTable with its followers up to the next one, and those
    before the first.
    """
    layers: list[list[Operation]] = [[]]
    for node in graph.nodes[1:]:
        if isinstance(node, Dense | TruthTable) and layers[-1]:
            layers.append([])
        layers[-1].append(node)
    return ((nodes[0].name, nodes) for nodes in layers if nodes)


def _interval(low: int, high: int, fraction: int) -> QInterval:
    step = 2.0**-fraction
    return QInterval(low * step, high * step, step)

"""The graph as logic: alkaid traces every node into shift-and-add form (distributed arithmetic).

alkaid turns arithmetic on its symbolic variables into a list of operations on bit vectors;
``arithmetic`` formulates each node. Layers are traced one by one, so that the origin of every
operation is known.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from alkaid.trace import FVariable, trace
from alkaid.trace.fixed_variable import LookupTable
from alkaid.types import CombLogic, Op, QInterval

from trigger.backends.rtl import positions, rational
from trigger.backends.rtl.alkaid_private import optimized
from trigger.backends.rtl.area import lut
from trigger.backends.rtl.arithmetic import lower
from trigger.backends.rtl.sums import HARDWARE, narrowed, variable
from trigger.errors import TriggerError
from trigger.fixedpoint.evaluate import evaluate
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import Dense, Operation
from trigger.fixedpoint.ranges import Interval, ranges
from trigger.fixedpoint.types import Integers

# The operation codes of alkaid used here.
INPUT, WRAP, CONSTANT, LOOKUP = -1, 3, 5, 8

# The number of events on which the logic of a layer is compared with the graph; fewer where only
# rational numbers hold its values.
_SAMPLES, _FEW_SAMPLES = 1000, 25


class Logic(NamedTuple):
    """All operations in order, inputs first; addresses and ``outputs`` are positions in ``ops``.

    ``groups[i]`` names the layer that operation i belongs to; ``delays[i]`` is in nanoseconds as
    alkaid estimates them for UltraScale+, ``costs[i]`` in LUTs by ``area``. ``tables`` belong to
    the look-ups.
    """

    ops: list[Op]
    groups: list[str]
    delays: list[float]
    costs: list[float]
    tables: list[LookupTable]
    outputs: list[int]


def weights(graph: Graph) -> int:
    """The number of non-zero weights, which take nearly all the time of ``to_logic``."""
    return sum(map(_weights, graph.nodes))


def _weights(node: Operation) -> int:
    if not isinstance(node, Dense):
        return 0
    return node.positions * int(np.count_nonzero(node.weights.values))


def _first_half(node: Operation) -> int:
    return _weights(node) // 2


def to_logic(graph: Graph, done: Callable[[int], None] = lambda weights: None) -> Logic:
    """Trace a graph, layer by layer. Raises TriggerError for a node without exact logic.

    ``done`` is called with numbers of non-zero weights: half of a product's when its additions are
    found, and the rest when the layer is finished.
    """
    tracer = _Tracer(graph, done)
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
    tracer.logic.outputs.extend(tracer.values[graph.output.name])
    return tracer.logic


class _Tracer:
    """The logic so far, the operations of each node by name, and when each operation is ready."""

    def __init__(self, graph: Graph, done: Callable[[int], None]) -> None:
        self.logic = Logic([], [], [], [], [], [])
        self.values = {graph.input.name: list(range(len(graph.input.types)))}
        self._graph, self._found, self._done = graph, ranges(graph), done
        self._arrival: list[float] = []
        for i, kind in enumerate(graph.input.types):
            interval = _interval(kind.minimum, kind.maximum, kind.fraction)
            self._append("inputs", Op((), INPUT, (i,), interval, 0, 0), 0.0)

    def add(self, name: str, nodes: Sequence[Operation], results: Sequence[Operation]) -> None:
        """Add the nodes of a layer, of which ``results`` are read later."""
        first = nodes[0]
        if isinstance(first, Dense) and first.positions > 1:
            self._add_positions(name, first, nodes, results)
            return
        inside = {node.name for node in nodes}
        sources = list(dict.fromkeys(s for node in nodes for s in node.inputs if s not in inside))
        given = [i for source in sources for i in self.values[source]]
        traced = _trace(
            self._graph, self._found, nodes, sources, results, self._reached(given), self._done
        )
        indices = iter(self._adopt(name, traced, given, self._tables(traced)))
        for node in results:
            self.values[node.name] = [next(indices) for _ in node.types]
        self._done(sum(_weights(node) - _first_half(node) for node in nodes))

    def _add_positions(
        self, name: str, first: Dense, nodes: Sequence[Operation], results: Sequence[Operation]
    ) -> None:
        """Positions that compute the same of values that are ready at the same times are traced
        once.
        """
        traced: dict[Hashable, tuple[CombLogic, int]] = {}
        known: dict[Hashable, int] = {}
        source = self.values[first.inputs[0]]
        inputs = len(source) // first.positions
        for node in results:
            self.values[node.name] = []
        for number in range(first.positions):
            given = source[number * inputs : (number + 1) * inputs]
            reached = self._reached(given)
            one = positions.position(self._graph, self._found, nodes, number)
            key = (one.key, tuple(reached))
            outputs = [one.graph[node.name] for node in results]
            if key not in traced:
                new = _trace(
                    one.graph,
                    one.found,
                    one.graph.nodes[1:],
                    [one.graph.input.name],
                    outputs,
                    reached,
                    lambda weights: None,
                )
                traced[key] = new, self._tables(new)
            logic, first_table = traced[key]
            indices = iter(self._adopt(name, logic, given, first_table, known))
            for node in outputs:
                self.values[node.name] += [next(indices) for _ in node.types]
            self._done(_weights(first) // first.positions)

    def _reached(self, given: Sequence[int]) -> list[tuple[QInterval, float]]:
        return [(self.logic.ops[i].qint, self._arrival[i]) for i in given]

    def _tables(self, traced: CombLogic) -> int:
        """Take over the tables of one layer; returns the number of the first."""
        first = len(self.logic.tables)
        self.logic.tables.extend(traced.lookup_tables or ())
        return first

    def _adopt(
        self,
        group: str,
        traced: CombLogic,
        given: Sequence[int],
        first_table: int,
        known: dict[Hashable, int] | None = None,
    ) -> list[int]:
        """Append the operations of one layer; returns the positions of its outputs.

        ``known`` are operations that need not be repeated.
        """
        places: list[int] = []
        for op in traced.ops:
            if op.opcode == INPUT:
                places.append(given[op.data[0]])
                continue
            before = max((traced.ops[i].latency for i in op.addr), default=0.0)
            data = (op.data[0] + first_table,) if op.opcode == LOOKUP else op.data
            moved = op._replace(addr=tuple(places[i] for i in op.addr), data=data)
            places.append(self._append(group, moved, max(op.latency - before, 0.0), known))
        outputs = []
        for index, shift, negative in zip(
            traced.out_idxs, traced.out_shifts, traced.out_negs, strict=True
        ):
            assert not negative, "alkaid's passes leave no negated outputs"
            place = places[index]
            if shift:  # the same bits with another binary point
                interval = QInterval(*(end * 2.0**shift for end in self.logic.ops[place].qint))
                place = self._append(
                    group, Op((place,), WRAP, (shift,), interval, 0, 0), 0.0, known
                )
            outputs.append(place)
        return outputs

    def _append(
        self, group: str, op: Op, delay: float, known: dict[Hashable, int] | None = None
    ) -> int:
        key = (op.opcode, op.addr, op.data, op.qint)
        if known is not None and key in known:
            return known[key]
        place = len(self.logic.ops)
        self.logic.ops.append(op)
        self.logic.groups.append(group)
        self.logic.delays.append(delay)
        self.logic.costs.append(lut(op))
        self._arrival.append(delay + max((self._arrival[i] for i in op.addr), default=0.0))
        if known is not None:
            known[key] = place
        return place


def _layers(graph: Graph) -> Iterator[tuple[str, list[Operation]]]:
    """The nodes by layer: each Dense with its followers up to the next one, and those before the
    first.
    """
    layers: list[list[Operation]] = [[]]
    for node in graph.nodes[1:]:
        if isinstance(node, Dense) and layers[-1]:
            layers.append([])
        layers[-1].append(node)
    return ((nodes[0].name, nodes) for nodes in layers if nodes)


def _trace(
    graph: Graph,
    found: Mapping[str, Interval],
    nodes: Sequence[Operation],
    sources: Sequence[str],
    results: Sequence[Operation],
    given: Sequence[tuple[QInterval, float]],
    done: Callable[[int], None],
) -> CombLogic:
    """One layer as alkaid's logic, from its source elements, with intervals and arrival times, to
    results.
    """
    inputs = [FVariable(*interval, latency=latency, hwconf=HARDWARE) for interval, latency in given]
    symbols: dict[str, list[FVariable]] = {}
    rest = iter(inputs)
    for source in sources:
        symbols[source] = [next(rest) for _ in graph[source].types]
    for node in nodes:
        read = [symbols[name] for name in node.inputs]
        try:
            symbols[node.name] = [
                narrowed(variable(v), low, high)
                for v, low, high in zip(
                    lower(node, graph[node.inputs[0]], found[node.inputs[0]], read),
                    *_bounds(node, found[node.name]),
                    strict=True,
                )
            ]
        except (AssertionError, ValueError, OverflowError, StopIteration) as error:
            raise TriggerError(
                f"{node.name}: no exact logic for this {node.op}: {error or type(error).__name__}"
            ) from error
        if isinstance(node, Dense):
            done(_first_half(node))
    outputs = [symbol for node in results for symbol in symbols[node.name]]
    traced = trace(inputs, outputs, optimize=False)
    logic = optimized(traced)
    _check(graph, found, nodes, sources, results, [interval for interval, _ in given], logic)
    return logic


def _check(
    graph: Graph,
    found: Mapping[str, Interval],
    nodes: Sequence[Operation],
    sources: Sequence[str],
    results: Sequence[Operation],
    given: Sequence[QInterval],
    logic: CombLogic,
) -> None:
    """Compare the logic of one layer with the graph, on values across the intervals of its sources.

    There are two intervals, the graph's and alkaid's (``given``); either may be tighter.

    Raises TriggerError if they differ: alkaid holds some constants and intervals in float32 and
    silently loses bits of extreme ones.
    """
    low, high = (
        np.concatenate(ends)
        for ends in zip(*(_bounds(graph[name], found[name]) for name in sources), strict=True)
    )
    least, most, steps = np.array(given, dtype=np.float64).T
    x = _samples(np.maximum(low, least), np.minimum(high, most), steps)
    ends = np.cumsum([len(graph[name].types) for name in sources])[:-1]
    values = {
        name: np.ldexp(part, graph[name].fractions).astype(np.int64)
        for name, part in zip(sources, np.split(x, ends, axis=1), strict=True)
    }
    for node in nodes:
        read = [graph[name] for name in node.inputs]
        values[node.name] = evaluate(node, read, [values[name] for name in node.inputs])
    expected = np.concatenate([_real(node, values[node.name]) for node in results], axis=1)
    if _in_64_bits(logic):
        # The interpreter pads its last block with zeros, which may lie outside a table.
        given_back = logic.predict(x, n_threads=1, ignore_lookup_oob=True)
    else:
        expected = expected[:_FEW_SAMPLES]
        given_back = np.array([rational.run(logic, event) for event in x[:_FEW_SAMPLES].tolist()])
    differs = given_back.reshape(expected.shape) != expected
    if differs.any():
        name = [node.name for node in results for _ in node.types][int(np.argwhere(differs)[0, 1])]
        raise TriggerError(
            f"{name}: alkaid loses bits of its constants or intervals, so there "
            "is no exact logic; use fewer bits, or closer binary points"
        )


def _in_64_bits(logic: CombLogic) -> bool:
    """Whether alkaid's fast interpreter, which computes in int64, can run it."""
    moving = [op.qint for op in logic.ops if op.qint.min != op.qint.max]
    if not moving:
        return True
    largest = max(max(-q.min, q.max, q.step) for q in moving)
    return bool(largest / min(q.step for q in moving) < 2.0**62)


def _samples(low: np.ndarray, high: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Multiples of the steps, float64 (events, elements): extremes, their neighbours, random
    values.
    """
    rng = np.random.default_rng(0)
    least, most = (np.rint(end / steps).astype(np.int64) for end in (low, high))
    shape = (_SAMPLES, len(steps))
    anything = rng.integers(least, most, shape, endpoint=True)
    small = np.rint(anything * 0.5 ** rng.integers(0, 53, shape)).astype(np.int64)
    near = rng.integers(0, 3, shape)
    kinds = np.stack([anything, anything, small, least + near, most - near])
    chosen = np.take_along_axis(kinds, rng.integers(0, len(kinds), (1, *shape)), axis=0)[0]
    found: np.ndarray = np.clip(np.concatenate([[least, most], chosen]), least, most) * steps
    return found


def _real(node: Operation, integers: Integers) -> np.ndarray:
    return np.ldexp(integers.astype(np.float64), -node.fractions)


def _interval(low: int, high: int, fraction: int) -> QInterval:
    step = 2.0**-fraction
    return QInterval(low * step, high * step, step)


def _bounds(node: Operation, interval: Interval) -> tuple[np.ndarray, np.ndarray]:
    low, high = (np.ldexp(end.astype(np.float64), -node.fractions) for end in interval)
    return low, high

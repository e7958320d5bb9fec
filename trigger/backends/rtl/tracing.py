"""One layer as alkaid's logic: traced into shift-and-add form, and compared with the graph."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from alkaid.trace import FVariable, trace
from alkaid.types import CombLogic, QInterval

from trigger.backends.rtl import rational
from trigger.backends.rtl.alkaid_private import optimized
from trigger.backends.rtl.arithmetic import lower
from trigger.backends.rtl.dsp import placed
from trigger.backends.rtl.sums import HARDWARE, narrowed, variable
from trigger.errors import TriggerError
from trigger.fixedpoint.evaluate import evaluate
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import Dense, Operation
from trigger.fixedpoint.ranges import Interval
from trigger.fixedpoint.types import Integers

# The number of events on which the logic of a layer is compared with the graph; fewer if its values
# need rational numbers, which are slow.
_SAMPLES, _FEW_SAMPLES = 1000, 25
# alkaid holds intervals in float32, and binary points in eight bits.
_LARGEST = 2.0**126


def check_binary_points(graph: Graph, intervals: Mapping[str, Interval]) -> None:
    """Raise TriggerError for a node whose values are too large, or their steps too small, for
    alkaid.
    """
    for node in graph.nodes:
        ends = zip(*_bounds(node, intervals[node.name]), node.fractions, strict=True)
        if not all(_is_held(QInterval(low, high, 2.0**-f)) for low, high, f in ends):
            raise _lost(node.name)


def _is_held(x: QInterval) -> bool:
    return bool(x.min == x.max or (x.step >= 1 / _LARGEST and max(-x.min, x.max) < _LARGEST))


def traced(
    graph: Graph,
    intervals: Mapping[str, Interval],
    nodes: Sequence[Operation],
    sources: Sequence[str],
    results: Sequence[Operation],
    given: Sequence[tuple[QInterval, float]],
    multiplied: Callable[[Dense], None],
    dsp: bool,
) -> CombLogic:
    """One layer as alkaid's logic, from its source elements, with intervals and arrival times, to
    results.

    ``multiplied`` is called when the additions of a product are found. Products of two variables
    are in DSP blocks if ``dsp``.
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
                    lower(node, graph[node.inputs[0]], intervals[node.inputs[0]], read, dsp),
                    *_bounds(node, intervals[node.name]),
                    strict=True,
                )
            ]
        except (AssertionError, ValueError, OverflowError, StopIteration) as error:
            raise TriggerError(
                f"{node.name}: no exact logic for this {node.op}: {error or type(error).__name__}"
            ) from error
        if isinstance(node, Dense):
            multiplied(node)
    outputs = [symbol for node in results for symbol in symbols[node.name]]
    try:
        logic = optimized(trace(inputs, outputs, optimize=False))
    except (AssertionError, KeyError, ValueError, OverflowError) as error:
        raise _lost(results[-1].name) from error
    # Sums within a product have finer steps than it has.
    if not all(_is_held(op.qint) for op in logic.ops):
        raise _lost(results[-1].name)
    _check(graph, intervals, nodes, sources, results, [interval for interval, _ in given], logic)
    return placed(logic) if dsp else logic


def _check(
    graph: Graph,
    intervals: Mapping[str, Interval],
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
        for ends in zip(*(_bounds(graph[name], intervals[name]) for name in sources), strict=True)
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
        raise _lost(name)


def _lost(name: str) -> TriggerError:
    return TriggerError(
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
    samples: np.ndarray = np.clip(np.concatenate([[least, most], chosen]), least, most) * steps
    return samples


def _real(node: Operation, integers: Integers) -> np.ndarray:
    return np.ldexp(integers.astype(np.float64), -node.fractions)


def _bounds(node: Operation, interval: Interval) -> tuple[np.ndarray, np.ndarray]:
    low, high = (np.ldexp(end.astype(np.float64), -node.fractions) for end in interval)
    return low, high

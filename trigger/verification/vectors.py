"""Directed test vectors: corners, one-LSB steps, rounding ties, table entries, extremes.

All are real inputs, float64 of shape (vectors, features), derived from the graph and a seed.
"""

from typing import NamedTuple, assert_never

import numpy as np

from trigger.fixedpoint.arithmetic import addresses, at_positions, side_by_side, thresholds
from trigger.fixedpoint.evaluate import trace
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import (
    Add,
    Affine,
    Clip,
    Concatenate,
    Dense,
    Input,
    LeakyRelu,
    Lookup,
    Maximum,
    Minimum,
    Multiply,
    Quantize,
    Select,
    Staircase,
    Threshold,
    TruthTable,
)
from trigger.fixedpoint.ranges import ranges
from trigger.fixedpoint.types import Integers, Rounding, bounds
from trigger.verification.addresses import rarer_entries
from trigger.verification.pairs import covering

_POOL = 20_000
_TIES_PER_ELEMENT = 2
_TABLE_ENTRIES = 4096
_EVENTS_PER_ENTRY = 8
_TIMES_A_PAIR = 4
_FAR = np.iinfo(np.int64).max


class Coverage(NamedTuple):
    """The coverage of the vectors: ``reached`` of ``wanted``."""

    reached: int
    wanted: int


class Vectors(NamedTuple):
    """Vectors by family, and their coverage."""

    families: dict[str, np.ndarray]
    ties: Coverage
    ends: Coverage

    @property
    def all(self) -> np.ndarray:
        return np.concatenate(list(self.families.values()))


def generate(graph: Graph, seed: int) -> Vectors:
    """Vectors for one graph; the same graph and seed give the same vectors."""
    rng = np.random.default_rng(seed)
    low, high = bounds(graph.input.types)
    step = np.ldexp(1.0, -graph.input.fractions)
    pool = _pool(rng, low, high)
    pool_trace = trace(graph, pool)
    ties, tie_coverage = _ties(graph, pool, pool_trace)
    ends, end_coverage = _ends(graph, pool, pool_trace)
    families = {
        "all minimum": low[None] * step,
        "all maximum": high[None] * step,
        "all zero": np.clip(np.zeros_like(low), low, high)[None] * step,
        "one step": _one_step(low, high) * step,
        "random": pool[:2000] * step,
        "rounding ties of the inputs": (np.clip(pool[:500], low, high - 1) + 0.5) * step,
        "rounding ties of the quantisers": ties * step,
        "ends of the accumulators": ends * step,
        "entries of the tables": _entries(graph, pool, pool_trace) * step,
        "outside the input range": _outside(rng, low, high) * step,
        "pairs of ends and their neighbours": _pairs(seed, low, high, pool) * step,
    }
    return Vectors(families, tie_coverage, end_coverage)


def _pool(rng: np.random.Generator, low: Integers, high: Integers) -> Integers:
    """Random inputs of many kinds: uniform, near zero, and corners."""
    uniform = rng.integers(low, high + 1, size=(_POOL // 2, len(low)))
    scale = rng.choice([1 / 64, 1 / 16, 1 / 4], size=(_POOL // 4, 1))
    small = np.clip(np.rint(uniform[: _POOL // 4] * scale).astype(np.int64), low, high)
    corners = np.where(rng.random((_POOL // 4, len(low))) < 0.5, low, high)
    return np.concatenate([uniform, small, corners])


def _one_step(low: Integers, high: Integers) -> Integers:
    """Each feature alone one step from its extremes and from zero."""
    base = np.clip(np.zeros_like(low), low, high)
    rows = []
    for feature in range(len(low)):
        for value in (low[feature], low[feature] + 1, -1, 1, high[feature] - 1, high[feature]):
            row = base.copy()
            row[feature] = np.clip(value, low[feature], high[feature])
            rows.append(row)
    return np.array(rows)


def _pairs(seed: int, low: Integers, high: Integers, pool: Integers) -> Integers:
    """All pairs of features at or one step inside their extremes, among moderate and extreme
    others.
    """
    rng = np.random.default_rng([seed, 1])  # a separate generator, so that no other family changes
    ends = [low, np.minimum(low + 1, high), np.maximum(high - 1, low), high]
    zero = np.clip(np.zeros_like(low), low, high)
    others = np.concatenate([zero[None], pool[:99]])
    return np.concatenate([covering(rng, np.array(ends), others) for _ in range(_TIMES_A_PAIR)])


def _outside(rng: np.random.Generator, low: Integers, high: Integers) -> np.ndarray:
    span = (high - low + 1).astype(np.float64)
    below = low - span * rng.random((100, len(low)))
    above = high + span * rng.random((100, len(low)))
    far = np.where(rng.random((50, len(low))) < 0.5, -1e6, 1e6) * span
    return np.concatenate([below, above, far])


def _ties(graph: Graph, pool: Integers, values: dict[str, Integers]) -> tuple[Integers, Coverage]:
    """Inputs for which a quantiser must round exactly half a step."""
    chosen: list[Integers] = [np.empty(0, dtype=np.int64)]
    reached = wanted = 0
    for node in graph.nodes:
        if not isinstance(node, Quantize) or node.rounding is Rounding.TRN:
            continue
        shifts = graph[node.inputs[0]].fractions - node.fractions
        for element in np.flatnonzero(shifts > 0):
            before = values[node.inputs[0]][:, element]
            shift = int(shifts[element])
            inside = np.abs(values[node.name][:, element]) < node.types[element].maximum
            hits = np.flatnonzero(((before & ((1 << shift) - 1)) == 1 << (shift - 1)) & inside)[
                :_TIES_PER_ELEMENT
            ]
            chosen.append(hits)
            wanted += 1
            reached += len(hits) > 0
    return pool[np.unique(np.concatenate(chosen))], Coverage(reached, wanted)


def _entries(graph: Graph, pool: Integers, values: dict[str, Integers]) -> Integers:
    """Inputs that address every table entry and both sides of every step, as far as they are
    found.
    """
    chosen: list[Integers] = [np.empty(0, dtype=np.int64)]
    rare = [pool[:0]]
    directions = _directions(graph)
    for node in graph.nodes:
        if isinstance(node, Threshold):
            chosen.append(_both_sides(values[node.inputs[0]][:, node.elements] - node.bounds))
            if node.inputs[0] == graph.input.name:
                rare.append(_at_bounds(node, *bounds(graph.input.types), pool))
        if isinstance(node, TruthTable):
            chosen.append(_every_address(addresses(node, values[node.inputs[0]])))
        if not isinstance(node, Staircase | Lookup):
            continue
        x = values[node.inputs[0]]
        order = np.argsort(x, axis=None, kind="stable")
        rows = order // x.shape[1]
        ordered = x.ravel()[order]
        first = np.flatnonzero(np.diff(ordered, prepend=ordered[0] - 1))
        if isinstance(node, Lookup):
            reached = ordered[first]
            rare.append(rarer_entries(graph, node, reached, directions[node.inputs[0]]))
        elif len(first) > _TABLE_ENTRIES:
            # Wide inputs are compared with thresholds: only the two sides matter.
            fraction = int(graph[node.inputs[0]].fractions.max())
            sides = np.searchsorted(ordered, thresholds(node, fraction))
            first = np.concatenate([sides, sides - 1])
        # A later saturation may mask a wrong entry, so take several events.
        spread = first[:, None] + np.arange(
            _EVENTS_PER_ENTRY if len(first) <= _TABLE_ENTRIES else 1
        )
        chosen.append(rows[np.clip(spread, 0, len(rows) - 1)].ravel())
    return np.concatenate([pool[np.unique(np.concatenate(chosen))], *rare])


def _every_address(addresses: Integers) -> Integers:
    """Some events for each address of each output, of shape (events, outputs)."""
    chosen = []
    for column in addresses.T:
        order = np.argsort(column, kind="stable")
        first = np.flatnonzero(np.diff(column[order], prepend=-1))
        counts = np.diff(first, append=len(order))
        places = np.arange(min(_EVENTS_PER_ENTRY, counts.max()))[:, None]
        chosen.append(order[(first + places)[places < counts]])
    return np.concatenate(chosen)


def _both_sides(distance: Integers) -> Integers:
    """The events nearest to the threshold of each accept bit, from below and above."""
    chosen = [np.argsort(np.where(side, np.abs(column), _FAR), kind="stable")[:_EVENTS_PER_ENTRY]
              for column in distance.T for side in (column < 0, column >= 0)]  # fmt: skip
    return np.concatenate(chosen)


def _at_bounds(node: Threshold, low: Integers, high: Integers, pool: Integers) -> Integers:
    """Events whose feature is exactly at each threshold of the inputs, and one step below it."""
    rows = pool[np.arange(2 * len(node.bounds)) % len(pool)].copy()
    values = np.concatenate([node.bounds, node.bounds - 1])
    features = np.tile(node.elements, 2)
    rows[np.arange(len(rows)), features] = np.clip(values, low[features], high[features])
    return rows


def _ends(graph: Graph, pool: Integers, values: dict[str, Integers]) -> tuple[Integers, Coverage]:
    """The inputs that bring each accumulator nearest to the two ends of its interval.

    In the first layer the ends are reached with every input at one of its own extremes. After a
    quantiser some combinations cannot occur, so the candidates are the pool and the corners given
    by the signs of the product of the weights. The factors of a product reach theirs together, or
    each the one that is opposite.
    """
    low, high = bounds(graph.input.types)
    reach = ranges(graph)
    directions = _directions(graph)
    chosen: list[Integers] = []
    reached = wanted = 0
    for node in graph.nodes:
        if not isinstance(node, Dense | Multiply):
            continue
        slopes = [directions[node.name].T]
        if isinstance(node, Multiply):
            first, second = (directions[name].T for name in node.inputs)
            slopes = [first + second, first - second]
        ups = [np.where(slope > 0, high, low) for slope in slopes]
        downs = [np.where(slope > 0, low, high) for slope in slopes]
        corners = np.concatenate([*ups, *downs])
        at_corners = trace(graph, corners)[node.name]
        for element in range(len(node.types)):
            for end, pick in (
                (reach[node.name].low, np.argmin),
                (reach[node.name].high, np.argmax),
            ):
                both = np.concatenate([at_corners[:, element], values[node.name][:, element]])
                best = int(pick(both))
                chosen.append(corners[best] if best < len(corners) else pool[best - len(corners)])
                wanted += 1
                reached += both[best] == end[element]
    return np.unique(np.array(chosen, dtype=np.int64).reshape(-1, len(low)), axis=0), Coverage(
        reached, wanted
    )


def _directions(graph: Graph) -> dict[str, np.ndarray]:
    """The slope of each element with each input, quantisers taken as linear: (inputs, elements) by
    node.
    """
    slopes_of: dict[str, np.ndarray] = {}
    for node in graph.nodes:
        sources = [slopes_of[name] for name in node.inputs]
        match node:
            case Input():
                slopes_of[node.name] = np.diag(np.ldexp(1.0, -node.fractions))
            case Dense():
                slopes = at_positions(node, sources[0])
                slopes_of[node.name] = side_by_side(slopes @ node.weights.real)
            case Affine():
                slopes_of[node.name] = sources[0] * node.scale.real
            case Concatenate():
                slopes_of[node.name] = np.concatenate(sources, axis=1)
            case TruthTable():
                members = sources[0][:, node.elements]
                slopes_of[node.name] = members.sum(axis=2)
            case Threshold():
                slopes_of[node.name] = sources[0][:, node.elements]
            case Select():
                zero = node.elements < 0
                slopes_of[node.name] = np.where(zero, 0, sources[0][:, node.elements])
            case Maximum() | Minimum():
                slopes_of[node.name] = sources[0][:, node.groups].mean(axis=2)
            case Add():
                signed = zip(node.factors, sources, strict=True)
                slopes_of[node.name] = np.sum([sign * slope for sign, slope in signed], axis=0)
            case Quantize() | Clip() | LeakyRelu() | Staircase() | Lookup() | Multiply():
                slopes_of[node.name] = np.sum(sources, axis=0)
            case _:
                assert_never(node)
    return slopes_of

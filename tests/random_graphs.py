"""Random graphs of every operation, from a seed: widths to 53 bits, binary points far apart, every rounding and overflow."""

import numpy as np

from trigger.fixedpoint.build import Builder
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.ops import Constant, Dense, GraphError
from trigger.fixedpoint.types import MAX_WIDTH, Fixed, Overflow, Rounding, bounds, smallest

_MOST_ELEMENTS = 8
_MOST_ENTRIES = 1 << 9
# Graphs whose binary points all lie near each other, and contrived ones.
_FARTHEST = (3, 12, 70)


def random_graph(seed: int, operations: int = 9) -> Graph:
    """A graph of up to seven nodes, with types of up to 53 bits whose binary points lie up to 140 bits apart."""
    rng = np.random.default_rng(seed)
    draw = _Draw(rng, int(rng.integers(2, MAX_WIDTH + 1)), int(rng.choice(_FARTHEST)))
    draw.operations = operations
    builder = Builder(draw.types(int(rng.integers(1, 5))))
    names = [builder.last]
    for k in range(rng.integers(1, 7)):
        source = names[-1] if rng.random() < 0.7 else str(rng.choice(names))
        try:
            names.append(_grow(builder, draw, f"n{k}", source, names))
        except GraphError:  # too wide: go on with fewer bits
            narrow = tuple(
                Fixed(t.signed, min(t.width, 8), t.integer) for t in builder[source].types
            )
            names.append(builder.quantize(f"n{k}", source, narrow, Rounding.RND, Overflow.SAT))
    output = names[-1]
    if rng.random() < 0.15 or len(names) == 1:
        output = draw.threshold(builder, output)
    return builder.graph(output)


def events(graph: Graph, seed: int, count: int) -> np.ndarray:
    """Integer events: ends, one step from them, around zero, and anything."""
    rng = np.random.default_rng(seed)
    low, high = bounds(graph.input.types)
    shape = (count, len(low))
    near = np.clip(rng.integers(-3, 4, shape), low, high)
    small = np.rint(rng.integers(low, high + 1, shape) * 0.5 ** rng.integers(0, 50, shape))
    kinds = (
        np.where(rng.random(shape) < 0.5, low, high),
        np.where(rng.random(shape) < 0.5, np.minimum(low + 1, high), np.maximum(high - 1, low)),
        near,
        np.clip(small.astype(np.int64), low, high),
        rng.integers(low, high + 1, shape),
    )
    chosen = rng.integers(0, len(kinds), shape)
    return np.select([chosen == k for k in range(len(kinds))], kinds)


def shares_kernels(graph: Graph) -> bool:
    """Whether a kernel serves several positions."""
    return any(isinstance(node, Dense) and node.positions > 1 for node in graph.nodes)


class _Draw:
    """What is drawn at random, within the widths and distances of one graph."""

    def __init__(self, rng: np.random.Generator, widest: int, farthest: int) -> None:
        self.rng, self.widest, self.farthest = rng, widest, farthest
        self.operations = 9

    def type(self) -> Fixed:
        width = int(self.rng.integers(1, self.widest + 1))
        integer = int(self.rng.integers(-self.farthest, self.farthest + 1))
        if self.rng.random() < 0.6:
            integer = int(self.rng.integers(0, min(width, 12) + 1))
        return Fixed(bool(self.rng.random() < 0.7), width, integer)

    def types(self, count: int) -> tuple[Fixed, ...]:
        if self.rng.random() < 0.5:
            return (self.type(),) * count
        return tuple(self.type() for _ in range(count))

    def constant(self, *shape: int, signed: bool = True) -> Constant:
        width = int(self.rng.integers(1, min(self.widest, 40) + 1))
        values = self.rng.integers(-(1 << width) * signed, 1 << width, shape)
        values = np.where(self.rng.random(shape) < 0.2, 0, values)
        return self.placed(values)

    def placed(self, values: np.ndarray) -> Constant:
        far = self.rng.random() < 0.3
        fraction = int(
            self.rng.integers(-self.farthest, self.farthest + 1) if far else self.rng.integers(0, 9)
        )
        return Constant(values, smallest(int(values.min()), int(values.max()), fraction))

    def threshold(self, builder: Builder, source: str) -> str:
        x = builder.range(source)
        elements = self.rng.integers(0, len(x.low), 3)
        bounds = self.rng.integers(x.low[elements], x.high[elements] + 2)
        return builder.threshold("accept", source, elements, bounds)


def _grow(builder: Builder, draw: _Draw, name: str, source: str, names: list[str]) -> str:
    rng, count = draw.rng, len(builder[source].types)
    fractions = builder[source].fractions
    match rng.integers(0, draw.operations):
        case 0 | 8:
            outputs = int(rng.integers(1, 4))
            return builder.dense(
                name, source, draw.constant(count, outputs), draw.constant(outputs)
            )
        case 1:
            return builder.affine(name, source, draw.constant(count), draw.constant(count))
        case 2:
            alike = [n for n in names if len(builder[n].types) == count]
            return builder.add(name, (source, str(rng.choice(alike))))
        case 3:
            other = str(rng.choice(names))
            fits = count + len(builder[other].types) <= _MOST_ELEMENTS
            return builder.concatenate(name, (source, other)) if fits else source
        case 4:
            x = builder.range(source)
            ends = np.sort(rng.integers(x.low, x.high + 1, (2, count)), axis=0)
            low, high = np.ldexp(ends.astype(float), -fractions)
            return builder.clip(
                name,
                source,
                low if rng.random() < 0.7 else None,
                high if rng.random() < 0.7 else None,
            )
        case 5:
            return builder.leaky_relu(name, source, int(rng.integers(0, 9)))
        case 6:
            return builder.steps(name, source, *_staircase(builder, draw, source))
        case 9:
            return builder.select(name, source, rng.integers(-1, count, rng.integers(1, 6)))
        case 12:
            return _shared_kernel(builder, draw, name, source)
        case 13:
            return _table(builder, draw, name, source)
        case 16:
            return _truth_table(builder, draw, name, source)
        case 15:
            alike = [n for n in names if len(builder[n].types) == count]
            sources = (source, *(str(n) for n in rng.choice(alike, rng.integers(0, 3))))
            signs = tuple(int(s) for s in rng.choice((-1, 1), len(sources)))
            return builder.add(name, sources, signs)
        case 14:
            alike = [n for n in names if len(builder[n].types) == count]
            return builder.multiply(name, source, str(rng.choice(alike)))
        case 10 | 11 as kind:
            groups = rng.integers(0, count, (rng.integers(1, 4), rng.integers(1, 4)))
            return (builder.maximum if kind == 10 else builder.minimum)(name, source, groups)
    rounding, overflow = rng.choice(list(Rounding)), rng.choice(list(Overflow))
    return builder.quantize(name, source, draw.types(count), Rounding(rounding), Overflow(overflow))


def _shared_kernel(builder: Builder, draw: _Draw, name: str, source: str) -> str:
    """One kernel at several positions: of vectors side by side, or of windows with zeros around."""
    rng, count = draw.rng, len(builder[source].types)
    positions = int(rng.choice([p for p in range(1, count + 1) if count % p == 0]))
    inputs = count // positions
    if rng.random() < 0.6:
        positions, inputs = (int(n) for n in rng.integers(1, 4, 2))
        windows = rng.integers(-1, count, positions * inputs)
        source = builder.select(f"{name}_windows", source, windows)
    outputs = int(rng.integers(1, 4))
    kernel = draw.constant(inputs, outputs), draw.constant(outputs)
    return builder.dense(name, source, *kernel, positions)


def _table(builder: Builder, draw: _Draw, name: str, source: str) -> str:
    """A table for the values of its input, or for more; levels that rise, or any."""
    rng, kinds, x = draw.rng, builder[source].types, builder.range(source)
    if len(set(builder[source].fractions)) > 1 or x.high.max() - x.low.min() >= _MOST_ENTRIES:
        near = kinds[int(rng.integers(0, len(kinds)))]
        width = int(rng.integers(1, _MOST_ENTRIES.bit_length()))
        integer = near.integer - int(rng.integers(-2, near.width + 1))
        address = Fixed(bool(rng.random() < 0.6), width, integer)
        rounding, overflow = rng.choice(list(Rounding)), rng.choice(list(Overflow))
        source = builder.quantize(
            f"{name}_address",
            source,
            (address,) * len(kinds),
            Rounding(rounding),
            Overflow(overflow),
        )
        x = builder.range(source)
    before, after = (int(n) for n in rng.integers(0, 4, 2))
    first = int(x.low.min()) - before
    levels = draw.constant(int(x.high.max()) - first + 1 + after)
    if rng.random() < 0.3:
        levels = Constant(np.sort(levels.values), levels.type)
    return builder.lookup(name, source, first, levels)


def _truth_table(builder: Builder, draw: _Draw, name: str, source: str) -> str:
    """Tables over the lowest bits of several elements, some of which they may not depend on."""
    rng, count = draw.rng, len(builder[source].types)
    outputs, members = (int(n) for n in rng.integers(1, 5, 2))
    elements = rng.integers(0, count, (outputs, members))
    widths = np.stack([rng.permutation(1 + np.arange(members) % 3) for _ in range(outputs)])
    levels = draw.constant(outputs, 1 << int(widths[0].sum()))
    if rng.random() < 0.3:
        levels.values[:, 1::2] = levels.values[:, ::2]
    return builder.truth_table(name, source, elements, levels, widths)


def _staircase(builder: Builder, draw: _Draw, source: str) -> tuple[Constant, Constant]:
    """Thresholds anywhere, or among the values of one element; levels that never fall."""
    rng, x = draw.rng, builder.range(source)
    count = int(rng.integers(1, 9))
    thresholds = draw.constant(count)
    if rng.random() < 0.7:
        element = int(rng.integers(0, len(x.low)))
        values = rng.integers(x.low[element], x.high[element] + 1, count)
        fraction = int(builder[source].fractions[element])
        thresholds = Constant(values, smallest(int(values.min()), int(values.max()), fraction))
    values = np.unique(thresholds.values)
    levels = np.sort(draw.constant(len(values) + 1).values)
    return Constant(values, thresholds.type), draw.placed(levels)

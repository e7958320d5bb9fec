"""The hit-pair filter against windows and a linear classifier, at equal efficiency for tracks.

benchmarks/doublets.py build/track_doublets

Every filter is a fixed-point graph of the same integers with one bit as output, so that all are
counted by the same tools. Limits are chosen on the validation crossings, and efficiencies are
quoted on the test crossings; both are generated here and are not those of the build.
"""

import argparse
import itertools
import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trigger.artifacts.folder import read_graph
from trigger.backends import rtl
from trigger.events.tracks import (
    FEATURES,
    LAYERS,
    MIN_PT,
    PHI_LSB,
    SECTORS,
    Pairs,
    bend,
    crossing,
    dphi,
)
from trigger.fixedpoint import evaluate
from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.passes.decision import decide
from trigger.fixedpoint.types import Fixed
from trigger.physics.rates import Estimate, efficiency
from trigger.spec.parts import part
from trigger.spec.spec import find, parse
from trigger.synthesis.run import synthesise
from trigger.synthesis.tool import Job
from trigger.workflow.build import open_build

RESULTS = Path(__file__).resolve().parent / "results" / "tracking.json"
EFFICIENCY = 0.99
PT_BINS = (2, 2.5, 3, 5, 10, np.inf)
CLOCK_MHZ = 360
CROSSINGS_MHZ = 40
# Sector processors that take crossings in turn.
TIME_MULTIPLEX = 18
QUANTILE = 0.999
_SHARES_OF_TAILS = 100
_BLOCK = 200_000
COMBINATION, SOFT, TRACK = range(3)


class Filter(NamedTuple):
    """A filter with one bit as output, and its limits as text."""

    name: str
    graph: Graph
    limits: str

    def kept(self, x: np.ndarray) -> np.ndarray:
        return scores(self.graph, x) == 1


def scores(graph: Graph, x: np.ndarray) -> np.ndarray:
    blocks = (x[start : start + _BLOCK] for start in range(0, len(x), _BLOCK))
    return np.concatenate([evaluate.run(graph, block)[:, 0] for block in blocks])


def generated(crossings: int, seed: int, layer: int = 1) -> tuple[Pairs, np.ndarray]:
    """All pairs of some crossings, and the number of pairs in each sector of each crossing."""
    made = [crossing(layer, np.random.default_rng([seed, k])) for k in range(crossings)]
    counts = [np.bincount(each.sector, minlength=SECTORS) for each in made]
    return Pairs(*(np.concatenate(column) for column in zip(*made, strict=True))), np.array(counts)


def weights(inner: int = 0) -> dict[str, np.ndarray]:
    """What the windows limit, as integer combinations of the features."""
    one, other = LAYERS[inner : inner + 2]
    ratio = other.radius / one.radius - 1
    slopes = [bend(layer, MIN_PT) * PHI_LSB / dphi(one, other, MIN_PT) for layer in (one, other)]
    return {
        "dphi": np.array([1, 0, 0, 0, 0]),
        "dz": np.array([0, 1, 0, 0, 0]),
        # Proportional to where the line through both stubs meets the beam axis.
        "z0": np.array([0, 256, -round(256 * ratio), 0, 0]),
        "bend_inner": np.array([-round(4096 * slopes[0]), 0, 0, 4096, 0]),
        "bend_outer": np.array([-round(4096 * slopes[1]), 0, 0, 0, 4096]),
    }


def window(names: Sequence[str], pairs: Pairs, types: tuple[Fixed, ...]) -> Filter:
    """The window in these combinations that keeps the fewest random pairs of the sample."""
    columns = np.column_stack([weights()[name] for name in names])
    x = np.abs(pairs.x @ columns)
    tracks, random = x[pairs.label == TRACK], x[pairs.label == COMBINATION]
    rng = np.random.default_rng(1)
    shares = rng.dirichlet(np.full(len(names), 0.5), _SHARES_OF_TAILS)
    found = [_limits(tracks, share) for share in shares]
    best = min(found, key=lambda limits: (random <= limits).all(axis=1).sum())
    text = ", ".join(f"{name} ≤ {limit}" for name, limit in zip(names, best, strict=True))
    return Filter(f"window in {', '.join(names)}", window_graph(columns, best, types), text)


def _limits(tracks: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The narrowest limits that keep ``EFFICIENCY``, the losses divided between columns."""
    low, high = 0.0, 1 - EFFICIENCY + 1e-9
    ordered = np.sort(tracks, axis=0)

    def limits(lost: float) -> np.ndarray:
        places = np.ceil((1 - lost * share) * len(tracks)).astype(int) - 1
        return ordered[np.minimum(places, len(tracks) - 1), np.arange(len(share))]

    high *= len(share)
    for _ in range(15):
        middle = (low + high) / 2
        if (tracks <= limits(middle)).all(axis=1).mean() >= EFFICIENCY:
            low = middle
        else:
            high = middle
    return limits(low)


def window_graph(columns: np.ndarray, limits: np.ndarray, types: tuple[Fixed, ...]) -> Graph:
    """One bit: whether every combination is within plus and minus its limit."""
    builder = Builder(types)
    count = columns.shape[1]
    both = builder.dense(
        "combinations",
        "inputs",
        constant(np.column_stack([columns, -columns])),
        constant(np.zeros(2 * count)),
    )
    bounds = -np.concatenate([limits, limits]).astype(np.int64)
    inside = builder.threshold("inside", both, np.arange(2 * count), bounds)
    every = builder.dense("count", inside, constant(np.ones((2 * count, 1))), constant(np.zeros(1)))
    keep = builder.threshold("keep", every, np.array([0]), np.array([2 * count]))
    return builder.graph(keep)


def with_threshold(name: str, graph: Graph, pairs: Pairs) -> Filter:
    """The filter that keeps scores from the largest threshold with the efficiency."""
    found = np.sort(scores(graph, pairs.x[pairs.label == TRACK]))
    bound = int(found[int((1 - EFFICIENCY) * len(found))])
    real = np.ldexp(float(bound), -int(graph.output.fractions[0]))
    kept = decide(graph, np.array([0]), np.array([real]))
    return Filter(name, kept, f"score ≥ {real:g}")


def linear(types: tuple[Fixed, ...]) -> Graph:
    """The network without hidden layers and without pruning, trained on the events of the zoo."""
    # Keras is slow to import, and windows do without.
    from trigger.events.hardware import splits, to_real
    from trigger.frontends.networks import lower
    from trigger.training import recipe

    path = find("track_doublets")
    text = path.read_text()
    text = re.sub(r'units = "[^"]*"', 'units = ""', text)
    text = re.sub(r"\[pruning\][^\[]*", "", text)
    text = re.sub(r"epochs = \d+", "epochs = 5", text, count=1)
    plain = parse(text, path)
    integers = splits(plain, path.parent)[0]
    model = recipe.trained(plain, to_real(integers, plain), path.parent, lambda logs: None)
    return lower(model, types)


def percent(found: Estimate, digits: int = 2) -> str:
    low, high = (f"{100 * end:.{digits}f}" for end in found[1:])
    return f"{100 * found.value:.{digits}f} ({low} to {high})"


def share(kept: np.ndarray) -> Estimate:
    return efficiency(kept, np.ones(len(kept)))


def hardware(found: Filter, target: str, yosys: bool) -> tuple[str, str, str]:
    """LUTs estimated and counted by Yosys, and the latency."""
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        options = rtl.RtlOptions(target, CLOCK_MHZ, "verilog", "core")
        core = rtl.write(found.graph, folder / "rtl", options)
        counted = "—"
        if yosys:
            job = Job(core, folder, "Vitis", part(target), CLOCK_MHZ)
            counted = f"{synthesise('yosys', job, folder / 'yosys').lut:,}"
        cycles = core.interface.latency
        return f"{core.estimate['lut']:,}", counted, f"{cycles} ({1000 * cycles / CLOCK_MHZ:.1f})"


def table(head: Sequence[str], rows: Iterator[Sequence[str]]) -> None:
    print(f"\n| {' | '.join(head)} |\n|---|{'---:|' * (len(head) - 1)}")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


def performance(filters: Sequence[Filter], pairs: Pairs, target: str, yosys: bool) -> None:
    def rows() -> Iterator[list[str]]:
        for each in filters:
            kept = each.kept(pairs.x)
            of = [percent(share(kept[pairs.label == k]), 3 - k) for k in (TRACK, SOFT, COMBINATION)]
            pure = percent(share(pairs.label[kept] == TRACK), 1)
            yield [each.name, *of, pure, *hardware(each, target, yosys), each.limits]

    kinds = ["tracks kept, %", "soft kept, %", "random pairs kept, %", "purity, %"]
    counts = ["LUT, estimated", "LUT, Yosys", "cycles (ns)"]
    table(["filter", *kinds, *counts, "keeps"], rows())


def by_momentum(filters: Sequence[Filter], pairs: Pairs) -> None:
    kept = [each.kept(pairs.x) for each in filters]
    edges = (0.001, 1, 1.5, *PT_BINS)

    def rows() -> Iterator[list[str]]:
        for low, high in itertools.pairwise(edges):
            inside = (pairs.pt > low) & (pairs.pt <= high)
            if inside.any():
                found = (percent(share(each[inside]), 1) for each in kept)
                yield [f"{low:g} to {high:g} GeV", str(inside.sum()), *found]

    table(["pT", "pairs", *(each.name for each in filters)], rows())


def measured(filters: Sequence[Filter], network: Graph, pairs: Pairs) -> dict:
    """What the pictures show: tracks kept and purity of each filter, by pT of the last ones, and
    both at any threshold of the network.
    """
    kept = {each.name: each.kept(pairs.x) for each in filters}
    edges = (1, 1.5, *PT_BINS[:-1])
    inside = [(pairs.pt > low) & (pairs.pt <= high) for low, high in itertools.pairwise(edges)]
    return {
        "filters": {
            name: [share(keep[pairs.label == TRACK]), share(pairs.label[keep] == TRACK)]
            for name, keep in kept.items()
        },
        "minimum": MIN_PT,
        "momentum": {
            "edges": edges,
            "kept": {
                each.name: [share(kept[each.name][rows]) for rows in inside]
                for each in (*filters[1:3], filters[-1])
            },
        },
        "curve": curve(scores(network, pairs.x), pairs.label == TRACK),
    }


def curve(values: np.ndarray, tracks: np.ndarray) -> list[tuple[float, float]]:
    """The share of tracks that is kept, and purity, at thresholds that keep 95 % and more."""
    bounds = np.unique(np.quantile(values[tracks], np.linspace(0, 0.05, 51), method="lower"))
    kept = [values >= bound for bound in bounds]
    return [(float(keep[tracks].mean()), float(tracks[keep].mean())) for keep in kept]


def quantile(counts: np.ndarray) -> str:
    """With the order statistics one standard deviation to both sides."""
    ordered = np.sort(counts.ravel())
    place = QUANTILE * len(ordered)
    spread = np.sqrt(place * (1 - QUANTILE))
    places = np.clip([place, place - spread, place + spread], 0, len(ordered) - 1).astype(int)
    return "{} ({} to {})".format(*ordered[places])


def occupancy(name: str, counts: np.ndarray) -> list[str]:
    ordered = np.sort(counts.ravel())
    most = ordered[min(int(QUANTILE * len(ordered)), len(ordered) - 1)]
    clocks = CLOCK_MHZ // CROSSINGS_MHZ
    every = -(-most // clocks)
    multiplexed = -(-most // (clocks * TIME_MULTIPLEX))
    mean = f"{counts.mean():.1f} ± {counts.std():.1f}"
    largest = str(counts.max())
    return [name, str(counts.size), mean, quantile(counts), largest, str(every), str(multiplexed)]


def remaining(found: Filter, pairs: Pairs, counts: np.ndarray) -> np.ndarray:
    """The number of pairs that a filter keeps in each sector of each crossing."""
    of = np.repeat(np.arange(len(counts)), counts.sum(axis=1))
    place = of * SECTORS + pairs.sector
    kept = np.bincount(place[found.kept(pairs.x)], minlength=counts.size)
    return kept.reshape(counts.shape)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=Path)
    parser.add_argument(
        "--crossings", type=int, default=200, help="of test; half as many of validation"
    )
    parser.add_argument("--yosys", action="store_true", help="count LUTs with Yosys too")
    arguments = parser.parse_args()
    build = open_build(arguments.build)
    spec, graph = build.spec, read_graph(build.root)
    assert tuple(spec.data.features) == FEATURES
    types = graph.input.types
    validation, _ = generated(arguments.crossings // 2, seed=1001)
    test, counts = generated(arguments.crossings, seed=1002)
    names = ("dphi", "dz"), ("dphi", "z0"), ("dphi", "z0", "bend_inner", "bend_outer")
    windows = [window(each, validation, types) for each in names]
    filters = [
        *windows,
        with_threshold("linear classifier", linear(types), validation),
        with_threshold("network", graph, validation),
    ]
    performance(filters, test, spec.target.part, arguments.yosys)
    by_momentum([windows[1], windows[2], filters[-1]], test)
    RESULTS.write_text(json.dumps(measured(filters, graph, test)) + "\n")

    def rows() -> Iterator[list[str]]:
        yield occupancy("1 and 2", counts)
        for each in (windows[1], windows[2], filters[-1]):
            yield occupancy(f"1 and 2, kept by the {each.name}", remaining(each, test, counts))
        for layer in range(2, len(LAYERS)):
            found = generated(arguments.crossings, seed=1002, layer=layer)[1]
            yield occupancy(f"{layer} and {layer + 1}", found)

    head = ["layers", "sectors", "pairs", f"{100 * QUANTILE:g} % quantile", "most"]
    copies = [f"filters at {CLOCK_MHZ} MHz", f"at {TIME_MULTIPLEX} crossings a processor"]
    table([*head, *copies], rows())


if __name__ == "__main__":
    main()

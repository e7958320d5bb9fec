"""Rate control through a fill: fixed registers, a tuned PID controller, and a small network learned
by reinforcement, on the scores of a built trigger.

All controllers see the same counts and set the same registers (fill.py). The gains of the PID and
the weights of the network are both found by the cross-entropy method (Rubinstein 1999; Szita and
Lőrincz, Neural Computation 18 (2006) 2936) on the same fills, and compared on others.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from fill import Fill, Menu, Registers, Scores

from trigger.artifacts.folder import integer_events, read_graph
from trigger.errors import TriggerError
from trigger.fixedpoint.evaluate import run
from trigger.fixedpoint.passes.decision import scores as scores_of
from trigger.physics.rates import bound_for, crossings_khz
from trigger.workflow.build import open_sealed

Controller = Callable[[np.ndarray], np.ndarray]
RESULTS = Path(__file__).resolve().parent / "results" / "rate_control.json"
HIDDEN = 6
OBSERVED = 9
NETWORK_SIZE = HIDDEN * (OBSERVED + 1) + 2 * (HIDDEN + 1)
PID_SIZE = 6


class Result(NamedTuple):
    """Of one fill: the shares of sections inside and above the band of the limit, the share of
    signal that main keeps, and the reward.
    """

    inside: float
    above: float
    kept: float
    reward: float


def fixed(_seen: np.ndarray) -> np.ndarray:
    """The first registers, throughout."""
    return np.zeros(2)


def pid(gains: np.ndarray) -> Controller:
    """The logarithms of proportional, integral and derivative gains for threshold and prescale."""
    factors = np.exp(gains.reshape(3, 2))
    return lambda seen: (factors * seen[:6].reshape(3, 2)).sum(axis=0)


def network(weights: np.ndarray, before: Controller) -> Controller:
    """One hidden layer of tanh, whose outputs are added to those of a controller (residual
    reinforcement learning, arXiv:1812.03201).
    """
    first, last = np.split(weights, [HIDDEN * (OBSERVED + 1)])
    first, last = first.reshape(HIDDEN, -1), last.reshape(2, -1)

    def control(seen: np.ndarray) -> np.ndarray:
        hidden = np.tanh(first[:, :-1] @ seen + first[:, -1])
        return np.asarray(before(seen) + last[:, :-1] @ hidden + last[:, -1])

    return control


def sections(fill: Fill, controller: Controller, seed: int) -> dict[str, list[Any]]:
    """One fill from its start to its end: the facts of each section, and its reward."""
    seen, _ = fill.reset(seed=seed)
    found: dict[str, list[Any]] = {}
    ended = False
    while not ended:
        seen, reward, _, ended, facts = fill.step(controller(seen))
        for name, value in (facts | {"reward": reward}).items():
            found.setdefault(name, []).append(value)
    return found


def played(fill: Fill, controller: Controller, seed: int) -> Result:
    """What a controller reaches in one fill."""
    found = sections(fill, controller, seed)
    rate, kept, reward = (np.array(found[name]) for name in ("rate", "kept", "reward"))
    band = fill.menu.band
    inside = np.abs(rate - 1) <= band
    return Result(inside.mean(), (rate > 1 + band).mean(), kept.mean(), reward.mean())


def learned(
    fill: Fill,
    make: Callable[[np.ndarray], Controller],
    size: int,
    start: tuple[float, float],
    generations: int,
    seed: int = 1,
) -> np.ndarray:
    """The cross-entropy method: the mean of the best eighth of 48 samples is where the next ones
    are drawn; every generation plays three new fills.
    """
    rng = np.random.default_rng(seed)
    mean, spread = np.full(size, start[0]), np.full(size, start[1])
    for generation in range(generations):
        samples = mean + spread * rng.normal(size=(48, size))
        seeds = range(10_000 + 3 * generation, 10_003 + 3 * generation)
        rewards = [np.mean([played(fill, make(s), k).reward for k in seeds]) for s in samples]
        best = samples[np.argsort(rewards)[-6:]]
        mean = best.mean(axis=0)
        spread = best.std(axis=0) + 0.1 * start[1] * (1 - generation / generations)
        print(f"  generation {generation + 1}: reward {np.max(rewards):.4f}", flush=True)
    return mean


def scores_in(build: Path, signal: str, activity: Sequence[str]) -> tuple[Scores, float, list[int]]:
    """The scores of a build on its test and validation events, its crossings in kHz, and the
    integer thresholds of its accept bits.

    ``activity`` names the features whose sum grows with pile-up.
    """
    opened = open_sealed(build)
    spec = opened.spec
    if spec.physics.zero_bias is None or len(spec.scores) != 1 or len(spec.accept) != 2:
        raise TriggerError(f"{build}: needs one score, two accept bits and physics.zero_bias")
    graph = scores_of(read_graph(opened.root))
    parts = [integer_events(opened)[name] for name in ("validation", "test")]
    x, y, weight = (np.concatenate([part[k] for part in parts]) for k in range(3))
    scores = run(graph, x)[:, 0]
    columns = [spec.data.features.index(name) for name in activity]
    usual = y == spec.data.classes.index(spec.physics.zero_bias)
    wanted = y == spec.data.classes.index(signal)
    points = json.loads((opened.root / "graph" / "summary.json").read_text())["working_points"]
    (kind,) = graph.output.types
    ends = (-(1 << (kind.width - 1)), (1 << (kind.width - 1)) - 1)
    return (
        Scores(
            scores[usual],
            weight[usual],
            x[usual][:, columns].sum(axis=1).astype(float),
            scores[wanted],
            weight[wanted],
            *(ends if kind.signed else (0, (1 << kind.width) - 1)),
        ),
        crossings_khz(spec),
        [point["bound"] for point in points.values()],
    )


def means(results: Sequence[Result]) -> list[tuple[float, float]]:
    """Means of the first three shares in percent, with their errors."""
    values = 100 * np.array(results)[:, :3]
    errors = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return list(zip(values.mean(axis=0).tolist(), errors.tolist(), strict=True))


def row(name: str, found: Sequence[tuple[float, float]]) -> str:
    cells = [f"{mean:.2f} ± {error:.2f}" for mean, error in found]
    return f"| {name} | " + " | ".join(cells) + " |"


def course(fill: Fill, controllers: dict[str, Controller]) -> dict[str, Any]:
    """The first fill with a hot channel of which much is seen, with each controller."""
    plays = ({n: sections(fill, c, seed) for n, c in controllers.items()} for seed in range(100))
    found = next(play for play in plays if sum(play["fixed"]["hot"]) >= 40)
    return {
        "luminosity": np.round(found["fixed"]["luminosity"], 4).tolist(),
        "hot": found["fixed"]["hot"],
        "rates": {name: np.round(play["rate"], 4).tolist() for name, play in found.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=Path, help="a build with one score, such as l1_topology")
    parser.add_argument("--signal", default="ttbar")
    parser.add_argument("--activity", nargs="+", default=[f"jet{k}_pt" for k in range(1, 11)])
    parser.add_argument("--limit", type=float, default=100, help="of both bits, in kHz")
    parser.add_argument("--main", type=float, default=60, help="target of the bit main, in kHz")
    parser.add_argument("--generations", type=int, default=40)
    parser.add_argument("--fills", type=int, default=200)
    given = parser.parse_args()
    scores, crossings, _ = scores_in(given.build, given.signal, given.activity)

    def threshold(rate: float) -> int:
        return bound_for(scores.zero_bias, scores.weight, crossings, rate)

    menu = Menu(given.limit, given.main, threshold(20 * given.limit), crossings)
    more = 20 * given.limit - given.main
    start = Registers(threshold(given.main), round(more / (given.limit - given.main)))
    fill = Fill(scores, menu, start)
    print(f"limit {menu.limit:g} kHz, band ± {menu.band:.0%}; first registers: {start}")
    print("PID: the gains")
    gains = learned(fill, pid, PID_SIZE, (-3.0, 1.0), given.generations)
    print("network: the weights")
    tuned = pid(gains)
    weights = learned(
        fill, lambda sample: network(sample, tuned), NETWORK_SIZE, (0.0, 0.1), given.generations
    )
    controllers = {"fixed": fixed, "PID": tuned, "learned": network(weights, tuned)}
    print("\n| controller | in the band, % | above it, % | signal kept, % |\n|---|---:|---:|---:|")
    results = {}
    for name, controller in controllers.items():
        results[name] = [played(fill, controller, seed) for seed in range(given.fills)]
        print(row(name, means(results[name])), flush=True)
    pairs = np.array(results["learned"]) - np.array(results["PID"])
    found = {name: means(rows) for name, rows in results.items()}
    found["learned − PID, fill by fill"] = means([Result(*pair) for pair in pairs])
    print(row("learned − PID, fill by fill", found["learned − PID, fill by fill"]))
    kept = {"band": menu.band, "means": found, "fill": course(fill, controllers)}
    RESULTS.write_text(json.dumps(kept) + "\n")


if __name__ == "__main__":
    main()

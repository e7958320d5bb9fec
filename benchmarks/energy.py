"""The energy of a jet: the network of a build against linear fits in the same bits.

Every method is a graph and runs in integers: the network; the sum of the rings times one factor;
least squares; ridge regression of the relative error; and ridge and the network with a monotone
table behind them. Fitted on training jets (20 to 200 GeV), the tables on validation jets, measured
on test jets of 10 to 500 GeV: bias and resolution, turn-on at equal rate, rate at equal efficiency.
"""

import argparse
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pyarrow.parquet as pq
from sklearn.isotonic import IsotonicRegression

from trigger.artifacts.folder import integer_events, read_graph, real_events
from trigger.backends.rtl import RtlOptions, plan
from trigger.events.jet_energy import RINGS, TRAINING_RANGE
from trigger.fixedpoint.build import Builder, constant
from trigger.fixedpoint.evaluate import run
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.passes.decision import scores
from trigger.fixedpoint.types import Fixed, Integers, Overflow, Rounding
from trigger.frontends import keras_backend
from trigger.physics.rates import Estimate, efficiency
from trigger.spec.spec import find
from trigger.workflow.build import Build, open_build

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "physics" / "energy-regression.svg"
BINS = (10, 20, 32, 64, 128, 200, 320, 500)
TURN_ON_BINS = (30, 40, 50, 60, 70, 80, 100, 120)
# The rate is that of jets whose sum is above this; the efficiency is of jets in this range.
REFERENCE_GEV = 60.0
PLATEAU = (70.0, 90.0)
EFFICIENCY = 0.9
# As the weights of the network; results are in steps of 0.5 GeV up to 1 TeV.
WEIGHT_BITS = 7
ENERGY = Fixed(False, 11, 10)
PENALTIES = np.geomspace(1e-6, 1, 13)
RESAMPLED = 200


class Jets(NamedTuple):
    """Features in integers, true pT in GeV, and the weights of the falling spectrum."""

    x: Integers
    pt: np.ndarray
    weight: np.ndarray


class Method(NamedTuple):
    """A graph, and the energy in GeV that its output stands for."""

    graph: Graph
    energy: Callable[[np.ndarray], np.ndarray]

    def __call__(self, x: Integers) -> np.ndarray:
        found = run(self.graph, x)[:, 0].astype(np.float64)
        return self.energy(np.ldexp(found, -self.graph.output.types[0].fraction))


def jets(build: Build) -> dict[str, Jets]:
    """The jets of each split. Those of a build have no weight, so the zoo's file is read again."""
    table = pq.read_table(find(build.spec.name).parent / build.spec.data.files[0])
    split = np.array(table["split"].to_pylist())
    x = np.column_stack([table[name].to_numpy() for name in build.spec.data.features])
    found = {
        name: Jets(
            x[split == name].astype(np.int64),
            *(table[column].to_numpy()[split == name].astype(float) for column in ("pt", "weight")),
        )
        for name in ("train", "validation", "test")
    }
    np.testing.assert_array_equal(
        np.sort(found["test"].x, axis=0), np.sort(integer_events(build)["test"].x, axis=0)
    )
    return found


def linear(types: tuple[Fixed, ...], weights: np.ndarray, bias: float) -> Method:
    """One layer, its weights rounded to as many bits as those of the network."""
    step = 2.0 ** (np.ceil(np.log2(np.abs(weights).max())) - WEIGHT_BITS + 1)
    limit = 2 ** (WEIGHT_BITS - 1) - 1
    rounded = np.clip(np.rint(weights / step), -limit, limit) * step
    builder = Builder(types)
    layer = builder.dense(
        "layer", "inputs", constant(rounded[:, None]), constant(np.rint([bias * 2]) / 2)
    )
    out = builder.quantize("energy", layer, (ENERGY,), Rounding.RND_CONV, Overflow.SAT)
    return Method(builder.graph(out), lambda energy: energy)


def factor(train: Jets) -> tuple[np.ndarray, float]:
    """The sum of the rings times the factor that makes its median right."""
    rings = np.arange(train.x.shape[1]) < len(RINGS)
    ratio = float(np.median(train.pt / np.maximum(train.x @ rings, 1)))
    return ratio * rings, 0.0


def fitted(train: Jets, weight: np.ndarray, penalty: float) -> tuple[np.ndarray, float]:
    """Least squares with weights, and a penalty on the weights of features of variance 1."""
    mean, spread = train.x.mean(axis=0), train.x.std(axis=0)
    z = np.column_stack([(train.x - mean) / spread, np.ones(len(train.x))])
    square = (z * weight[:, None]).T @ z / weight.sum()
    square[:-1, :-1] += penalty * np.eye(z.shape[1] - 1)
    solution = np.linalg.solve(square, (z * weight[:, None]).T @ train.pt / weight.sum())
    weights = solution[:-1] / spread
    return weights, float(solution[-1] - weights @ mean)


def ridge(train: Jets, validation: Jets) -> tuple[np.ndarray, float]:
    """Relative errors count; the penalty is the best on the validation jets."""

    def error(penalty: float) -> float:
        weights, bias = fitted(train, train.pt**-2, penalty)
        return float(np.mean(((validation.x @ weights + bias) / validation.pt - 1) ** 2))

    return fitted(train, train.pt**-2, min(PENALTIES, key=error))


def with_table(method: Method, validation: Jets) -> Method:
    """A monotone table behind a method: isotonic regression of log pT, at constant ratio beyond."""
    energy = method(validation.x)
    low, high = np.quantile(energy, [0.01, 0.99])
    isotonic = IsotonicRegression(out_of_bounds="clip").fit(energy, np.log(validation.pt))
    address = np.arange(2**ENERGY.width) * 2.0**-ENERGY.fraction
    inside = np.clip(address, low, high)
    levels = np.exp(isotonic.predict(inside)) * address / inside
    rounded = np.rint(np.maximum.accumulate(levels) * 2**ENERGY.fraction)
    builder = Builder(method.graph.input.types)
    dense, out = method.graph.nodes[1:]
    builder.dense("layer", "inputs", dense.weights, dense.bias)
    builder.quantize("energy", "layer", out.types, Rounding.RND_CONV, Overflow.SAT)
    values = np.minimum(rounded, ENERGY.maximum) * 2.0**-ENERGY.fraction
    builder.lookup("table", "energy", 0, constant(values))
    return Method(builder.graph("table"), lambda energy: energy)


def calibrated(build: Build) -> Graph:
    """The network of the build with ``calibration`` for its head."""
    keras_backend.start(build.spec.training.backend)
    from trigger.frontends.loading import load
    from trigger.frontends.networks import lower
    from trigger.training.calibration import calibrated as with_calibration

    energy = build.spec.heads["energy"].model_copy(update={"calibration": "isotonic"})
    spec = build.spec.model_copy(update={"heads": {"energy": energy}})
    model = load(build.root / "model" / "network.keras")
    return lower(with_calibration(model, real_events(build)["validation"], spec), spec.input_types)


def methods(build: Build, found: dict[str, Jets]) -> dict[str, Method]:
    train, validation = found["train"], found["validation"]
    types = build.spec.input_types
    best = linear(types, *ridge(train, validation))
    return {
        "sum": linear(types, *factor(train)),
        "least squares": linear(types, *fitted(train, np.ones(len(train.pt)), 0.0)),
        "ridge": best,
        "ridge and table": with_table(best, validation),
        "network": Method(scores(read_graph(build.root)), np.exp2),
        "network and table": Method(calibrated(build), np.exp2),
    }


def resamples(count: int) -> np.ndarray:
    """Multiplicities of events, shape (resamples, events)."""
    rng = np.random.default_rng(1)
    return np.stack(
        [np.bincount(rng.integers(count, size=count), minlength=count) for _ in range(RESAMPLED)]
    )


def residuals(ratio: np.ndarray) -> str:
    """Bias and resolution in percent with their errors, from estimated over true energies."""

    def figures(values: np.ndarray) -> np.ndarray:
        low, middle, high = np.quantile(values, [0.1587, 0.5, 0.8413])
        return 100 * np.array([middle - 1, (high - low) / 2 / middle])

    rng = np.random.default_rng(1)
    bias, resolution = figures(ratio)
    again = [figures(rng.choice(ratio, len(ratio))) for _ in range(RESAMPLED)]
    errors = np.std(again, axis=0)
    text = f"{bias:+.1f} ± {errors[0]:.1f} / {resolution:.1f} ± {errors[1]:.1f}"
    return text.replace("-", "−")


def threshold(energy: np.ndarray, weight: np.ndarray, share: float) -> float:
    """The smallest threshold that at most this share of the weight passes; results are discrete."""
    order = np.argsort(-energy, kind="stable")
    above = np.cumsum(weight[order]) <= share * weight.sum()
    energies = energy[order]
    last = int(above.sum())
    ties = energies[last] if last < len(energies) else -np.inf
    passing = energies[:last][energies[:last] > ties]
    return float(passing.min()) if passing.size else np.inf


def halves(count: int) -> np.ndarray:
    """Which of the jets set thresholds for the others, and the other way round."""
    return np.random.default_rng(1).random(count) < 0.5


def passed(
    energy: np.ndarray, half: np.ndarray, choose: Callable[[np.ndarray], float]
) -> np.ndarray:
    """Whether each jet passes the threshold that ``choose`` finds on the other half."""
    bound = np.where(half, choose(~half), choose(half))
    return energy >= bound


def turn_on(energies: dict[str, np.ndarray], test: Jets) -> dict[str, list[Estimate]]:
    """The efficiencies in bins of the true pT, at equal rate on jets of the falling spectrum."""
    half = halves(len(test.pt))
    found = {}
    for name, energy in energies.items():

        def at_rate(rows: np.ndarray, energy: np.ndarray = energy) -> float:
            weight = test.weight[rows]
            share = np.average(energies["sum"][rows] >= REFERENCE_GEV, weights=weight)
            return threshold(energy[rows], weight, float(share) + 1e-12)

        accepted = passed(energy, half, at_rate)
        inside = [(test.pt >= a) & (test.pt < b) for a, b in pairwise(TURN_ON_BINS)]
        found[name] = [efficiency(accepted[k], test.weight[k]) for k in inside]
    return found


def rates(energies: dict[str, np.ndarray], test: Jets) -> dict[str, str]:
    """The rate at equal efficiency over that of the sum, with its 68 % interval from resamples."""
    half = halves(len(test.pt))
    plateau = (test.pt >= PLATEAU[0]) & (test.pt < PLATEAU[1])

    def rate(name: str, times: np.ndarray) -> float:
        energy = energies[name]
        weight = test.weight * times

        def at_efficiency(rows: np.ndarray) -> float:
            used = rows & plateau
            order = np.argsort(-energy[used], kind="stable")
            reached = np.cumsum(weight[used][order]) >= EFFICIENCY * weight[used].sum()
            return float(energy[used][order][np.argmax(reached)])

        return float(weight[passed(energy, half, at_efficiency)].sum())

    drawn = [np.ones(len(test.pt)), *resamples(len(test.pt))]
    made = {name: np.array([rate(name, times) for times in drawn]) for name in energies}
    found = {}
    for name, values in made.items():
        ratio = values / made["sum"]
        low, high = np.quantile(ratio[1:], [0.1587, 0.8413])
        found[name] = f"{ratio[0]:.2f} ({low:.2f} to {high:.2f})"
    return found


def table(head: list[str], rows: dict[str, list[str]]) -> str:
    lines = [head]
    lines += [[name, *cells] for name, cells in rows.items()]
    first, *others = [f"| {' | '.join(line)} |" for line in lines]
    return "\n".join([first, f"|---|{'---:|' * (len(head) - 1)}", *others])


@mpl.rc_context({"svg.hashsalt": "energy"})
def picture(energies: dict[str, np.ndarray], test: Jets, curves: dict[str, list[Estimate]]) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    edges = np.geomspace(BINS[0], BINS[-1], 14)
    for name in ("sum", "ridge and table", "network", "network and table"):
        ratio = energies[name] / test.pt
        bins = [(test.pt >= a) & (test.pt < b) for a, b in pairwise(edges)]
        left.plot(
            np.sqrt(edges[1:] * edges[:-1]), [np.median(ratio[k]) for k in bins], "o-", label=name
        )
        middle = (np.array(TURN_ON_BINS[1:]) + TURN_ON_BINS[:-1]) / 2
        values, low, high = np.array([(e.value, e.low, e.high) for e in curves[name]]).T
        right.errorbar(middle, values, [values - low, high - values], fmt="o-", label=name)
    left.axvspan(*TRAINING_RANGE, alpha=0.1)
    left.axhline(1, color="grey", linewidth=0.5)
    left.set(xscale="log", xlabel="true pT, GeV", ylabel="median of estimated / true pT")
    right.set(xlabel="true pT, GeV", ylabel="efficiency at equal rate")
    left.legend()
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, metadata={"Date": None}, bbox_inches="tight")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", help="the build of jet_energy")
    begun = time.monotonic()
    build = open_build(Path(parser.parse_args().build))
    found = jets(build)
    test = found["test"]
    made = methods(build, found)
    energies = {name: method(test.x) for name, method in made.items()}
    target = build.spec.target
    planned = {
        name: plan(method.graph, RtlOptions(target.part, target.clock_mhz))
        for name, method in made.items()
    }
    saved = rates(energies, test)
    print(
        table(
            ["method", "LUT, estimated", "cycles", "rate at equal efficiency"],
            {
                name: [f"{p.estimate['lut']:,}", str(p.core.interface.latency), saved[name]]
                for name, p in planned.items()
            },
        )
    )
    bins = list(pairwise(BINS))
    inside = [(test.pt >= a) & (test.pt < b) for a, b in bins]
    rows = {
        f"{a} to {b} ({int(k.sum())})": [residuals(e[k] / test.pt[k]) for e in energies.values()]
        for (a, b), k in zip(bins, inside, strict=True)
    }
    print("\nbias / resolution, %\n\n" + table(["true pT, GeV (jets)", *energies], rows))
    curves = turn_on(energies, test)
    rows = {
        f"{a} to {b}": [
            f"{100 * c[k].value:.1f} ({100 * c[k].low:.1f} to {100 * c[k].high:.1f})"
            for c in curves.values()
        ]
        for k, (a, b) in enumerate(pairwise(TURN_ON_BINS))
    }
    print("\nefficiency at equal rate, %\n\n" + table(["true pT, GeV", *energies], rows))
    picture(energies, test, curves)
    print(f"\n{time.monotonic() - begun:.0f} s; {PICTURE}")


if __name__ == "__main__":
    main()

"""The learned generator of calorimeter regions against the full one, on events of neither's training.

benchmarks/regions/compare.py build/calo_anomaly build/learned_anomaly

The full events are the validation and test events of models/calo_anomaly; the generator was trained
on its training events, which are the control. Writes results.json and the figure of
docs/physics/fast-simulation.md.
"""

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import classifiers
import full
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from calo_regions.canvas import ETA, PHI
from calo_regions.source import calo_regions

from trigger.artifacts.folder import read_graph
from trigger.events import level1
from trigger.fixedpoint.evaluate import run
from trigger.frontends import keras_backend
from trigger.physics.rates import Estimate, bound_for, crossings_khz, efficiency
from trigger.support.progress import say
from trigger.workflow.build import open_build

HERE = Path(__file__).resolve().parent
PICTURE = HERE.parents[1] / "docs" / "physics" / "fast-simulation.svg"
EVENTS = 40_000
SEED = 1
BLOCK = 1 << 14
RATES = (20, 100)
# Of an event: the numbers that are compared, and the edges of their histograms.
QUANTITIES: dict[str, tuple[Callable[[np.ndarray], np.ndarray], np.ndarray]] = {
    "total ET, GeV": (lambda x: x.sum(axis=1) / 2, np.arange(100, 1001, 25)),
    "regions with energy": (lambda x: (x > 0).sum(axis=1), np.arange(20, 190, 5)),
    "largest region, GeV": (lambda x: x.max(axis=1) / 2, np.geomspace(4, 512, 29)),
    "missing ET, GeV": (lambda x: missing(x) / 2, np.arange(0, 101, 4)),
}
SPECTRUM = np.append([0, 1], np.geomspace(4, 1024, 33).round())


def missing(x: np.ndarray) -> np.ndarray:
    """The transverse energy that balances the regions."""
    row = x.reshape(-1, PHI, ETA).sum(axis=2)
    angle = 2 * np.pi * np.arange(PHI) / PHI
    return np.hypot(row @ np.cos(angle), row @ np.sin(angle))


def learned(events: int, seed: int) -> full.Sample:
    """Events of the source, in blocks as a build asks for them."""
    parts = []
    for first in range(0, events, BLOCK):
        made = calo_regions(min(BLOCK, events - first), seed + first)
        label, weight = made.pop("label"), made.pop("weight")
        parts.append(full.Sample(np.stack(list(made.values()), axis=1), label, weight))
    return full.Sample(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def zero_bias(events: full.Sample) -> full.Sample:
    return events.take(events.label == full.ZERO_BIAS)


def shares(values: np.ndarray, weight: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The shares of the weight in bins; what lies outside counts in the bins at the ends."""
    inside = np.clip(values, edges[0], np.nextafter(edges[-1], 0))
    return np.histogram(inside, edges, weights=weight)[0] / weight.sum()


def correlations(events: full.Sample) -> np.ndarray:
    """Correlations of the square roots of two regions' energies, by their distances in phi and eta:
    the means over all such pairs.
    """
    image = np.sqrt(events.x).reshape(-1, PHI, ETA)
    mean = np.average(image, axis=0, weights=events.weight)
    norm = np.sqrt(np.average((image - mean) ** 2, axis=0, weights=events.weight))
    pulls = (image - mean) / norm * np.sqrt(events.weight / events.weight.sum())[:, None, None]
    found = np.zeros((PHI // 2 + 1, ETA))
    for phi in range(PHI // 2 + 1):
        other = np.roll(pulls, -phi, axis=1)
        for eta in range(ETA):
            product = pulls[:, :, : ETA - eta] * other[:, :, eta:]
            found[phi, eta] = product.sum(axis=0).mean()
    return found


def profile(events: full.Sample) -> np.ndarray:
    """The mean energy of a region, in GeV, by its place in eta."""
    image = events.x.reshape(-1, PHI, ETA).mean(axis=1) / 2
    return np.average(image, axis=0, weights=events.weight)


def distributions(samples: Mapping[str, full.Sample]) -> dict:
    """Of each sample: means and standard deviations, histograms, and their distances from those of
    the first: half the sum of the absolute differences.
    """
    found = {}
    for name, (of, edges) in QUANTITIES.items():
        found[name] = {"edges": edges.tolist()}
        for which, events in samples.items():
            values, weight = of(events.x), events.weight
            mean = np.average(values, weights=weight)
            spread = np.sqrt(np.average((values - mean) ** 2, weights=weight))
            error = spread * np.sqrt((weight**2).sum()) / weight.sum()
            found[name][which] = {
                "mean": float(mean),
                "error": float(error),
                "spread": float(spread),
                "shares": shares(values, weight, edges).tolist(),
            }
    found["region ET, GeV"] = {"edges": (SPECTRUM / 2).tolist()}
    for which, events in samples.items():
        weight = np.repeat(events.weight, PHI * ETA)
        found["region ET, GeV"][which] = {
            "mean": float(np.average(events.x.ravel(), weights=weight) / 2),
            "shares": shares(events.x.ravel(), weight, SPECTRUM).tolist(),
        }
    first = next(iter(samples))
    for rows in found.values():
        for which in samples:
            apart = np.abs(np.subtract(rows[which]["shares"], rows[first]["shares"]))
            rows[which]["distance"] = float(apart.sum() / 2)
    return found


def accept_rates(build, samples: Mapping[str, full.Sample]) -> dict:
    """Rates in kHz, and efficiencies of the signals, of the build's network and of two cuts, each
    at thresholds that give these rates on the full events.
    """
    graph = read_graph(build.root)
    scores = {
        "network": lambda x: run(graph, x)[:, 0],
        "total ET": lambda x: x.sum(axis=1),
        "largest region": lambda x: x.max(axis=1),
    }
    crossings = crossings_khz(build.spec)
    neutral = zero_bias(samples["full"])
    found: dict = {}
    for name, score in scores.items():
        values = {which: score(events.x) for which, events in samples.items()}
        for rate in RATES:
            bound = bound_for(score(neutral.x), neutral.weight, crossings, rate)
            found[f"{name}, {rate} kHz"] = {
                which: {
                    label: list(
                        efficiency(
                            values[which][events.label == label] >= bound,
                            events.weight[events.label == label],
                        ).times(crossings if label == full.ZERO_BIAS else 100)
                    )
                    for label in build.spec.data.classes
                }
                for which, events in samples.items()
            }
    return found


def text(values: list[float], form: str = ".1f") -> str:
    value, low, high = (format(each, form) for each in Estimate(*values))
    return f"{value} ({low} to {high})"


def tables(found: dict) -> None:
    """The results, as the page has them."""
    print(
        "| zero bias | full | learned | distance | distance of the control |\n|---|---:|---:|---:|---:|"
    )
    for name, rows in found["distributions"].items():
        cells = [
            f"{rows[which]['mean']:.2f}"
            + (f" ± {rows[which]['error']:.2f}" if "error" in rows[which] else "")
            for which in ("full", "learned")
        ]
        apart = [f"{100 * rows[which]['distance']:.1f} %" for which in ("learned", "control")]
        print(f"| {' | '.join([name, *cells, *apart])} |")
    print("\n| AUC | learned against full | control |\n|---|---:|---:|")
    for name in classifiers.METHODS:
        cells = [text(found["auc"][which][name], ".3f") for which in ("learned", "control")]
        print(f"| {name} | {' | '.join(cells)} |")
    for number, (build, rows) in enumerate(found["rates"].items()):
        print(f"\n| {build} | events | rate, kHz | {' | '.join(level1.SIGNALS)} |")
        print(f"|---|---|{'---:|' * (1 + len(level1.SIGNALS))}")
        for name, samples in rows.items():
            if number and not name.startswith("network"):
                continue  # the cuts are the same for all builds
            for which, cells in samples.items():
                row = [name, which, *(text(cell) for cell in cells.values())]
                print(f"| {' | '.join(row)} |")


@mpl.rc_context({"svg.hashsalt": "regions"})
def picture(found: dict) -> None:
    figure, axes = plt.subplots(2, 3, figsize=(12, 7), layout="constrained")
    styles = {"full": "C0", "learned": "C1", "control": "0.6"}
    names = ("region ET, GeV", *QUANTITIES)[:4]
    for axis, name in zip(axes.flat, names, strict=False):
        rows = found["distributions"][name]
        for which in ("control", "full", "learned"):
            axis.stairs(rows[which]["shares"], rows["edges"], color=styles[which], label=which)
        axis.set(xlabel=name, ylabel="share of zero bias", yscale="log")
    axes.flat[0].set(xscale="symlog")
    axes.flat[3].set(xscale="log")
    axes.flat[0].legend()
    for which in ("control", "full", "learned"):
        axes.flat[4].plot(found["profile"][which], "o-", color=styles[which], label=which)
        for place, line in ((0, "-"), (1, "--")):
            values = found["correlations"][which]
            along = values[0][1:] if place == 0 else [row[0] for row in values[1:]]
            axes.flat[5].plot(range(1, len(along) + 1), along, line, color=styles[which])
    axes.flat[4].set(xlabel="place in eta", ylabel="mean ET of a region, GeV")
    axes.flat[5].set(
        xlabel="distance in eta (solid) or phi (dashed), regions",
        ylabel="correlation of two regions",
    )
    figure.savefig(PICTURE, metadata={"Date": None})


def compared(builds: list[Path]) -> dict:
    """All results, as JSON holds them."""
    samples = {
        "full": full.sample("validation", "test"),
        "learned": learned(EVENTS, SEED),
        "control": full.sample("train"),
    }
    found: dict = {"events": {name: len(sample.x) for name, sample in samples.items()}}
    say("distributions")
    neutral = {name: zero_bias(sample) for name, sample in samples.items()}
    found["distributions"] = distributions(neutral)
    found["profile"] = {name: profile(sample).tolist() for name, sample in neutral.items()}
    found["correlations"] = {
        name: correlations(sample).tolist() for name, sample in neutral.items()
    }
    found["rates"] = {}
    for path in builds:
        build = open_build(path)
        found["rates"][build.spec.name] = accept_rates(build, samples)
    say("classifiers")
    count = min(len(sample.x) for sample in neutral.values())
    of_full = neutral["full"].x[:count]
    found["auc"] = {
        name: classifiers.auc(of_full, neutral[name].x[:count]) for name in ("learned", "control")
    }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("builds", type=Path, nargs="*", help="builds of calo_anomaly's network")
    given = parser.parse_args()
    keras_backend.start()
    found = compared(given.builds)
    (HERE / "results.json").write_text(json.dumps(found, indent=1) + "\n")
    tables(found)
    picture(found)


if __name__ == "__main__":
    main()

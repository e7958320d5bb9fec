"""Pictures of docs/physics, drawn from what the benchmarks measured and left in results/.

benchmarks/figures.py [NAME]... draws the named pictures, or all of them.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import systematics
from matplotlib.axes import Axes
from matplotlib.figure import Figure

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
PICTURES = HERE.parent / "docs" / "physics"


def read(name: str):
    """What a benchmark has left."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def with_intervals(axes: Axes, x: Sequence, estimates: Sequence, **style) -> None:
    """Points with their intervals; each estimate is a value and the ends of its interval."""
    value, low, high = np.array(estimates, float).T
    axes.errorbar(x, value, [value - low, high - value], **{"fmt": "o-", "ms": 4} | style)


def panels(rows: int, columns: int, inches: tuple[float, float]) -> tuple[Figure, np.ndarray]:
    figure = Figure(inches, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def systematic_curves() -> Figure:
    """The means of the seeds, in the order of the strengths, and each seed with its interval."""
    figure, axes = panels(1, len(systematics.CASES), (10, 4.4))
    for panel, case in zip(axes[0], systematics.CASES, strict=True):
        _systematic_curve(panel, read(case))
        panel.set(title=case, xlabel="statistical uncertainty of the signal, %", ylim=(0, None))
    axes[0, 0].set_ylabel("systematic uncertainty, scale ±3 %, %")
    handles = axes[0, 0].get_legend_handles_labels()
    figure.legend(*handles, title="strength of the adversary", loc="outside lower center", ncols=6)
    return figure


def _systematic_curve(axes: Axes, rows: list[dict]) -> None:
    means = []
    for number, strength in enumerate(systematics.STRENGTHS):
        found = [row for row in rows if row["strength"] == strength]
        pairs = [
            systematics.uncertainties(row, systematics.scale_of(rows, row["seed"])) for row in found
        ]
        statistical = [pair[0] for pair in pairs]
        estimates = [pair[1] for pair in pairs]
        style = {"fmt": "o", "color": f"C{number}", "elinewidth": 0.7}
        label = systematics.label(found[0])
        with_intervals(axes, statistical, estimates, label=label, **style)
        means.append((np.mean(statistical), np.mean(estimates, axis=0)[0]))
    axes.plot(*np.transpose(means), color="0.6", linewidth=1, zorder=0)


def tracking() -> Figure:
    """The share that is kept by pT, and purity against the share of tracks."""
    found = read("tracking")
    figure, ((left, right),) = panels(1, 2, (10, 4.2))
    edges = found["momentum"]["edges"]
    middles = np.sqrt(np.multiply(edges[1:], edges[:-1]))
    for name, estimates in found["momentum"]["kept"].items():
        with_intervals(left, middles, 100 * np.array(estimates), label=name)
    left.axvline(found["minimum"], color="grey", linewidth=0.5)
    left.set(xscale="log", xlabel="pT of the particle, GeV", ylabel="pairs kept, %")
    left.set_xticks(edges, [f"{edge:g}" for edge in edges], minor=False)
    left.minorticks_off()
    left.legend(loc="center right")
    curve = 100 * np.array(found["curve"])
    right.plot(*curve.T, color="0.6", label="network, any threshold")
    for name, (kept, purity) in found["filters"].items():
        with_intervals(right, [100 * kept[0]], [100 * np.array(purity)], fmt="o", label=name)
    right.set(
        xlabel="tracks kept, %", ylabel="purity: tracks among the pairs kept, %", xlim=(95, 100)
    )
    right.legend(loc="center left")
    return figure


DRAWN: dict[str, Callable[[], Figure]] = {
    "systematics": systematic_curves,
    "tracking": tracking,
}


def main(names: Sequence[str]) -> None:
    mpl.rcParams["svg.hashsalt"] = "physics"
    for name in names or DRAWN:
        path = PICTURES / f"{name}.svg"
        DRAWN[name]().savefig(path, metadata={"Date": None})
        print(path)


if __name__ == "__main__":
    main(sys.argv[1:])

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
PLANE = 16


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


def particles() -> Figure:
    """An image of each kind, and what the graph made of each true kind."""
    found = read("neutrino")
    kinds = list(found["examples"])
    figure = Figure((10, 5.4), layout="constrained")
    grid = figure.add_gridspec(2, len(kinds), height_ratios=(1, 1.7))
    for column, (kind, image) in enumerate(found["examples"].items()):
        panel = figure.add_subplot(grid[0, column])
        _map(panel, image, kind)
    panel = figure.add_subplot(grid[1, :])
    shares = 100 * np.array(found["confusion"])
    panel.imshow(shares, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        color = "white" if share > 60 else "black"
        panel.text(column, row, f"{share:.1f}", ha="center", va="center", color=color)
    panel.set_xticks(range(len(kinds)), kinds)
    panel.set_yticks(range(len(kinds)), kinds)
    panel.set(xlabel="kind found, % of each true kind", ylabel="true kind")
    return figure


def occupancy() -> Figure:
    """A map of each class, and the share of faulty maps that each score finds."""
    found = read("monitoring")
    classes = list(found["examples"])
    figure = Figure((10, 5.8), layout="constrained")
    grid = figure.add_gridspec(2, len(classes), height_ratios=(1, 1.4))
    for column, (name, image) in enumerate(found["examples"].items()):
        _map(figure.add_subplot(grid[0, column]), image, name)
    panel = figure.add_subplot(grid[1, :])
    places = np.arange(len(classes))
    for number, (name, estimates) in enumerate(found["found"].items()):
        shift = 0.12 * (number - (len(found["found"]) - 1) / 2)
        with_intervals(panel, places + shift, 100 * np.array(estimates), fmt="o", label=name)
    panel.set_xticks(places, ["good: false alarms", *classes[1:]])
    panel.set(ylabel="maps with an alarm, %", ylim=(0, None))
    panel.legend()
    return figure


def _map(axes: Axes, pixels: list[int], title: str) -> None:
    """One image or map, as it is read out."""
    image = np.reshape(pixels, (PLANE, PLANE))
    axes.imshow(image, cmap="viridis", vmin=0, interpolation="none")
    axes.set_title(title, fontsize=9)
    axes.set_xticks([])
    axes.set_yticks([])


def rate_control() -> Figure:
    """One fill: the total rate over its limit with each controller, and the luminosity."""
    found = read("rate_control")
    course = found["fill"]
    figure, axes = panels(2, 1, (10, 5.4))
    above, below = axes[:, 0]
    for name, rates in course["rates"].items():
        above.plot(rates, linewidth=0.9, label=name)
    above.axhspan(1 - found["band"], 1 + found["band"], color="0.85", zorder=0, label="band")
    above.set(ylabel="rate over its limit", ylim=(0, None))
    above.legend(ncols=4, loc="upper left")
    below.plot(course["luminosity"], color="black", linewidth=0.9)
    below.set(xlabel="lumi section", ylabel="luminosity", ylim=(0, None))
    hot = np.flatnonzero(course["hot"])
    for panel in (above, below):
        panel.axvspan(hot[0], hot[-1], color="C3", alpha=0.12)
        panel.set_xlim(0, len(course["hot"]))
    below.text(hot.mean(), 0.1, "hot channel", ha="center", color="C3")
    return figure


def transfer() -> Figure:
    """AUC against the number of training events: each seed, and a line through the means."""
    rows = read("transfer")
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    figure, axes = panels(1, len(tasks), (10, 4))
    for panel, task in zip(axes[0], tasks, strict=True):
        for number, start in enumerate(("scratch", "frozen")):
            here = [row for row in rows if (row["task"], row["start"]) == (task, start)]
            events = [row["events"] for row in here]
            panel.plot(events, [np.mean(row["auc"]) for row in here], color=f"C{number}")
            for row in here:
                panel.plot([row["events"]] * len(row["auc"]), row["auc"], f"C{number}o", ms=4)
            panel.plot([], [], f"C{number}o-", ms=4, label=start)
        panel.set(title=task, xscale="log", xlabel="training events")
    axes[0, 0].set_ylabel("AUC of each seed, test events")
    axes[0, 0].legend()
    return figure


def scale() -> Figure:
    """Events per second of each run, and the memory that it took."""
    rows = read("scale")
    figure, ((left, right),) = panels(1, 2, (10, 4))
    runs = list(dict.fromkeys((row["engine"], row["workers"]) for row in rows))
    for number, run in enumerate(runs):
        here = [row for row in rows if (row["engine"], row["workers"]) == run]
        events = [row["events"] for row in here]
        style = {"color": f"C{number}", "label": f"{run[0]}, workers: {run[1]}"}
        left.plot(events, [row["events"] / row["wall"] for row in here], "o-", **style)
        right.plot(events, [row["peak_mib"] for row in here], "o-", **style)
    left.set(ylabel="events in a second of wall time")
    right.set(ylabel="peak memory, MiB")
    for panel in (left, right):
        panel.set(xscale="log", xlabel="events", ylim=(0, None))
    right.axhline(1024, color="grey", linewidth=0.5)
    right.set_ylim(0, 1100)
    left.legend()
    return figure


DRAWN: dict[str, Callable[[], Figure]] = {
    "systematics": systematic_curves,
    "tracking": tracking,
    "images-particles": particles,
    "images-maps": occupancy,
    "rate-control": rate_control,
    "transfer": transfer,
    "scale": scale,
}


@mpl.rc_context({"svg.hashsalt": "physics"})
def main(names: Sequence[str]) -> None:
    for name in names or DRAWN:
        path = PICTURES / f"{name}.svg"
        DRAWN[name]().savefig(path, metadata={"Date": None})
        print(path)


if __name__ == "__main__":
    main(sys.argv[1:])

"""The pictures of the gallery, docs/zoo.md: what each trigger of the zoo sees, drawn from its own
events; of jet_mlp the bits of its weights.

    .venv/bin/python benchmarks/gallery.py [FOLDER]
"""

import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import matplotlib.ticker
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from matplotlib.axes import Axes
from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT / "models"
PICTURES = ROOT / "docs" / "zoo"
JETS = ("g", "q", "W", "Z", "t")
LEVEL1 = ("zero_bias", "ttbar", "hbb", "htautau", "wlnu", "a4l")


@mpl.rc_context({"svg.hashsalt": "gallery", "svg.fonttype": "none"})
def main(folder: Path) -> None:
    """Draw all pictures into a folder."""
    for name, draw in PICTURES_OF.items():
        figure = Figure(figsize=(7, 2.8), layout="constrained")
        draw(*figure.subplots(1, 2))
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})


def jet_tagger(left: Axes, right: Axes) -> None:
    """Two of the sixteen features, by class."""
    events = columns("jet_tagger/jets.parquet")
    for panel, feature, title, top in (
        (left, "mass_mmdt", "groomed mass, GeV", 250),
        (right, "multiplicity", "particles in the jet", 120),
    ):
        for kind in JETS:
            chosen = events[feature][events["jet"] == kind]
            panel.hist(chosen, np.linspace(0, top, 41), histtype="step", label=kind, density=True)
        panel.set(xlabel=title, yticks=[], ylabel="jets")
    right.legend(frameon=False)


def jet_mlp(left: Axes, right: Axes) -> None:
    """The bits of the weights of two layers."""
    from trigger.api import lower
    from trigger.frontends import keras_backend
    from trigger.report.network import needed_bits
    from trigger.spec.spec import find, load

    keras_backend.start()
    from trigger.frontends.loading import load as network

    trained = network(MODELS / "jet_mlp" / "warm_start.keras")
    graph = lower(trained, load(find("jet_mlp")).input_types)
    layers = [node for node in graph.nodes if node.op == "dense"]
    for panel, layer, title in ((left, layers[0], "first"), (right, layers[1], "second")):
        image = panel.imshow(needed_bits(layer.weights.values), vmin=0, vmax=6, aspect="auto")
        panel.set(xlabel="neuron", ylabel="input", title=f"{title} layer")
    left.figure.colorbar(image, ax=[left, right], label="bits of a weight, with its sign")


def jet_constituents(left: Axes, right: Axes) -> None:
    """Where the momentum is, around the axis of a jet."""
    events = columns("jet_constituents/constituents.parquet")
    edges = np.arange(-80.5, 81, 7) * 0.005
    for panel, kind, title in ((left, "g", "gluon jets"), (right, "t", "top jets")):
        chosen = np.flatnonzero(events["jet"] == kind)
        pt, eta, phi = (
            np.concatenate(list(events[f"particle_{field}"][chosen]))
            for field in ("pt", "deta", "dphi")
        )
        total, _, _ = np.histogram2d(phi * 0.005, eta * 0.005, (edges, edges), weights=pt)
        extent = (edges[0], edges[-1]) * 2
        shown = np.log10(np.maximum(total / total.sum(), 1e-5))
        image = panel.imshow(shown, origin="lower", extent=extent, vmin=-5, vmax=-1)
        panel.set(xlabel="Δη", ylabel="Δφ", title=f"momentum in {title}")
    left.figure.colorbar(image, ax=[left, right], label="log₁₀ of the share")


def jet_energy(left: Axes, right: Axes) -> None:
    """The energy in the rings against the true momentum, before the network corrects it."""
    events = columns("jet_energy/jets.parquet")
    pt = events["pt"]
    seen = 0.5 * sum(events[name].astype(float) for name in events if name[:3] in ("em_", "had"))
    edges = np.geomspace(12, 480, 17)
    bins = [seen[(pt >= low) & (pt < high)] for low, high in pairwise(edges)]
    middle = np.sqrt(edges[1:] * edges[:-1])
    low, median, high = np.array([np.quantile(found, (0.16, 0.5, 0.84)) for found in bins]).T
    left.fill_between(middle, low, high, alpha=0.3, label="central 68 %")
    left.plot(middle, median, label="median")
    left.set(xscale="log", yscale="log", xlabel="true pT, GeV", ylabel="sum of all rings, GeV")
    left.legend(frameon=False)
    left.xaxis.set_minor_formatter(mpl.ticker.NullFormatter())
    right.plot(middle, median / middle)
    right.fill_between(middle, low / middle, high / middle, alpha=0.3)
    right.set(xscale="log", xlabel="true pT, GeV", ylabel="sum over true pT", ylim=(0, None))
    right.xaxis.set_minor_formatter(mpl.ticker.NullFormatter())


def l1_topology(left: Axes, right: Axes) -> None:
    """The objects of one event of each kind."""
    events = columns("level1/level1.parquet")
    objects = {"e/γ": ("egamma", 4, 1.0), "muon": ("muon", 4, 0.25), "jet": ("jet", 10, 1.0)}
    for panel, kind, title in ((left, "zero_bias", "zero bias"), (right, "ttbar", "tt̄")):
        event = np.flatnonzero((events["label"] == kind) & (events["split"] == "test"))[0]
        for label, (name, number, unit) in objects.items():
            pt, eta, phi = (
                np.array([events[f"{name}{k}_{field}"][event] for k in range(1, number + 1)])
                for field in ("pt", "eta", "phi")
            )
            places = eta * 0.0435 * unit, phi * 2 * np.pi / 144 * unit
            panel.scatter(*places, s=2.0 * pt, alpha=0.6, label=label)
        panel.set(xlim=(-5, 5), xlabel="η", ylabel="φ", title=f"objects of one event, {title}")
    for handle in right.legend(frameon=False, loc="upper right").legend_handles:
        handle.set_sizes([30])


def l1_anomaly(left: Axes, right: Axes) -> None:
    """Spectra of zero bias, which it learns, and of signals, which it never sees."""
    events = columns("level1/level1.parquet")
    sums = 0.5 * sum(events[f"jet{k}_pt"].astype(float) for k in range(1, 11))
    met = 0.5 * events["met_pt"].astype(float)
    for panel, values, title, top in (
        (left, sums, "sum of the jets' pT, GeV", 600),
        (right, met, "missing energy, GeV", 150),
    ):
        for kind in LEVEL1:
            chosen = events["label"] == kind
            weights = events["weight"][chosen] if kind == "zero_bias" else None
            edges = np.linspace(0, top, 31)
            panel.hist(
                values[chosen], edges, weights=weights, density=True, histtype="step", label=kind
            )
        panel.set(yscale="log", xlabel=title, ylabel="events", yticks=[])
        panel.yaxis.set_minor_locator(mpl.ticker.NullLocator())
    right.legend(frameon=False, fontsize="small")


def calo_anomaly(left: Axes, right: Axes) -> None:
    """The image of one event of each kind."""
    events = columns("calo_anomaly/regions.parquet")
    for panel, kind, title in ((left, "zero_bias", "zero bias"), (right, "ttbar", "tt̄")):
        event = np.flatnonzero((events["label"] == kind) & (events["split"] == "test"))[0]
        energies = np.array([events[f"region{k}_et"][event] for k in range(1, 253)]) * 0.5
        image = panel.imshow(energies.reshape(18, 14), origin="lower", vmin=0, vmax=60)
        panel.set(xlabel="region in η", ylabel="region in φ", title=f"one event, {title}")
    left.figure.colorbar(image, ax=[left, right], label="ET, GeV")


def track_doublets(left: Axes, right: Axes) -> None:
    """Two of the five integers of pairs, true and random."""
    events = columns("track_doublets/doublets.parquet")
    for panel, kind, title in ((left, "track", "tracks"), (right, "combination", "random pairs")):
        chosen = np.flatnonzero(events["label"] == kind)[:300]
        panel.scatter(events["dphi"][chosen], events["bend_inner"][chosen], s=2)
        panel.set(xlabel="dφ, steps of 2⁻¹⁴ rad", ylabel="bend, strips", title=title)
    right.set(xlim=left.get_xlim(), ylim=left.get_ylim())


def columns(file: str) -> dict[str, np.ndarray]:
    """The columns of an event file of the zoo."""
    table: pa.Table = pq.read_table(MODELS / file)
    return {name: np.asarray(table[name].to_numpy()) for name in table.column_names}


PICTURES_OF: dict[str, Callable[[Axes, Axes], None]] = {
    draw.__name__: draw
    for draw in (
        calo_anomaly,
        jet_constituents,
        jet_energy,
        jet_mlp,
        jet_tagger,
        l1_anomaly,
        l1_topology,
        track_doublets,
    )
}

if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURES)

"""The plots of scores: ROC curves, distributions, confusion, and residuals."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from trigger.physics.metrics import Roc
from trigger.physics.regression import Regression
from trigger.report.plots.drawing import (
    INK,
    SERIES,
    Picture,
    class_color,
    shown,
    side_by_side,
    svg,
    thinned,
)

# The networks that the others are compared with.
_REFERENCES = ("Keras", "ONNX", "hls4ml", "trees")
_LINES: dict[str, Any] = {
    "teacher": "-.",
    "float": ":",
    "csim": "--",
    **dict.fromkeys(_REFERENCES, "-"),
    "boosted trees": (0, (1, 4)),
}
_WIDTHS = {
    "teacher": 1,
    "float": 1.5,
    "csim": 1.5,
    **dict.fromkeys(_REFERENCES, 3.5),
    "boosted trees": 1,
}


class Histogram(NamedTuple):
    """The distribution of a score by class: ``edges`` (bins + 1,), the fraction of each class in
    each bin, and lines at thresholds.
    """

    title: str
    edges: np.ndarray
    shares: Mapping[str, np.ndarray]
    thresholds: Mapping[str, float]


def roc_curves(
    curves: Mapping[str, Mapping[str, Roc]],
    signal_efficiency: float,
    classes: Mapping[str, int],
) -> Picture:
    """Background against signal efficiency for each class; ``curves`` by kind (teacher, float,
    Keras or trees, csim, boosted trees), then by class; ``classes`` has the number of the colour
    of each class.
    """
    rows: list[tuple[Any, ...]] = []

    def draw(axes: Axes) -> None:
        for implementation, by_class in curves.items():
            for name, curve in by_class.items():
                is_reference = implementation in _REFERENCES
                x, y = thinned(curve)
                rows.extend((implementation, name, *both) for both in zip(x, y, strict=True))
                axes.plot(
                    x,
                    y,
                    linestyle=_LINES[implementation],
                    color=class_color(classes[name]),
                    lw=_WIDTHS[implementation],
                    alpha=0.45 if is_reference else 1,
                    label=f"{shown(name)}, AUC {curve.auc:.3f}" if is_reference else None,
                )
        for implementation in curves:
            axes.plot(
                [],
                [],
                linestyle=_LINES[implementation],
                color="black",
                lw=_WIDTHS[implementation],
                alpha=0.45 if implementation in _REFERENCES else 1,
                label=implementation,
            )
        axes.axvline(signal_efficiency, color="gray", lw=1)
        axes.set(
            xlabel="Signal efficiency",
            ylabel="Background efficiency",
            yscale="log",
            xlim=(0, 1),
            ylim=(1e-3, 1),
        )
        axes.legend(loc="upper left", ncols=2)

    columns = ("network", "class", "signal efficiency", "background efficiency")
    return Picture(svg(draw), columns, rows)


def distributions(
    histograms: Sequence[Histogram], classes: Mapping[str, int], axis: str
) -> Picture:
    """Scores by class, a panel each; ``classes`` has the number of the colour of each class."""

    def draw(one: Histogram, axes: Axes) -> None:
        for name, share in one.shares.items():
            color = class_color(classes[name])
            axes.stairs(share, one.edges, color=color, lw=1.6, label=shown(name))
        for value in one.thresholds.values():
            axes.axvline(value, color="gray", lw=1)
        axes.set(yscale="log", xlabel=f"{axis}, {one.title}" if len(histograms) > 1 else axis)

    draws = [partial(draw, one) for one in histograms]
    rows = [
        (one.title, name, one.edges[k], one.edges[k + 1], share)
        for one in histograms
        for name, of_class in one.shares.items()
        for k, share in enumerate(of_class)
    ]
    columns = ("score", "class", "from", "to", "fraction of the class")
    return Picture(side_by_side(draws, "Fraction of the class"), columns, rows)


def confusion(
    shares: np.ndarray, truths: Sequence[str], decisions: Sequence[str], events: Sequence[int]
) -> Picture:
    """Which fraction of each true class, a row each, was put into which class."""
    size = 11 if len(decisions) <= 8 else 7

    def draw(axes: Axes) -> None:
        axes.imshow(100 * shares, cmap="Blues", vmin=0, vmax=100, aspect="auto")
        for (row, column), share in np.ndenumerate(shares):
            color = "white" if share > 0.55 else INK
            text = f"{100 * share:.1f}"
            axes.text(column, row, text, color=color, fontsize=size, ha="center", va="center")
        axes.set_xticks(range(len(decisions)), decisions, fontsize=11)
        axes.set_yticks(range(len(truths)), truths, fontsize=11)
        for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
            label.set_parse_math(False)
        axes.minorticks_off()
        axes.tick_params(length=0)
        axes.set(xlabel="Class that the network gives", ylabel="True class, 100 % a row")

    rows = [
        (truth, events[row], decision, shares[row, column])
        for row, truth in enumerate(truths)
        for column, decision in enumerate(decisions)
    ]
    columns = ("true class", "test events", "given class", "fraction of the true class")
    return Picture(svg(draw, 1.4 + 0.55 * max(len(truths), 3)), columns, rows)


def residuals(regressions: Mapping[str, Regression], truth: str, unit: str) -> Picture:
    """The bias in bins of the true value, with the resolution as a bar, for each kind (float,
    Keras, csim).
    """

    def draw(axes: Axes) -> None:
        for number, (label, regression) in enumerate(regressions.items()):
            seen = [each for each in regression.bins if each.residuals is not None]
            x = np.array([(each.low + each.high) / 2 for each in seen])
            wide = np.array([each.high - each.low for each in seen])
            bias = [each.residuals.bias for each in seen if each.residuals is not None]
            bars = [each.residuals.resolution for each in seen if each.residuals is not None]
            shift = (number - (len(regressions) - 1) / 2) * 0.12 * wide
            color = SERIES[(number + 1) % len(SERIES)]
            axes.errorbar(x + shift, bias, bars, fmt="o", ms=4, lw=1.5, color=color, label=label)
        axes.axhline(0, color="gray", lw=1)
        axes.set(xlabel=f"{truth}{unit}", ylabel=f"Prediction - truth{unit}")
        axes.legend(loc="best")

    rows = [
        (label, each.low, each.high, each.residuals.bias, each.residuals.resolution)
        for label, regression in regressions.items()
        for each in regression.bins
        if each.residuals is not None
    ]
    columns = ("network", f"{truth}{unit}, from", "to", f"bias{unit}", f"resolution{unit}")
    return Picture(svg(draw), columns, rows)

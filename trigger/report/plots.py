"""The plots of the report, as self-contained SVG."""

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import mplhep
import numpy as np
from matplotlib.axes import Axes

from trigger.artifacts.cross_validated import CrossValidated
from trigger.physics.metrics import Roc
from trigger.physics.rates import Curve, Estimate
from trigger.physics.regression import Regression

_SIZE = (7.2, 5.2)
_STYLE: Any = [
    mplhep.style.ROOT,
    {
        "svg.hashsalt": "trigger",
        "svg.fonttype": "none",
        "font.size": 13,
        "legend.fontsize": 11,
        "axes.labelsize": 14,
    },
]
_CURVE_POINTS = 240
_STYLES = ("-", "--", ":", "-.")
# The networks that the others are compared with.
_REFERENCES = ("Keras", "ONNX", "trees")
# The copies of a kernel that are drawn.
_MOST_COPIES = 4
_AREA_COLORS = ("lightgray", "tab:blue", "tab:orange", "tab:green", "tab:purple")

# Colours that people with colour blindness tell apart (Okabe and Ito), and a marker each.
_FAMILIES = {
    "model": ("black", "P"),
    "mlp": ("#0072B2", "o"),
    "weightless": ("#D55E00", "s"),
    "tables": ("#009E73", "^"),
    "mixed": ("#CC79A7", "D"),
    "trees": ("#E69F00", "v"),
}

Points = Sequence[tuple[float, float]]


def class_color(number: int) -> Any:
    """The colour of a class, by its position in data.classes, equal in every plot."""
    colors = mpl.colormaps["tab20"].colors  # type: ignore[attr-defined]
    return colors[(2 * number + (number % 20 >= 10)) % 20]


def roc_curves(curves: Mapping[str, Mapping[str, Roc]], signal_efficiency: float) -> str:
    """Background against signal efficiency for each class; ``curves`` by kind (teacher, float,
    Keras or trees, csim, boosted trees), then by class.
    """
    lines: dict[str, Any] = {"teacher": "-.", "float": ":", "csim": "--"}
    lines |= {"Keras": "-", "ONNX": "-", "trees": "-", "boosted trees": (0, (1, 4))}
    widths = {"teacher": 1, "float": 1.5, "csim": 1.5}
    widths |= {"Keras": 3.5, "ONNX": 3.5, "trees": 3.5, "boosted trees": 1}

    def draw(axes: Axes) -> None:
        for implementation, by_class in curves.items():
            for number, (name, curve) in enumerate(by_class.items()):
                is_reference = implementation in _REFERENCES
                label = f"{_shown(name)}, AUC {curve.auc:.3f}" if is_reference else None
                alpha = 0.45 if is_reference else 1
                x, y = _thinned(curve)
                axes.plot(
                    x,
                    y,
                    linestyle=lines[implementation],
                    color=class_color(number),
                    lw=widths[implementation],
                    alpha=alpha,
                    label=label,
                )
        for implementation in curves:
            axes.plot(
                [],
                [],
                linestyle=lines[implementation],
                color="black",
                lw=widths[implementation],
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

    return _svg(draw)


def training_curves(
    histories: Mapping[str, Mapping[str, Sequence[float]]],
    pruning: tuple[int, int] | None,
    loss: str = "Cross entropy",
) -> str:
    """Training and validation loss of each network by epoch; the epochs of pruning shaded."""

    def draw(axes: Axes) -> None:
        for color, (name, history) in zip(
            ("tab:gray", "tab:blue"), histories.items(), strict=False
        ):
            axes.plot(history["loss"], "--", color=color, lw=1.5, label=f"{name}, training")
            axes.plot(history["val_loss"], "-", color=color, lw=1.5, label=f"{name}, validation")
            axes.axvline(history["best_epoch"][0], color=color, lw=1, ls=":")
        if pruning:
            axes.axvspan(*pruning, color="tab:orange", alpha=0.12, label="pruning")
        top = max(np.quantile(h["val_loss"][2:] or h["val_loss"], 0.98) for h in histories.values())
        axes.set(xlabel="Epoch", ylabel=loss, ylim=(None, 1.05 * float(top)))
        axes.legend()

    return _svg(draw)


def learning_curve(validated: CrossValidated) -> str:
    """The metric against the number of training events, with its spread over the folds."""

    def draw(axes: Axes) -> None:
        events = [point.events for point in validated.points]
        for key, label, style in (
            ("training", "on the training events", "o--"),
            ("kept_back", "on events kept back", "o-"),
        ):
            spreads = [getattr(point, key) for point in validated.points]
            axes.errorbar(
                events,
                [spread.mean for spread in spreads],
                [spread.deviation for spread in spreads],
                fmt=style,
                capsize=3,
                label=label,
            )
        axes.set(xlabel="Training events", ylabel=validated.title)
        axes.legend()

    return _svg(draw)


def bit_widths(widths: Mapping[str, tuple[int, int]]) -> str:
    """Integer and fractional bits of one element of each node, around the binary point; the number
    is their sum.
    """

    def draw(axes: Axes) -> None:
        names = list(widths)
        integer, fraction = np.array(list(widths.values())).T
        places = np.arange(len(names))
        # A type without integer bits starts right of the point; one without fractional bits ends
        # left of it.
        ends = np.minimum(fraction, 0)
        starts = np.maximum(-integer, 0)
        left = np.maximum(integer + ends, 0)
        right = np.maximum(fraction - starts, 0)
        axes.barh(places, -left, left=ends, color="tab:blue", label="integer bits, with the sign")
        axes.barh(places, right, left=starts, color="tab:orange", label="fractional bits")
        for place, (i, f) in enumerate(zip(integer, fraction, strict=True)):
            axes.annotate(
                str(i + f), (f, place), (4, 0), textcoords="offset points", va="center", fontsize=10
            )
        axes.axvline(0, color="black", lw=1)
        axes.set_yticks(places, names, fontsize=10)
        axes.invert_yaxis()
        axes.margins(x=0.08)
        axes.set(xlabel="Integer bits | fractional bits")
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
        axes.xaxis.set_major_formatter(lambda value, _: f"{abs(value):.0f}")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)

    return _svg(draw, height=1.6 + 0.36 * len(widths))


def area_by_layer(areas: Mapping[str, Mapping[str, int]]) -> str:
    """LUT of each layer; ``areas`` by origin, then by layer. Empty if there is no logic."""
    if not any(areas.values()):
        return ""

    def draw(axes: Axes) -> None:
        names = list(dict.fromkeys(name for area in areas.values() for name in area))
        height = 0.8 / max(len(areas), 1)
        for k, (origin, area) in enumerate(areas.items()):
            places = np.arange(len(names)) + (k - (len(areas) - 1) / 2) * height
            axes.barh(
                places,
                [area.get(name, 0) for name in names],
                height,
                label=origin,
                color=_AREA_COLORS[k % len(_AREA_COLORS)],
            )
        axes.set_yticks(range(len(names)), names, fontsize=10)
        axes.invert_yaxis()
        axes.set(xlabel="LUT")
        if areas:  # a constant network has no logic
            axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=1)

    return _svg(draw, height=2.2 + 0.5 * max((len(area) for area in areas.values()), default=0))


def turns(kernels: Sequence[Mapping[str, Any]]) -> str:
    """Which position a copy of a shared kernel computes in which clock cycle: a row for each copy,
    of the first few; ``kernels`` as in rtl.json. Empty if there are none.
    """
    rows = [
        (kernel, number, positions)
        for kernel in kernels
        for number, positions in enumerate(kernel["copies"][:_MOST_COPIES])
    ]
    if not rows:
        return ""

    def draw(axes: Axes) -> None:
        labels = []
        for row, (kernel, number, positions) in enumerate(rows):
            # The last position of a copy comes in the last turn.
            turns, before = kernel["copies"][0], sum(kernel["copies"][:number])
            start = kernel["first"] + turns - positions
            cells = [(start + turn, 1) for turn in range(positions)]
            colors = [class_color(before + turn) for turn in range(positions)]
            axes.broken_barh(cells, (row - 0.4, 0.8), facecolors=colors)
            for turn in range(positions):
                middle = start + turn + 0.5
                axes.text(middle, row, str(before + turn), fontsize=7, ha="center", va="center")
            axes.plot(
                [start + positions, kernel["first"] + kernel["cycles"]], [row, row], "k-", lw=1
            )
            copies = len(kernel["copies"])
            labels.append(f"{', '.join(kernel['layers'])}: {number + 1} of {copies}")
        axes.set_yticks(range(len(rows)), labels, fontsize=9)
        for label in axes.get_yticklabels():
            label.set_parse_math(False)
        axes.minorticks_off()
        axes.tick_params(axis="y", length=0)
        axes.set(xlabel="Clock cycle", xlim=(0, None), ylim=(len(rows) - 0.5, -0.5))

    return _svg(draw, 1.5 + 0.4 * len(rows))


def front(
    points: Mapping[str, Points],
    best: Mapping[str, Points],
    names: tuple[str, str],
    limit: float | None,
) -> str:
    """Points (x, y) of a search by family, "" without families, the front dark and joined as a
    staircase, and a line at the limit of x. Families have colours and markers.
    """

    plain = list(points) == [""]

    def draw(axes: Axes) -> None:
        for family in points:
            x, y = np.array(points[family]).T
            on_x, on_y = np.reshape(best.get(family, []), (-1, 2)).T
            if plain:
                axes.scatter(x, y, color="tab:gray", alpha=0.5, s=25, label="trials")
                axes.scatter(on_x, on_y, color="tab:blue", s=40, label="on the front")
                continue
            color, marker = _FAMILIES[family]
            style: dict[str, Any] = {"edgecolors": color, "marker": marker}
            axes.scatter(x, y, s=28, facecolors="none", alpha=0.6, **style)
            axes.scatter(on_x, on_y, s=55, facecolors=color, zorder=3, label=family, **style)
        x, y = np.array(sorted(place for places in best.values() for place in places)).T
        color = "tab:blue" if plain else "tab:gray"
        stairs = np.maximum.accumulate(y)
        axes.plot(x, stairs, drawstyle="steps-post", color=color, lw=1, zorder=1)
        if limit is not None:
            axes.axvline(limit, color="tab:red", lw=1, label="budget")
        axes.set(xlabel=names[0], ylabel=names[1])
        axes.legend(loc="lower right")

    return _svg(draw)


def rate_curves(
    curves: Mapping[str, Roc],
    classes: Mapping[str, int],
    crossings_khz: float,
    rates_khz: Sequence[float],
) -> str:
    """Zero-bias rate against signal efficiency, for curves against zero bias, with a line at each
    requested rate.

    ``classes`` has the place of each curve's class in data.classes.
    """

    def draw(axes: Axes) -> None:
        for name, curve in curves.items():
            efficiency, share = _thinned(curve)
            again = [
                n for n in list(curves)[: list(curves).index(name)] if classes[n] == classes[name]
            ]
            style = _STYLES[len(again) % len(_STYLES)]
            khz = share * crossings_khz
            axes.plot(
                efficiency, khz, style, color=class_color(classes[name]), lw=2, label=_shown(name)
            )
        for rate in rates_khz:
            axes.axhline(rate, color="gray", lw=1)
        axes.set(
            xlabel="Signal efficiency", ylabel="Zero-bias rate [kHz]", yscale="log", xlim=(0, 1)
        )
        axes.legend(loc="lower right")

    return _svg(draw)


def residuals(regressions: Mapping[str, Regression], title: str) -> str:
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
            color = _AREA_COLORS[(number + 1) % len(_AREA_COLORS)]
            axes.errorbar(x + shift, bias, bars, fmt="o", ms=4, lw=1.5, color=color, label=label)
        axes.axhline(0, color="gray", lw=1)
        axes.set(xlabel=title, ylabel="Prediction - truth")
        axes.legend(loc="best")

    return _svg(draw)


def turn_on(curves: Mapping[str, Curve], feature: str) -> str:
    """Efficiency in bins of a feature, with its interval, for each class in the order of
    data.classes.
    """

    def draw(axes: Axes) -> None:
        for number, (name, (edges, efficiencies)) in enumerate(curves.items()):
            seen = [(k, e) for k, e in enumerate(efficiencies) if e is not None]
            x = [(edges[k] + edges[k + 1]) / 2 for k, _ in seen]
            y = [e.value for _, e in seen]
            errors = [[e.value - e.low for _, e in seen], [e.high - e.value for _, e in seen]]
            axes.errorbar(
                x,
                y,
                np.maximum(errors, 0),
                fmt="o-",
                ms=3,
                lw=1,
                color=class_color(number),
                label=_shown(name),
            )
        axes.set(xlabel=feature, ylabel="Efficiency", ylim=(0, 1.05))
        axes.legend(loc="best")

    return _svg(draw)


def changes(estimates: Mapping[str, Mapping[str, Estimate]], shifts: Sequence[str]) -> str:
    """Relative changes of figures, by figure and shift: one row per shift."""

    def draw(axes: Axes) -> None:
        for number, (name, by_shift) in enumerate(estimates.items()):
            aside = ((number + 1) / (len(estimates) + 1) - 0.5) * 0.8
            rows = [shifts.index(shift) + aside for shift in by_shift]
            values = np.array([[100 * part for part in e] for e in by_shift.values()])
            axes.errorbar(
                values[:, 0],
                rows,
                xerr=np.maximum([values[:, 0] - values[:, 1], values[:, 2] - values[:, 0]], 0),
                fmt="o",
                ms=4,
                lw=1.5,
                color=class_color(number),
                label=_shown(name),
            )
        axes.axvline(0, color="gray", lw=1)
        axes.set_yticks(range(len(shifts)), shifts)
        for label in axes.get_yticklabels():
            label.set_parse_math(False)
        axes.minorticks_off()
        axes.set(xlabel="Relative change [%]", ylim=(len(shifts) - 0.5, -0.5))
        axes.legend(loc="best")

    return _svg(draw, max(_SIZE[1] / 2, 0.7 * len(shifts) + 1.2))


def _shown(name: str) -> str:
    """A name for a legend: Matplotlib omits names that begin with an underscore."""
    return f" {name}" if name.startswith("_") else name


def _thinned(curve: Roc) -> tuple[np.ndarray, np.ndarray]:
    x = np.linspace(0, 1, _CURVE_POINTS)
    return x, np.interp(x, curve.efficiency, curve.background)


def _svg(draw: Callable[[Axes], None], height: float = _SIZE[1]) -> str:
    with plt.style.context(_STYLE), warnings.catch_warnings():
        # The browser may have glyphs that Matplotlib's font lacks.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure, axes = plt.subplots(figsize=(_SIZE[0], height), layout="constrained")
        draw(axes)
        legend = axes.get_legend()
        for text in (axes.xaxis.label, axes.yaxis.label, *(legend.get_texts() if legend else ())):
            text.set_parse_math(False)  # names may contain dollar signs
        buffer = io.StringIO()
        figure.savefig(
            buffer, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type"))
        )
        plt.close(figure)
    text = buffer.getvalue()
    return text[text.index("<svg") :]

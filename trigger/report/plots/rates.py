"""The plots of accept bits: rates, turn-ons, and what shifts of the inputs do."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from trigger.physics.metrics import Roc
from trigger.physics.rates import Curve, Estimate
from trigger.report.plots.drawing import (
    SIZE,
    Picture,
    class_color,
    name_rows,
    shown,
    side_by_side,
    svg,
    thinned,
)

_STYLES = ("-", "--", ":", "-.")
# Names for what is of no class are as black as the text.
_NO_CLASS = "black"


def rate_curves(
    curves: Mapping[str, Roc],
    classes: Mapping[str, int],
    crossings_khz: float,
    rates_khz: Sequence[float],
) -> Picture:
    """Zero-bias rate against signal efficiency, for curves against zero bias, with a line at each
    requested rate.

    ``classes`` has the place of each curve's class in data.classes.
    """
    rows: list[tuple[Any, ...]] = []

    def draw(axes: Axes) -> None:
        drawn: Counter[int] = Counter()
        for name, curve in curves.items():
            efficiency, share = thinned(curve)
            style = _STYLES[drawn[classes[name]] % len(_STYLES)]
            drawn[classes[name]] += 1
            khz = share * crossings_khz
            rows.extend((name, *both) for both in zip(efficiency, khz, strict=True))
            axes.plot(
                efficiency, khz, style, color=class_color(classes[name]), lw=2, label=shown(name)
            )
        for rate in rates_khz:
            axes.axhline(rate, color="gray", lw=1)
        axes.set(
            xlabel="Signal efficiency", ylabel="Zero-bias rate [kHz]", yscale="log", xlim=(0, 1)
        )
        axes.legend(loc="lower right")

    return Picture(svg(draw), ("curve", "signal efficiency", "zero-bias rate [kHz]"), rows)


def turn_on(curves: Mapping[str, Mapping[str, Curve]], feature: str) -> Picture:
    """Efficiency of each accept bit in bins of a feature, with its interval, for each class in the
    order of data.classes; ``curves`` by accept bit, then by class.
    """

    def draw(bit: str, by_class: Mapping[str, Curve], axes: Axes) -> None:
        _turn_on(axes, by_class)
        axes.set(xlabel=feature, ylim=(0, 1.05))
        if len(curves) > 1:
            axes.set_title(bit)

    draws = [partial(draw, bit, by_class) for bit, by_class in curves.items()]
    rows = [
        (bit, name, edges[k], edges[k + 1], *estimate)
        for bit, by_class in curves.items()
        for name, (edges, efficiencies) in by_class.items()
        for k, estimate in enumerate(efficiencies)
        if estimate is not None
    ]
    names = ("accept bit", "class", f"{feature}, from", "to", "efficiency", "low", "high")
    return Picture(side_by_side(draws, "Efficiency", same_scale=True), names, rows)


def _turn_on(axes: Axes, by_class: Mapping[str, Curve]) -> None:
    for number, (name, (edges, efficiencies)) in enumerate(by_class.items()):
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
            label=shown(name),
        )


def changes(
    estimates: Mapping[str, Mapping[str, Estimate]],
    shifts: Sequence[str],
    classes: Mapping[str, int],
) -> Picture:
    """Relative changes of figures, by figure and shift: one row per shift.

    ``classes`` has the place in data.classes of the class of a figure, if it has one.
    """

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
                color=class_color(classes[name]) if name in classes else _NO_CLASS,
                label=shown(name),
            )
        axes.axvline(0, color="gray", lw=1)
        name_rows(axes, shifts)
        axes.set(xlabel="Relative change [%]")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)

    rows = [
        (name, shift, *(100 * part for part in estimate))
        for name, by_shift in estimates.items()
        for shift, estimate in by_shift.items()
    ]
    columns = ("figure", "shift", "relative change [%]", "low [%]", "high [%]")
    return Picture(svg(draw, max(SIZE[1] / 2, 0.7 * len(shifts) + 1.8)), columns, rows)

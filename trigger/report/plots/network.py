"""The plots of the types and the values of a network."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trigger.report.plots.drawing import SERIES, Picture, name_rows, panels, svg

# Of larger networks the first nodes are drawn; their numbers are those of all.
MOST_ROWS = 60
_MOST_KERNELS = 9
_CELLS = 240
# More changes of width than this along a node are written as they are drawn.
_MOST_RUNS = 2000
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def bit_widths(widths: Mapping[str, tuple[int, int]]) -> Picture:
    """Integer and fractional bits of one element of each node, around the binary point; the number
    is their sum.
    """

    def draw(axes: Axes) -> None:
        names = list(widths)[:MOST_ROWS]
        integer, fraction = np.array([widths[name] for name in names]).T
        places = np.arange(len(names))
        # A type without integer bits starts right of the point; one without fractional bits ends
        # left of it.
        ends = np.minimum(fraction, 0)
        starts = np.maximum(-integer, 0)
        left = np.maximum(integer + ends, 0)
        right = np.maximum(fraction - starts, 0)
        axes.barh(places, -left, left=ends, color=SERIES[1], label="integer bits, with the sign")
        axes.barh(places, right, left=starts, color=SERIES[2], label="fractional bits")
        for place, (i, f) in enumerate(zip(integer, fraction, strict=True)):
            axes.annotate(
                str(i + f), (f, place), (4, 0), textcoords="offset points", va="center", fontsize=10
            )
        axes.axvline(0, color="black", lw=1)
        axes.margins(x=0.08)
        name_rows(axes, names)
        axes.set(xlabel="Integer bits | fractional bits")
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
        axes.xaxis.set_major_formatter(lambda value, _: f"{abs(value):.0f}")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)

    rows = [(name, *bits) for name, bits in widths.items()]
    columns = ("node", "integer bits", "fractional bits")
    height = 1.6 + 0.36 * min(len(widths), MOST_ROWS)
    return Picture(svg(draw, height), columns, rows)


class Profile(NamedTuple):
    """The sizes of the values of a node, or of its weights: five quantiles of their absolute
    values but zero, from the smallest to the largest; the fraction of zeros; and the smallest step
    and the largest absolute value of their types.
    """

    name: str
    quantiles: tuple[float, ...]
    zeros: float
    step: float
    largest: float


def profiles(found: Sequence[Profile], what: str) -> Picture:
    """The distributions of values or weights against their types, a row each, as hls4ml's
    profiling draws them.
    """
    drawn = found[:MOST_ROWS]

    def draw(axes: Axes) -> None:
        for row, one in enumerate(drawn):
            low, high = np.log2(one.step), np.log2(one.largest)
            label = "range of the type" if row == 0 else None
            axes.barh(row, high - low, 0.8, low, color="gray", alpha=0.3, linewidth=0, label=label)
            if one.quantiles:
                first, lower, middle, upper, last = np.log2(one.quantiles)
                axes.plot([first, last], [row, row], color=SERIES[1], lw=1)
                axes.barh(
                    row,
                    max(upper - lower, 0.04),
                    0.5,
                    lower,
                    color=SERIES[1],
                    linewidth=0,
                    label="middle half of the values" if row == 0 else None,
                )
                axes.plot([middle, middle], [row - 0.32, row + 0.32], color=SERIES[2], lw=2)
        axes.use_sticky_edges = False
        name_rows(axes, [one.name for one in drawn])
        axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True, nbins=10))
        axes.xaxis.set_major_formatter(lambda power, _: "2" + f"{power:.0f}".translate(_RAISED))
        axes.set(xlabel=what)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)

    columns = (
        "node", "smallest", "quantile 25 %", "median", "quantile 75 %", "largest",
        "fraction of zeros", "step of the type", "largest of the type",
    )  # fmt: skip
    nothing = ("",) * 5
    rows = [
        (one.name, *(one.quantiles or nothing), one.zeros, one.step, one.largest) for one in found
    ]
    return Picture(svg(draw, 1.7 + 0.32 * len(drawn)), columns, rows)


def widths_by_element(widths: Mapping[str, Sequence[int]]) -> Picture:
    """The bits of each element of each node, a row each; of many elements, the widest of each
    few.
    """
    drawn = list(widths)[:MOST_ROWS]
    cells = np.stack([_spread(widths[name]) for name in drawn])

    def draw(axes: Axes) -> None:
        image = axes.imshow(
            cells,
            aspect="auto",
            interpolation="none",
            extent=(0, 1, len(drawn) - 0.5, -0.5),
            vmin=0,
            cmap="viridis",
        )
        names = [f"{name} ({len(widths[name]):,})" for name in drawn]
        name_rows(axes, names)
        axes.set_ylim(len(drawn) - 0.5, -0.5)
        axes.set_xticks([])
        axes.set(xlabel="Elements, from the first to the last")
        bar = axes.figure.colorbar(image, ax=axes, label="Bits")
        bar.outline.set_visible(False)
        bar.ax.yaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
        bar.ax.minorticks_off()

    rows = [(name, *run) for name, values in widths.items() for run in _listed(values)]
    columns = ("node", "first element", "last element", "most bits")
    return Picture(svg(draw, 1.2 + 0.32 * len(drawn)), columns, rows)


def weight_bits(kernels: Mapping[str, np.ndarray]) -> Picture | None:
    """The bits that each weight of the first kernels (inputs, outputs) needs; None without any."""
    drawn = dict(list(kernels.items())[:_MOST_KERNELS])
    if not drawn:
        return None
    across = min(3, len(drawn))
    lines = -(-len(drawn) // across)
    most = max(int(bits.max(initial=0)) for bits in drawn.values())

    def draw(figure: Figure) -> None:
        grid = figure.subplots(lines, across, squeeze=False).ravel()
        for axes, (name, bits) in zip(grid, drawn.items(), strict=False):
            shown = np.ma.masked_equal(_coarse(bits), 0)
            image = axes.imshow(
                shown,
                aspect="auto",
                interpolation="none",
                vmin=0,
                vmax=max(most, 1),
                cmap="viridis",
            )
            axes.set_title(f"{name}, {bits.shape[0]} × {bits.shape[1]}", fontsize=11)
            axes.set(xticks=[], yticks=[])
            axes.minorticks_off()
        for axes in grid[len(drawn) :]:
            axes.set_axis_off()
        for axes in grid[::across]:
            axes.set_ylabel("Inputs", fontsize=11)
        for axes in grid[max(0, len(drawn) - across) : len(drawn)]:
            axes.set_xlabel("Outputs", fontsize=11)
        bar = figure.colorbar(image, ax=list(grid), label="Bits")
        bar.outline.set_visible(False)
        bar.ax.yaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
        bar.ax.minorticks_off()

    rows = [
        (name, bits, count)
        for name, of_kernel in kernels.items()
        for bits, count in zip(*np.unique(of_kernel, return_counts=True), strict=True)
    ]
    return Picture(panels(draw, 0.6 + 2.3 * lines), ("kernel", "bits", "weights"), rows)


def runs(values: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """The first and the last place of equal neighbours, and their value."""
    place = 0
    for value, ones in groupby(values):
        count = len(list(ones))
        yield place, place + count - 1, value
        place += count


def _listed(values: Sequence[int]) -> list[tuple[int, int, int]]:
    """The runs of a node, or, of very many, the cells that are drawn: first and last element, and
    the most bits.
    """
    found = list(runs(values))
    if len(found) <= _MOST_RUNS:
        return found
    cells = _spread(values).tolist()
    ends = [k * len(values) // _CELLS for k in range(_CELLS + 1)]
    spans = zip(pairwise(ends), cells, strict=True)
    return [(first, last - 1, bits) for (first, last), bits in spans]


def _spread(values: Sequence[int]) -> np.ndarray:
    """As many cells as a row has: a value takes several, or several share one as their largest."""
    array = np.asarray(values)
    if len(array) <= _CELLS:
        return array[np.arange(_CELLS) * len(array) // _CELLS]
    starts = np.arange(_CELLS) * len(array) // _CELLS
    return np.asarray(np.maximum.reduceat(array, starts))


def _coarse(bits: np.ndarray) -> np.ndarray:
    """At most so many cells along each axis: the largest of each few."""
    for axis in (0, 1):
        size = bits.shape[axis]
        if size > _CELLS:
            starts = np.arange(_CELLS) * size // _CELLS
            bits = np.maximum.reduceat(bits, starts, axis=axis)
    return bits

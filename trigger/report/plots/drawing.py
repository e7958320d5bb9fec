"""What all plots share: SVG that is legible on light and dark pages, its numbers, and colours."""

import base64
import csv
import io
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import matplotlib.pyplot as plt
import mplhep
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trigger.physics.metrics import Roc

SIZE = (7.2, 5.2)
_STYLE: Any = [
    mplhep.style.ROOT,
    {
        "svg.hashsalt": "trigger",
        "svg.fonttype": "none",
        "font.size": 13,
        "legend.fontsize": 11,
        "axes.labelsize": 14,
        "axes.titlesize": 13,
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "savefig.facecolor": "none",
    },
]
_CURVE_POINTS = 240
# Text on colours of a plot, which are the same in both themes.
INK = "#1b1f24"
# Colours of what is no class, none of which a class has.
SERIES = ("lightgray", "#54809f", "#c8a028", "#2f9486", "#b2667a")


class Picture(NamedTuple):
    """A plot as SVG, and the numbers that it shows: ``rows`` under the names ``columns``."""

    svg: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]

    @property
    def address(self) -> str:
        """The numbers as the address of a CSV file, which needs no file and no network."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows([[_written(value) for value in row] for row in self.rows])
        data = base64.b64encode(text.getvalue().encode()).decode()
        return f"data:text/csv;charset=utf-8;base64,{data}"


def _written(value: Any) -> Any:
    """Floats to six digits, which is more than a plot shows."""
    return f"{value:.6g}" if isinstance(value, float | np.floating) else value


def class_color(number: int) -> Any:
    """The colour of a class, by its position in data.classes, equal in every plot."""
    colors = mpl.color_sequences["tab20"]
    return colors[(2 * number + (number % 20 >= 10)) % 20]


def shown(name: str) -> str:
    """A name for a legend: Matplotlib omits names that begin with an underscore."""
    return f" {name}" if name.startswith("_") else name


def thinned(curve: Roc) -> tuple[np.ndarray, np.ndarray]:
    """A curve at as many points as can be seen."""
    x = np.linspace(0, 1, _CURVE_POINTS)
    return x, np.interp(x, curve.efficiency, curve.background)


def svg(draw: Callable[[Axes], None], height: float = SIZE[1]) -> str:
    """A plot with one pair of axes."""
    return panels(lambda figure: draw(figure.subplots()), height)


def panels(draw: Callable[[Figure], None], height: float = SIZE[1], width: float = SIZE[0]) -> str:
    """A plot of several; ``draw`` adds the axes."""
    with plt.style.context(_STYLE), warnings.catch_warnings():
        # The browser may have glyphs that Matplotlib's font lacks.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure = plt.figure(figsize=(width, height), layout="constrained")
        draw(figure)
        for axes in figure.axes:
            _as_text(axes)
        buffer = io.StringIO()
        figure.savefig(
            buffer, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type"))
        )
        plt.close(figure)
    return _themed(buffer.getvalue())


def _as_text(axes: Axes) -> None:
    """Names may contain dollar signs, which are no mathematics."""
    legend = axes.get_legend()
    texts = [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
    for text in (*texts, *(legend.get_texts() if legend else ())):
        text.set_parse_math(False)


def _themed(text: str) -> str:
    """Black is the colour of the page's text, and no two plots share an identifier of a group."""
    text = text[text.index("<svg") :].replace("#000000", "currentColor")
    return re.sub(r'<g id="[^"]*"', "<g", text)


def side_by_side(
    draws: Sequence[Callable[[Axes], None]], ylabel: str, same_scale: bool = False
) -> str:
    """Panels that show the same, three in a row, with one legend."""
    columns = min(3, len(draws))
    lines = -(-len(draws) // columns)

    def draw(figure: Figure) -> None:
        grid = figure.subplots(lines, columns, sharey=same_scale, squeeze=False).ravel()
        for axes, one in zip(grid, draws, strict=False):
            one(axes)
        for axes in grid[::columns]:
            axes.set_ylabel(ylabel)
        for axes in grid[len(draws) :]:
            axes.set_axis_off()
        legend = figure.legend(
            *grid[0].get_legend_handles_labels(), loc="outside upper center", ncols=6
        )
        for text in legend.get_texts():
            text.set_parse_math(False)

    size = (SIZE[1], SIZE[0]) if columns == 1 else (0.8 + 3.4 * lines, 3.9 * columns)
    return panels(draw, *size)


def name_rows(axes: Axes, names: Sequence[str], size: float = 10) -> None:
    """Names at the rows 0, 1, … of a horizontal plot, the first one at the top."""
    axes.set_yticks(range(len(names)), names, fontsize=size)
    for label in axes.get_yticklabels():
        label.set_parse_math(False)
    axes.minorticks_off()
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", direction="out", top=False)
    axes.set_ylim(len(names) - 0.4, -0.6)

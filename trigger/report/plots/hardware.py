"""The plots of the hardware: area by layer, pipeline, shared kernels, links."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import color_sequences
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from trigger.report.plots.drawing import (
    INK,
    SERIES,
    Picture,
    class_color,
    name_rows,
    panels,
    shown,
    svg,
)
from trigger.spec.links import LinkMap, Place

# The copies of a kernel that are drawn.
_MOST_COPIES = 4
# In a wider pipeline the numbers would touch; a longer legend says nothing.
_MOST_NUMBERS = 20
_MOST_KINDS = 12
# More words than this are drawn side by side, a link a row; of so many links.
_MOST_WORDS = 24
_MOST_ROWS = 80
# Letters of the names in a row.
_LETTERS = 150
# Inches; the map takes the whole page.
_WIDE = 11


def area_by_layer(areas: Mapping[str, Mapping[str, int]], what: str = "LUT") -> Picture | None:
    """LUT, or FF, of each layer; ``areas`` by origin, then by layer. None if there is no logic."""
    if not any(areas.values()):
        return None
    names = list(dict.fromkeys(name for area in areas.values() for name in area))

    def draw(axes: Axes) -> None:
        height = 0.8 / max(len(areas), 1)
        for k, (origin, area) in enumerate(areas.items()):
            places = np.arange(len(names)) + (k - (len(areas) - 1) / 2) * height
            axes.barh(
                places,
                [area.get(name, 0) for name in names],
                height,
                label=origin,
                color=SERIES[k % len(SERIES)],
            )
        name_rows(axes, names)
        axes.set(xlabel=what)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=1)

    rows = [(origin, name, count) for origin, area in areas.items() for name, count in area.items()]
    height = 1.2 + 0.3 * len(areas) + 0.4 * len(names)
    return Picture(svg(draw, height), ("origin", "layer", what), rows)


def turns(kernels: Sequence[Mapping[str, Any]]) -> Picture | None:
    """Which position a copy of a shared kernel computes in which clock cycle: a row for each copy,
    of the first few; ``kernels`` as in rtl.json. None if there are none.
    """
    rows = [
        (kernel, number, positions)
        for kernel in kernels
        for number, positions in enumerate(kernel["copies"][:_MOST_COPIES])
    ]
    if not rows:
        return None
    written = []

    def draw(axes: Axes) -> None:
        labels = []
        for row, (kernel, number, positions) in enumerate(rows):
            # The last position of a copy comes in the last turn.
            turns, before = kernel["copies"][0], sum(kernel["copies"][:number])
            start = kernel["first"] + turns - positions
            cells = [(start + turn, 1) for turn in range(positions)]
            colors = [class_color(before + turn) for turn in range(positions)]
            axes.broken_barh(cells, (row - 0.4, 0.8), facecolors=colors)
            copies = len(kernel["copies"])
            labels.append(f"{', '.join(kernel['layers'])}: {number + 1} of {copies}")
            for turn in range(positions):
                middle = start + turn + 0.5
                axes.text(middle, row, str(before + turn), fontsize=7, ha="center", va="center")
                written.append((labels[-1], start + turn, before + turn))
            axes.plot(
                [start + positions, kernel["first"] + kernel["cycles"]], [row, row], "k-", lw=1
            )
        name_rows(axes, labels, 9)
        axes.set(xlabel="Clock cycle", xlim=(0, None))

    drawn = svg(draw, 1.5 + 0.4 * len(rows))
    return Picture(drawn, ("copy", "clock cycle", "position"), written)


def pipeline(stages: Sequence[Mapping[str, Any]], period_ns: float) -> Picture | None:
    """The LUTs of each layer in each stage, and the longest path of the stage against the clock
    period; ``stages`` as in rtl.json. None if nothing is in them.
    """
    names = list(dict.fromkeys(name for stage in stages for name in stage["lut"]))
    if not names:
        return None
    luts = np.array([[stage["lut"].get(name, 0.0) for stage in stages] for name in names])
    # In the order in which an event passes through them.
    middle = luts @ np.arange(len(stages)) / luts.sum(axis=1)
    order = np.argsort(middle, kind="stable")
    layers, luts = [names[place] for place in order], luts[order]
    paths = [stage["ns"] for stage in stages]

    def draw(figure: Figure) -> None:
        high = 0.35 * len(layers) + 0.4
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1.6, high))
        upper.bar(range(len(stages)), paths, 0.8, color=SERIES[1])
        upper.axhline(period_ns, color=SERIES[4], lw=1, label="clock period")
        upper.set(ylabel="Longest\npath [ns]")
        upper.legend(loc="lower center", bbox_to_anchor=(0.5, 1))
        shown = np.ma.masked_equal(luts, 0)
        lower.imshow(shown, aspect="auto", interpolation="none", cmap="Blues", vmin=0)
        for (row, stage), count in np.ndenumerate(luts):
            if count and len(stages) <= _MOST_NUMBERS:
                color = "white" if count > 0.55 * luts.max() else INK
                text = f"{count:.0f}" if count >= 0.5 else "<1"
                lower.text(stage, row, text, fontsize=9, color=color, ha="center", va="center")
        name_rows(lower, layers)
        lower.xaxis.set_major_locator(MaxNLocator(integer=True))
        upper.minorticks_off()
        upper.tick_params(direction="out", top=False, right=False)
        lower.set(xlabel="Pipeline stage", xlim=(-0.5, len(stages) - 0.5))

    rows = [
        (number, stage["ns"], name, stage["lut"].get(name, 0.0))
        for number, stage in enumerate(stages)
        for name in (stage["lut"] or [""])
    ]
    columns = ("stage", "longest path [ns]", "layer", "LUT, estimated")
    return Picture(panels(draw, 2.8 + 0.35 * len(layers)), columns, rows)


def links(places: LinkMap, kinds: Mapping[str, str]) -> Picture:
    """The bits of each link; ``kinds`` has the kind of each feature, which gives its colour.

    A row is a word of a link, or, if these are many, a link with its words side by side.
    """
    beside = len({(place.link, place.word) for place in places.places}) > _MOST_WORDS
    bits = places.word_bits * (places.words if beside else 1)
    at = {one: (one.link, 0 if beside else one.word) for one in places.places}
    rows = {line: number for number, line in enumerate(sorted(set(at.values()))[:_MOST_ROWS])}
    names = list(dict.fromkeys(kinds.values()))
    palette = color_sequences["Set3"]
    colors = {name: palette[number % len(palette)] for number, name in enumerate(names)}

    def draw(axes: Axes) -> None:
        for row in rows.values():
            axes.barh(row, bits, 0.84, color="none", edgecolor="gray", linewidth=0.6)
        for place, line in at.items():
            if line in rows:
                low = place.low + (places.word_bits * place.word if beside else 0)
                _field(axes, place, rows[line], (low, bits), colors[kinds[place.name]])
        for name in names if len(names) <= _MOST_KINDS else ():
            axes.barh(0, 0, color=colors[name], label=shown(name))
        titles = [f"link {link}" + ("" if beside else f", word {word}") for link, word in rows]
        name_rows(axes, titles, 9)
        step = places.word_bits // 2 if beside else 8 if bits > 16 else 4
        what = "Bit, all words of an event one after the other" if beside else "Bit"
        axes.set(xlabel=what, xlim=(0, bits), xticks=range(0, bits + 1, step))
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4)

    written = [
        (place.name, place.link, place.word, place.low, place.low + place.type.width - 1)
        for place in places.places
    ]
    columns = ("feature", "link", "word", "first bit", "last bit")
    height = 1.5 + 0.3 * len(rows)
    picture = panels(lambda figure: draw(figure.subplots()), height, _WIDE)
    return Picture(picture, columns, written)


def _field(axes: Axes, place: Place, row: int, where: tuple[int, int], color: Any) -> None:
    """A feature from a bit on, in a row of so many bits; its name only if it fits."""
    low, bits = where
    wide = place.type.width
    axes.barh(row, wide, 0.84, low, color=color, edgecolor="gray", linewidth=0.6)
    if len(place.name) * bits <= _LETTERS * wide:
        middle = low + wide / 2
        axes.text(middle, row, place.name, fontsize=7, color=INK, ha="center", va="center")

"""The plot of a search."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from trigger.report.plots.drawing import Picture, svg

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


def front(
    points: Mapping[str, Points],
    best: Mapping[str, Points],
    names: tuple[str, str],
    limit: float | None,
) -> Picture:
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

    rows = [
        (family, x, y, "yes" if (x, y) in best.get(family, ()) else "no")
        for family, places in points.items()
        for x, y in places
    ]
    return Picture(svg(draw), ("family", *names, "on the front"), rows)

"""The plots of trainings."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from trigger.artifacts.cross_validated import CrossValidated
from trigger.report.plots.drawing import SERIES, Picture, svg

_COLORS = ("gray", SERIES[1])


def training_curves(
    histories: Mapping[str, Mapping[str, Sequence[float]]],
    pruning: tuple[int, int] | None,
    loss: str = "Cross entropy [nats]",
) -> Picture:
    """Training and validation loss of each network by epoch; the epochs of pruning shaded."""

    def draw(axes: Axes) -> None:
        for color, (name, history) in zip(_COLORS, histories.items(), strict=False):
            axes.plot(history["loss"], "--", color=color, lw=1.5, label=f"{name}, training")
            axes.plot(history["val_loss"], "-", color=color, lw=1.5, label=f"{name}, validation")
            axes.axvline(history["best_epoch"][0], color=color, lw=1, ls=":")
        if pruning:
            axes.axvspan(*pruning, color=SERIES[2], alpha=0.12, label="pruning")
        top = max(np.quantile(h["val_loss"][2:] or h["val_loss"], 0.98) for h in histories.values())
        axes.set(xlabel="Epoch", ylabel=loss, ylim=(None, 1.05 * float(top)))
        axes.legend()

    rows = [
        (name, epoch, *both)
        for name, history in histories.items()
        for epoch, both in enumerate(zip(history["loss"], history["val_loss"], strict=True))
    ]
    return Picture(svg(draw), ("network", "epoch", "training loss", "validation loss"), rows)


def learning_curve(validated: CrossValidated) -> Picture:
    """The metric against the number of training events, with its spread over the folds."""
    kinds = (
        ("training", "on the training events", "o--"),
        ("kept_back", "on events kept back", "o-"),
    )

    def draw(axes: Axes) -> None:
        events = [point.events for point in validated.points]
        for key, label, style in kinds:
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

    rows = [
        (point.events, label, getattr(point, key).mean, getattr(point, key).deviation)
        for point in validated.points
        for key, label, _ in kinds
    ]
    columns = ("training events", "measured", validated.title, "standard deviation")
    return Picture(svg(draw), columns, rows)

"""What the report says of the heads on the test events: tables and plots."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from trigger.artifacts.folder import Build, read_graph, read_json
from trigger.artifacts.outcome import Measured, Outcome
from trigger.events.dataset import Events
from trigger.fixedpoint.evaluate import run
from trigger.fixedpoint.passes.decision import scores as scores_of
from trigger.physics.intervals import Intervals, intervals
from trigger.physics.metrics import curves_of, seen_by
from trigger.report.figures import numbers_of_classes, told_apart
from trigger.report.plots import scores as score_plots
from trigger.report.plots.drawing import Picture
from trigger.spec.head_tables import Scoring
from trigger.spec.spec import Spec

# Rejections that rest on fewer background events are marked.
FEW = 30
_BINS = 40
_MOST_PANELS = 12


class Firmware(NamedTuple):
    """The scores of the firmware on the test events, as real numbers (events, scores), and by
    number of the score its thresholds, by accept bit.
    """

    scores: np.ndarray
    thresholds: Mapping[int, Mapping[str, float]]


class Shown(NamedTuple):
    """A picture with its caption, and the name of its files; one of several panels is ``wide``."""

    name: str
    picture: Picture
    caption: str
    wide: bool = False


class Head(NamedTuple):
    """A head on the page: ``classes`` are those with figures of their own, ``against`` is what a
    class is compared with.
    """

    measured: Measured
    classes: Sequence[str]
    intervals: Mapping[str, Intervals]
    against: str
    pictures: Sequence[Shown]


def firmware_of(build: Build, test: Events) -> Firmware:
    """Where the firmware gives accept bits alone, its scores are those before the thresholds."""
    graph = scores_of(read_graph(build.root))
    scores = np.ldexp(run(graph, test.x).astype(np.float64), -graph.output.fractions)
    points = read_json(build.root / "graph" / "summary.json")["working_points"]
    thresholds: dict[int, dict[str, float]] = {}
    for name, point in points.items():
        bound = float(np.ldexp(point["bound"], -int(graph.output.fractions[point["element"]])))
        thresholds.setdefault(point["element"], {})[name] = bound
    return Firmware(scores, thresholds)


def heads(result: Outcome, test: Events, spec: Spec, firmware: Firmware) -> list[Head]:
    """The heads with figures."""
    return [_head(measured, result, test, spec, firmware) for measured in result.heads]


def _head(
    measured: Measured, result: Outcome, test: Events, spec: Spec, firmware: Firmware
) -> Head:
    head = measured.head
    place = [one.name for one in spec.scoring].index(head.name) + 1
    title, the = (f"{head.name}: ", "the") if head.name else ("", "The")
    if head.is_regression:
        unit = f" [{head.unit}]" if head.unit else ""
        picture = score_plots.residuals(measured.regression, f"True {head.name}", unit)
        caption = f"{title}bias, with the resolution as a bar, in bins of the true value."
        return Head(measured, (), {}, "", [Shown(f"residuals-{place}", picture, caption)])
    share = spec.physics.signal_efficiency
    found = {
        label: intervals(figures, result.scores[label], test, head, share)
        for label, figures in measured.performance.items()
    }
    classes = told_apart(head, spec)
    against = _against(head, classes)
    pictures = [
        Shown(f"roc-{place}", _rocs(result, test, head, spec), _of_rocs(title, against, result)),
        Shown(
            f"scores-{place}",
            _distributions(firmware, test, head, spec),
            f"{title}{the} firmware’s scores on the test events, by true class; each class adds up "
            f"to 1{', grey lines are thresholds' if firmware.thresholds else ''}.",
            len(head.outputs) > 1,
        ),
    ]
    if spec.task != "anomaly":
        label = "csim" if "csim" in result.scores else result.reference
        pictures.append(
            Shown(
                f"confusion-{place}",
                _confusion(result.scores[label], test, head),
                f"{title}{the} class that the network gives ({label}), in % of each true class, "
                "with event weights.",
            )
        )
    return Head(measured, classes, found, against, pictures)


def _against(head: Scoring, classes: Sequence[str]) -> str:
    """The comparison that a ROC curve shows."""
    if len(classes) == 1 and len(head.classes) == 2:
        return f"{classes[0]} against {next(c for c in head.classes if c not in classes)}"
    if head.background is None:
        return "each class against all others"
    names = " and ".join(head.classes[number] for number in head.background)
    return f"each class against {names}, {names} against all others"


def _of_rocs(title: str, against: str, result: Outcome) -> str:
    lines = {
        "float": "dotted: float",
        result.reference: f"wide: {result.reference}",
        "csim": "dashed: csim",
        "teacher": "dashed and dotted: teacher",
        "boosted trees": "points: boosted trees",
    }
    drawn = ", ".join(text for label, text in lines.items() if label in result.scores)
    return f"{title}ROC curves, {against}; {drawn}."


def _rocs(result: Outcome, test: Events, head: Scoring, spec: Spec) -> Picture:
    """The curves of the classes that say different things: what an only output scores low is the
    mirror image of the others.
    """
    low = [head.classes[number] for number in head.background or ()]
    names = [name for name in told_apart(head, spec) if name not in low]
    curves = {}
    for label, scores in result.scores.items():
        of_classes = curves_of(scores, test, head)
        curves[label] = {name: of_classes[name] for name in names}
    return score_plots.roc_curves(curves, spec.physics.signal_efficiency, numbers_of_classes(spec))


def _distributions(firmware: Firmware, test: Events, head: Scoring, spec: Spec) -> Picture:
    own, seen = seen_by(head, firmware.scores, test)
    histograms = []
    for number, name in list(enumerate(head.outputs))[:_MOST_PANELS]:
        values = own[:, number]
        edges = bin_edges(values)
        shares = {}
        for place, of_class in enumerate(head.classes):
            here = seen.y == place
            weight = seen.weight[here]
            inside = np.clip(values[here], edges[0], edges[-1])
            counts, _ = np.histogram(inside, edges, weights=weight)
            shares[of_class] = counts / weight.sum() if weight.any() else counts
        thresholds = firmware.thresholds.get(head.first + number, {})
        histograms.append(score_plots.Histogram(name, edges, shares, thresholds))
    return score_plots.distributions(histograms, numbers_of_classes(spec), "Score of the firmware")


def bin_edges(values: np.ndarray) -> np.ndarray:
    """Edges of bins that hold equal numbers of the steps of a score, up to its outermost values."""
    known = np.unique(values)
    step = float(np.diff(known).min()) if len(known) > 1 else 1.0
    low, high = np.quantile(values, [0.0005, 0.9995], method="nearest")
    wide = round((high - low) / step)
    steps = max(1, -(-wide // _BINS))
    bins = wide // steps + 1
    return np.asarray(low - step / 2 + np.arange(bins + 1) * steps * step)


def _confusion(scores: np.ndarray, test: Events, head: Scoring) -> Picture:
    """An only output gives no class of several, but a side of 0."""
    own, seen = seen_by(head, scores, test)
    if head.background is None:
        given, decisions = own.argmax(axis=1), list(head.classes)
    else:
        given, decisions = (own[:, 0] > 0).astype(np.int64), ["score ≤ 0", "score > 0"]
    shares = np.zeros((len(head.classes), len(decisions)))
    np.add.at(shares, (seen.y, given), seen.weight)
    totals = shares.sum(axis=1, keepdims=True)
    shares = np.divide(shares, totals, out=np.zeros_like(shares), where=totals > 0)
    events = np.bincount(seen.y, minlength=len(head.classes)).tolist()
    return score_plots.confusion(shares, head.classes, decisions, events)

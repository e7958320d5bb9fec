"""What the report says of the figures on the test events: tables and plots of heads and accept
bits.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from trigger.artifacts.folder import Build, read_graph, read_json
from trigger.artifacts.outcome import Measured, Outcome
from trigger.events.dataset import Events
from trigger.fixedpoint.evaluate import run
from trigger.fixedpoint.passes.decision import scores as scores_of
from trigger.physics.intervals import Intervals, intervals
from trigger.physics.metrics import curves_of, roc, seen_by
from trigger.physics.rates import crossings_khz, turn_on
from trigger.physics.robustness import TOTAL
from trigger.report.figures import numbers_of_classes, told_apart
from trigger.report.plots import rates as rate_plots
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


def heads(build: Build, result: Outcome, test: Events) -> list[Head]:
    """The heads with figures."""
    if not result.heads:
        return []
    firmware = _firmware(build, test)
    return [_head(measured, result, test, build.spec, firmware) for measured in result.heads]


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
        edges = _edges(values)
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


def _edges(values: np.ndarray) -> np.ndarray:
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


def _firmware(build: Build, test: Events) -> Firmware:
    """Where the firmware gives accept bits alone, its scores are those before the thresholds."""
    graph = scores_of(read_graph(build.root))
    scores = np.ldexp(run(graph, test.x).astype(np.float64), -graph.output.fractions)
    points = read_json(build.root / "graph" / "summary.json")["working_points"]
    thresholds: dict[int, dict[str, float]] = {}
    for name, point in points.items():
        bound = float(np.ldexp(point["bound"], -int(graph.output.fractions[point["element"]])))
        thresholds.setdefault(point["element"], {})[name] = bound
    return Firmware(scores, thresholds)


def rate_curves(build: Build, test: Events) -> Picture | None:
    """Zero-bias rate against the efficiency of each other class, for every output with an accept
    bit.
    """
    spec = build.spec
    if spec.decision is None or spec.physics.zero_bias is None:
        return None
    points = read_json(build.root / "graph" / "summary.json")["working_points"].values()
    values = run(scores_of(read_graph(build.root)), test.x)
    background = spec.data.classes.index(spec.physics.zero_bias)
    curves = {}
    colors = {}
    for element in dict.fromkeys(point["element"] for point in points):
        for number, name in enumerate(spec.data.classes):
            if number != background:
                label = name if len(spec.scores) == 1 else f"{name}, score {spec.scores[element]}"
                curves[label] = roc(values[:, [element]], test, number, (background,))
                colors[label] = number
    return rate_plots.rate_curves(
        curves,
        colors,
        crossings_khz(spec),
        [p.rate_khz for p in spec.decision.accept.values() if p.rate_khz],
    )


def turn_ons(bits: np.ndarray | None, test: Events, spec: Spec) -> list[Shown]:
    """For each feature in physics.turn_on, or sum of a field over its objects, the efficiency of
    each accept bit, and of any of several, by class.
    """
    if bits is None:
        return []
    kept = {name: bits[:, k].astype(bool) for k, name in enumerate(spec.accept)}
    if len(kept) > 1:
        kept[TOTAL] = np.asarray(bits.any(axis=1))
    pictures = []
    for place, name in enumerate(spec.physics.turn_on):
        summands = spec.summands(name)
        shown = f"the sum of {name}" if len(summands) > 1 else name
        fields = spec.inputs.fields()
        unit = fields[summands[0]].field.unit if fields else None
        values = _values(summands, test, spec)
        curves: dict[str, dict[str, Any]] = {bit: {} for bit in kept}
        for number, of_class in enumerate(spec.data.classes if spec.data.label else ["events"]):
            here = test.y == number
            for bit, fired in kept.items():
                curves[bit][of_class] = turn_on(fired[here], values[here], test.weight[here])
        caption = f"Turn-on: efficiency of each accept bit in bins of {shown}."
        picture = rate_plots.turn_on(curves, f"{shown} [{unit}]" if unit else shown)
        pictures.append(Shown(f"turn-on-{place + 1}", picture, caption, len(kept) > 1))
    return pictures


def _values(summands: Sequence[str], test: Events, spec: Spec) -> np.ndarray:
    """A feature, or a sum of several of one type, in its own unit."""
    fields = spec.inputs.fields()
    numbers = [spec.data.features.index(feature) for feature in summands]
    lsb = fields[summands[0]].field.lsb if fields else 2.0 ** -spec.input_types[numbers[0]].fraction
    return np.asarray(test.x[:, numbers].sum(axis=1) * lsb)

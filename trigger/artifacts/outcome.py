"""The outcome of a finished build: verdict and figures, for the report, the terminal and the exit
status.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from trigger.artifacts import robust
from trigger.artifacts.budgets import budgets, timing
from trigger.artifacts.cross_validated import cross_validated
from trigger.artifacts.decided import accept_bits
from trigger.artifacts.folder import (
    Build,
    integer_events,
    read_graph,
    read_json,
    reference,
    stage_seconds,
)
from trigger.events.dataset import Events
from trigger.physics import constant
from trigger.physics.metrics import Performance, logits, performance, seen_by
from trigger.physics.rates import Menu, menu
from trigger.physics.regression import Regression, regression
from trigger.spec.head_tables import Scoring
from trigger.spec.spec import Spec
from trigger.support.numbers import plain
from trigger.synthesis.budget import UNITS, Figure, Line, figures, over
from trigger.synthesis.run import results as synthesis_results

EXACT = "good"
OVER = "over"
DIFFERENT = "bad"
# Scores closer than this fraction of their range tie, because Keras computes in float32.
_TIE = 1e-3
_BASELINE = "boosted_scores.npy"
# Float32 may move a sum across a rounding tie in at most this fraction of the events.
_ROUNDED = 1e-3


class Headline(NamedTuple):
    """The verdict in a sentence, and its class on the page: ``EXACT``, ``OVER`` or
    ``DIFFERENT``.
    """

    text: str
    kind: str


class Apart(NamedTuple):
    """Test events that the csim classifies differently from Keras in float32, as trained.

    Ties are not counted. ``accuracies`` are Keras' and the csim's.
    """

    differing: int
    events: int
    accuracies: tuple[float, float]
    head: str = ""

    def __str__(self) -> str:
        keras, csim = map(_percent, self.accuracies)
        return (
            f"the csim puts {plain(self.differing)} of {plain(self.events)} test events "
            f"into a different {self.head + ' ' if self.head else ''}class "
            f"from the trained network (Keras, float32): accuracy {csim} in the csim, "
            f"{keras} in Keras"
        )


class Measured(NamedTuple):
    """The figures of one head on the test events, by kind (float, Keras, csim): of its classes, or
    of a regression.
    """

    head: Scoring
    performance: dict[str, Performance]
    regression: dict[str, Regression]


class Outcome(NamedTuple):
    """``scores`` (logits on the test events) are by kind: teacher, float, csim and ``reference``,
    which is Keras or trees; boosted trees are a baseline. ``heads`` has the figures of each head;
    there are none without labels.

    ``bits`` and ``menu`` are the accept bits on the test events and their menu; None without a
    decision. ``warnings`` name repeated events and constant outputs with a remedy; ``unusable``
    marks firmware that decides nothing.
    """

    headline: Headline
    results: dict[str, Any]
    budgets: list[Line]
    figures: dict[str, Figure]
    scores: dict[str, np.ndarray]
    heads: list[Measured]
    bits: np.ndarray | None
    menu: Menu | None
    warnings: list[str]
    unusable: bool
    reference: str


def outcome(build: Build) -> Outcome:
    """Read from the finished stages of a build."""
    spec = build.spec
    results = read_json(build.root / "verification" / "results.json")
    test = integer_events(build)["test"]
    scores, bits = _firmware(build, test)
    # Without labels no performance can be measured.
    labelled = spec.data.label is not None or spec.heads
    measured = [_measured(scores, test, spec, head) for head in spec.scoring if labelled]
    limits = budgets(build)
    same = constant.recorded(read_json(build.root / "graph" / "summary.json"))
    return Outcome(
        headline(
            results,
            over(limits),
            _apart(scores, test, measured, reference(build.root)),
            constant.told(same, spec),
        ),
        results,
        limits,
        figures(spec.target, synthesis_results(build.root)[0], timing(build)),
        scores,
        measured,
        bits,
        None if bits is None else menu(bits, test, spec),
        read_json(build.root / "events" / "summary.json").get("warnings", [])
        + constant.warnings(same, spec),
        constant.unusable(same, spec),
        reference(build.root),
    )


def headline(
    results: Mapping[str, Any],
    missed: Sequence[Line] = (),
    apart: Apart | None = None,
    same: Sequence[str] = (),
) -> Headline:
    """The verdict from verification, Keras as trained, the budgets, and constant outputs.

    ``same`` names the constant outputs.
    """
    if not results["equal"]:
        failed = next(c for c in results["comparisons"] if not c["equal"])
        return Headline(
            f"Not exact: {failed['name']} is not the network that was trained; see “Exactness”.",
            DIFFERENT,
        )
    if apart and apart.differing > _ROUNDED * apart.events:
        return Headline(f"Not exact: {apart}.", DIFFERENT)
    events = plain(results["comparisons"][0]["events"])
    if apart and apart.differing:
        text = f"Equal to the network in float64, in all {events} events and vectors; {apart}"
    else:
        text = (
            f"Exact: every implementation gave the integers of the {results['reference']} in all "
            f"{events} events and vectors"
        )
    names = ", ".join(_name(line.name) for line in missed)
    objections = [*([f"over budget: {names}"] if missed else []), *same]
    if not objections:
        return Headline(f"{text}.", OVER if apart and apart.differing else EXACT)
    return Headline(f"{text}; but {'; and '.join(objections)}.", OVER)


def count_apart(keras: np.ndarray, csim: np.ndarray) -> int:
    """The number of events that two sets of scores (events, outputs) classify differently, without
    ties.

    The class is that of the largest score; a single output separates two classes by its sign.
    """
    both = [
        np.concatenate([s, np.zeros_like(s)], axis=1) if s.shape[1] == 1 else s
        for s in (keras, csim)
    ]
    first, second = (s.argmax(axis=1)[:, None] for s in both)
    apart = (first != second)[:, 0]
    for s in both:
        margin = np.take_along_axis(s, first, axis=1) - np.take_along_axis(s, second, axis=1)
        finite = np.abs(s[np.isfinite(s)])
        apart &= ~(np.abs(margin[:, 0]) <= _TIE * finite.max(initial=0))
    return int((apart | np.isnan(keras).any(axis=1)).sum())


def lines(build: Build, result: Outcome) -> list[tuple[str, str, str]]:
    """One line a figure: its name, the figure, and its budget."""
    limits = {line.name: line for line in result.budgets}
    rows = [(name, text, "") for name, text in _figures_of_heads(result)]
    if (validated := cross_validated(build)) is not None:
        text = f"{validated.points[-1].kept_back}, {validated.folds} folds"
        rows.append((f"cross-validated {validated.title}", text, ""))
    rows.extend(_proof(build))
    rows += [
        (_name(name), str(figure), _against(limits.get(name)))
        for name, figure in _costs(result).items()
    ]
    return rows


def _proof(build: Build) -> Iterator[tuple[str, str, str]]:
    """What is proven of the core; builds of older versions have no proof."""
    path = build.root / "proof" / "results.json"
    if path.exists():
        yield "proof", read_json(path)["text"], ""


def summary(build: Build, result: Outcome) -> str:
    """The outcome as text: the verdict, then one line per figure with its budget."""
    rows = lines(build, result)
    wide = max((len(value) for _, value, _ in rows), default=0)
    rows += [(name, text, "") for name, text in robust.lines(build.root, build.spec)]
    first = max([14, *(len(name) for name, _, _ in rows)])
    told = [f"{build.spec.name}: {result.headline.text}"]
    told += [f"  warning: {warning}" for warning in result.warnings]
    for name, value, limit in rows:
        told.append(f"  {name:<{first}} {value:<{wide}}  {limit}".rstrip())
    if seconds := stage_seconds(build.root):
        by_stage = ", ".join(f"{name} {plain(value, 2)}" for name, value in seconds.items())
        told.append(f"  {'seconds':<{first}} {by_stage}")
    return "\n".join(told)


def _firmware(build: Build, test: Events) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Scores by kind, and the accept bits, on the test events."""
    spec = build.spec
    model = build.root / "model"
    outputs = np.load(build.root / "verification" / "outputs.npy")[: len(test.x)]
    complete = len(outputs) == len(test.x)  # an aborted csim has no outputs
    bits = accept_bits(build.root, spec, outputs) if spec.decision and complete else None
    names = {"teacher": "teacher", "float": "float", reference(build.root): "network"}
    files = {label: model / f"{name}_scores.npy" for label, name in names.items()}
    scores = {label: np.load(path) for label, path in files.items() if path.exists()}
    if complete and not spec.decides:
        real = np.ldexp(outputs.astype(np.float64), -read_graph(build.root).output.fractions)
        ends = read_json(build.root / "graph" / "summary.json")["outputs"]
        scores["csim"] = logits(real, ends)
    if (model / _BASELINE).exists():
        scores["boosted trees"] = np.load(model / _BASELINE)
    return scores, bits


def _apart(
    scores: Mapping[str, np.ndarray], test: Events, measured: Sequence[Measured], reference: str
) -> Apart | None:
    """The head with the largest fraction of events that csim and reference classify differently."""
    comparisons = []
    for head, performances, _ in measured:
        known = [
            performances[label].accuracy for label in (reference, "csim") if label in performances
        ]
        if len(known) == 2 and known[0] is not None and known[1] is not None:
            keras, csim = (seen_by(head, scores[label], test)[0] for label in (reference, "csim"))
            differing = count_apart(keras, csim)
            comparisons.append(Apart(differing, len(csim), (known[0], known[1]), head.name))
    return max(comparisons, key=lambda apart: apart.differing / max(apart.events, 1), default=None)


def _measured(
    scores: Mapping[str, np.ndarray], test: Events, spec: Spec, head: Scoring
) -> Measured:
    if head.is_regression:
        return Measured(head, {}, {label: regression(s, test, head) for label, s in scores.items()})
    share = spec.physics.signal_efficiency
    performances = {label: performance(s, test, head, share) for label, s in scores.items()}
    if spec.task == "anomaly":
        performances = {label: one._replace(accuracy=None) for label, one in performances.items()}
    return Measured(head, performances, {})


def _figures_of_heads(result: Outcome) -> Iterator[tuple[str, str]]:
    """The name and the text of the main figure of each head."""
    for head, performances, regressions in result.heads:
        known = {label: p.accuracy for label, p in performances.items() if p.accuracy is not None}
        if known:
            text = ", ".join(f"{_percent(value)} {label}" for label, value in known.items())
            yield f"{head.name} accuracy".strip(), text
        if regressions:
            parts = [f"{plain(r.total.resolution, 3)} {label}" for label, r in regressions.items()]
            yield f"{head.name} resolution", ", ".join([*parts, *filter(None, [head.unit])])


def _costs(result: Outcome) -> dict[str, Figure]:
    """The figures in order of interest, the rate first."""
    rate = result.menu and result.menu.total.rate
    rates = {"rate_khz": Figure(rate.value, "test events", (rate.low, rate.high))} if rate else {}
    order = ("latency_ns", "ii", "clock_mhz", "lut", "ff", "dsp", "bram")
    return rates | {name: result.figures[name] for name in order if name in result.figures}


def _against(line: Line | None) -> str:
    if line is None:
        return ""
    verdict = {True: "met", False: "NOT MET", None: "unknown"}[line.met]
    sign = "at least" if line.name == "clock_mhz" else "at most"
    return f"{sign} {plain(line.allowed)}: {verdict}"


def _name(name: str) -> str:
    """The name of a figure with its unit."""
    if name in UNITS:
        return f"{name.rsplit('_', 1)[0]}, {UNITS[name]}"
    return name.upper()


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %"

"""The page of a search: the Pareto front as a plot and a table."""

import json
from collections.abc import Sequence
from pathlib import Path

from trigger.backends.rtl.area import lut_error
from trigger.report.page import environment
from trigger.report.plots.search import Points
from trigger.report.plots.search import front as front_plot
from trigger.search.pick import figure, of_budget
from trigger.search.space import FAMILY
from trigger.search.study import Point, front
from trigger.search.trial import COMPLETE
from trigger.spec.spec import Spec
from trigger.support.files import write_text


def write_page(points: Sequence[Point], spec: Spec, folder: Path) -> Path:
    """Write ``index.html`` and ``trials.json`` of a search into a folder; returns the page."""
    assert spec.search is not None
    metric = spec.search.metric
    complete = [p for p in points if p.outcome.state == COMPLETE]
    best = front(complete)
    budgets = of_budget(spec.budget)
    names = {metric: metric, "lut": "LUT, predicted", "latency_ns": "latency, ns"}
    pictures = [
        front_plot(
            _places(complete, x, y, metric),
            _places(best, x, y, metric),
            (names[x], names[y]),
            {c.name: c.bound for c in budgets}.get(x),
        )
        for x, y in (("lut", metric), ("latency_ns", metric))
        if complete
    ]
    page = (
        environment()
        .get_template("search.html.j2")
        .render(
            spec=spec,
            metric=metric,
            points=points,
            complete=complete,
            front={p.number for p in best},
            best=best,
            budgets=budgets,
            within={p.number for p in complete if all(c.met(p, metric) for c in budgets)},
            pictures=pictures,
            families=list(spec.search.family),
            keys=[] if spec.search.family else list(spec.search.parameters),
            family_key=FAMILY,
            lut_error=lut_error(),
        )
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "index.html", page)
    trials = [{**p._asdict(), "outcome": p.outcome._asdict()} for p in points]
    write_text(folder / "trials.json", json.dumps(trials, indent=1) + "\n")
    return folder / "index.html"


def _places(points: Sequence[Point], x: str, y: str, metric: str) -> dict[str, Points]:
    """Two figures of each point, by family."""
    return {
        family: [(figure(p, x, metric), figure(p, y, metric)) for p in points if p.family == family]
        for family in sorted({p.family for p in points})
    }

"""The Pareto front of a search: Optuna's, over all complete trials."""

import numpy as np
import pytest
from conftest import write_small_trigger

from trigger.search.study import Point, Study, front
from trigger.search.trial import COMPLETE, FAILED, HOPELESS, Outcome
from trigger.spec.spec import load

SEARCH = """
[search]
metric = "accuracy"

[search.parameters]
"training.seed" = { low = 1, high = 1000 }
"""


def outcome(metric, lut, latency_ns):
    return Outcome(COMPLETE, "", metric, lut, 10 * lut, latency_ns, "00000000", ())


def by_definition(points):
    """Numbers of the points that none is as good as in all, and better than in one; of equal ones the first."""
    scores = [(-p.outcome.metric, p.outcome.lut, p.outcome.latency_ns) for p in points]
    found = {}
    for point, mine in zip(points, scores, strict=True):
        beaten = any(
            other != mine and all(a <= b for a, b in zip(other, mine, strict=True))
            for other in scores
        )
        if not beaten:
            found.setdefault(mine, point.number)
    return [found[score] for score in sorted(found, key=lambda score: score[1:])]


@pytest.mark.parametrize("values", [2, 4, 50])
def test_it_is_that_of_the_definition(values):
    """Few values make many ties, in one figure and in all of them."""
    rng = np.random.default_rng(values)
    for count in (0, 1, 2, 5, 40):
        figures = rng.integers(1, values + 1, (count, 3)).tolist()
        points = [
            Point(2 * k + 1, {}, outcome(metric / 64, lut, latency / 3))
            for k, (metric, lut, latency) in enumerate(figures)
        ]
        assert [p.number for p in front(points)] == by_definition(points)
        backwards = points[::-1]
        assert [p.number for p in front(backwards)] == by_definition(backwards)


def test_failed_trials_are_not_on_it_and_those_over_budget_are(tmp_path):
    path = write_small_trigger(tmp_path / "small") / "trigger.toml"
    path.write_text(path.read_text() + "\n[budget]\nlut = 150\n" + SEARCH)
    study = Study(tmp_path / "search", load(path), path.parent, resume=False)
    failed = Outcome(FAILED, "no reason")
    hopeless = Outcome(HOPELESS, "", rungs=(0.1,))
    rows = (
        failed,
        outcome(0.9, 200, 20.0),
        hopeless,
        outcome(0.8, 100, 20.0),
        outcome(0.8, 100, 20.0),
        outcome(0.7, 100, 20.0),
        outcome(0.6, 90, 30.0),
        failed,
    )
    for told in rows:
        number, _ = study.ask()
        study.tell(number, told)
    study.ask()
    assert [p.number for p in front(study.complete())] == [6, 3, 1]

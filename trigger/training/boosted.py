"""Boosted trees in float, trained on the same events: the baseline of every report with labels."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from trigger.events.dataset import Events
from trigger.spec.head_tables import Scoring
from trigger.spec.spec import Spec

# Enough for a baseline, in seconds.
_EVENTS = 100_000
_OPTIONS: dict[str, Any] = {"max_iter": 50, "learning_rate": 0.2, "early_stopping": False}
# The logit of a class that training does not see.
_NEVER = -30.0


def wanted(spec: Spec) -> bool:
    """Whether the events have labels, which are for training."""
    return spec.task != "anomaly" and (spec.data.label is not None or bool(spec.heads))


def scores(events: Mapping[str, Events], spec: Spec) -> np.ndarray:
    """The scores of the test events, (events, scores), logits as those of a network: trees are
    trained for each head.
    """
    test = events["test"].x
    # With several threads the order of sums, and so their last bit, changes from run to run.
    with threadpool_limits(1, "openmp"):
        parts = [_of_head(events["train"], test, head, spec) for head in spec.scoring]
    return np.concatenate(parts, axis=1)


def _of_head(train: Events, test: np.ndarray, head: Scoring, spec: Spec) -> np.ndarray:
    seen, _ = train.of(head)
    if head.is_regression:
        seen = seen.take(np.arange(min(len(seen.x), _EVENTS)))
        regressor = HistGradientBoostingRegressor(random_state=spec.training.seed, **_OPTIONS)
        regressor.fit(seen.x, seen.y, seen.weight)
        return np.asarray(regressor.predict(test))[:, None]
    seen = seen.take(np.flatnonzero(np.isin(seen.y, head.taught))[:_EVENTS])
    y = seen.y if head.background is None else (~np.isin(seen.y, head.background)).astype(int)
    classes = np.unique(y)
    found = np.full((len(test), max(2, len(head.outputs))), _NEVER)
    if len(classes) == 1:
        found[:, classes] = 0
    else:
        classifier = HistGradientBoostingClassifier(random_state=spec.training.seed, **_OPTIONS)
        classifier.fit(seen.x, y, seen.weight)
        logits = classifier.decision_function(test).reshape(len(test), -1)
        if logits.shape[1] == 1:
            logits = np.concatenate([-logits, logits], axis=1) / 2
        found[:, classes] = logits
    return found if head.background is None else found[:, [1]] - found[:, [0]]

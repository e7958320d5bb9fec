"""Cross-validation: the network trained again without each part of the events in turn, and measured
on that part, with all or a fraction of the events left.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import StratifiedKFold, train_test_split

from trigger.errors import TriggerError, quoted
from trigger.events.dataset import Events, joined
from trigger.events.hardware import to_real
from trigger.fixedpoint.evaluate import run
from trigger.fixedpoint.graph import Graph
from trigger.frontends.networks import ends, lower
from trigger.physics.metrics import accuracy_of, logits, mean_auc
from trigger.physics.regression import regression
from trigger.spec.spec import Spec
from trigger.spec.tables import CrossValidation
from trigger.training.network import reset_names
from trigger.training.recipe import trained


class Measured(NamedTuple):
    """The metric of one training on its own events, and on those that were ``kept_back``.

    ``fraction`` is the share of the events left for training that were used, ``events`` their
    number.
    """

    fraction: float
    events: int
    training: float
    kept_back: float


def cross_validate(
    spec: Spec, asked: CrossValidation, integers: dict[str, Events], folder: Path
) -> Iterator[Measured]:
    """Yield the figures of each training, by fraction, then by fold; test events take no part.

    ``integers`` are the splits in hardware units, ``folder`` is that of trigger.toml. There is no
    warm start: its network knows all events. Raises TriggerError if a class has too few events for
    the folds, and as ``recipe.trained``.
    """
    training = spec.training.model_copy(update={"warm_start": None})
    alone = spec.model_copy(update={"training": training})
    folds = list(_folds(spec, asked.folds, integers))
    for fraction in asked.fractions:
        for fold in folds:
            rows = _part(fold["train"].y, fraction, spec.data.seed)
            few = {**fold, "train": fold["train"].take(rows)}
            reset_names()
            model = trained(alone, to_real(few, spec), folder, lambda logs: None)
            graph = lower(model, spec.input_types)
            kinds = ends(model, graph)
            own, other = (
                _metric(asked.metric, graph, kinds, few[name], spec) for name in ("train", "test")
            )
            yield Measured(fraction, len(rows), own, other)


def _folds(spec: Spec, folds: int, integers: dict[str, Events]) -> Iterator[dict[str, Events]]:
    """The events of training and validation, split anew for each fold, with equal shares of each
    class; ``test`` is the fold that is kept back.
    """
    events = joined([integers["train"], integers["validation"]])
    for number, name in enumerate(spec.data.classes if spec.data.label else ("events",)):
        least = int((events.y == number).sum())
        if least < 3 * folds:
            raise TriggerError(
                f"cross_validation.folds: the class {quoted(name)} has {least} events for "
                f"training and validation; {folds} folds need {3 * folds}"
            )
    share = len(integers["validation"].x) / len(events.x)
    shuffled = StratifiedKFold(folds, shuffle=True, random_state=spec.data.seed)
    for left, kept_back in shuffled.split(events.x, events.y):
        validation = left[_part(events.y[left], share, spec.data.seed)]
        yield {
            "train": events.take(np.setdiff1d(left, validation)),
            "validation": events.take(validation),
            "test": events.take(kept_back),
        }


def _part(y: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Sorted rows of a random part with equal shares of each class."""
    rows = np.arange(len(y))
    if fraction == 1:
        return rows
    part, _ = train_test_split(rows, train_size=fraction, stratify=y, random_state=seed)
    return np.sort(part)


def _metric(
    metric: str, graph: Graph, ends: Sequence[tuple[str, int]], events: Events, spec: Spec
) -> float:
    """The mean of a metric over the heads that have it, from the integers of the graph."""
    outputs = np.ldexp(run(graph, events.x).astype(np.float64), -graph.output.fractions)
    scores = logits(outputs, ends)
    heads = [head for head in spec.scoring if head.is_regression == (metric == "resolution")]
    if metric == "resolution":
        return float(np.mean([regression(scores, events, head).total.resolution for head in heads]))
    of_head = mean_auc if metric == "auc" else accuracy_of
    return float(np.mean([of_head(scores, events, head) for head in heads]))

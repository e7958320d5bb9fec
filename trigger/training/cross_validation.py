"""Cross-validation: the network trained again without each part of the events in turn, and measured
on that part, with all or a fraction of the events left.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import StratifiedKFold

from trigger.errors import TriggerError, quoted
from trigger.events.dataset import Events, check_truth, joined
from trigger.events.hardware import to_real
from trigger.fixedpoint.evaluate import run
from trigger.fixedpoint.graph import Graph
from trigger.frontends.networks import ends, lower
from trigger.physics.metrics import logits, of_classes
from trigger.physics.regression import regression
from trigger.spec.spec import Spec
from trigger.spec.tables import CrossValidation
from trigger.support.numbers import plain
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
    warm start: its network knows all events. Raises TriggerError if a part lacks a class or the
    truth of a head, before the first training, and as ``recipe.trained``.
    """
    training = spec.training.model_copy(update={"warm_start": None})
    alone = spec.model_copy(update={"training": training})
    for fraction, events in list(_parts(spec, asked, integers)):
        reset_names()
        model = trained(alone, to_real(events, spec), folder, lambda logs: None)
        graph = lower(model, spec.input_types)
        kinds = ends(model, graph)
        own, other = (
            _metric(asked.metric, graph, kinds, events[name], spec) for name in ("train", "test")
        )
        yield Measured(fraction, len(events["train"].y), own, other)


def _parts(
    spec: Spec, asked: CrossValidation, integers: dict[str, Events]
) -> Iterator[tuple[float, dict[str, Events]]]:
    """The events of each training, checked, by fraction, then by fold."""
    folds = list(_folds(spec, asked.folds, integers))
    for fraction in asked.fractions:
        for fold in folds:
            rows = _part(fold["train"].y, fraction, spec.data.seed)
            events = {**fold, "train": fold["train"].take(rows)}
            _check(asked, fraction, events, spec)
            yield fraction, events


def _check(asked: CrossValidation, fraction: float, events: dict[str, Events], spec: Spec) -> None:
    """Raise TriggerError unless each part has a weight in each class, and a truth for each head."""
    parts = {**events, "kept-back": events["test"]}
    del parts["test"]
    try:
        for name, part in parts.items():
            for number, label in enumerate(_classes(spec)):
                if not part.weight[part.y == number].any():
                    raise TriggerError(
                        f"no event of the class {quoted(label)} in the {name} split has a weight"
                    )
        check_truth(parts, spec.scoring)
    except TriggerError as error:
        raise TriggerError(
            f"cross_validation: with {asked.folds} folds and the fraction {plain(fraction, 4)}: "
            f"{error}; set fewer folds or larger fractions"
        ) from error


def _folds(spec: Spec, folds: int, integers: dict[str, Events]) -> Iterator[dict[str, Events]]:
    """The events of training and validation, split anew for each fold, with equal shares of each
    class; ``test`` is the fold that is kept back.
    """
    events = joined([integers["train"], integers["validation"]])
    for number, name in enumerate(_classes(spec)):
        least = int((events.y == number).sum())
        if least < 3 * folds:
            raise TriggerError(
                f"cross_validation.folds: the class {quoted(name)} has {least} events for "
                f"training and validation; {folds} folds need {3 * folds}"
            )
    share = len(integers["validation"].x) / len(events.x)
    shuffled = StratifiedKFold(folds, shuffle=True, random_state=spec.data.seed)
    for left, kept_back in shuffled.split(events.x, events.y):
        validation = left[_part(events.y[left], share, spec.data.seed, least=1)]
        yield {
            "train": events.take(np.setdiff1d(left, validation)),
            "validation": events.take(validation),
            "test": events.take(kept_back),
        }


def _classes(spec: Spec) -> Sequence[str]:
    """The classes of which each part has equal shares."""
    return spec.data.classes if spec.data.label else ("events",)


def _part(y: np.ndarray, fraction: float, seed: int, least: int = 0) -> np.ndarray:
    """Sorted rows of a random part with equal shares of each class, at least ``least`` of each and
    as many left; that of a smaller fraction is a part of it.
    """
    random = np.random.default_rng(seed)
    chosen = []
    for number in np.unique(y):
        rows = random.permutation(np.flatnonzero(y == number))
        count = round(fraction * len(rows))
        chosen.append(rows[: min(max(count, least), len(rows) - least)])
    return np.sort(np.concatenate(chosen))


def _metric(
    metric: str, graph: Graph, ends: Sequence[tuple[str, int]], events: Events, spec: Spec
) -> float:
    """The mean of a metric over the heads that have it, from the integers of the graph."""
    outputs = np.ldexp(run(graph, events.x).astype(np.float64), -graph.output.fractions)
    scores = logits(outputs, ends)
    if metric != "resolution":
        return of_classes(metric, scores, events, spec.scoring)
    heads = [head for head in spec.scoring if head.is_regression]
    return float(np.mean([regression(scores, events, head).total.resolution for head in heads]))

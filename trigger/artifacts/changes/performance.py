"""How the physics of two builds differs: accuracies, areas, rates, efficiencies."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from trigger.artifacts.changes.result import Changes, Note, Pair
from trigger.artifacts.folder import Build, integer_events
from trigger.artifacts.outcome import Measured, Outcome
from trigger.artifacts.sources import recorded_sources
from trigger.events.dataset import Events
from trigger.physics import paired
from trigger.physics.metrics import correct, seen_by
from trigger.physics.rates import Estimate, Kept, efficiency
from trigger.physics.robustness import Effect, of_bit, of_classes, of_regression
from trigger.spec.head_tables import Scoring
from trigger.spec.tables import ANY
from trigger.synthesis.budget import UNITS, Figure

_ON = "test events"
_RATE = "rate_khz"

_LEARNS = (
    "the task is",
    "the unit is",
    "the classes are",
    "training sees",
    "classes that score low are",
)

Key = tuple[str, ...]


class Measuring(NamedTuple):
    """A build with its outcome and its test events."""

    build: Build
    result: Outcome
    test: Events


def performance(builds: tuple[Build, Build], results: tuple[Outcome, Outcome]) -> Changes:
    """The figures on the test events of two builds.

    If these are the same events, the interval of a difference counts only the events that the two
    treat differently; otherwise it is wider, and unknown for areas and residuals.
    """
    first, second = (
        Measuring(build, result, integer_events(build)["test"])
        for build, result in zip(builds, results, strict=True)
    )
    notes = list(_unlike(first, second))
    alike = [measured.head.name for measured, _ in _heads(first, second)]
    before, after = (dict(_own(one, alike)) for one in (first, second))
    if different := _zero_biases(first, second):
        notes.append(Note("rates", different))
        before, after = (
            {key: figure for key, figure in figures.items() if key[0] != _RATE}
            for figures in (before, after)
        )
    intervals = _separate(before, after)
    if _same_events(first, second):
        intervals |= {key: (e.change.low, e.change.high) for key, e in _paired(first, second)}
    elif before or after:
        notes.append(Note("event by event", "the two builds have different test events"))
    pairs = [
        Pair(
            key[0], key[1:], _unit(key, first), before.get(key), after.get(key), intervals.get(key)
        )
        for key in dict.fromkeys([*before, *after])
    ]
    return Changes(figures=tuple(pairs), notes=tuple(notes))


def _heads(first: Measuring, second: Measuring) -> Iterator[tuple[Measured, Measured]]:
    """The heads that both have, and that learn the same."""
    others = {measured.head.name: measured for measured in second.result.heads}
    for one in first.result.heads:
        other = others.get(one.head.name)
        if other is not None and not _unlike_heads(one.head, other.head, first, second):
            yield one, other


def _unlike_heads(one: Scoring, other: Scoring, first: Measuring, second: Measuring) -> str:
    """Why the figures of two heads are not of the same thing; "" if they are."""
    both = [_learns(head, measuring) for head, measuring in ((one, first), (other, second))]
    for what, old, new in zip(_LEARNS, *both, strict=True):
        if old != new:
            return f"{what} {old} in the first build, {new} in the second"
    return ""


def _learns(head: Scoring, measuring: Measuring) -> tuple[str, ...]:
    """What a head learns, in the order of ``_LEARNS``."""

    def named(numbers: tuple[int, ...] | None) -> str:
        return "none" if numbers is None else ", ".join(head.classes[k] for k in numbers)

    task = "regression" if head.is_regression else measuring.build.spec.task or "classification"
    return (
        task,
        head.unit or "none",
        ", ".join(head.classes),
        named(head.taught),
        named(head.background),
    )


def _unlike(first: Measuring, second: Measuring) -> Iterator[Note]:
    """The heads that are not compared."""
    heads, others = (
        {measured.head.name: measured.head for measured in measuring.result.heads}
        for measuring in (first, second)
    )
    for name in dict.fromkeys([*heads, *others]):
        title = f"head {name}" if name else "accuracy and AUC"
        if name not in heads or name not in others:
            yield Note(title, f"only of the {'first' if name in heads else 'second'} build")
        elif why := _unlike_heads(heads[name], others[name], first, second):
            yield Note(title, why)


def _zero_biases(first: Measuring, second: Measuring) -> str:
    """Why the rates of two builds are not of the same thing; "" if they are, or one has none."""
    old, new = (measuring.build.spec.physics.zero_bias for measuring in (first, second))
    if old is None or new is None or old == new:
        return ""
    return f"zero bias is {old} in the first build, {new} in the second"


def _own(measuring: Measuring, alike: list[str]) -> Iterator[tuple[Key, Figure]]:
    """The figures of one build, with their intervals."""
    for measured in measuring.result.heads:
        if measured.head.name in alike:
            yield from _of_head(measured, measuring)
    if (menu := measuring.result.menu) is not None:
        for name, kept in menu.points.items():
            yield from _of_bit(name, kept, measuring)
        if len(menu.points) > 1:
            yield from _of_bit(ANY, menu.total, measuring)


def _of_head(measured: Measured, measuring: Measuring) -> Iterator[tuple[Key, Figure]]:
    head = measured.head
    label = _label(measuring, measured)
    origin = f"{label}, {_ON}"
    name = tuple(filter(None, [head.name]))
    if head.is_regression:
        total = measured.regression[label].total
        yield ("bias", *name), Figure(total.bias, origin)
        yield ("resolution", *name), Figure(total.resolution, origin)
        return
    figures = measured.performance[label]
    if figures.accuracy is not None:
        own, seen = seen_by(head, measuring.result.scores[label], measuring.test)
        taught = np.isin(seen.y, head.taught)
        right = correct(own, seen, head.background)[taught]
        yield ("accuracy", *name), _figure(efficiency(right, seen.weight[taught]), origin)
    for of_class, auc in figures.auc.items():
        yield ("auc", *name, of_class), Figure(auc, origin)


def _of_bit(name: str, kept: Kept, measuring: Measuring) -> Iterator[tuple[Key, Figure]]:
    if kept.rate is not None:
        yield (_RATE, name), _figure(kept.rate, _ON)
    for of_class, share in kept.efficiency.items():
        if of_class != measuring.build.spec.physics.zero_bias:
            yield ("efficiency", name, of_class), _figure(share, _ON)


def _label(measuring: Measuring, measured: Measured) -> str:
    """The scores of the firmware, or, if it gives none, of its equal network."""
    known = measured.regression if measured.head.is_regression else measured.performance
    return "csim" if "csim" in known else measuring.result.reference


def _figure(estimate: Estimate, origin: str) -> Figure:
    return Figure(estimate.value, origin, (estimate.low, estimate.high))


def _separate(
    before: dict[Key, Figure], after: dict[Key, Figure]
) -> dict[Key, tuple[float, float]]:
    """The intervals of the differences of fractions and rates, as of different events."""
    found = {}
    for key, old in before.items():
        new = after.get(key)
        if old.interval and new is not None and new.interval:
            both = Estimate(old.value, *old.interval), Estimate(new.value, *new.interval)
            change = paired.of_separate(*both)
            found[key] = (change.low, change.high)
    return found


def _same_events(first: Measuring, second: Measuring) -> bool:
    """Whether the test events are the same, in the same order, with the same truth."""
    one, two = (recorded_sources(measuring.build) for measuring in (first, second))
    return (
        one == two
        and np.array_equal(first.test.y, second.test.y)
        and np.array_equal(first.test.weight, second.test.weight)
        and _equal_truth(first.test.truth, second.test.truth)
    )


def _equal_truth(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other, equal_nan=True)


def _paired(first: Measuring, second: Measuring) -> Iterator[tuple[Key, Effect]]:
    """The differences on the same events."""
    spec = first.build.spec
    for one, other in _heads(first, second):
        head = one.head._replace(first=0)
        old, new = (
            measuring.result.scores[_label(measuring, measured)][:, measured.head.places]
            for measuring, measured in ((first, one), (second, other))
        )
        effects = (
            of_regression(head, old, new, first.test)
            if head.is_regression
            else of_classes(head, old, new, first.test, spec)
        )
        for effect in effects:
            yield (effect.figure, *filter(None, [effect.of, effect.what])), effect
    bits, others = (_bits(measuring) for measuring in (first, second))
    crossings = {measuring.build.spec.physics.crossings_khz for measuring in (first, second)}
    for name in bits.keys() & others.keys():
        for effect in of_bit(name, bits[name], others[name], first.test, spec):
            figure = "efficiency" if effect.figure == "accepted" else effect.figure
            if figure == _RATE and len(crossings) > 1:
                continue
            yield (figure, name, *filter(None, [effect.what])), effect


def _bits(measuring: Measuring) -> dict[str, np.ndarray]:
    """Each accept bit, and the OR of all, as booleans (events,)."""
    bits = measuring.result.bits
    if bits is None:
        return {}
    kept = bits.astype(bool)
    columns = {name: kept[:, k] for k, name in enumerate(measuring.build.spec.accept)}
    return {**columns, ANY: np.asarray(kept.any(axis=1))}


def _unit(key: Key, measuring: Measuring) -> str:
    if key[0] in ("bias", "resolution"):
        return next(
            (head.unit for head in measuring.build.spec.scoring if head.name in key[1:]), ""
        )
    return UNITS.get(key[0], "")

"""The tables and the plot of the shifts of a build."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from trigger.artifacts.robust import recorded_effects, shown, title
from trigger.physics.rates import Estimate
from trigger.physics.robustness import TOTAL, Effect
from trigger.report.figures import numbers_of_classes
from trigger.report.plots.drawing import Picture
from trigger.report.plots.rates import changes as changes_plot
from trigger.spec.spec import Spec


class Panel(NamedTuple):
    """A table of one accept bit, or of one head: one column per figure, one row per shift."""

    title: str
    columns: list[str]
    nominal: list[str]
    rows: list[tuple[str, list[tuple[str, str]]]]


def panels(shifts: Sequence[dict[str, Any]], spec: Spec) -> list[Panel]:
    """The tables for the result of ``artifacts.robust.robustness``."""
    by_unit: dict[tuple[str, bool], Panel] = {}
    for shift in shifts:
        grouped: dict[tuple[str, bool], list[Effect]] = {}
        for effect in _seen(shift, spec):
            grouped.setdefault((effect.of, effect.accept), []).append(effect)
        for key, effects in grouped.items():
            columns = [title(effect, spec) for effect in effects]
            nominal = [shown(effect)[0] for effect in effects]
            panel = by_unit.setdefault(key, Panel(_heading(*key), columns, nominal, []))
            panel.rows.append((shift["name"], [shown(effect)[1:] for effect in effects]))
    return list(by_unit.values())


def relative_changes(shifts: Sequence[dict[str, Any]], spec: Spec) -> Picture | None:
    """A plot of the relative changes of the OR of all accept bits; None without accept bits."""
    whole = TOTAL if len(spec.accept) > 1 else next(iter(spec.accept), None)
    changes: dict[str, dict[str, Estimate]] = {}
    numbers = numbers_of_classes(spec)
    classes: dict[str, int] = {}
    for shift in shifts:
        for effect in _seen(shift, spec):
            if effect.accept and effect.of == whole and effect.nominal:
                name = title(effect, spec).partition(",")[0]
                relative = effect.change.times(1 / effect.nominal)
                changes.setdefault(name, {})[shift["name"]] = relative
                if effect.what in numbers:
                    classes[name] = numbers[effect.what]
    return changes_plot(changes, [s["name"] for s in shifts], classes) if changes else None


def _heading(of: str, accept: bool) -> str:
    if not accept:
        return of or "Scores"
    return "Any accept bit" if of == TOTAL else f"Accept bit {of}"


def _seen(shift: dict[str, Any], spec: Spec) -> list[Effect]:
    """All effects, except on the accepted fraction of zero bias: the rate shows the same."""
    rate = ("accepted", spec.physics.zero_bias)
    return [e for e in recorded_effects(shift) if (e.figure, e.what) != rate]

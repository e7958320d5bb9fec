"""The changes between two builds in words and numbers, for the terminal, the page and messages."""

from typing import NamedTuple

from trigger.artifacts.changes.limits import Checked, Comparison
from trigger.artifacts.changes.result import FRACTIONS, INTERFACE, Changes, Detail, Pair
from trigger.spec.tables import ANY
from trigger.support.numbers import counted, plain
from trigger.synthesis.budget import Figure

_TITLES = {"auc": "AUC", "latency_cycles": "latency, clock cycles", "ii": "II"}
_COUNTS = ("lut", "ff", "dsp", "bram")
_RISES = ("accuracy", "auc", "clock_mhz")
# A class may be one that the trigger rejects.
_UNDECIDED = ("bias", "efficiency")
BETTER = "good"
WORSE = "bad"
# The figures of a headline; of accept bits only all together, or the only one.
_MAIN = ("accuracy", "resolution", "rate_khz", "efficiency", "latency_ns", "lut", "ff", "dsp")
_OF_BITS = ("rate_khz", "efficiency")


class Row(NamedTuple):
    """A figure as texts; ``kind`` is ``BETTER`` or ``WORSE`` if the change is one, beyond its
    interval.
    """

    title: str
    before: str
    after: str
    change: str
    origin: str
    kind: str


def row(pair: Pair) -> Row:
    """A figure of both builds."""
    return Row(
        title(pair),
        _value(pair, pair.before),
        _value(pair, pair.after),
        change(pair),
        _origin(pair),
        _kind(pair),
    )


def title(pair: Pair) -> str:
    """What a figure is, with its unit."""
    return name_of(pair) + (f", {pair.unit}" if pair.unit else "")


def name_of(pair: Pair) -> str:
    """What a figure is."""
    name = pair.name.removesuffix("_ns").removesuffix("_mhz").removesuffix("_khz")
    name = name.upper() if pair.name in _COUNTS else _TITLES.get(pair.name, name)
    return " ".join([name, *pair.of])


def change(pair: Pair) -> str:
    """A difference, relative too where that is no fraction, with its interval."""
    if pair.change is None:
        return "only in the first" if pair.after is None else "only in the second"
    if not pair.changed:
        return "="
    text = _difference(pair, pair.change)
    if pair.name not in (*FRACTIONS, "auc", "bias") and pair.relative is not None:
        text += f", {100 * pair.relative:+.1f} %"
    if pair.interval:
        low, high = (_difference(pair, end) for end in pair.interval)
        text += f" ({low.removesuffix(' %')} to {high})"
    return text


def headline(changes: Changes) -> str:
    """The main changes in one line."""
    if changes.none:
        return "no difference" if not changes.notes else "no difference in what was compared"
    main = [pair for pair in changes.figures if pair.name in _MAIN and pair.change]
    if any(ANY in pair.of for pair in changes.figures):
        main = [pair for pair in main if pair.name not in _OF_BITS or pair.of[0] == ANY]
    texts = [f"{name_of(pair)} {_short(pair)}" for pair in main]
    layers = {detail.layer for detail in changes.layers}
    texts += [f"{counted(len(layers), 'layer')} changed"] if layers else []
    texts += ["another interface"] if changes.interface else []
    return "; ".join([*(texts or ["no figure changed"]), *filter(None, [changes.loading])])


def amount(detail: Detail) -> str:
    """How many elements of a layer changed."""
    if detail.changed is None:
        return ""
    return f"{detail.changed:,} of {detail.total:,}"


def verdict(checked: Checked) -> str:
    """Whether a limit is met."""
    return {True: "met", False: "NOT MET", None: "not compared"}[checked.met]


def objections(comparison: Comparison) -> list[str]:
    """A line for each limit that is exceeded, or that cannot be checked."""
    return [
        _objection(checked, comparison.changes) for checked in comparison.limits if not checked.met
    ]


def _objection(checked: Checked, changes: Changes) -> str:
    limit = checked.limit.text
    if checked.met is None and checked.key == INTERFACE:
        return f"{limit}: it was not compared"
    if checked.met is None:
        return f"{limit}: {checked.key} is not a figure of both builds{_others(checked, changes)}"
    if checked.pair is None:
        return f"{limit}: it changed"
    pair = checked.pair
    numbers = f"{_value(pair, pair.before)} to {_value(pair, pair.after)}: {change(pair)}"
    return f"{limit}: {title(pair)} from {numbers}"


def _others(checked: Checked, changes: Changes) -> str:
    """The figures of that name that a limit can check, where it selects none of them."""
    name = checked.limit.name
    keys = [pair.key for pair in changes.figures if pair.name == name and pair.change is not None]
    return f"; these are: {', '.join(keys)}" if keys and checked.pair is None else ""


def _short(pair: Pair) -> str:
    """The change alone: relative, but for fractions."""
    assert pair.change is not None
    if pair.name in FRACTIONS or pair.relative is None:
        return _difference(pair, pair.change)
    return f"{100 * pair.relative:+.1f} %"


def _difference(pair: Pair, value: float) -> str:
    if pair.name in FRACTIONS:
        return f"{100 * value:+.2f} %"
    if pair.name == "auc":
        return f"{value:+.4f}"
    text = plain(value, 3 if pair.name == "rate_khz" else 4)
    return text if value < 0 else f"+{text}"


def _value(pair: Pair, figure: Figure | None) -> str:
    if figure is None:
        return "none"
    if figure.is_bound or figure.interval is None:
        return ("at least " if figure.is_bound else "") + _number(pair, figure.value)
    low, high = (_number(pair, end) for end in figure.interval)
    return f"{_number(pair, figure.value)} ({low.removesuffix(' %')} to {high})"


def _number(pair: Pair, value: float) -> str:
    if pair.name in FRACTIONS:
        return f"{100 * value:.2f} %"
    return f"{value:.4f}" if pair.name == "auc" else plain(value, 3 if pair.interval else 4)


def _origin(pair: Pair) -> str:
    origins = [figure.origin for figure in (pair.before, pair.after) if figure is not None]
    return "; ".join(dict.fromkeys(origins))


def _kind(pair: Pair) -> str:
    if not pair.change or pair.name in _UNDECIDED:
        return ""
    low, high = pair.interval or (pair.change, pair.change)
    if low <= 0 <= high:
        return ""
    return BETTER if (pair.change > 0) == (pair.name in _RISES) else WORSE

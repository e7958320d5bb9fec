"""Limits of the changes between two builds: "lut=+5%" of ``trigger compare --fail-if``."""

import math
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from trigger.artifacts.changes.result import FRACTIONS, INTERFACE, Changes, Pair, Summary
from trigger.errors import TriggerError, quoted
from trigger.spec.tables import nearest

FIGURES = (
    *FRACTIONS,
    "auc",
    "bias",
    "resolution",
    "rate_khz",
    "latency_cycles",
    "latency_ns",
    "ii",
    "clock_mhz",
    "lut",
    "ff",
    "dsp",
    "bram",
)
_MOST_PARTS = 1_000_000
_LIMIT = re.compile(r"([a-z_]+)(?:\.([^=]+))?=([+-]?)(\d{1,12}(?:\.\d{1,12})?)(%?)")


class Limit(NamedTuple):
    """The change of one figure that is allowed: up with the sign +, down with -, else both.

    ``of`` restricts it to a head, accept bit or class. ``amount`` is in percent, or in the unit of
    the figure; it has none for ``INTERFACE``, which may not change.
    """

    text: str
    name: str
    of: str = ""
    sign: str = ""
    amount: Fraction = Fraction(0)
    percent: bool = False

    def allowed(self, pair: Pair) -> Fraction:
        """In the unit of the figure: percent of the figure before, or of the events."""
        if not self.percent:
            return self.amount
        assert pair.before is not None
        whole = Fraction(1) if self.name in FRACTIONS else abs(_exact(pair.before.value))
        return self.amount * whole / 100

    def applies(self, pair: Pair) -> bool:
        """Whether a figure is one of those of this limit."""
        return pair.name == self.name and (not self.of or self.of in _parts(pair.of))


class Checked(NamedTuple):
    """A limit against one figure; ``met`` is None if the figure is not compared."""

    limit: Limit
    key: str
    pair: Pair | None
    met: bool | None


class Comparison(NamedTuple):
    """Two builds, what changed between them, and the limits of that."""

    builds: tuple[Summary, Summary]
    changes: Changes
    limits: tuple[Checked, ...] = ()


def parse(text: str) -> Limit:
    """A limit. Raises TriggerError for anything else."""
    if text == INTERFACE:
        return Limit(text, INTERFACE)
    if text.startswith(f"{INTERFACE}="):
        raise TriggerError(f'--fail-if: "{INTERFACE}" takes no amount: it may not change')
    match = _LIMIT.fullmatch(text)
    if match is None:
        raise TriggerError(
            f'--fail-if: {quoted(text)} is not a limit; write "lut=+5%", "accuracy=-0.3%" or '
            f'"{INTERFACE}"'
        )
    name, of, sign, amount, percent = match.groups()
    if name not in FIGURES:
        raise TriggerError(
            f"--fail-if: no figure {quoted(name)}{nearest(name, FIGURES)}; available: "
            f"{', '.join((*FIGURES, INTERFACE))}"
        )
    return Limit(text, name, of or "", sign, Fraction(amount), bool(percent))


def check(limits: Sequence[Limit], changes: Changes) -> list[Checked]:
    """Each limit against each of its figures."""
    return [checked for limit in limits for checked in _check(limit, changes)]


def _check(limit: Limit, changes: Changes) -> Iterator[Checked]:
    if limit.name == INTERFACE:
        yield Checked(limit, INTERFACE, None, changes.same_interface)
        return
    pairs = [pair for pair in changes.figures if limit.applies(pair)]
    for pair in pairs:
        yield Checked(limit, pair.key, pair, _met(limit, pair))
    if not pairs:
        yield Checked(limit, limit.text.partition("=")[0], None, None)


def _met(limit: Limit, pair: Pair) -> bool | None:
    """None if unknown. An uncertain change exceeds its limit if its whole interval does."""
    if pair.before is None or pair.after is None:
        return None
    values = (pair.before.value, pair.after.value)
    if not all(map(math.isfinite, (*values, *(pair.interval or ())))):
        return None
    before, after = map(_exact, values)
    low, high = pair.interval or (after - before, after - before)
    allowed = limit.allowed(pair)
    rose = limit.sign != "-" and low > allowed
    fell = limit.sign != "+" and high < -allowed
    return not (rose or fell)


def _exact(value: float) -> Fraction:
    """The simple fraction that a quotient was rounded from: 50/3 ns are 4 cycles at 240 MHz."""
    exact = Fraction(value)
    simple = exact.limit_denominator(_MOST_PARTS)
    return simple if abs(simple - exact) <= Fraction(math.ulp(value)) else exact


def _parts(of: Sequence[str]) -> set[str]:
    """The texts that select a figure: its labels, one or several in their order."""
    chosen = {""}
    for label in of:
        chosen |= {f"{text}.{label}" if text else label for text in chosen}
    return chosen - {""}

"""The rates of a build as a table for the terminal, and as JSON."""

import json
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

from trigger.physics.counts import Counts, Sums
from trigger.physics.rates import crossings_khz
from trigger.support.numbers import plain
from trigger.workflow.rates.run import Rates
from trigger.workflow.rates.worker import EVENTS

KIND = "trigger rates"
_DIGITS = 4


def table(rates: Rates) -> str:
    """A table for each class, zero bias first: rates of zero bias, efficiencies of others."""
    return "\n".join(line for name in _samples(rates) for line in _of_sample(rates, name))


def to_json(rates: Rates) -> str:
    """All figures, the same for the same events however they were counted."""
    data = {
        "kind": KIND,
        "trigger": rates.build.spec.name,
        "graph": rates.graph,
        "engine": rates.engine,
        "crossings_khz": crossings_khz(rates.build.spec),
        "files": [
            {"file": str(f.path), "sha256": f.digest, "events": f.events} for f in rates.files
        ],
        "samples": {name: _sample(rates, name) for name in _samples(rates)},
    }
    return json.dumps(data, indent=1) + "\n"


def _samples(rates: Rates) -> list[str]:
    """The names of the samples in the order of the classes, zero bias first."""
    spec = rates.build.spec
    order = [spec.physics.zero_bias, *spec.data.classes, EVENTS]
    return [name for name in dict.fromkeys(order) if name in rates.counts]


def _has_rate(rates: Rates, name: str) -> bool:
    """Events without a class are taken as zero bias."""
    return name in (EVENTS, rates.build.spec.physics.zero_bias)


def _of_sample(rates: Rates, name: str) -> Iterator[str]:
    counts = rates.counts[name]
    bits = list(rates.build.spec.accept)
    has_rate = _has_rate(rates, name)
    unit = "kHz" if has_rate else "%"
    factor = crossings_khz(rates.build.spec) if has_rate else 100.0
    weighted = "" if counts.all.weights == counts.all.events else ", weighted"
    yield f"{name}: {counts.all.events:,} events{weighted}"
    value = f"{'rate' if has_rate else 'efficiency'} [{unit}]"
    rows = [("accept bit", "accepted", value, "68 % interval", f"alone [{unit}]")]
    for k, bit in enumerate(bits):
        alone = _figures(counts, counts.alone[k], factor)[1]
        rows.append((bit, *_figures(counts, counts.both[k][k], factor), alone))
    rows.append(("any", *_figures(counts, counts.any, factor), ""))
    for a, b in combinations(range(len(bits)), 2):
        both = _figures(counts, counts.both[a][b], factor)
        rows.append((f"{bits[a]} and {bits[b]}", *both, ""))
    yield from _aligned(rows)


def _figures(counts: Counts, kept: Sums, factor: float) -> tuple[str, str, str]:
    share = counts.share(kept)
    if share is None:
        return f"{kept.events:,}", "-", "-"
    found = share.times(factor)
    return f"{kept.events:,}", _short(found.value), f"{_short(found.low)} to {_short(found.high)}"


def _short(value: float) -> str:
    return plain(float(f"{value:.{_DIGITS}g}"), _DIGITS)


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    for first, *others in rows:
        cells = [text.rjust(width) for text, width in zip(others, widths[1:], strict=True)]
        yield "  ".join(["", first.ljust(widths[0]), *cells]).rstrip()


def _sample(rates: Rates, name: str) -> dict[str, Any]:
    counts = rates.counts[name]
    bits = list(rates.build.spec.accept)
    khz = crossings_khz(rates.build.spec) if _has_rate(rates, name) else None

    def figures(kept: Sums) -> dict[str, Any]:
        share = counts.share(kept)
        found: dict[str, Any] = {"events": kept.events, "fraction": share}
        if khz is not None:
            found["rate_khz"] = share and share.times(khz)
        return found

    return {
        "events": counts.all.events,
        "weight": counts.all.weights,
        "accept": {
            bit: {**figures(counts.both[k][k]), "alone": figures(counts.alone[k])}
            for k, bit in enumerate(bits)
        },
        "any": figures(counts.any),
        "both": [
            {"bits": [bits[a], bits[b]], **figures(counts.both[a][b])}
            for a, b in combinations(range(len(bits)), 2)
        ],
    }

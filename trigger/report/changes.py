"""The comparison of two builds for the terminal, as a page, and as JSON."""

import io
import json
import math
import shutil
from collections.abc import Sequence
from typing import Any, NamedTuple

from trigger.artifacts.changes import words
from trigger.artifacts.changes.limits import Checked, Comparison
from trigger.artifacts.changes.result import Detail, Pair
from trigger.report.page import environment
from trigger.support.names import escaped
from trigger.support.numbers import plain
from trigger.synthesis.budget import Figure

KIND = "trigger comparison"
VERSION = 1
_MARK = '<meta name="generator" content="trigger compare">'
_WIDE = 10_000
_STYLES = {words.BETTER: "green", words.WORSE: "red"}


def table(comparison: Comparison, is_terminal: bool = False) -> str:
    """The comparison for a terminal: in colour and in its width, or plain."""
    from rich.console import Console

    file = io.StringIO()
    width = shutil.get_terminal_size().columns if is_terminal else _WIDE
    console = Console(
        file=file,
        width=width,
        force_terminal=is_terminal,
        force_jupyter=False,
        highlight=False,
    )
    for first, build in zip(("before", "after"), comparison.builds, strict=True):
        text = f"{first:<7} {build.folder} ({build.name}): {build.verdict or 'verdict not known'}"
        console.print(escaped(text), markup=False, soft_wrap=True)
    console.print(escaped(words.headline(comparison.changes)), markup=False, style="bold")
    for one in _tables(comparison):
        console.print(f"\n{one.title}", markup=False, style="bold")
        console.print(_rich(one))
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


def page(comparison: Comparison) -> str:
    """The comparison as an HTML page that opens from disk."""
    changes = comparison.changes
    return (
        environment()
        .get_template("changes.html.j2")
        .render(
            builds=comparison.builds,
            headline=words.headline(changes),
            tables=_tables(comparison),
            objections=words.objections(comparison),
            checked=bool(comparison.limits),
        )
    )


def to_json(comparison: Comparison) -> str:
    """All that was found; ``version`` changes where a reader would have to."""
    changes = comparison.changes
    data = {
        "kind": KIND,
        "version": VERSION,
        "builds": [build._asdict() for build in comparison.builds],
        "equal": changes.none,
        "headline": words.headline(changes),
        "figures": [_pair(pair) for pair in changes.figures],
        "lut_by_layer": [_pair(pair) for pair in changes.luts],
        "layers": [detail._asdict() for detail in changes.layers],
        "interface": [one._asdict() for one in changes.interface],
        "loading": changes.loading,
        "sources": [one._asdict() for one in changes.sources],
        "not_compared": [note._asdict() for note in changes.notes],
        "limits": [
            {"limit": checked.limit.text, "figure": checked.key, "met": checked.met}
            for checked in comparison.limits
        ],
    }
    return json.dumps(data, indent=1, allow_nan=False) + "\n"


def is_our_page(data: bytes) -> bool:
    """Whether a file was written from ``page``."""
    return _MARK.encode() in data


class _Table(NamedTuple):
    """A table of texts; ``kinds`` has the kind of each row."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    kinds: Sequence[str]


def _tables(comparison: Comparison) -> list[_Table]:
    """The tables that have rows."""
    changes = comparison.changes
    figures = [words.row(pair) for pair in changes.figures]
    luts = [words.row(pair)._replace(title=pair.of[0]) for pair in changes.luts if pair.changed]
    tables = [
        _of_figures("Figures", figures),
        _of_figures("LUT by layer", luts),
        _plain(
            "Types and weights by layer",
            ("layer", "what", "before", "after", "changed", "largest change"),
            [_detail(detail) for detail in changes.layers],
        ),
        _plain("Interface", ("", "before", "after"), changes.interface),
        _plain("Sources", ("", "before", "after"), changes.sources),
        _of_limits(comparison.limits),
        _plain("Not compared", ("", "why"), changes.notes),
    ]
    return [one for one in tables if one.rows]


def _of_figures(title: str, rows: Sequence[words.Row]) -> _Table:
    heads = ("", "before", "after", "change", "origin")
    return _Table(title, heads, [row[:-1] for row in rows], [row.kind for row in rows])


def _plain(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> _Table:
    return _Table(title, heads, rows, [""] * len(rows))


def _detail(detail: Detail) -> Sequence[str]:
    largest = plain(detail.largest) if detail.largest else ""
    texts = (detail.layer, detail.what, detail.before, detail.after)
    return (*texts, words.amount(detail), largest)


def _of_limits(limits: Sequence[Checked]) -> _Table:
    rows = [
        (
            checked.limit.text,
            words.title(checked.pair) if checked.pair else checked.key,
            words.change(checked.pair) if checked.pair else "",
            words.verdict(checked),
        )
        for checked in limits
    ]
    kinds = ["" if checked.met else words.WORSE for checked in limits]
    return _Table("Limits", ("limit", "figure", "change", ""), rows, kinds)


def _rich(table: _Table) -> Any:
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, header_style="dim")
    for head in table.heads:
        made.add_column(head, overflow="fold")
    for row, kind in zip(table.rows, table.kinds, strict=True):
        made.add_row(*(Text(escaped(cell)) for cell in row), style=_STYLES.get(kind))
    return made


def _pair(pair: Pair) -> dict[str, Any]:
    return {
        "figure": pair.key,
        "name": pair.name,
        "of": list(pair.of),
        "unit": pair.unit,
        "before": _figure(pair.before),
        "after": _figure(pair.after),
        "change": _finite(pair.change),
        "relative": _finite(pair.relative),
        "interval": pair.interval and [_finite(end) for end in pair.interval],
    }


def _figure(figure: Figure | None) -> dict[str, Any] | None:
    if figure is None:
        return None
    return {
        "value": _finite(figure.value),
        "origin": figure.origin,
        "interval": figure.interval and [_finite(end) for end in figure.interval],
    }


def _finite(value: float | None) -> float | None:
    """JSON has no infinity."""
    return None if value is None or not math.isfinite(value) else value

"""Tables and bars for notebooks, which have the colours of the notebook's own theme.

Every text is escaped: names may come from a user's files.
"""

from collections.abc import Iterable, Sequence
from html import escape

_LEFT = "text-align: left; vertical-align: top"
_RIGHT = "text-align: right; vertical-align: top"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of texts. A head that ends in "#" is that of numbers, which end at the right."""
    styles = [_RIGHT if head.endswith("#") else _LEFT for head in heads]
    titles = [head.removesuffix("#") for head in heads]
    lines = [_row("th", titles, styles)] if any(titles) else []
    lines += [_row("td", row, styles) for row in rows]
    return f"<table>{''.join(lines)}</table>"


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """A table of names and what they stand for, without heads."""
    return table(("", ""), rows)


def paragraph(text: str) -> str:
    """A text in bold, as the title of a table."""
    return f"<p><b>{escape(text)}</b></p>"


def block(text: str) -> str:
    """A text as it stands, of several lines."""
    return f'<pre style="white-space: pre-wrap">{escape(text)}</pre>'


def line(text: str) -> str:
    """A text of one line."""
    return f"<div>{escape(text)}</div>"


def bar(text: str, done: int, total: int) -> str:
    """A bar of what is done, and a text behind it."""
    return f'<div><progress value="{done}" max="{total}"></progress> {escape(text)}</div>'


def notes(texts: Sequence[str]) -> str:
    """A list; nothing if it is empty."""
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f"<ul>{items}</ul>" if items else ""


def _row(tag: str, cells: Sequence[str], styles: Sequence[str]) -> str:
    inner = "".join(
        f'<{tag} style="{style}">{escape(cell)}</{tag}>'
        for cell, style in zip(cells, styles, strict=True)
    )
    return f"<tr>{inner}</tr>"

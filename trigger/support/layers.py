"""The layers of a graph as a table, for the terminal and for notebooks."""

import io
from collections.abc import Mapping, Sequence

from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.summary import Row, rows
from trigger.support import html
from trigger.support.numbers import counted, plain

_HEADS = ("layer (operation)", "shape", "types", "weights#", "zero#")
_LUT = "LUT#"
_WIDE = 10_000
# A longer table hides the cell below it.
_MOST_ROWS = 40


def text(graph: Graph, lut: Mapping[str, int], total: int | None = None) -> str:
    """A table in boxes, as Keras prints one, and the sums; with the LUTs by layer, if they are
    known, and their total.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    found = rows(graph)
    heads = (*_HEADS, _LUT) if lut else _HEADS
    made = Table()
    for head in heads:
        made.add_column(head.removesuffix("#"), justify="right" if head.endswith("#") else "left")
    for row in found:
        made.add_row(*(Text(cell) for cell in _cells(row, lut)))
    file = io.StringIO()
    # In a notebook rich would display the table beside this text.
    console = Console(file=file, width=_WIDE, force_jupyter=False, color_system=None)
    console.print(made)
    lines = [line.rstrip() for line in file.getvalue().splitlines()]
    sums = [_sum(found)] + ([] if total is None else [f"LUT: {plain(total)}, estimated"])
    return "\n".join([_title(graph), *lines, *(f" {line}" for line in sums)])


def page(graph: Graph) -> str:
    """The table in HTML, of the first layers if there are many, the sums and the notes."""
    found = rows(graph)
    more = len(found) - _MOST_ROWS
    left_out = [f"and {counted(more, 'more layer')}: summary() lists all"] if more > 0 else []
    return "".join(
        [
            html.paragraph(_title(graph)),
            html.table(_HEADS, [_cells(row, {}) for row in found[:_MOST_ROWS]]),
            html.notes([*left_out, _sum(found), *graph.notes]),
        ]
    )


def _title(graph: Graph) -> str:
    inputs = counted(len(graph.input.types), "input")
    return f"Fixed-point graph: {inputs}, {counted(len(graph.output.types), 'output')}"


def _cells(row: Row, lut: Mapping[str, int]) -> Sequence[str]:
    numbers = (plain(row.weights), plain(row.zeros)) if row.weights else ("", "")
    cells = (f"{row.name} ({row.op})", row.shape, row.types, *numbers)
    return (*cells, plain(lut[row.name]) if row.name in lut else "") if lut else cells


def _sum(found: Sequence[Row]) -> str:
    weights, zeros, bits = (
        sum(getattr(row, name) for row in found) for name in ("weights", "zeros", "bits")
    )
    return f"Weights: {plain(weights)} in {plain(bits)} bits, {plain(zeros)} of them zero"

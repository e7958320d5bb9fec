"""``trigger compare``: what changed between two builds."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trigger.errors import TriggerError

if TYPE_CHECKING:
    from trigger.artifacts.changes.limits import Comparison

First = Annotated[Path, typer.Argument(help="The build folder from before the change.")]
Second = Annotated[Path, typer.Argument(help="The build folder to compare with it.")]
FailIf = Annotated[
    list[str] | None,
    typer.Option(
        help='A change that is too large: "lut=+5%", "accuracy=-0.3%", "efficiency.tight=-1%", '
        '"latency_cycles=+0", "interface"; may be repeated.'
    ),
]
Html = Annotated[Path | None, typer.Option(help="Write the comparison as a page.")]
Json = Annotated[Path | None, typer.Option(help="Write the comparison as JSON.")]


def compare(
    first: First,
    second: Second,
    fail_if: FailIf = None,
    html: Html = None,
    json: Json = None,
) -> None:
    """Compare two builds: what changed.

    Compares accuracy, rates, efficiencies, latency, area, types, weights, ports, links, registers
    and sources.

    --fail-if limits the change of one figure: upwards with +, downwards with -, both ways without
    a sign. The limit is in the unit of the figure. With % it is in percent of the figure of the
    first build; for accuracy and efficiency, in percent of the events. A change with an interval
    exceeds the limit only if the whole interval does.

    Exit status: 0 compared, 2 could not run or a limit cannot be checked, 3 a limit is exceeded.
    """
    from trigger.artifacts.changes.limits import parse
    from trigger.report.changes import KIND, is_our_page, page, table, to_json
    from trigger.support.destinations import check_file, check_json, write_file
    from trigger.workflow.compare import compare as compared

    limits = [parse(text) for text in fail_if or ()]
    if html is not None and json is not None and html.resolve() == json.resolve():
        raise TriggerError(f"compare: --html and --json both name {html}; name two files")
    if html is not None:
        check_file(html, is_our_page, "a page of `trigger compare`")
    if json is not None:
        check_json(json, KIND, "compare")
    comparison = compared(first, second, limits)
    if html is not None:
        write_file(html, page(comparison))
    if json is not None:
        write_file(json, to_json(comparison))
    typer.echo(table(comparison, sys.stdout.isatty()))
    _object(comparison)


def _object(comparison: "Comparison") -> None:
    """Raise OverBudget if a limit is exceeded, or TriggerError if one cannot be checked."""
    from trigger.artifacts.changes.words import objections
    from trigger.workflow.build import OverBudget

    lines = objections(comparison)
    if any(checked.met is False for checked in comparison.limits):
        raise OverBudget("\n  ".join(["changed too much", *lines]))
    if lines:
        raise TriggerError("\n  ".join(["limits that cannot be checked", *lines]))

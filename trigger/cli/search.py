"""``trigger search``: trials of a trigger.toml with other values, and the choice of one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trigger.errors import TriggerError
from trigger.support.progress import shown

if TYPE_CHECKING:
    from trigger.search.pick import Condition
    from trigger.search.run import Search


def search(
    target: Annotated[
        str,
        typer.Argument(
            help="A zoo name, a folder with trigger.toml, or a trigger.toml, with [search]."
        ),
    ],
    trials: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Stop after this many finished trials (default 30; with --pick, none).",
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an earlier search.")] = False,
    pick: Annotated[
        str | None,
        typer.Option(
            help='Write the best trial that meets these conditions as a trigger.toml: "lut<=2500, '
            'latency_ns<=60", "trial==7".'
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="Run trials on the Dask cluster at this address instead of on this machine."
        ),
    ] = None,
    output: Annotated[Path, typer.Option(help="The folder for NAME-search.")] = Path("build"),
) -> None:
    """Search for better values of trigger.toml.

    Trains networks with values that the table [search] allows, and keeps the Pareto front of
    metric, LUT and latency.

    Exit status: 0 done, 2 could not run, 3 no trial is within [budget].
    """
    _check_installed()
    from trigger.search.pick import of_budget, parse
    from trigger.search.run import opened

    with opened(target, output, resume or pick is not None) as opened_search:
        conditions = (
            parse(pick, opened_search.metric)
            if pick is not None
            else of_budget(opened_search.spec.budget)
        )
        if trials is not None or pick is None:
            _run(opened_search, trials or 30, scheduler)
        if pick is not None:
            _write_picked(opened_search, conditions)
        else:
            _tell_best(opened_search, conditions)


def _check_installed() -> None:
    try:
        import trigger.search.run  # noqa: F401
    except ModuleNotFoundError as error:
        raise TriggerError(
            f"search: no {error.name}; install it with: pip install 'trigger-compiler[search]'"
        ) from error


def _run(search: "Search", trials: int, scheduler: str | None) -> None:
    from trigger.search.run import run_search

    run_search(search, trials, scheduler)
    typer.echo(f"report: {shown(search.root / 'report' / 'index.html')}")


def _write_picked(search: "Search", conditions: "list[Condition]") -> None:
    from trigger.search.pick import describe
    from trigger.search.run import write_picked

    path, chosen = write_picked(search, conditions)
    typer.echo(
        f"wrote {path}: {describe(chosen, search.metric)}; build it with: trigger build {path}"
    )


def _tell_best(search: "Search", conditions: "list[Condition]") -> None:
    """Print the best trial within the budget. Raises OverBudget where none is."""
    from trigger.search.pick import best, describe
    from trigger.workflow.build import OverBudget

    try:
        chosen = best(search.study.complete(), conditions, search.metric)
    except TriggerError as error:
        raise OverBudget(f"search: {error}") from error
    typer.echo(
        f"best{' within the budget' if conditions else ''}: {describe(chosen, search.metric)}"
    )

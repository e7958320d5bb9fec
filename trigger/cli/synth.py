"""``trigger synth``: what a build costs, by one tool."""

from typing import Annotated

import typer

from trigger.cli.arguments import BuildFolder
from trigger.support.progress import shown


def synth(
    folder: BuildFolder,
    tool: Annotated[
        str, typer.Option(help="yosys, ecp5 (Yosys and nextpnr), vivado, vitis or quartus.")
    ] = "yosys",
    timeout: Annotated[
        float, typer.Option(min=1, help="Stop the tool after this many minutes.")
    ] = 240,
) -> None:
    """Synthesise a build with one tool, and check its budgets.

    With [payload], core and shell are synthesised together. The report is rewritten with the new
    figures.

    Exit status: 0 within the budgets, 2 could not run, 3 over a budget.
    """
    from trigger.artifacts.budgets import budgets
    from trigger.synthesis.budget import over
    from trigger.synthesis.run import run_tool
    from trigger.synthesis.table import table
    from trigger.workflow.build import OverBudget, open_sealed, rewrite_report, seal_synthesis
    from trigger.workflow.prove import EVERYTHING
    from trigger.workflow.stages.synthesis import synthesis_job

    build = open_sealed(folder, EVERYTHING)
    result = run_tool(tool, synthesis_job(build.root, build.spec), build.root, 60 * timeout)
    seal_synthesis(build.root)
    typer.echo(table(result))
    missed = over(budgets(build, [result]))
    page = f"report: {shown(rewrite_report(folder))}"
    if missed:
        raise OverBudget("\n  ".join(["over budget", *map(str, missed), page]))
    typer.echo(page)

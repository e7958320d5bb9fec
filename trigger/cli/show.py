"""``trigger report`` and ``trigger show``: the results of a build."""

from typing import Annotated

import typer

from trigger.cli.arguments import BuildFolder
from trigger.support.progress import shown


def report(folder: BuildFolder) -> None:
    """Write the report of a build again, and print its path."""
    from trigger.workflow.build import rewrite_report

    typer.echo(shown(rewrite_report(folder)))


def show(
    folder: BuildFolder,
    graph: Annotated[
        bool, typer.Option("--graph", help="The fixed-point graph, node by node.")
    ] = False,
) -> None:
    """Show a build's verdict and figures, or its graph.

    Shows verdict, accuracy or rate, cost and budgets, the time of each stage, and the manifest.
    """
    import json

    from trigger.artifacts.folder import read_graph
    from trigger.artifacts.manifest import facts
    from trigger.artifacts.outcome import outcome, summary
    from trigger.fixedpoint.serialize import dump
    from trigger.workflow.build import open_sealed
    from trigger.workflow.prove import EVERYTHING

    if graph:
        typer.echo(dump(read_graph(open_sealed(folder).root)), nl=False)
        return
    build = open_sealed(folder, EVERYTHING)
    typer.echo(summary(build, outcome(build)))
    typer.echo(f"report: {shown(build.root / 'report' / 'index.html')}\n")
    typer.echo(json.dumps(facts(build), indent=1))

"""``trigger doctor``: what this machine has."""

from typing import Annotated

import typer


def doctor(
    parts: Annotated[
        bool, typer.Option("--parts", help="List the FPGA parts that a trigger.toml can name.")
    ] = False,
) -> None:
    """List the tools on this machine, with their versions."""
    from trigger.cli import machine

    for line in machine.parts() if parts else machine.tools():
        typer.echo(line)

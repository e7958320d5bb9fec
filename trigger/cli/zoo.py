"""``trigger new`` and ``trigger list``: the triggers that come with the program."""

from pathlib import Path
from typing import Annotated

import typer


def new(
    folder: Annotated[
        Path, typer.Argument(help="The folder to make; its name becomes the trigger's name.")
    ],
    like: Annotated[str, typer.Option(help="The zoo trigger to start from.")] = "jet_tagger",
) -> None:
    """Make a folder with a trigger of your own to edit."""
    from trigger.spec.zoo import create

    create(folder, like)
    typer.echo(
        f"made {folder}: edit {folder / 'trigger.toml'} and {folder / 'model.py'}, then "
        f"run: trigger build {folder}"
    )


def list_zoo() -> None:
    """List the triggers that come with the program."""
    from trigger.spec.spec import FILE_NAME, load, zoo
    from trigger.support.resources import folder

    for name in zoo():
        typer.echo(f"{name:<16} {load(folder('models') / name / FILE_NAME).description}")

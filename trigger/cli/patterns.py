"""``trigger patterns``: contents of an EMP board's buffers, written and compared."""

from pathlib import Path
from typing import Annotated

import typer

from trigger.cli.arguments import BuildFolder
from trigger.cli.status import DIFFERENT
from trigger.errors import TriggerError
from trigger.support.numbers import counted
from trigger.support.progress import shown


def write_patterns(
    folder: BuildFolder,
    output: Annotated[Path, typer.Argument(help="The folder for inputs.txt and expected.txt.")],
    events: Annotated[int, typer.Option(min=2, help="Number of events.")] = 100,
    frames: Annotated[
        int,
        typer.Option(min=1, help="Frames in a buffer of the board."),
    ] = 1024,
) -> None:
    """Write the inputs and expected outputs.

    The files are for the buffers of an EMP board. If the events do not fit into one buffer,
    several pairs of files are written: inputs_0.txt, expected_0.txt and so on.
    """
    from trigger.board.patterns import START
    from trigger.workflow.exports import to_patterns

    written = to_patterns(folder, output, events, frames)
    for path, pattern in written.items():
        typer.echo(
            f"{shown(path)}: {counted(len(pattern.data), 'frame')}, "
            f"{counted(len(pattern.links), 'link')}"
        )
    pairs = len(written) // 2
    if pairs > 1:
        most = int(next(iter(written.values())).flags[:, 0, START].sum())
        typer.echo(
            f"{events} events do not fit a buffer of {frames} frames: {pairs} pairs of "
            f"files, of up to {most} events"
        )


def compare_patterns(
    expected: Annotated[Path, typer.Argument(help="The expected output.")],
    found: Annotated[Path, typer.Argument(help="The captured output.")],
    ignore_flags: Annotated[
        bool,
        typer.Option("--ignore-flags", help="Compare only the data of valid words, not the flags."),
    ] = False,
) -> None:
    """Compare two pattern files.

    Compares data and flags of the valid words of each link, in order and with any delay. Flags
    that are missing in one of the files are not compared.

    Exit status: 0 equal, 1 different, 2 could not compare.
    """
    from trigger.board.patterns import (
        FLAG_NAMES,
        FLAGS,
        compare,
        compared_flags,
        delays,
        read,
        valid_words,
    )

    patterns = read(expected), read(found)
    try:
        differences = compare(*patterns, ignore_flags)
    except TriggerError as error:
        raise TriggerError(f"{found}: {error}") from error
    compared = compared_flags(*patterns, ignore_flags)
    left_out = [FLAG_NAMES[flag] for flag in FLAGS if flag not in compared]
    if left_out:
        typer.echo(f"not compared: {', '.join(left_out)}")
    for difference in differences:
        typer.echo(difference)
    if differences:
        raise typer.Exit(DIFFERENT)
    for link, delay in delays(*patterns).items():
        typer.echo(
            f"link {link:03d}: {len(valid_words(patterns[0], link))} valid words, "
            f"equal, {delay} frames later"
        )

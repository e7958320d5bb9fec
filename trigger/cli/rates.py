"""``trigger rates``: the accept rates of a build on event files of any size."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from trigger.cli.arguments import BuildFolder
from trigger.errors import TriggerError


class Engine(StrEnum):
    """What computes the accept bits: all are equal to the bit."""

    emulator = "emulator"
    graph = "graph"


def rates(
    folder: BuildFolder,
    events: Annotated[
        list[str] | None,
        typer.Option(
            help="Event files, or a quoted pattern such as 'files/*.parquet|*.root'; may be "
            "repeated."
        ),
    ] = None,
    generate: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Instead of event files: generate this many events with the build's data.source.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of --generate.")] = 1,
    engine: Annotated[
        Engine, typer.Option(help="The C++ emulator, which needs g++, or the graph in NumPy.")
    ] = Engine.emulator,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Threads to use, by default one per core.")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(help="Count on the Dask cluster at this address instead of on this machine."),
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write all figures as JSON.")] = None,
) -> None:
    """Count accept bits on event files of any size.

    Prints the rate of each accept bit, the unique rate, the rates of pairs and of all bits
    together, with intervals. The files are read in blocks. Repeat the command to continue after
    an interruption.
    """
    from trigger.support.destinations import check_json, write_file
    from trigger.workflow.rates.run import Generate
    from trigger.workflow.rates.run import rates as found_on
    from trigger.workflow.rates.table import KIND, table, to_json

    if (events is None) == (generate is None):
        raise TriggerError("rates: name event files with --events, or their number with --generate")
    given = events or Generate(generate or 0, seed)
    if json is not None:
        check_json(json, KIND, "rates")
    counted_rates = found_on(folder, given, engine.value, workers, scheduler)
    if json is not None:
        write_file(json, to_json(counted_rates))
    typer.echo(table(counted_rates))

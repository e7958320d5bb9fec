"""The command ``trigger``. What a command needs is imported when it runs, so that help is
instant.
"""

import sys
from typing import Annotated

import typer

from trigger.cli.build import build
from trigger.cli.compare import compare
from trigger.cli.doctor import doctor
from trigger.cli.events import (
    constituents,
    higgs,
    htautau,
    jet_energy,
    jets,
    level1,
    openml,
    regions,
    tracks,
)
from trigger.cli.export import (
    export_emulator,
    export_onnx,
    export_payload,
    export_qonnx,
    export_weights,
)
from trigger.cli.patterns import compare_patterns, write_patterns
from trigger.cli.rates import rates
from trigger.cli.search import search
from trigger.cli.show import report, show
from trigger.cli.status import FAILED, INTERRUPTED, message_of, status_of
from trigger.cli.synth import synth
from trigger.cli.verify import verify
from trigger.cli.zoo import list_zoo, new
from trigger.support import process
from trigger.support.names import escaped


def _group(text: str, completion: bool = False) -> typer.Typer:
    return typer.Typer(
        help=text,
        no_args_is_help=True,
        add_completion=completion,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        # Every command also accepts -h.
        context_settings={"help_option_names": ["-h", "--help"]},
    )


app = _group(
    "Compile networks and boosted trees to FPGA trigger firmware: equal to the bit, or refused.",
    completion=True,
)
# In the order of the help.
app.command()(build)
app.command()(search)
app.command()(verify)
app.command()(rates)
app.command()(synth)
app.command()(report)
app.command()(show)
app.command()(compare)
app.command()(new)
app.command("list")(list_zoo)
app.command()(doctor)

_events = _group("Make event samples.")
_events.command()(jets)
_events.command()(constituents)
_events.command()(level1)
_events.command()(regions)
_events.command()(higgs)
_events.command()(htautau)
_events.command()(tracks)
_events.command()(jet_energy)
_events.command()(openml)
app.add_typer(_events, name="events")

_export = _group("Export a build to other software, or to a board.")
_export.command("onnx")(export_onnx)
_export.command("qonnx")(export_qonnx)
_export.command("emulator")(export_emulator)
_export.command("payload")(export_payload)
_export.command("weights")(export_weights)
app.add_typer(_export, name="export")

_patterns = _group("Write and compare pattern files of EMP boards.")
_patterns.command("write")(write_patterns)
_patterns.command("compare")(compare_patterns)
app.add_typer(_patterns, name="patterns")


def _print_version(asked: bool) -> None:
    if asked:
        from trigger import __version__

        typer.echo(f"trigger {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; a failure the user can cause ends in one message and a non-zero exit
    status.
    """
    # Typer accepts global options only before the command, but people put them last.
    arguments = [a for a in sys.argv[1:] if a != "--debug"]
    process.end_on_signals()
    sys.exit(_run(arguments, debug="--debug" in sys.argv[1:]))


def _run(arguments: list[str], debug: bool) -> int:
    """The exit status. With ``debug`` exceptions are raised."""
    try:
        status: int = app(args=arguments, prog_name="trigger", standalone_mode=False) or 0
    except typer.TyperException as error:  # an error in the command line itself
        error.show()  # type: ignore[attr-defined]
        return FAILED
    except KeyboardInterrupt:
        status = INTERRUPTED
    except process.Ended as signal:
        typer.echo(f"trigger: ended by {signal}", err=True)
        return 128 + signal.number
    except Exception as error:
        if debug:
            raise
        typer.echo(f"trigger: {escaped(message_of(error))}", err=True)
        return status_of(error)
    if status == INTERRUPTED:  # Typer turns most interrupts into this status
        typer.echo("trigger: interrupted", err=True)
    return status

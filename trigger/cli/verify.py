"""``trigger verify``: a build on its events or on others, a build's manifest, or an hls4ml project
of any origin.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from trigger.cli.status import DIFFERENT
from trigger.errors import TriggerError

if TYPE_CHECKING:
    from trigger.artifacts.folder import Build
    from trigger.verification.compare import Verdict

Folder = Annotated[Path | None, typer.Argument(help="A build folder, such as build/jet_tagger.")]
Events = Annotated[
    list[str] | None,
    typer.Option(
        help="Verify on the events of these files instead, or of a quoted pattern such as "
        "'files/*.parquet|*.root'; runs Keras."
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="With --events: threads to use, by default one per core."),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        help="With --events: compare on the Dask cluster of this address, not on this machine."
    ),
]
Junit = Annotated[Path | None, typer.Option(help="Write the comparisons as JUnit XML.")]
Netlist = Annotated[
    bool,
    typer.Option(
        "--netlist", help="Also compare the netlist that Yosys synthesises; takes minutes."
    ),
]
Manifest = Annotated[
    bool,
    typer.Option(
        "--manifest",
        help="Check instead that no file was edited: make everything after the network again.",
    ),
]
Hls4ml = Annotated[
    Path | None, typer.Option(help="Instead of a build: an hls4ml project of any origin.")
]
Against = Annotated[
    Path | None, typer.Option(help="The trained network (.keras, .h5) that --hls4ml must equal.")
]
Inputs = Annotated[
    str | None,
    typer.Option(
        help='With --hls4ml: the type of the inputs, such as "fixed<12,6>", if it is narrower '
        "than the project's."
    ),
]


class _Files(NamedTuple):
    """Files of events, and where they are compared."""

    events: list[str] | None
    workers: int | None
    scheduler: str | None


def verify(
    folder: Folder = None,
    events: Events = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    junit: Junit = None,
    netlist: Netlist = False,
    manifest: Manifest = False,
    hls4ml: Hls4ml = None,
    against: Against = None,
    inputs: Inputs = None,
) -> None:
    """Compare firmware with the network it was made from.

    The firmware is a build's, or an hls4ml project of any origin. Files of --events may have any
    size. Repeat the command to continue after an interruption.

    Exit status: 0 equal, 1 different, 2 could not run.
    """
    _check_junit(junit)
    files = _Files(events, workers, scheduler)
    if (workers, scheduler) != (None, None) and None in (folder, events):
        raise TriggerError("verify: --workers and --scheduler need a build folder and --events")
    of_a_project = any(one is not None for one in (hls4ml, against, inputs))
    if folder is not None and not of_a_project:
        if manifest:
            _prove(folder)
        else:
            _tell(*_of_build(folder, files, netlist), junit)
    elif (
        folder is None and hls4ml is not None and against is not None and not (manifest or netlist)
    ):
        _tell(*_of_project(hls4ml, against, _only(events), inputs), junit)
    else:
        raise TriggerError(
            "verify: name a build folder, or give --hls4ml DIR and --against NETWORK; "
            "--manifest and --netlist need a build folder"
        )


def _check_junit(junit: Path | None) -> None:
    """Raises TriggerError, before anything is compared, if the file exists and this command did not
    write it.
    """
    from trigger.support.destinations import check_file
    from trigger.verification.junit import is_junit

    if junit is not None:
        check_file(junit, is_junit, "a JUnit file of `trigger verify`")


def _of_build(folder: Path, files: _Files, netlist: bool) -> "tuple[str, Verdict]":
    """The name of a build, and how its implementations compare on its own events or on those of
    files.
    """
    from trigger.workflow.build import open_sealed, steady

    build = open_sealed(folder)
    with steady(build.root):
        return build.spec.name, _compared(build, files, netlist)


def _compared(build: "Build", files: _Files, netlist: bool) -> "Verdict":
    from trigger.artifacts.implementations import check_implementations, recorded_expectations
    from trigger.workflow.build import seal_first

    root = build.root
    if files.events is None:
        expected = recorded_expectations(root)
        with seal_first(root):
            return check_implementations(root, build.spec, expected, netlist)[0]
    from trigger.workflow.streamed.run import check_on_files

    with seal_first(root):
        return check_on_files(build, files.events, netlist, files.workers, files.scheduler)


def _only(events: list[str] | None) -> Path | None:
    """The file of events for a project. Raises TriggerError for several."""
    if events is None:
        return None
    if len(events) > 1:
        raise TriggerError("verify: --hls4ml takes one file of --events")
    return Path(events[0])


def _of_project(
    project: Path, network: Path, events: Path | None, inputs: str | None
) -> "tuple[str, Verdict]":
    """The name of an hls4ml project, and how its csim compares with the network."""
    from trigger.workflow.foreign import compare_project

    return project.resolve().name, compare_project(project, network, events, inputs)


def _tell(name: str, verdict: "Verdict", junit: Path | None) -> None:
    """Print a verdict, and write it as JUnit XML where asked; a difference ends in its exit
    status.
    """
    from trigger.support.destinations import write_file
    from trigger.verification.junit import to_junit

    if junit is not None:
        write_file(junit, to_junit(name, verdict))
    typer.echo(str(verdict))
    if not verdict:
        raise typer.Exit(DIFFERENT)


def _prove(folder: Path) -> None:
    """Print the checks of a build's manifest; a problem has the exit status of a difference."""
    from trigger.workflow.build import open_build
    from trigger.workflow.prove import prove

    findings = prove(open_build(folder))
    typer.echo("\n".join(map(str, findings)))
    if any(finding.problem for finding in findings):
        raise typer.Exit(DIFFERENT)

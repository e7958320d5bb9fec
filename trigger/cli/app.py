"""The command ``trigger``. Everything it needs is imported by the command that needs it, so that help is instant."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trigger.errors import TriggerError
from trigger.support import process
from trigger.support.files import reason, write_text
from trigger.support.names import escaped
from trigger.support.progress import shown

if TYPE_CHECKING:
    from trigger.verification.compare import Verdict
    from trigger.workflow.exports import Exported

# Every command answers to -h as well.
_HELP = {"help_option_names": ["-h", "--help"]}


def _group(text: str, completion: bool = False) -> typer.Typer:
    return typer.Typer(
        help=text,
        no_args_is_help=True,
        add_completion=completion,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings=_HELP,
    )


app = _group(
    "Quantised Keras networks as FPGA trigger firmware: equal to the bit, or refused.",
    completion=True,
)
events_app = _group("Make event samples.")
app.add_typer(events_app, name="events")
export_app = _group("Export a build to other software, or to a board.")
app.add_typer(export_app, name="export")
patterns_app = _group("Write and compare pattern files of EMP boards.")
app.add_typer(patterns_app, name="patterns")

DIFFERENT, FAILED, OBJECTED, INTERRUPTED = 1, 2, 3, 130

BuildFolder = Annotated[Path, typer.Argument(help="A build folder, such as build/jet_tagger.")]


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


@app.command()
def build(
    target: Annotated[
        str | None,
        typer.Argument(help="A zoo name, a folder with trigger.toml, or a trigger.toml."),
    ] = None,
    output: Annotated[Path, typer.Option(help="Where build folders go.")] = Path("build"),
    network: Annotated[
        Path | None,
        typer.Option(
            help="Instead of a trigger: a trained network (.keras, .h5, .json with --weights)."
        ),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="The weights (.h5) of a network in .json.")
    ] = None,
    events: Annotated[Path | None, typer.Option(help="A sample of the network's inputs.")] = None,
    label: Annotated[str | None, typer.Option(help="The sample's column with the classes.")] = None,
    inputs: Annotated[
        str | None, typer.Option(help='The hardware type of the inputs, such as "fixed<16,6>".')
    ] = None,
    part: Annotated[
        str | None, typer.Option(help="The FPGA; `trigger doctor --parts` lists them.")
    ] = None,
    clock: Annotated[float | None, typer.Option(help="Its clock, MHz.")] = None,
    from_scratch: Annotated[
        bool,
        typer.Option(
            "--from-scratch", help="Train without the warm start that trigger.toml names."
        ),
    ] = False,
) -> None:
    """Build verified firmware and a report.

    From a trigger.toml, or from a trained network, for which NAME.toml is written and built. Exit status: 0 exact and within
    its budgets, 1 different, 2 could not run, 3 exact, but over a budget or with scores or an accept bit that no input changes.
    """
    from trigger.workflow.build import build as run

    if (
        network is not None
        and events is not None
        and part is not None
        and clock is not None
        and target is None
    ):
        from trigger.workflow.adopt import Adoption, adopt

        target = str(adopt(Adoption(network, events, part, clock, label, inputs, weights)))
        typer.echo(f"wrote {target}: look at the classes and the types of the inputs in it")
    elif target is None or any(
        option is not None for option in (network, weights, events, label, inputs, part, clock)
    ):
        raise TriggerError(
            "build: name either a trigger, or --network, --events, --part and --clock"
        )
    root = run(target, output, from_scratch)
    typer.echo(f"exact: {shown(root / 'report' / 'index.html')}")


@app.command()
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
            help='Write the best trial that meets this as a trigger.toml: "lut<=2500, latency_ns<=60", "trial==7".'
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            help="Run trials on the Dask cluster of this address, not on this machine's cores."
        ),
    ] = None,
    output: Annotated[Path, typer.Option(help="Where the folder NAME-search goes.")] = Path(
        "build"
    ),
) -> None:
    """Search for better values of trigger.toml.

    Trains networks with values that [search] allows, and keeps the Pareto front of metric, LUT and latency.

    Exit status: 0 done, 2 could not run, 3 no trial is within [budget].
    """
    from trigger.workflow.build import OverBudget

    try:
        from trigger.search import run
        from trigger.search.pick import best, describe, of_budget, parse
    except ModuleNotFoundError as error:
        raise TriggerError(
            f"search: no {error.name}; install it with: pip install 'trigger-compiler[search]'"
        ) from error
    with run.opened(target, output, resume or pick is not None) as this:
        conditions = parse(pick, this.metric) if pick is not None else of_budget(this.spec.budget)
        if trials is not None or pick is None:
            run.run(this, trials or 30, scheduler)
            typer.echo(f"report: {shown(this.root / 'report' / 'index.html')}")
        if pick is not None:
            path, chosen = run.write_picked(this, conditions)
            typer.echo(
                f"wrote {path}: {describe(chosen, this.metric)}; build it with: trigger build {path}"
            )
            return
        try:
            chosen = best(this.study.complete(), conditions, this.metric)
        except TriggerError as error:
            raise OverBudget(f"search: {error}") from error
        typer.echo(
            f"best{' within the budget' if conditions else ''}: {describe(chosen, this.metric)}"
        )


@app.command()
def verify(
    folder: Annotated[
        Path | None, typer.Argument(help="A build folder, such as build/jet_tagger.")
    ] = None,
    events: Annotated[
        Path | None, typer.Option(help="Verify on the events of this file instead; runs Keras.")
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="Write the comparisons as JUnit XML.")] = None,
    netlist: Annotated[
        bool,
        typer.Option("--netlist", help="Compare the netlist that Yosys makes, too; takes minutes."),
    ] = False,
    manifest: Annotated[
        bool,
        typer.Option(
            "--manifest",
            help="Check instead that no file was edited and that all belong together; runs Keras.",
        ),
    ] = False,
    hls4ml: Annotated[
        Path | None, typer.Option(help="Instead of a build: an hls4ml project of any origin.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="The trained network (.keras, .h5) that --hls4ml must be.")
    ] = None,
    inputs: Annotated[
        str | None,
        typer.Option(
            help='With --hls4ml: the type of the inputs, such as "fixed<12,6>", where the project\'s is wider.'
        ),
    ] = None,
) -> None:
    """Compare firmware with the network it was made from.

    The firmware is a build's, or an hls4ml project of any origin.

    Exit status: 0 equal, 1 different, 2 could not run.
    """
    from trigger.support.destinations import check_file
    from trigger.verification.junit import is_junit, to_junit

    if junit is not None:
        check_file(junit, is_junit, "a JUnit file of `trigger verify`")
    if (
        hls4ml is not None
        and against is not None
        and folder is None
        and not manifest
        and not netlist
    ):
        name, verdict = _against(hls4ml, against, events, inputs)
    elif folder is None or any(one is not None for one in (hls4ml, against, inputs)):
        raise TriggerError(
            "verify: name either a build folder, or --hls4ml DIR --against NETWORK without --manifest and --netlist"
        )
    elif manifest:
        _prove(folder)
        return
    else:
        name, verdict = _of_build(folder, events, netlist)
    if junit is not None:
        write_text(junit, to_junit(name, verdict))
    typer.echo(str(verdict))
    if not verdict:
        raise typer.Exit(DIFFERENT)


def _of_build(folder: Path, events: Path | None, netlist: bool) -> "tuple[str, Verdict]":
    from trigger.artifacts import implementations
    from trigger.workflow.build import open_sealed, seal_first, steady

    this = open_sealed(folder)
    with steady(this.root):
        expected = (
            implementations.recorded_expectations(this.root)
            if events is None
            else implementations.expectations(this.root, this.spec, events)
        )
        with seal_first(this.root):
            return this.spec.name, implementations.check(this.root, this.spec, expected, netlist)[0]


def _against(
    project: Path, network: Path, events: Path | None, inputs: str | None
) -> "tuple[str, Verdict]":
    from trigger.workflow.foreign import check

    return project.resolve().name, check(project, network, events, inputs)


def _prove(folder: Path) -> None:
    from trigger.workflow.build import open_build
    from trigger.workflow.prove import prove

    findings = prove(open_build(folder))
    typer.echo("\n".join(map(str, findings)))
    if any(finding.problem for finding in findings):
        raise typer.Exit(DIFFERENT)


@app.command()
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

    With [payload] core and shell are synthesised together. The report is rewritten with the figures.

    Exit status: 0 within the budgets, 2 could not run, 3 over a budget.
    """
    from trigger.artifacts.budgets import budgets
    from trigger.synthesis.budget import over
    from trigger.synthesis.run import run_tool
    from trigger.synthesis.table import table
    from trigger.workflow.build import OverBudget, open_sealed, rewrite_report, seal_synthesis
    from trigger.workflow.prove import EVERYTHING
    from trigger.workflow.stages.synthesis import synthesis_job

    this = open_sealed(folder, EVERYTHING)
    result = run_tool(tool, synthesis_job(this.root, this.spec), this.root, 60 * timeout)
    seal_synthesis(this.root)
    typer.echo(table(result))
    missed = over(budgets(this, [result]))
    page = f"report: {shown(rewrite_report(folder))}"
    if missed:
        raise OverBudget("\n  ".join(["over budget", *map(str, missed), page]))
    typer.echo(page)


@app.command()
def report(folder: BuildFolder) -> None:
    """Write the report of a build again, and print its path."""
    from trigger.workflow.build import rewrite_report

    typer.echo(shown(rewrite_report(folder)))


@app.command()
def show(
    folder: BuildFolder,
    graph: Annotated[
        bool, typer.Option("--graph", help="The fixed-point graph, node by node.")
    ] = False,
) -> None:
    """Show a build's verdict and figures, or its graph.

    Verdict, accuracy or rate, cost against the budgets, seconds by stage, and the digests of what belongs together.
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
    this = open_sealed(folder, EVERYTHING)
    typer.echo(summary(this, outcome(this)))
    typer.echo(f"report: {shown(this.root / 'report' / 'index.html')}\n")
    typer.echo(json.dumps(facts(this), indent=1))


@app.command()
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
        f"made {folder}: edit {folder / 'trigger.toml'} and {folder / 'model.py'}, then run: trigger build {folder}"
    )


@app.command("list")
def list_zoo() -> None:
    """List the triggers that come with the program."""
    from trigger.spec.spec import FILE_NAME, load, zoo
    from trigger.support.resources import folder

    for name in zoo():
        typer.echo(f"{name:<16} {load(folder('models') / name / FILE_NAME).description}")


@app.command()
def doctor(
    parts: Annotated[
        bool, typer.Option("--parts", help="List the FPGA parts a trigger may name.")
    ] = False,
) -> None:
    """List the tools on this machine, with their versions."""
    from trigger.cli import doctor

    for line in doctor.parts() if parts else doctor.tools():
        typer.echo(line)


@events_app.command()
def jets(
    output: Annotated[
        Path,
        typer.Argument(help="The Parquet file to write; its provenance goes beside it as .json."),
    ],
    jets: Annotated[int, typer.Option(min=1, help="Jets of each of the five classes.")] = 10_000,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of the generator and of the order of the rows.")
    ] = 1,
) -> None:
    """Generate jets of 1 TeV with Pythia 8.

    They are like those of the hls4ml LHC jet data set ("JSC-like").
    """
    import json

    from trigger.events.jets import CLASSES, write
    from trigger.support.destinations import check_sample
    from trigger.support.progress import progress

    if output.suffix != ".parquet":
        raise TriggerError(f"{output}: the file to write ends in .parquet")
    check_sample(output)
    with progress("generating", jets * len(CLASSES), "jets") as done:
        provenance = write(output, jets, seed, done)
    write_text(output.with_suffix(".json"), json.dumps(provenance, indent=1) + "\n")
    typer.echo(f"{output}: {provenance['jets']} jets, SHA-256 {provenance['sha256']}")


@events_app.command()
def level1(
    output: Annotated[
        Path,
        typer.Argument(help="The Parquet file to write; its provenance goes beside it as .json."),
    ],
    zero_bias: Annotated[
        int, typer.Option(min=200, help="Zero-bias events, over all strata.")
    ] = 81_000,
    signals: Annotated[
        int, typer.Option(min=20, help="Events of each of the five signals.")
    ] = 5_000,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of the generator and of the order of the rows.")
    ] = 1,
) -> None:
    """Generate level-1 events at pileup 50 with Pythia 8.

    Missing energy, 4 e/gamma, 4 muons and 10 jets in hardware integers, of zero bias and of five signals.
    """
    import json

    from trigger.events.level1 import collisions, write
    from trigger.support.destinations import check_sample
    from trigger.support.progress import progress

    if output.suffix != ".parquet":
        raise TriggerError(f"{output}: the file to write ends in .parquet")
    check_sample(output)
    with progress("generating", collisions(zero_bias, signals), "collisions") as done:
        provenance = write(output, zero_bias, signals, seed, done)
    write_text(output.with_suffix(".json"), json.dumps(provenance, indent=1) + "\n")
    typer.echo(f"{output}: {provenance['events']} events, SHA-256 {provenance['sha256']}")


@events_app.command()
def openml(output: Annotated[Path, typer.Argument(help="The Parquet file to write.")]) -> None:
    """Fetch the published LHC jet data set from OpenML.

    Needs a network connection; the data set is hls4ml_lhc_jets_hlf.
    """
    from trigger.events.openml import fetch
    from trigger.support.destinations import check_absent

    check_absent(output)
    typer.echo(f"{output}: {fetch(output)} jets")


@export_app.command("onnx")
def export_onnx(
    folder: BuildFolder,
    output: Annotated[
        Path | None, typer.Argument(help="The .onnx file to write; NAME.onnx by default.")
    ] = None,
) -> None:
    """Write the network as ONNX, in integers.

    Standard operators, verified on the build's events by onnxruntime.
    """
    from trigger.workflow.exports import to_onnx

    _exported(to_onnx(folder, output))


@export_app.command("qonnx")
def export_qonnx(
    folder: BuildFolder,
    output: Annotated[
        Path | None, typer.Argument(help="The .onnx file to write; NAME.qonnx.onnx by default.")
    ] = None,
) -> None:
    """Write the network as QONNX, with its quantisers.

    For tools that read trained networks. Refused where QONNX, which computes in float32, is not exact.
    """
    from trigger.workflow.exports import to_qonnx

    _exported(to_qonnx(folder, output))


@export_app.command("emulator")
def export_emulator(
    folder: BuildFolder,
    output: Annotated[
        Path | None, typer.Argument(help="The folder to write; NAME_emulator by default.")
    ] = None,
    version: Annotated[
        str | None, typer.Option(help="The network's version (default: its digest).")
    ] = None,
) -> None:
    """Write the network as C++17, in integers.

    For experiments' software: C++, C, Python, and CMSSW's hls4ml emulator. Its README.md says how to compile and call it.
    """
    from trigger.workflow.exports import to_emulator

    _exported(to_emulator(folder, output, version))


@patterns_app.command("write")
def write_patterns(
    folder: BuildFolder,
    output: Annotated[Path, typer.Argument(help="The folder for inputs.txt and expected.txt.")],
    events: Annotated[int, typer.Option(min=2, help="How many events.")] = 100,
    frames: Annotated[
        int,
        typer.Option(min=1, help="Frames of a buffer of the board; more need several files."),
    ] = 1024,
) -> None:
    """Write the inputs, and the expected outputs.

    They are for the buffers of an EMP board.

    Where the events do not fit the buffers, several pairs of files are written, inputs_0.txt, expected_0.txt and so on.
    """
    from trigger.board.patterns import START
    from trigger.workflow.exports import to_patterns

    written = to_patterns(folder, output, events, frames)
    for path, pattern in written.items():
        typer.echo(f"{shown(path)}: {len(pattern.data)} frames, {len(pattern.links)} links")
    pairs = len(written) // 2
    if pairs > 1:
        most = int(next(iter(written.values())).flags[:, 0, START].sum())
        typer.echo(
            f"{events} events do not fit a buffer of {frames} frames: {pairs} pairs of files, of up to {most} events"
        )


@patterns_app.command("compare")
def compare_patterns(
    expected: Annotated[Path, typer.Argument(help="What the trigger must answer.")],
    found: Annotated[Path, typer.Argument(help="What came back.")],
    ignore_flags: Annotated[
        bool,
        typer.Option("--ignore-flags", help="Compare data alone; only valid says which words."),
    ] = False,
) -> None:
    """Compare two pattern files.

    Data and flags of the valid words of each link, in their order, at any delay.

    Flags that one of the files does not have are not compared. Exit status: 0 equal, 1 different, 2 could not compare.
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
            f"link {link:03d}: {len(valid_words(patterns[0], link))} valid words, equal, {delay} frames later"
        )


@export_app.command("payload")
def export_payload(
    folder: BuildFolder,
    output: Annotated[
        Path | None, typer.Argument(help="The folder to write; NAME_payload by default.")
    ] = None,
    shell: Annotated[
        str,
        typer.Option(
            help="plain, axi (AXI4-Stream and AXI4-Lite) or emp (an EMP board's payload)."
        ),
    ] = "plain",
    language: Annotated[
        str | None, typer.Option(help="verilog or vhdl; the shell's own by default.")
    ] = None,
) -> None:
    """Write the trigger for a board, with benches.

    Link words in, accept bits out, with registers and counters. README.md documents every bit and register; python sim/run.py
    runs the benches.
    """
    from trigger.workflow.exports import to_payload

    _exported(to_payload(folder, output, shell, language))


def _exported(what: "Exported") -> None:
    typer.echo(shown(what.path))
    typer.echo(what)


def main() -> None:
    """Run the command line; a failure the user can cause ends in one message and a non-zero exit status."""
    debug = "--debug" in sys.argv[1:]
    # Typer takes options of the whole program only in front of the command; people put them last.
    arguments = [a for a in sys.argv[1:] if a != "--debug"]
    process.end_on_signals()
    try:
        status = app(args=arguments, prog_name="trigger", standalone_mode=False)
    except typer.TyperException as error:  # the command line itself is wrong
        error.show()  # type: ignore[attr-defined]
        status = FAILED
    except KeyboardInterrupt:
        typer.echo("trigger: interrupted", err=True)
        status = INTERRUPTED
    except process.Ended as signal:
        typer.echo(f"trigger: ended by {signal}", err=True)
        status = 128 + signal.number
    except Exception as error:
        if debug:
            raise
        from trigger.workflow.build import Different, OverBudget, Unusable

        text = f"{type(error).__name__}: {error} (--debug shows where)"
        if isinstance(error, TriggerError):
            text = str(error)
        elif isinstance(error, OSError):
            text = ": ".join(filter(None, [error.filename and str(error.filename), reason(error)]))
        typer.echo(f"trigger: {escaped(text)}", err=True)
        status = (
            DIFFERENT
            if isinstance(error, Different)
            else OBJECTED
            if isinstance(error, (OverBudget, Unusable))
            else FAILED
        )
    sys.exit(status or 0)

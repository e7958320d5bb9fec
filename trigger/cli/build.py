"""``trigger build``: from a trigger.toml, or from a trained network."""

from pathlib import Path
from typing import Annotated

import typer

from trigger.errors import TriggerError
from trigger.support.progress import shown

Target = Annotated[
    str | None,
    typer.Argument(help="A zoo name, a folder with trigger.toml, or a trigger.toml."),
]
Output = Annotated[Path, typer.Option(help="The folder for builds.")]
Network = Annotated[
    Path | None,
    typer.Option(
        help="Instead of a trigger: a trained network (.keras, .h5, .onnx, .json with --weights) "
        "or boosted trees (.json, .ubj, .txt)."
    ),
]
Hls4ml = Annotated[
    Path | None,
    typer.Option(help="Instead of a trigger: the folder of an hls4ml project, Vivado or Vitis."),
]
Weights = Annotated[Path | None, typer.Option(help="The weights (.h5) of a network in .json.")]
Events = Annotated[Path | None, typer.Option(help="A file with events for the network or project.")]
Label = Annotated[str | None, typer.Option(help="The column of --events with the classes.")]
Inputs = Annotated[
    str | None, typer.Option(help='The hardware type of the inputs, such as "fixed<16,6>".')
]
FpgaPart = Annotated[
    str | None, typer.Option(help="The FPGA; `trigger doctor --parts` lists them.")
]
Clock = Annotated[float | None, typer.Option(help="The clock in MHz.")]
FromScratch = Annotated[
    bool,
    typer.Option("--from-scratch", help="Train without the warm start that trigger.toml names."),
]
Like = Annotated[
    Path | None,
    typer.Option(
        help="A finished build: refuse firmware whose clock, latency, ports, links or registers "
        "differ from those of this build."
    ),
]


def build(
    target: Target = None,
    output: Output = Path("build"),
    network: Network = None,
    hls4ml: Hls4ml = None,
    weights: Weights = None,
    events: Events = None,
    label: Label = None,
    inputs: Inputs = None,
    part: FpgaPart = None,
    clock: Clock = None,
    from_scratch: FromScratch = False,
    like: Like = None,
) -> None:
    """Build verified firmware and a report.

    Build a trigger.toml. Or give a trained network or an hls4ml project: the command writes
    NAME.toml and builds it.

    Exit status: 0 exact and within its budgets, 1 different, 2 could not run, 3 exact, but over
    budget or with constant outputs.
    """
    of_a_network = (network, weights, events, label, inputs, part, clock)
    if hls4ml is not None:
        if target is not None or network is not None or weights is not None:
            raise TriggerError(f"build: --hls4ml {hls4ml} is built alone; remove {_other(target)}")
        if not hls4ml.is_dir():
            raise TriggerError(f"build: --hls4ml {hls4ml}: no such folder")
        target = _adopt(hls4ml, None, events, label, inputs, part, clock, "--hls4ml")
    elif target is None:
        target = _adopt(*of_a_network)
    elif any(option is not None for option in of_a_network):
        raise _neither()
    _build(target, output, from_scratch, like)


def _adopt(
    network: Path | None,
    weights: Path | None,
    events: Path | None,
    label: str | None,
    inputs: str | None,
    part: str | None,
    clock: float | None,
    option: str = "--network",
) -> str:
    """Write the trigger.toml of a trained network, and give its path."""
    if network is None:
        raise _neither()
    if events is None or part is None or clock is None:
        needed = {"--events": events, "--part": part, "--clock": clock}
        missing = [option for option, value in needed.items() if value is None]
        raise TriggerError(f"build: {option} also needs {' and '.join(missing)}")
    from trigger.workflow.adopt import Adoption, adopt

    written = adopt(Adoption(network, events, part, clock, label, inputs, weights))
    typer.echo(f"wrote {written}: check its classes and input types")
    return str(written)


def _neither() -> TriggerError:
    return TriggerError(
        "build: name either a trigger, or --network or --hls4ml, with --events, --part and --clock"
    )


def _other(target: str | None) -> str:
    return "--network and --weights" if target is None else target


def _build(target: str, output: Path, from_scratch: bool, like: Path | None) -> None:
    from trigger.workflow.build import build as run

    root = run(target, output, from_scratch, like)
    typer.echo(f"exact: {shown(root / 'report' / 'index.html')}")

"""``trigger export``: a build for other software, or for a board."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trigger.cli.arguments import BuildFolder
from trigger.support.progress import shown

if TYPE_CHECKING:
    from trigger.workflow.exports import Exported


def export_onnx(
    folder: BuildFolder,
    output: Annotated[
        Path | None, typer.Argument(help="The .onnx file to write; NAME.onnx by default.")
    ] = None,
) -> None:
    """Write the network as ONNX, in integers.

    The file has standard operators only. It is verified on the build's events with onnxruntime.
    """
    from trigger.workflow.exports import to_onnx

    _exported(to_onnx(folder, output))


def export_qonnx(
    folder: BuildFolder,
    output: Annotated[
        Path | None, typer.Argument(help="The .onnx file to write; NAME.qonnx.onnx by default.")
    ] = None,
) -> None:
    """Write the network as QONNX, with its quantisers.

    The file is for tools that read trained networks. QONNX computes in float32; if that is not
    exact, the export is refused.
    """
    from trigger.workflow.exports import to_qonnx

    _exported(to_qonnx(folder, output))


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

    The emulator is for the software of an experiment: C++, C, Python, and CMSSW's loader of hls4ml
    emulators. With emulator.payload in trigger.toml it goes from link words to accept bits. Its
    README.md says how to compile and call it.
    """
    from trigger.workflow.exports import to_emulator

    _exported(to_emulator(folder, output, version))


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

    The payload takes link words and gives accept bits, with registers and counters. README.md
    documents every bit and register; python sim/run.py runs the benches. software/ reads and writes
    the registers: it has a Python class, with an address table for IPbus (emp), or a C header and
    IP-XACT (axi). vivado.tcl or quartus.tcl makes a project of the whole payload.
    """
    from trigger.workflow.exports import to_payload

    _exported(to_payload(folder, output, shell, language))


def export_weights(
    folder: BuildFolder,
    network: Annotated[
        Path, typer.Argument(help="The retrained network (.keras, .h5), or a build of it.")
    ],
    output: Annotated[
        Path | None, typer.Argument(help="The folder to write; NAME_weights by default.")
    ] = None,
) -> None:
    """Write new weights for firmware with reloadable weights.

    Writes the register writes as text, for C and for Python. Before that, the network is compared
    with Keras and loaded into the simulated core while events flow.
    """
    from trigger.workflow.weights import to_weights

    _exported(to_weights(folder, network, output))


def _exported(what: "Exported") -> None:
    typer.echo(shown(what.path))
    typer.echo(what)

"""The proof of a core: its Verilog gives the outputs of the graph for every possible input."""

import json
from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError
from pathlib import Path
from tempfile import gettempdir
from typing import Any, NamedTuple

from trigger.backends.rtl import Rtl
from trigger.errors import TriggerError
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.passes import PASSES
from trigger.proof import network
from trigger.proof.equality import equal
from trigger.proof.forms import Exhausted, Forms
from trigger.proof.netlist import Net, Netlist, Unknown
from trigger.proof.values import Form, direction_of
from trigger.support.progress import progress
from trigger.synthesis.tool import write_script
from trigger.synthesis.yosys import copied_sources, run_script

DATA = ("synth/yosys/cells.ys.j2",)
CELLS = "cells.json"
# The entries of all tables of a proof: some minutes.
EFFORT = 20_000_000_000
_TIMEOUT_S = 600.0


class Found(NamedTuple):
    """How many of the ``elements`` of a node have their value in the Verilog, for every input."""

    elements: int
    found: int


class Proof(NamedTuple):
    """What is proven of a core: of each output, of each node, and of each pass that it keeps the
    outputs of the graph. ``why`` says what stopped the proof of the core, if something did.
    """

    outputs: tuple[bool, ...]
    nodes: dict[str, Found]
    passes: dict[str, bool]
    why: str = ""

    @property
    def complete(self) -> bool:
        """Whether the core, and so all of its nodes, is proven."""
        return all(self.outputs)

    def __str__(self) -> str:
        if self.complete:
            return "the RTL equals the graph for every possible input"
        why = f": {self.why}" if self.why else ""
        proven = sum(self.outputs)
        return (
            f"{proven} of {len(self.outputs)} outputs are proven equal to the graph for every "
            f"possible input{why}"
        )


def unproven(graph: Graph, why: str) -> Proof:
    """Nothing is proven of a core."""
    return Proof((False,) * len(graph.output.types), {}, dict.fromkeys(PASSES, False), why)


def prove(rtl: Rtl, work: Path, effort: int = EFFORT) -> Proof:
    """Prove a core in Verilog, and the passes of its graph. Yosys works in the folder ``work``.

    Raises ToolFailed, and TriggerError if the disk is full.
    """
    graph, forms = rtl.graph, Forms(effort)
    proof = unproven(graph, "")
    try:
        given = network.inputs(forms, graph)
        values = network.values(forms, graph, given)
        wanted = values[graph.output.name]
        for name, kept in _passes(forms, graph, given, wanted):
            proof.passes[name] = kept
        netlist, y = _netlist(rtl, forms, given, work)
        with progress("proof", netlist.needed(y), "cells") as done:
            netlist.run(y, done)
        latency = netlist.cycle(y)
        if latency not in (None, rtl.interface.latency):
            promised = rtl.interface.latency
            raise Unknown(
                f"the outputs come {latency} clock edges after the inputs, and {promised} are "
                "promised"
            )
        outputs = tuple(
            equal(forms, netlist.form(y[port.low : port.high + 1]), form, 1 << port.type.width)
            for port, form in zip(rtl.interface.outputs, wanted, strict=True)
        )
    except Exhausted:
        return proof._replace(why="the tables of the proof are too large")
    except (Unknown, CycleError) as error:
        return proof._replace(why=_reason(rtl, error))
    return Proof(outputs, _found(values, netlist, all(outputs)), proof.passes)


def _passes(
    forms: Forms, graph: Graph, given: Sequence[Form], wanted: Sequence[Form]
) -> Iterator[tuple[str, bool]]:
    """Each pass, and whether its graph has the same outputs as the one that it was given."""
    for name, run in PASSES.items():
        graph = run(graph)
        made = network.values(forms, graph, given)[graph.output.name]
        yield name, all(equal(forms, a, b) for a, b in zip(made, wanted, strict=True))


def _netlist(
    rtl: Rtl, forms: Forms, given: Sequence[Form], work: Path
) -> tuple[Netlist, Sequence[Net]]:
    """The netlist of a core with its inputs, and the nets of its output."""
    if rtl.language != "verilog":
        raise Unknown("the proof reads Verilog, and this RTL is VHDL")
    if rtl.interface.words:
        raise Unknown("the weights are loaded, and so are no constants")
    work.mkdir(parents=True, exist_ok=True)
    names = copied_sources(rtl.sources, work)
    write_script("yosys/cells.ys.j2", work / "cells.ys", sources=names, top=rtl.interface.name)
    run_script("cells.ys", work, _TIMEOUT_S)
    module = _cells(work / CELLS)["modules"][rtl.interface.name]
    ports = _ports(module)
    widths = [len(ports[name]) for name in "xy"]
    if widths != [rtl.interface.input_width, rtl.interface.output_width]:
        raise Unknown(f"the ports x and y have {widths[0]} and {widths[1]} bits")
    netlist = Netlist(forms, module, clock=ports["clk"][0], enable=ports["ce"][0])
    for form, port in zip(given, rtl.interface.inputs, strict=True):
        netlist.give(ports["x"][port.low : port.high + 1], form)
    return netlist, ports["y"]


def _cells(path: Path) -> Any:
    """What Yosys has written; it ends without an error where a disk is full."""
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise TriggerError(
            f"proof: Yosys wrote only a part of the netlist; is the disk of {gettempdir()} full? "
            "Free some space, and repeat the command"
        ) from error


def _ports(module: Mapping[str, Any]) -> Mapping[str, Sequence[Net]]:
    """The nets of each port, bit 0 first."""
    for name, port in module["ports"].items():
        if port.get("offset") or port.get("upto"):
            raise Unknown(f"the lowest bit of the port {name} is not bit 0")
    return {name: port["bits"] for name, port in module["ports"].items()}


def _reason(rtl: Rtl, error: Exception) -> str:
    if rtl.interface.interval > 1:
        return "positions or products of this core share hardware, one after the other"
    return str(error) if isinstance(error, Unknown) else "the netlist has a loop"


def _found(
    values: Mapping[str, Sequence[Form]], netlist: Netlist, complete: bool
) -> dict[str, Found]:
    """How much of each node is found: all of it, if all outputs are proven."""
    known = netlist.directions()
    return {
        name: Found(
            len(own),
            len(own)
            if complete
            else sum(not form.terms or direction_of(form)[0] in known for form in own),
        )
        for name, own in values.items()
    }

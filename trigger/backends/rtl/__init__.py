"""The graph as pipelined RTL, in Verilog or VHDL-2008: an event in every clock cycle or in every
N-th, distributed arithmetic, no vendor tool.

The pipeline is made for the clock: every operation goes into the first stage in which it meets
timing in alkaid's delay model, with a tenth of the period reserved for clock uncertainty.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trigger.backends.rtl.ghdl import GhdlSimulation, analyse
from trigger.backends.rtl.image import image
from trigger.backends.rtl.interface import Interface, Port, simulated
from trigger.backends.rtl.planning import LANGUAGES, RtlOptions, nobody, plan
from trigger.backends.rtl.reloading import reload
from trigger.backends.rtl.scripts import Project, write_scripts
from trigger.backends.rtl.simulate import Design, Simulation, compile_together
from trigger.backends.rtl.verilator import RtlFailed
from trigger.fixedpoint.evaluate import quantize_inputs
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.types import Fixed, Integers
from trigger.spec.parts import Part
from trigger.spec.parts import part as find_part
from trigger.support import html
from trigger.support.files import write_text
from trigger.support.numbers import plain
from trigger.support.resources import folder
from trigger.support.templates import environment

if TYPE_CHECKING:
    from trigger.backends.rtl.operations import Weighed

DESCRIPTION = "rtl.json"


@dataclass(eq=False)
class _Compiled:
    """The compiled simulation of a project, if any, shared by all views of the project."""

    simulation: Simulation | GhdlSimulation | None = None


@dataclass(frozen=True, eq=False)
class Rtl:
    """An RTL project on disk; its simulation (Verilator, or GHDL for VHDL) can be compiled and run.

    ``estimate`` holds the figures before synthesis, by alkaid's models: LUT per layer, FF, and the
    clock.
    """

    directory: Path
    graph: Graph
    interface: Interface
    language: str
    part: str
    clock_mhz: float
    sources: tuple[Path, ...]
    estimate: dict[str, Any] = field(default_factory=dict)
    stalls: bool = False
    _compiled: _Compiled = field(default_factory=_Compiled, repr=False)

    @property
    def label(self) -> str:
        """The name of this implementation in comparisons."""
        stalls = ", with stalls and other weights" if self.interface.words else ", with stalls"
        return f"RTL ({LANGUAGES[self.language]}){stalls if self.stalls else ''}"

    def _repr_html_(self) -> str:
        """Its place, timing and estimated area, for a notebook."""
        cycles = self.interface.latency
        rows = [
            ("folder", str(self.directory)),
            ("language", LANGUAGES[self.language]),
            ("part", f"{self.part} at {plain(self.clock_mhz)} MHz"),
            ("graph", repr(self.graph)),
            ("latency", f"{cycles} clock cycles = {plain(1000 * cycles / self.clock_mhz)} ns"),
            *self._estimates(),
            ("simulation", "compiled" if self.simulation else "not compiled: call compile()"),
        ]
        return html.paragraph(f"{self.label} {self.interface.name}") + html.facts(rows)

    def _estimates(self) -> Iterator[tuple[str, str]]:
        """The figures before synthesis that are known."""
        for name, title in (("lut", "LUT"), ("ff", "FF"), ("clock_mhz", "highest clock, MHz")):
            if self.estimate.get(name) is not None:
                yield f"{title}, estimated", plain(self.estimate[name])
        if layers := self.estimate.get("layers"):
            counts = ", ".join(f"{layer} {plain(count)}" for layer, count in layers.items())
            yield "LUT by layer, estimated", counts

    @property
    def simulation(self) -> Simulation | GhdlSimulation | None:
        """The compiled simulation; None before ``compile()``."""
        return self._compiled.simulation

    def compile(self, into: Path | None = None) -> "Rtl":
        """Compile the simulation of this project, if a source has changed, and return the project.

        The library goes to the folder ``into``, or to ``simulation`` in the project. Raises
        RtlFailed with the first error of a tool, or if a tool is missing.
        """
        into = into or self.directory / "simulation"
        self._compiled.simulation = None  # if a tool fails, an older one must not run instead
        if self.language == "vhdl":
            self._compiled.simulation = analyse(simulated(self.interface), self.sources)
        else:
            design = Design(simulated(self.interface), self.sources)
            (self._compiled.simulation,) = compile_together([design], into, "-O3")
        return self

    def with_stalls(self) -> "Rtl":
        """The same project, simulated with pauses between events, clock-enable stalls and resets;
        and, if weights can be loaded, with other weights loaded while events flow.

        Compiling either compiles both.
        """
        return replace(self, stalls=True)

    def run(self, x: Integers, done: Callable[[int], None] = lambda events: None) -> Integers:
        """Integer inputs, shape (events, features), to integer outputs, shape (events, outputs).

        Raises RtlFailed if it is not compiled, if a result is missing or has the wrong latency, or
        if an event is not that of the weights in force.
        """
        if self.simulation is None:
            raise RtlFailed(f"rtl: {self.interface.name} is not compiled; call compile() first")
        y = self.simulation.run(x, self.stalls, done=done)
        if self.stalls and self.interface.words:
            reload(self.simulation, self.interface, self.graph, x)
        return y

    def trace(self, x: Integers) -> dict[str, Integers]:
        """No inner node is visible."""
        return {}

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Real inputs, shape (events, features), to real outputs, float64 of shape (events,
        outputs).
        """
        return np.ldexp(
            self.run(quantize_inputs(self.graph, x)).astype(np.float64),
            -self.graph.output.fractions,
        )


def write(
    graph: Graph,
    directory: Path,
    options: RtlOptions,
    done: Callable[[int], None] = nobody,
) -> Rtl:
    """Write the RTL project of a graph: sources, port map, project scripts, rtl.json.

    ``done`` is called with numbers of finished weights; ``logic.weights`` counts them all. Raises
    TriggerError if an option cannot be met or a node has no exact logic.
    """
    from trigger.backends.rtl.emit import write_core
    from trigger.backends.rtl.pipeline import written

    planned = plan(graph, options, done)
    core = planned.core
    sources = write_core(core, directory / "src", options.language)
    description = {
        "name": core.interface.name,
        "language": options.language,
        "part": find_part(options.part).name,
        "clock_mhz": options.clock_mhz,
        "latency": core.interface.latency,
        "initiation_interval": core.interface.interval,
        **_weights(graph),
        "sources": sources,
        "inputs": _port_map(core.interface.inputs, options.features),
        "outputs": _port_map(core.interface.outputs, options.outputs),
        "estimate": planned.estimate,
        "turns": planned.turns,
        "weighed": [_rounded(one) for one in planned.weighed],
        "pipeline": [written(stage) for stage in planned.pipeline],
    }
    # An item a line: ``indent`` would do without the fast encoder.
    text = json.dumps(description, separators=(",\n", ": "))
    write_text(directory / DESCRIPTION, f"{text}\n")
    _write_project(directory, description, find_part(options.part))
    return open_project(directory, graph)


def _rounded(weighed: "Weighed") -> dict[str, Any]:
    return {
        **weighed._asdict(),
        "alone": round(weighed.alone),
        "shared": round(weighed.shared),
    }


def open_project(directory: Path, graph: Graph) -> Rtl:
    """Open an existing project. Raises RtlFailed if the folder holds none."""
    try:
        description = json.loads((directory / DESCRIPTION).read_text())
        for name in description["sources"]:
            if Path(name).name != name:
                raise ValueError(f"{name!r} is not in src")
        parsed = lru_cache(Fixed.parse)  # many ports have equal types
        inputs, outputs = (
            tuple(Port(p["low"], parsed(p["type"])) for p in description[which])
            for which in ("inputs", "outputs")
        )
        return Rtl(
            directory.resolve(),
            graph,
            Interface(
                description["name"],
                inputs,
                outputs,
                description["latency"],
                description["initiation_interval"],
                description.get("weights", {}).get("words", 0),
            ),
            description["language"],
            description["part"],
            description["clock_mhz"],
            tuple(directory.resolve() / "src" / name for name in description["sources"]),
            description["estimate"],
        )
    except OSError as error:
        raise RtlFailed(f"rtl: {directory} holds no RTL project") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RtlFailed(f"rtl: {directory / DESCRIPTION}: damaged: {error}") from error


def _weights(graph: Graph) -> dict[str, Any]:
    """The number of words of an image, and the structure it must have, if one can be loaded."""
    own = image(graph)
    return (
        {"weights": {"words": len(own.words), "structure": f"{own.structure:08x}"}} if own else {}
    )


def _port_map(ports: Sequence[Port], names: Sequence[str]) -> list[dict[str, Any]]:
    types = {port.type: str(port.type) for port in ports}
    named = zip(names or map(str, range(len(ports))), ports, strict=True)
    return [
        {"name": name, "low": port.low, "high": port.high, "type": types[port.type]}
        for name, port in named
    ]


def _write_project(directory: Path, description: dict[str, Any], fpga: Part) -> None:
    """Write the port map, constraints and a project script for the vendor's tool."""
    page = environment(folder("synth")).get_template("rtl/ports.md.j2")
    write_text(directory / "ports.md", page.render(**{"weights": None, **description}))
    files = [f"src/{source}" for source in description["sources"]]
    clocks = {"clk": description["clock_mhz"]}
    write_scripts(directory, Project("core", description["name"], files, fpga, clocks))

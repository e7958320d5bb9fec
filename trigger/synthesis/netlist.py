"""Simulation of the synthesised netlist: LUTs, carry chains and flip-flops with AMD's cell
models.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trigger.backends.rtl import Rtl, simulate
from trigger.backends.rtl.interface import simulated
from trigger.fixedpoint.types import Integers
from trigger.spec.parts import Part, part
from trigger.synthesis.tool import ToolFailed, write_script
from trigger.synthesis.yosys import mapped, run_script

_TIMEOUT_S = 3600.0


@dataclass(eq=False)
class Netlist:
    """The netlist of an RTL project for one part."""

    rtl: Rtl
    part: str | Part
    simulation: simulate.Simulation | None = None

    @property
    def label(self) -> str:
        """The name of this implementation in comparisons."""
        return "netlist (Yosys)"

    def compile(self, folder: Path) -> "Netlist":
        """Synthesise, compile the simulation in a folder and return self.

        Raises ToolFailed or RtlFailed.
        """
        self.simulation = None  # if a tool fails, an older one must not run instead
        family = part(self.part).yosys
        if family is None:
            raise ToolFailed(
                f"yosys: no synthesis for {part(self.part).family}; set target.part to an AMD part"
            )
        folder.mkdir(parents=True, exist_ok=True)
        top = self.rtl.interface.name
        mapped(self.rtl.sources, family, top, top, folder, _TIMEOUT_S)
        write_script("yosys/netlist.ys.j2", folder / "netlist.ys", top=top)
        run_script("netlist.ys", folder, _TIMEOUT_S)
        design = simulate.Design(simulated(self.rtl.interface), (folder / "simulated.v",))
        (self.simulation,) = simulate.compile_together(
            [design], folder / "simulation", "-O1", flags=simulate.NETLIST_FLAGS
        )
        return self

    def run(self, x: Integers, done: Callable[[int], None] = lambda events: None) -> Integers:
        """The same as ``Rtl.run``."""
        if self.simulation is None:
            raise ToolFailed("netlist: not compiled; call compile() first")
        return self.simulation.run(x, done=done)

    def trace(self, x: Integers) -> dict[str, Integers]:
        """No inner node is visible."""
        return {}

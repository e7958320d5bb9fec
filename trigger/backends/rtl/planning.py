"""The plan of a core before it is written: its logic, scheduled for the clock, and its cost.

The heavy modules are imported when a plan is made.
"""

from collections.abc import Callable, Container, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from trigger.errors import TriggerError
from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.passes import PASSES, optimize
from trigger.fixedpoint.serialize import to_json
from trigger.spec.parts import Part
from trigger.spec.parts import part as find_part
from trigger.spec.target_tables import MOST_CYCLES
from trigger.support.names import as_hdl_name, identifier, printable

if TYPE_CHECKING:
    from trigger.backends.rtl.logic import Cycles
    from trigger.backends.rtl.operations import Logic, Weighed
    from trigger.backends.rtl.schedule import Run
    from trigger.backends.rtl.structure import Core

LANGUAGES = {"verilog": "Verilog", "vhdl": "VHDL"}
MULTIPLIERS = ("lut", "dsp", "auto")
CLOCK_UNCERTAINTY = 0.1


class RtlOptions(NamedTuple):
    """Options of the RTL.

    ``clock_mhz`` in MHz; names of features and outputs appear only in the port map. A latency of
    exactly ``latency_cycles`` includes ``shell_cycles`` outside the core; by default it is the
    least. Events come every ``interval`` clock cycles or later. Products of two variables are in
    logic (``multipliers = "lut"``), in DSP blocks ("dsp"), or in at most ``dsp`` of these
    ("auto"; by default, as many as the part has).
    """

    part: str | Part
    clock_mhz: float
    language: str = "verilog"
    project_name: str = "network"
    features: Sequence[str] = ()
    outputs: Sequence[str] = ()
    latency_cycles: int | None = None
    shell_cycles: int = 0
    interval: int = 1
    multipliers: str = "lut"
    dsp: int | None = None

    def check(self) -> None:
        """Raises TriggerError for a value that cannot be met."""
        find_part(self.part)
        try:
            identifier(self.project_name)
            for name in (*self.features, *self.outputs):
                printable(name)
        except ValueError as error:
            raise TriggerError(f"rtl: {error}") from error
        if self.language not in LANGUAGES:
            raise TriggerError(
                f"rtl: no language {self.language!r}; available: {', '.join(LANGUAGES)}"
            )
        if self.latency_cycles is not None and self.latency_cycles > MOST_CYCLES:
            raise TriggerError(
                f"rtl: latency_cycles must be at most {MOST_CYCLES}; got {self.latency_cycles}"
            )
        if not 1 <= self.interval <= MOST_CYCLES:
            raise TriggerError(f"rtl: ii must be 1 to {MOST_CYCLES}; got {self.interval}")
        if self.multipliers not in MULTIPLIERS:
            raise TriggerError(
                f"rtl: no multipliers {self.multipliers!r}; available: {', '.join(MULTIPLIERS)}"
            )
        if not 0 < self.clock_mhz < 2000:
            raise TriggerError(
                f"rtl: clock_mhz must be above 0 and below 2000; got {self.clock_mhz:g}"
            )


class Plan(NamedTuple):
    """A pipelined core before writing; ``estimate`` has the LUTs and the FFs, in total and per
    layer, the DSP blocks, and the clock in MHz.

    ``turns`` has an entry for each kernel whose copies compute several positions: its layers, the
    positions of each copy, the first clock cycle, and the cycles from there to the last result.
    ``weighed`` has the LUTs of layers that could share hardware, and whether they do.
    ``pipeline`` has the longest path of each stage, and the LUTs of its layers.
    """

    core: "Core"
    estimate: dict[str, Any]
    turns: list[dict[str, Any]]
    weighed: list["Weighed"]
    pipeline: list[dict[str, Any]]


def nobody(weights: int) -> None:
    """Ignore progress."""


def plan(graph: Graph, options: RtlOptions, done: Callable[[int], None] = nobody) -> Plan:
    """Plan the RTL of a graph, without writing it.

    Raises TriggerError if an option cannot be met or a node has no exact logic.
    """
    from trigger.backends.rtl.core import to_core
    from trigger.backends.rtl.dsp import blocks
    from trigger.backends.rtl.hardware import luts
    from trigger.backends.rtl.logic import Cycles
    from trigger.backends.rtl.pipeline import registers_by_layer, stages
    from trigger.backends.rtl.schedule import most_phases, schedule

    options.check()
    fpga = find_part(options.part)
    budget_ns = 1000 / options.clock_mhz * (1 - CLOCK_UNCERTAINTY) / fpga.delay
    # A copy with more positions would choose among them for longer than a cycle.
    phases = min(options.interval, most_phases(budget_ns))
    logic = _logic(graph, options, Cycles(phases, budget_ns), done)
    # One more cycle takes the inputs into registers.
    least = (options.latency_cycles or 0) - options.shell_cycles - 1
    scheduled = schedule(logic, budget_ns, least)
    name = as_hdl_name(options.project_name)
    core = to_core(name, graph, logic, scheduled, options.interval)
    _check_latency(core.interface.latency, options)
    slowest = scheduled.longest * fpga.delay / (1 - CLOCK_UNCERTAINTY)
    layers = luts(logic)
    estimate = {
        "lut": round(sum(layers.values())),
        "ff": core.register_bits,
        "dsp": blocks(logic),
        "clock_mhz": round(1000 / slowest, 1) if slowest else None,
        "layers": {name: round(cost) for name, cost in layers.items() if round(cost)},
        "ff_layers": registers_by_layer(core, logic, scheduled),
    }
    turns = [_turns(run) for run in scheduled.runs if run.shared.phases > 1]
    return Plan(core, estimate, turns, logic.weighed, stages(logic, scheduled, fpga.delay))


def _logic(
    graph: Graph, options: RtlOptions, cycles: "Cycles", done: Callable[[int], None]
) -> "Logic":
    """The logic of a graph, with products in LUTs or in DSP blocks."""
    from trigger.backends.rtl import dsp
    from trigger.backends.rtl.folding import fold
    from trigger.backends.rtl.logic import to_logic

    optimized = optimize(graph)

    def logic(in_dsp: Container[str], done: Callable[[int], None]) -> "Logic":
        return fold(to_logic(optimized, done, cycles, in_dsp), cycles.number)

    layers = {node.name for node in optimized.nodes}
    found = logic(layers if options.multipliers != "lut" else (), done)
    most = find_part(options.part).dsp if options.dsp is None else options.dsp
    while options.multipliers == "auto" and most is not None and dsp.blocks(found) > most:
        found = logic(dsp.within(found, most), nobody)
    return found


def _turns(run: "Run") -> dict[str, Any]:
    return {
        "layers": list(dict.fromkeys(run.shared.kernel.groups)),
        "copies": [len(rows) for rows in run.shared.copies],
        "first": int(run.starts[0]),
        "cycles": run.shared.phases + max(run.stages),
    }


def _check_latency(core: int, options: RtlOptions) -> None:
    """Raise TriggerError if the latency asked for is less than the least."""
    wanted, shell = options.latency_cycles, options.shell_cycles
    if wanted is not None and wanted < core + shell:
        parts = f", {core} of the core and {shell} of the shell" if shell else ""
        raise TriggerError(
            f"rtl: latency_cycles = {wanted} is too short at {options.clock_mhz:g} MHz: the least "
            f"is {core + shell}{parts}; allow more cycles, use fewer bits, or lower clock_mhz, "
            "which makes the cycles longer"
        )


def lut_by_passes(graph: Graph, with_all: int | None = None) -> dict[str, int]:
    """LUTs estimated by alkaid: with all passes, without any, and without each one.

    ``with_all`` is the first of these figures, if it is known.
    """
    from trigger.backends.rtl.logic import to_logic

    # A pass without effect costs no time.
    known = {} if with_all is None else {to_json(optimize(graph)): with_all}

    def lut(names: Iterable[str]) -> int:
        changed = graph
        for name in names:
            changed = PASSES[name](changed)
        text = to_json(changed)
        if text not in known:
            known[text] = round(sum(to_logic(changed).costs))
        return known[text]

    luts = {"with all": lut(PASSES), "without any": lut(())}
    return luts | {
        f"without {left_out}": lut(name for name in PASSES if name != left_out)
        for left_out in PASSES
    }

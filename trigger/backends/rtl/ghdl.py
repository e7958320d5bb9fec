"""VHDL simulation with GHDL: the pipelined design, clock edge by clock edge, through text files."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trigger.backends.rtl.interface import Interface, Port
from trigger.backends.rtl.verilator import RtlFailed
from trigger.fixedpoint.types import Integers
from trigger.support.compiled import private
from trigger.support.process import run
from trigger.support.templates import environment

_CHUNK = 2_000
_STANDARD = "--std=08"


class GhdlSimulation(NamedTuple):
    """VHDL sources with a bench, analysed into the library in ``folder``."""

    interface: Interface
    folder: Path

    def run(
        self,
        x: Integers,
        gaps: bool = False,
        seed: int = 1,
        done: Callable[[int], None] = lambda events: None,
        whole: bool = False,
    ) -> Integers:
        """As ``simulate.Simulation.run``, some hundred times slower."""
        parts = [np.empty((0, len(self.interface.outputs)), dtype=np.int64)]
        size = max(len(x), 1) if whole else _CHUNK
        for start in range(0, len(x), size):
            part = np.asarray(x[start : start + size], dtype=np.int64)
            parts.append(self._run(part, np.random.default_rng(seed + start) if gaps else None))
            done(len(part))
        return np.concatenate(parts)

    def _run(self, x: Integers, rng: np.random.Generator | None) -> Integers:
        core = self.interface
        edges = len(x) if rng is None else 2 * len(x) + 64
        enabled = np.ones(edges, dtype=bool) if rng is None else rng.random(edges) < 7 / 8
        valid = np.ones(edges, dtype=bool) if rng is None else rng.random(edges) < 3 / 4
        taken = np.flatnonzero(enabled & valid)[: len(x)]
        valid[taken[-1] + 1 :] = False
        event = np.full(edges, -1)
        event[taken] = np.arange(len(taken))
        x_bits = _to_text(x, core.inputs)
        lines = [f"{e:d} {v:d} {x_bits[k]}" for e, v, k in zip(enabled, valid, event, strict=True)]
        lines += [f"1 0 {x_bits[-1]}"] * core.latency
        with tempfile.TemporaryDirectory(dir=self.folder) as work:
            stimuli, results = Path(work) / "stimuli.txt", Path(work) / "results.txt"
            stimuli.write_text("\n".join(lines) + "\n")
            _ghdl(["-r", "bench", f"-gstimuli={stimuli}", f"-gresults={results}"], self.folder)
            rows = [line.split() for line in results.read_text().split("\n") if line]
        if len(rows) != len(x):
            raise RtlFailed(f"rtl: {core.name} gave {len(rows)} results for {len(x)} events")
        latency = np.array([int(cycle) for cycle, _ in rows]) - np.cumsum(enabled)[taken] + 1
        if (latency != core.latency).any():
            raise RtlFailed(
                f"rtl: {core.name} took {latency.min()} to {latency.max()} clock cycles; {core.latency} were promised"
            )
        return _from_text([bits for _, bits in rows], core.outputs)


def analyse(interface: Interface, sources: Sequence[Path]) -> GhdlSimulation:
    """Analyse VHDL for simulation, in a folder of this process.

    Raises RtlFailed with GHDL's first error, or where there is no GHDL.
    """
    folder = private()
    template = environment(Path(__file__).parent).get_template("bench.vhd.j2")
    bench = folder / "bench.vhd"
    fields = {
        "name": interface.name,
        "input_width": interface.input_width,
        "output_width": interface.output_width,
    }
    bench.write_text(template.render(**fields))
    _ghdl(["-a", *map(str, sources), str(bench)], folder)
    return GhdlSimulation(interface, folder)


def _ghdl(arguments: list[str], folder: Path) -> None:
    command = ["ghdl", arguments[0], _STANDARD, f"--workdir={folder}", *arguments[1:]]
    run(command, lambda message: RtlFailed(f"rtl: {message}"), folder)


def _to_text(values: Integers, ports: Sequence[Port]) -> list[str]:
    """Each event as bits, the highest first."""
    bits = [
        ((values[:, k, None] >> np.arange(p.type.width)) & 1).astype(np.uint8)
        for k, p in enumerate(ports)
    ]
    text = np.concatenate(bits, axis=1)[:, ::-1] + ord("0")
    return [row.tobytes().decode() for row in text]


def _from_text(rows: Sequence[str], ports: Sequence[Port]) -> Integers:
    undefined = next((row for row in rows if not set(row) <= {"0", "1"}), None)
    if undefined is not None:
        raise RtlFailed(f"rtl: an output is undefined: {undefined}")
    bits = np.array([list(row.encode()) for row in rows], dtype=np.int64)[:, ::-1] - ord("0")
    values = np.empty((len(rows), len(ports)), dtype=np.int64)
    for k, p in enumerate(ports):
        weights = 1 << np.arange(p.type.width)
        if p.type.signed:
            weights[-1] = -weights[-1]
        values[:, k] = bits[:, p.low : p.high + 1] @ weights
    return values

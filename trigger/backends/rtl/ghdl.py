"""Cycle-accurate VHDL simulation of the pipelined design with GHDL, through text files."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trigger.backends.rtl.edges import Edges, drive, results
from trigger.backends.rtl.interface import LOADING_BITS, Interface, Port
from trigger.backends.rtl.simulation import Simulator
from trigger.backends.rtl.verilator import RtlFailed
from trigger.fixedpoint.types import Flags, Integers
from trigger.support.compiled import private
from trigger.support.process import run_program
from trigger.support.templates import environment

_STANDARD = "--std=08"


class _Analysed(NamedTuple):
    interface: Interface
    folder: Path


class GhdlSimulation(_Analysed, Simulator):
    """VHDL sources with a test bench, analysed into the library in ``folder``; about a hundred
    times slower than ``simulate.Simulation``.
    """

    chunk = 2_000

    @property
    def core(self) -> Interface:
        return self.interface

    def simulate_part(
        self, x: Integers, stalls: bool, seed: int, whole: bool, resets: Flags | None
    ) -> tuple[Integers, Flags]:
        rng = np.random.default_rng(seed)
        edges = drive(len(x), self.core, rng, stalls, resets)
        return self._run(x, edges, rng)

    def _run(self, x: Integers, edges: Edges, rng: np.random.Generator) -> tuple[Integers, Flags]:
        core = self.core
        # Without an event the input may be anything.
        driven = rng.integers(0, 2, (len(edges.event), core.input_width), dtype=np.uint8)
        driven[edges.event >= 0] = _to_bits(x, core.inputs)
        with tempfile.TemporaryDirectory(dir=self.folder) as work:
            stimuli = Path(work) / "stimuli.txt"
            results_file = Path(work) / "results.txt"
            flags = np.stack([edges.reset, edges.enabled, edges.valid], axis=1)
            stimuli.write_bytes(_lines(*flags.T[:, :, None], driven[:, ::-1]))
            _ghdl(["-r", "bench", f"-gstimuli={stimuli}", f"-gresults={results_file}"], self.folder)
            text = np.frombuffer(results_file.read_bytes(), dtype=np.uint8)
        shown = text.reshape(len(edges.event), core.output_width + 3)
        valid = shown[:, 0]
        bits = shown[:, 2:-1]
        _check_defined(valid[:, None], "y_valid")
        changed = np.zeros(len(bits), dtype=bool)
        changed[1:] = (bits[1:] != bits[:-1]).any(axis=1)
        edge_of, lost = results(core.name, core.latency, edges, valid == ord("1"), changed)
        y = np.zeros((len(x), len(core.outputs)), dtype=np.int64)
        y[~lost] = _from_text(bits[edge_of[~lost]], core.outputs)
        return y, lost


def analyse(interface: Interface, sources: Sequence[Path]) -> GhdlSimulation:
    """Analyse VHDL for simulation, in a temporary folder of this process.

    Raises RtlFailed with the first error of GHDL, or if GHDL is missing.
    """
    folder = private()
    template = environment(Path(__file__).parent).get_template("bench.vhd.j2")
    bench = folder / "bench.vhd"
    fields = {
        "name": interface.name,
        "input_width": interface.input_width,
        "output_width": interface.output_width,
        "features_width": interface.input_width - (LOADING_BITS if interface.words else 0),
        "words": interface.words,
    }
    bench.write_text(template.render(**fields))
    _ghdl(["-a", *map(str, sources), str(bench)], folder)
    return GhdlSimulation(interface, folder)


def _ghdl(arguments: list[str], folder: Path) -> None:
    command = ["ghdl", arguments[0], _STANDARD, f"--workdir={folder}", *arguments[1:]]
    run_program(command, lambda message: RtlFailed(f"rtl: {message}"), folder)


def _lines(*columns: NDArray[Any]) -> bytes:
    """One line of text per edge, from columns of bits (edges, bits) separated by spaces."""
    count = len(columns[0])
    space = np.full((count, 1), ord(" "), dtype=np.uint8)
    parts: list[NDArray[np.uint8]] = []
    for column in columns:
        parts += [column.astype(np.uint8) + np.uint8(ord("0")), space]
    parts[-1] = np.full((count, 1), ord("\n"), dtype=np.uint8)
    return np.concatenate(parts, axis=1).tobytes()


def _to_bits(values: Integers, ports: Sequence[Port]) -> NDArray[np.uint8]:
    """Each event as bits, lowest first, shape (events, input width)."""
    bits = [
        ((values[:, k, None] >> np.arange(p.type.width)) & 1).astype(np.uint8)
        for k, p in enumerate(ports)
    ]
    return np.concatenate(bits, axis=1)


def _from_text(rows: NDArray[np.uint8], ports: Sequence[Port]) -> Integers:
    """Results as characters, highest bit first, shape (events, output width), to integers."""
    _check_defined(rows, "an output")
    bits = rows[:, ::-1].astype(np.int64) - ord("0")
    values = np.empty((len(rows), len(ports)), dtype=np.int64)
    for k, p in enumerate(ports):
        weights = 1 << np.arange(p.type.width)
        if p.type.signed:
            weights[-1] = -weights[-1]
        values[:, k] = bits[:, p.low : p.high + 1] @ weights
    return values


def _check_defined(rows: NDArray[np.uint8], what: str) -> None:
    """Raises RtlFailed with the first row of characters that are not all 0 or 1."""
    undefined = ((rows != ord("0")) & (rows != ord("1"))).any(axis=1)
    if undefined.any():
        row = rows[np.argmax(undefined)].tobytes().decode("latin-1")
        raise RtlFailed(f"rtl: {what} is undefined: {row}")

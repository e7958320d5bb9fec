"""Simulation of a payload: frames of link words to decisions, checked on every event."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trigger.backends.rtl.ghdl import GhdlSimulation, analyse
from trigger.backends.rtl.simulate import Simulation, compile_together
from trigger.backends.rtl.verilator import RtlFailed
from trigger.board.decisions import decide
from trigger.board.shell import ORBIT, Payload
from trigger.fixedpoint.types import Integers
from trigger.spec.links import pack

_BEFORE_RESET = 50
_AFTER_RESET = 500
_LABELS = {".sv": "SystemVerilog", ".vhd": "VHDL"}


@dataclass(eq=False)
class PayloadSimulation:
    """An implementation: integer inputs to the core's integers, through link words and the
    shell.
    """

    payload: Payload
    simulation: Simulation | GhdlSimulation | None = None

    @property
    def label(self) -> str:
        """The name of this implementation in comparisons."""
        return f"payload ({_LABELS[self.payload.sources[-1].suffix]})"

    def compile(self, into: Path) -> "PayloadSimulation":
        """Compile the simulation into the folder and return self.

        Raises RtlFailed with a tool's first error.
        """
        self.simulation = None  # if a tool fails, an older one must not run instead
        if self.label.endswith("(VHDL)"):
            self.simulation = analyse(*self.payload.bench)
        else:
            (self.simulation,) = compile_together([self.payload.bench], into, "-O3")
        return self

    def run(self, x: Integers, done: Callable[[int], None] = lambda events: None) -> Integers:
        """Integer inputs, shape (events, features), to integer outputs of the core, shape (events,
        outputs).

        Raises RtlFailed if an accept bit, a bunch crossing or the latency of an event is wrong, or
        if the shell reports an error.
        """
        if self.simulation is None:
            raise RtlFailed(f"payload: {self.payload.name} is not compiled; call compile() first")
        payload = self.payload
        rows = self.simulation.run(frames(payload, x), whole=True)
        self._reset_in_an_event(x, rows)
        done(len(x))
        last = np.zeros(len(rows), dtype=bool)
        last[payload.links.words - 1 :: payload.apart] = True
        scores, accept, bx, valid, error = np.split(
            rows, np.cumsum([len(payload.core.outputs), len(payload.points), 1, 1]), axis=1
        )
        if (valid[:, 0] != last).any() or error.any():
            raise RtlFailed(
                f"payload: {payload.name} gives decisions when none is due, or reports an error"
            )
        expected = decide(scores[last], payload.points, ORBIT)
        for name, simulated, right in (
            ("accept bits", accept[last], expected.accept),
            ("bunch crossing", bx[last, 0], expected.bx),
        ):
            wrong = (simulated != right).reshape(len(simulated), -1).any(axis=1)
            if wrong.any():
                event = int(np.argmax(wrong))
                raise RtlFailed(
                    f"payload: {payload.name}, event {event}: {name} {simulated[event].tolist()}, "
                    f"expected {np.asarray(right)[event].tolist()}"
                )
        return scores[last]

    def trace(self, x: Integers) -> dict[str, Integers]:
        """No inner node is visible."""
        return {}

    def _reset_in_an_event(self, x: Integers, expected: Integers) -> None:
        """Events, a reset while some are in flight and the last one is incomplete, and all events
        again.
        """
        assert self.simulation is not None
        rows = frames(self.payload, x[:_BEFORE_RESET])
        idle = self.payload.apart - self.payload.links.words
        before = rows[: len(rows) - idle - 1]
        after = frames(self.payload, x[:_AFTER_RESET])
        resets = np.zeros(len(before) + len(after), dtype=bool)
        resets[len(before)] = True
        simulated, lost = self.simulation.interrupted(np.concatenate([before, after]), resets)
        right = np.concatenate([expected[: len(before)], expected[: len(after)]])
        differs = (simulated != right).any(axis=1) & ~lost
        if differs.any():
            frame = int(np.argmax(differs)) - len(before)
            raise RtlFailed(
                f"payload: {self.payload.name} is not in its initial state after a "
                f"reset: frame {frame} after it differs"
            )


def frames(payload: Payload, x: Integers) -> Integers:
    """Events as close as allowed, as rows of the bench: the words of each link, valid, start, start
    of orbit.
    """
    links = payload.links
    rows = np.zeros((len(x), payload.apart, links.links + 3), dtype=np.int64)
    rows[:, : links.words, :-3] = pack(links, x).view(np.int64)
    rows[:, : links.words, -3] = 1
    rows[:, 0, -2] = 1
    rows[::ORBIT, 0, -1] = 1
    return rows.reshape(len(x) * payload.apart, -1)

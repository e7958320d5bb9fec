"""The common part of all cycle-accurate simulations: events in, results out, in parts."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np

from trigger.backends.rtl.edges import with_resets
from trigger.backends.rtl.interface import LOADING, Interface
from trigger.backends.rtl.verilator import RtlFailed
from trigger.fixedpoint.types import Flags, Integers

Done = Callable[[int], None]


def _silent(events: int) -> None:
    pass


class Simulator(ABC):
    """A compiled design. Subclasses simulate ``chunk`` events at a time."""

    chunk: int

    @property
    @abstractmethod
    def core(self) -> Interface:
        """The interface of the design."""

    @abstractmethod
    def simulate_part(
        self, x: Integers, stalls: bool, seed: int, whole: bool, resets: Flags | None
    ) -> tuple[Integers, Flags]:
        """The outputs of a few events, and which of them a reset discarded; raises as ``run``."""

    def run(
        self,
        x: Integers,
        stalls: bool = False,
        seed: int = 1,
        done: Done = _silent,
        whole: bool = False,
    ) -> Integers:
        """Integer inputs, shape (events, features), to integer outputs, shape (events, outputs).

        With ``stalls`` events pause, the clock enable drops now and then, and the design is reset
        while events are in flight; discarded events are sent again at the end. With ``whole`` the
        design keeps its state from the first event to the last; otherwise parts run on their own.
        Raises RtlFailed if a result is missing, surplus, early or late, changes while the clock
        enable is low, or appears after a reset that should discard it.
        """
        if not stalls or not len(x):
            return self._simulate(x, stalls, seed, done, whole, None)[0]

        def simulate(x: Integers, resets: Flags | None) -> tuple[Integers, Flags]:
            progress = done if resets is not None else _silent
            return self._simulate(x, stalls, seed, progress, whole, resets)

        return with_resets(simulate, x)

    def interrupted(self, x: Integers, resets: Flags) -> tuple[Integers, Flags]:
        """The outputs with a reset before each event of ``resets``, and which events that
        discards.
        """
        return self._simulate(x, False, 1, _silent, True, resets)

    def loading(self, x: Integers, stalls: bool) -> Integers:
        """The outputs of events that also load weights, as ``simulated`` says, from a single
        reset on.
        """
        return self._simulate(x, stalls, 1, _silent, True, None)[0]

    def _simulate(
        self, x: Integers, stalls: bool, seed: int, done: Done, whole: bool, resets: Flags | None
    ) -> tuple[Integers, Flags]:
        loading = len(LOADING) if self.core.words else 0
        features = len(self.core.inputs) - loading
        if x.shape[1] == features:  # they load nothing
            x = np.pad(x, ((0, 0), (0, loading))) if loading else x
        elif x.shape[1] != features + loading:
            raise RtlFailed(
                f"rtl: {self.core.name} has {features} features; got {x.shape[1]} columns"
            )
        y = np.zeros((len(x), len(self.core.outputs)), dtype=np.int64)
        lost = np.zeros(len(x), dtype=bool)
        size = max(len(x), 1) if whole else self.chunk
        for start in range(0, len(x), size):
            rows = slice(start, start + size)
            part = np.ascontiguousarray(x[rows], dtype=np.int64)
            asked = None if resets is None else resets[rows]
            y[rows], lost[rows] = self.simulate_part(part, stalls, seed + start, whole, asked)
            done(len(part))
        return y, lost

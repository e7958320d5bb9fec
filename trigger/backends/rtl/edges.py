"""A cycle-accurate simulation as arrays: the inputs at each clock edge, and the required
results.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from trigger.backends.rtl.interface import Interface
from trigger.backends.rtl.verilator import RtlFailed
from trigger.fixedpoint.types import Flags, Integers

_RESET_EVERY = 251
# Extra edges after the last result, to detect late and repeated results.
_LATE = 2


class Edges(NamedTuple):
    """The inputs at each clock edge (edges,); the first is a reset; ``event`` is -1 without an
    event.
    """

    reset: Flags
    enabled: Flags
    valid: Flags
    event: Integers

    @property
    def cycle(self) -> Integers:
        """The cumulative number of edges at which the pipeline advances."""
        return np.cumsum(self.enabled & ~self.reset)


def drive(
    events: int,
    core: Interface,
    rng: np.random.Generator,
    stalls: bool,
    resets: Flags | None = None,
) -> Edges:
    """Edges that send each event once (at least one), as often as allowed, and wait for its result.

    With ``stalls`` events pause and the clock enable drops now and then. The design is reset
    before each event of ``resets``, shape (events,), whatever its inputs and clock enable are.
    """
    pauses = rng.geometric(3 / 4, events) - 1 if stalls else np.zeros(events, dtype=np.int64)
    # Counted in edges with the clock enable.
    places = np.cumsum(core.interval + pauses) - core.interval
    count = 2 * places[-1] + 64 if stalls else places[-1] + 1
    enabled = rng.random(count) < (7 / 8 if stalls else 1)
    taken = np.flatnonzero(enabled)[places]
    count = taken[-1] + 1
    enabled = enabled[:count]
    valid = (rng.random(count) < 3 / 4) & ~enabled
    valid[taken] = True
    event = np.full(count, -1)
    event[taken] = np.arange(events)
    reset = np.zeros(count, dtype=bool)
    if resets is not None:
        after = np.concatenate([[0], taken[:-1] + 1])[resets]
        where = np.repeat(after, rng.integers(1, 4, len(after)))
        reset = np.insert(reset, where, True)
        enabled = np.insert(enabled, where, rng.random(len(where)) < 1 / 2)
        valid = np.insert(valid, where, True)
        event = np.insert(event, where, -1)
    waiting = core.latency + _LATE
    return Edges(
        np.concatenate([[True], reset, np.zeros(waiting, dtype=bool)]),
        np.concatenate([[True], enabled, np.ones(waiting, dtype=bool)]),
        np.concatenate([[False], valid, np.zeros(waiting, dtype=bool)]),
        np.concatenate([[-1], event, np.full(waiting, -1)]),
    )


def results(
    name: str, latency: int, edges: Edges, valid: Flags, changed: Flags
) -> tuple[Integers, Flags]:
    """The edge of each result, and which events a reset discarded, both of shape (events,).

    ``valid`` marks the edges after which the design ``name`` shows a result, ``changed`` those
    after which the result differs from before. Raises RtlFailed if a result is missing, early or
    late, changes while the clock enable is low, or appears after a reset that should discard it.
    """
    moving = edges.enabled & ~edges.reset
    cycle = edges.cycle
    taken = np.flatnonzero(edges.event >= 0)
    due = cycle[taken] + latency - 1
    # Resets after the first, which starts the simulation; for each edge, the cycle of the last one.
    later = edges.reset & (np.arange(len(cycle)) > 0)
    last_reset = np.maximum.accumulate(np.where(later, cycle, -latency))
    next_reset = np.minimum.accumulate(np.where(later, cycle, cycle[-1] + latency)[::-1])[::-1]
    lost = next_reset[taken] < due
    stale = np.count_nonzero(moving & valid & (cycle - last_reset < latency))
    if stale:
        raise RtlFailed(f"rtl: {name} gave {stale} results after a reset for events from before it")
    before = np.concatenate([valid[:1], valid[:-1]])
    moved = np.count_nonzero(
        ~edges.enabled & ~edges.reset & ((valid != before) | (before & changed))
    )
    if moved:
        raise RtlFailed(
            f"rtl: {name} changed its result {moved} times while the clock enable was low"
        )
    shown = np.flatnonzero(moving & valid)
    wanted = np.flatnonzero(~lost)
    took = cycle[shown[: len(wanted)]] - cycle[taken[wanted[: len(shown)]]] + 1
    if len(shown) < len(wanted) or (len(shown) > len(wanted) and (took == latency).all()):
        given = len(shown) + np.count_nonzero(lost)
        raise RtlFailed(f"rtl: {name} gave {given} results for {len(taken)} events")
    if (took != latency).any():
        raise RtlFailed(
            f"rtl: {name} took {took.min()} to {took.max()} clock cycles; {latency} were promised"
        )
    edge_of = np.full(len(taken), -1)
    edge_of[wanted] = shown
    return edge_of, lost


def with_resets(
    simulate: Callable[[Integers, Flags | None], tuple[Integers, Flags]], x: Integers
) -> Integers:
    """The outputs of a simulation with occasional resets; discarded events are sent again.

    ``simulate`` takes events and a reset flag for each, and returns outputs and lost events.
    """
    resets = np.arange(len(x)) % _RESET_EVERY == min(_RESET_EVERY, len(x)) // 2
    y, lost = simulate(x, resets)
    if lost.any():
        y[lost] = simulate(x[lost], None)[0]
    return y

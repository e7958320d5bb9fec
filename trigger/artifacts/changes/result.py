"""What was found to have changed, as data."""

import math
from typing import NamedTuple

from trigger.artifacts.interface import Difference
from trigger.synthesis.budget import Figure

# Figures that are fractions, shown in percent: their changes in percent are differences.
FRACTIONS = ("accuracy", "efficiency")
INTERFACE = "interface"


class Pair(NamedTuple):
    """One figure of two builds, None where a build has none.

    ``of`` names its head, accept bit, class or layer. ``interval`` is that of the difference, at
    one standard deviation; None if it is exact, or not known.
    """

    name: str
    of: tuple[str, ...]
    unit: str
    before: Figure | None
    after: Figure | None
    interval: tuple[float, float] | None = None

    @property
    def change(self) -> float | None:
        """The difference; None if one of the two is missing."""
        if self.before is None or self.after is None:
            return None
        return self.after.value - self.before.value

    @property
    def relative(self) -> float | None:
        """The difference as a fraction of the figure before."""
        if self.change is None or self.before is None or not self.before.value:
            return None
        return self.change / self.before.value

    @property
    def changed(self) -> bool:
        if self.before is None or self.after is None:
            return True
        values = (self.before.value, self.after.value)
        return values[0] != values[1] and not all(map(math.isnan, values))

    @property
    def key(self) -> str:
        """The name by which a limit asks for it."""
        return ".".join((self.name, *self.of))


class Detail(NamedTuple):
    """One property of a layer that changed: its operation, types, constants or wires.

    ``changed`` counts the elements that are not the same, of ``total``; None if the two have
    different shapes. ``largest`` is the largest change of a constant, as a real number.
    """

    layer: str
    what: str
    before: str
    after: str
    changed: int | None = None
    total: int | None = None
    largest: float | None = None


class Note(NamedTuple):
    """What is not compared, and why."""

    what: str
    why: str


class Changes(NamedTuple):
    """What changed: ``figures`` and ``luts`` (by layer) list equal ones too; ``layers``,
    ``interface`` and ``sources`` only differences.

    ``compared`` names the sections that were compared; ``notes`` are for the rest. ``loading`` says
    whether the second network can be loaded into the first firmware, if that takes other weights.
    """

    figures: tuple[Pair, ...] = ()
    luts: tuple[Pair, ...] = ()
    layers: tuple[Detail, ...] = ()
    interface: tuple[Difference, ...] = ()
    sources: tuple[Difference, ...] = ()
    notes: tuple[Note, ...] = ()
    compared: tuple[str, ...] = ()
    loading: str = ""

    def joined(self, other: "Changes") -> "Changes":
        """These changes and others."""
        return Changes(
            self.figures + other.figures,
            self.luts + other.luts,
            self.layers + other.layers,
            self.interface + other.interface,
            self.sources + other.sources,
            self.notes + other.notes,
            self.compared + other.compared,
            self.loading or other.loading,
        )

    @property
    def none(self) -> bool:
        """Whether nothing that was compared differs."""
        pairs = (*self.figures, *self.luts)
        return not (
            self.layers or self.interface or self.sources or any(pair.changed for pair in pairs)
        )

    @property
    def same_interface(self) -> bool | None:
        """None if it was not compared."""
        return not self.interface if INTERFACE in self.compared else None


class Summary(NamedTuple):
    """A build that is compared: its folder as the user named it, its name, its verdict and the
    kind of that, as in its report; "" if they cannot be read.
    """

    folder: str
    name: str
    verdict: str = ""
    kind: str = ""

"""Rates and efficiencies of accept bits, with Clopper-Pearson intervals, and thresholds for a
rate.
"""

from typing import NamedTuple

import numpy as np

from trigger.errors import TriggerError
from trigger.events.dataset import Events
from trigger.fixedpoint.types import Integers
from trigger.spec.spec import Spec

LEVEL = 0.6827


class Estimate(NamedTuple):
    """A value and the ends of its interval at one standard deviation."""

    value: float
    low: float
    high: float

    def times(self, factor: float) -> "Estimate":
        return Estimate(*(factor * part for part in self))


class Kept(NamedTuple):
    """One accept bit: its rate and unique rate in kHz (None without zero bias).

    ``efficiency`` is the accepted fraction of each class.
    """

    rate: Estimate | None
    pure: Estimate | None
    efficiency: dict[str, Estimate]


class Menu(NamedTuple):
    """The rates and efficiencies of each accept bit by name, and of the OR of all."""

    points: dict[str, Kept]
    total: Kept


class Curve(NamedTuple):
    """An efficiency in bins of a feature: ``edges`` (bins + 1,), and an estimate per bin, None if
    empty.
    """

    edges: np.ndarray
    efficiency: list[Estimate | None]


def efficiency(kept: np.ndarray, weight: np.ndarray) -> Estimate:
    """The weighted fraction of accepted events, with the Clopper-Pearson interval.

    With weights the interval is that of as many events of equal weight as have the same variance
    (G. Bohm and G. Zech, NIM A 748 (2014) 1): for equal weights it is the Clopper-Pearson interval.
    It does not cover unseen events of large weight. Raises ValueError if the total weight is zero.
    """
    squares = ((weight[part] ** 2).sum() for part in (kept, ~kept))
    fraction = estimate(weight[kept].sum(), weight.sum(), *squares)
    if fraction is None:
        raise ValueError("the total weight of the events is zero")
    return fraction


def estimate(
    kept: float, total: float, kept_squares: float, failed_squares: float
) -> Estimate | None:
    """As ``efficiency``, from the sums of the weights and of their squares; None if the total is
    zero.
    """
    from scipy.special import betaincinv  # slow to import, and most commands do without

    if not total > 0:
        return None
    share = float(kept / total)
    variance = ((1 - share) ** 2 * kept_squares + share**2 * failed_squares) / total**2
    squares = kept_squares + failed_squares
    equal = share * (1 - share) / variance if variance > 0 else total**2 / squares
    passed = share * equal
    failed = (1 - share) * equal
    tail = (1 - LEVEL) / 2
    low = float(betaincinv(passed, failed + 1, tail)) if passed > 0 else 0.0
    high = float(betaincinv(passed + 1, failed, 1 - tail)) if failed > 0 else 1.0
    return Estimate(share, low, high)


def crossings_khz(spec: Spec) -> float:
    """How often filled bunches cross, in kHz."""
    return spec.physics.crossings_khz


def bound_for(scores: Integers, weight: np.ndarray, crossings: float, rate_khz: float) -> int:
    """The smallest bound for which zero-bias scores at or above it come at no more than
    ``rate_khz``.

    ``scores`` and ``weight`` (events,) are those of zero bias, ``crossings`` is in kHz. Raises
    TriggerError if a single event exceeds the rate.
    """
    values, places = np.unique(scores, return_inverse=True)
    rate = np.cumsum(np.bincount(places, weight)[::-1])[::-1] / weight.sum() * crossings
    allowed = np.flatnonzero(rate <= rate_khz)
    if not len(allowed):
        raise TriggerError(
            f"a rate of {rate_khz:g} kHz cannot be reached: the highest score alone "
            f"gives {rate[-1]:.3g} kHz in the validation events; allow a higher rate, "
            "provide more zero-bias events, or give the score more bits"
        )
    first = int(allowed[0])
    return int(values[first]) if first == 0 else int(values[first - 1]) + 1


def menu(bits: Integers, events: Events, spec: Spec) -> Menu:
    """The menu of the accept bits on events; ``bits`` (events, accept bits) are the firmware's."""
    kept = bits.astype(bool)
    points = {
        name: _kept(kept[:, k], _any(np.delete(kept, k, axis=1)), events, spec)
        for k, name in enumerate(spec.decision.accept if spec.decision else ())
    }
    return Menu(points, _kept(_any(kept), None, events, spec))


def _any(kept: np.ndarray) -> np.ndarray:
    return np.asarray(kept.any(axis=1))


def _kept(kept: np.ndarray, others: np.ndarray | None, events: Events, spec: Spec) -> Kept:
    of_class = {
        name: efficiency(kept[events.y == number], events.weight[events.y == number])
        for number, name in enumerate(spec.data.classes if spec.data.label else ["events"])
    }
    rate = pure = None
    if spec.physics.zero_bias is not None:
        rate = of_class[spec.physics.zero_bias].times(crossings_khz(spec))
        if others is not None:
            background = events.y == spec.data.classes.index(spec.physics.zero_bias)
            alone = efficiency((kept & ~others)[background], events.weight[background])
            pure = alone.times(crossings_khz(spec))
    return Kept(rate, pure, of_class)


def turn_on(kept: np.ndarray, values: np.ndarray, weight: np.ndarray, bins: int = 20) -> Curve:
    """The efficiency in bins of a feature, up to its 99th percentile."""
    edges = np.linspace(values.min(), max(np.quantile(values, 0.99), values.min() + 1e-9), bins + 1)
    place = np.digitize(values, edges) - 1
    inside = [place == k for k in range(bins)]
    return Curve(
        edges,
        [
            efficiency(kept[here], weight[here]) if weight[here].sum() > 0 else None
            for here in inside
        ],
    )

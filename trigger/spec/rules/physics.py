"""Rules for rates and efficiencies: physics against data, decision.accept and budget."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from trigger.errors import quoted
from trigger.spec.tables import BUNCHES, CROSSINGS_MHZ, nearest
from trigger.support.numbers import plain

if TYPE_CHECKING:
    from trigger.spec.spec import Spec


def zero_bias_is_a_class(spec: "Spec") -> str | None:
    zero_bias = spec.physics.zero_bias
    labelled = spec.data.classes if spec.data.label is not None else []
    if zero_bias is None or zero_bias in labelled:
        return None
    return (
        f"physics.zero_bias is {quoted(zero_bias)}, which is not a class of labelled events"
        f"{nearest(zero_bias, spec.data.classes)}"
    )


def rates_need_zero_bias(spec: "Spec") -> str | None:
    asked = [*_rates_of_accept_bits(spec), *_rate_of_all(spec)]
    if not asked or spec.physics.zero_bias is not None:
        return None
    key, _ = asked[0]
    return f"{key} needs physics.zero_bias, the class of unbiased bunch crossings"


def rate_of_all_needs_accept_bits(spec: "Spec") -> str | None:
    if spec.budget.rate_khz is None or spec.accept:
        return None
    return "budget.rate_khz needs decision.accept; scores alone accept no events"


def turn_on_is_of_features(spec: "Spec") -> str | None:
    unknown = [name for name in spec.physics.turn_on if not spec.summands(name)]
    if not unknown:
        return None
    hint = nearest(unknown[0], spec.data.features)
    return f"physics.turn_on has {quoted(unknown[0])}, which is not a feature{hint}"


def rates_are_below_crossings(spec: "Spec") -> str | None:
    """At the rate of bunch crossings every event is accepted."""
    crossings = spec.physics.crossings_khz
    for key, rate in (*_rate_of_all(spec), *_rates_of_accept_bits(spec)):
        if rate >= crossings:
            return (
                f"{key} is {plain(rate, 6)} kHz; bunches cross at {plain(crossings, 6)} "
                f"kHz ({CROSSINGS_MHZ} MHz, "
                f"physics.filled_bunches {spec.physics.filled_bunches} of {BUNCHES}), "
                f"so every event would be "
                "accepted; set a lower rate"
            )
    return None


def _rates_of_accept_bits(spec: "Spec") -> Iterator[tuple[str, float]]:
    """Key and rate, kHz."""
    for name, point in spec.accept.items():
        if point.rate_khz is not None:
            yield f"decision.accept.{name}.rate_khz", point.rate_khz


def _rate_of_all(spec: "Spec") -> Iterator[tuple[str, float]]:
    if spec.budget.rate_khz is not None:
        yield "budget.rate_khz", spec.budget.rate_khz

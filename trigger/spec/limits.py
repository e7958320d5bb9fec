"""What no accelerator and no board can give, found in a trigger.toml before anything is done."""

from typing import TYPE_CHECKING

from trigger.spec.links import link_map
from trigger.spec.payload_tables import MOST_FRAMES, MOST_POINTS
from trigger.spec.tables import BUNCHES, CROSSINGS_MHZ
from trigger.support.numbers import plain

if TYPE_CHECKING:
    from trigger.spec.spec import Spec


def check_rates(spec: "Spec") -> None:
    """Raises ValueError for a rate that every bunch crossing may be accepted at."""
    crossings = spec.physics.crossings_khz
    rates = {"budget.rate_khz": spec.budget.rate_khz}
    if spec.decision is not None:
        for name, point in spec.decision.accept.items():
            rates[f"decision.accept.{name}.rate_khz"] = point.rate_khz
    for key, rate in rates.items():
        if rate is not None and rate >= crossings:
            raise ValueError(
                f"{key} is {plain(rate, 6)} kHz; bunches cross at {plain(crossings, 6)} kHz ({CROSSINGS_MHZ} MHz, "
                f"physics.filled_bunches {spec.physics.filled_bunches} of {BUNCHES}), so that every event may be accepted; "
                "give a rate below that"
            )


def check_payload(spec: "Spec") -> None:
    """Raises ValueError where a payload has no room for an event or for the accept bits, or too few or too many channels."""
    if spec.payload is None or spec.decision is None:
        return
    accept = len(spec.decision.accept)
    if accept > MOST_POINTS:
        raise ValueError(
            f"decision.accept has {accept} accept bits; a payload has room for {MOST_POINTS}"
        )
    if not spec.inputs.objects:
        _check_words(spec)
    links = link_map(spec)
    if links.words > MOST_FRAMES:
        raise ValueError(
            f"inputs.objects put an event into {links.words} words of a link; a payload takes {MOST_FRAMES}; use more links"
        )
    named, needed = len(spec.payload.input_links), links.links
    if named not in (0, needed):
        raise ValueError(
            f"payload.input_links names {_channels(named)}; {_inputs(spec, needed)}; name {_channels(needed)}, or leave it "
            f"out for {_range('channel', needed)}"
        )


def _check_words(spec: "Spec") -> None:
    bits = spec.inputs.word_bits
    for name, kind in zip(spec.data.features, spec.input_types, strict=True):
        if kind.width > bits:
            raise ValueError(
                f"the feature {name!r} is {kind}, {kind.width} bits; inputs.word_bits is {bits}, and no feature crosses the "
                "end of a word; raise inputs.word_bits, or make the type narrower"
            )


def _inputs(spec: "Spec", links: int) -> str:
    if spec.inputs.objects:
        return f"inputs.objects come on {_range('link', links)}"
    features = len(spec.data.features)
    return (
        f"the {features} feature{_s(features)} take {links} link{_s(links)} of "
        f"{spec.inputs.word_bits} bits"
    )


def _channels(count: int) -> str:
    return f"{count} channel{_s(count)}"


def _range(what: str, count: int) -> str:
    return f"{what} 0" if count == 1 else f"{what}s 0 to {count - 1}"


def _s(count: int) -> str:
    return "" if count == 1 else "s"

"""Rules for the payload: that a board has room for its inputs and for what it decides."""

from typing import TYPE_CHECKING

from trigger.spec.links import link_map
from trigger.spec.payload_tables import MOST_FRAMES, MOST_POINTS, ScorePort

if TYPE_CHECKING:
    from trigger.spec.spec import Spec


def needs_accept_bits(spec: "Spec") -> str | None:
    if spec.payload is None or spec.decision is not None:
        return None
    return "payload needs decision.accept, the condition for accepting an event"


def decision_fits_its_links(spec: "Spec") -> str | None:
    """As far as that is known without the network: its scores have one bit or more."""
    if spec.payload is None or not spec.payload.names_channels:
        return None
    scores = [ScorePort(name, 0, 1) for name in spec.outputs]
    try:
        spec.payload.output_fields(list(spec.accept), scores)
    except ValueError as error:
        return f"{spec.payload.output_key}: {error}"
    return None


def has_room_for_accept_bits(spec: "Spec") -> str | None:
    if spec.payload is None or len(spec.accept) <= MOST_POINTS:
        return None
    return (
        f"decision.accept has {len(spec.accept)} accept bits; a payload has at most {MOST_POINTS}"
    )


def features_fit_words(spec: "Spec") -> str | None:
    """Fields of objects have their places in words already."""
    bits = spec.inputs.word_bits
    if spec.payload is None or spec.inputs.objects:
        return None
    for name, fixed in zip(spec.data.features, spec.input_types, strict=True):
        if fixed.width > bits:
            return (
                f"the feature {name!r} is {fixed}, {fixed.width} bits; inputs.word_bits "
                f"is {bits}, and a feature must fit into one "
                "word; raise inputs.word_bits, or use a narrower type"
            )
    return None


def has_room_for_events(spec: "Spec") -> str | None:
    if spec.payload is None:
        return None
    words = link_map(spec).words
    if words <= MOST_FRAMES:
        return None
    return (
        f"inputs.objects put an event into {words} words of a link; a payload takes "
        f"at most {MOST_FRAMES}; use more links"
    )


def names_as_many_channels_as_links(spec: "Spec") -> str | None:
    if spec.payload is None:
        return None
    named = len(spec.payload.input_links)
    needed = link_map(spec).links
    if named in (0, needed):
        return None
    return (
        f"payload.input_links names {_channels(named)}; {_inputs(spec, needed)}; name "
        f"{_channels(needed)}, or leave it "
        f"out for {_range('channel', needed)}"
    )


def takes_as_many_cycles_as_words(spec: "Spec") -> str | None:
    """A link delivers one word per clock cycle, whatever the network is; a network that could take
    events faster than they arrive would leave hardware idle.
    """
    asked = {"budget.ii": spec.budget.ii, "target.ii": spec.target.ii}
    if spec.target.ii == 1:  # the default
        del asked["target.ii"]
    words = link_map(spec).words if spec.payload is not None else 0
    return next(
        (
            f"{key} is {cycles}; inputs.objects put an event into {words} words of a link, "
            f"which arrive in {words} clock cycles; use more links, or raise {key} to {words}"
            for key, cycles in asked.items()
            if cycles is not None and cycles < words
        ),
        None,
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

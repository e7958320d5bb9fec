"""The positions of features on the links, and conversion between events and words."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from trigger.fixedpoint.types import Fixed, Integers

if TYPE_CHECKING:
    from trigger.spec.spec import Spec


class Place(NamedTuple):
    """The bits of one feature: ``low`` to ``low`` + width - 1 of word number ``word`` of an event
    on link ``link``.
    """

    name: str
    link: int
    word: int
    low: int
    type: Fixed


class LinkMap(NamedTuple):
    """An event is ``words`` words of ``word_bits`` bits on each of ``links`` links, one word a
    clock cycle.
    """

    places: tuple[Place, ...]
    links: int
    words: int
    word_bits: int


def link_map(spec: "Spec") -> LinkMap:
    """The links of ``inputs.objects``; without it, the features in order on as many links as
    needed.

    No feature crosses the end of a word.
    """
    bits = spec.inputs.word_bits
    fields = spec.inputs.fields()
    if fields:
        seen = {name: fields[name] for name in spec.data.features}
        places = tuple(
            Place(name, at.link, at.word, at.low, at.field.type) for name, at in seen.items()
        )
        links = max(at.link for at in fields.values())
        words = max(at.word for at in fields.values())
        return LinkMap(places, 1 + links, 1 + words, bits)
    packed: list[Place] = []
    link = low = 0
    for name, fixed in zip(spec.data.features, spec.input_types, strict=True):
        if low + fixed.width > bits:
            link += 1
            low = 0
        packed.append(Place(name, link, 0, low, fixed))
        low += fixed.width
    return LinkMap(tuple(packed), 1 + link, 1, bits)


def pack(links: LinkMap, x: Integers) -> np.ndarray:
    """Integer inputs, shape (events, features), as words: uint64 of shape (events, words,
    links).
    """
    words = np.zeros((len(x), links.words, links.links), dtype=np.uint64)
    for place, values in zip(links.places, x.T, strict=True):
        bits = values.astype(np.int64).view(np.uint64) & np.uint64((1 << place.type.width) - 1)
        words[:, place.word, place.link] |= bits << np.uint64(place.low)
    return words


def unpack(links: LinkMap, words: np.ndarray) -> Integers:
    """The other way round."""
    x = np.empty((len(words), len(links.places)), dtype=np.int64)
    for k, place in enumerate(links.places):
        up = 64 - place.low - place.type.width
        raw = words[:, place.word, place.link] << np.uint64(up)
        down = 64 - place.type.width
        x[:, k] = (
            raw.view(np.int64) >> down
            if place.type.signed
            else (raw >> np.uint64(down)).view(np.int64)
        )
    return x

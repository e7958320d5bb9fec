"""The image of a network: the words of 32 bits by which hardware gets other weights.

The first word tells networks apart. Then follow the parameters of the graph, lowest bits first,
without gaps; a parameter may lie in two words.
"""

from typing import NamedTuple

from trigger.fixedpoint.graph import Graph
from trigger.fixedpoint.parameters import parameters, structure_id
from trigger.fixedpoint.serialize import fingerprint

WORD_BITS = 32


class Image(NamedTuple):
    """Where each parameter has its lowest bit, and the words of the network itself; ``structure``
    has 32 bits that tell into which hardware it fits.
    """

    structure: int
    lows: tuple[int, ...]
    words: tuple[int, ...]


def image(graph: Graph) -> Image | None:
    """The image of a graph as a frontend made it; None if it is not reloadable."""
    own = parameters(graph)
    if not own.types:
        return None
    lows, bits, end = [], int(fingerprint(graph), 16), WORD_BITS
    for fixed, value in zip(own.types, own.values.tolist(), strict=True):
        lows.append(end)
        bits |= (value & ((1 << fixed.width) - 1)) << end
        end += fixed.width
    count = -(-end // WORD_BITS)
    words = tuple(bits >> (WORD_BITS * k) & ((1 << WORD_BITS) - 1) for k in range(count))
    return Image(structure_id(graph), tuple(lows), words)

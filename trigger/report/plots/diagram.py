"""A network as a picture: a box a node, and on the lines between them what they carry."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

from trigger.report.plots.drawing import Picture

# A network with more nodes, or more of them side by side, is no picture any more.
MOST_NODES = 150
_MOST_WIDE = 2400

_BOX, _WIRE = 330, 30
_HIGH, _BETWEEN = 56, 36
_MARGIN = 14
# Types may be wider than half a box.
_RIGHT = 44
# A line that crosses a type leaves room for it.
_HALO = 'paint-order="stroke" stroke="var(--page, white)" stroke-width="4"'
_SWEEPS = 6
_BOLD = 'font-weight="600"'
_SMALL = 'font-size="12" fill-opacity="0.75"'

# A node by name, or the line of its value through a rank, by name and rank.
Item = str | tuple[str, int]


class Box(NamedTuple):
    """A node: ``inputs`` names what it reads, ``lines`` say what it is and costs, and ``value`` is
    the shape and the type of what it gives.
    """

    name: str
    inputs: tuple[str, ...]
    lines: tuple[str, ...]
    value: str


class _Place(NamedTuple):
    x: float
    y: float


def diagram(boxes: Sequence[Box]) -> Picture | None:
    """The boxes in ranks, from the inputs down; None if there are too many. Boxes are in the order
    of evaluation.
    """
    if len(boxes) > MOST_NODES:
        return None
    ranks = _ordered(boxes)
    width = max(sum(_wide(item) for item in rank) for rank in ranks) + 2 * _MARGIN
    if width > _MOST_WIDE:
        return None
    places = _placed(ranks, width)
    height = len(ranks) * (_HIGH + _BETWEEN) + 2 * _MARGIN
    parts = [*_lines(boxes, places), *(_drawn(box, places[box.name]) for box in boxes)]
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width + _RIGHT}" height="{height}" '
        f'viewBox="0 0 {width + _RIGHT} {height}" '
        'font-family="system-ui, sans-serif" font-size="14">'
        f"{''.join(parts)}</svg>"
    )
    rows = [(box.name, " ".join(box.inputs), "; ".join(box.lines), box.value) for box in boxes]
    return Picture(svg, ("node", "reads", "operation and cost", "value"), rows)


def _ordered(boxes: Sequence[Box]) -> list[list[Item]]:
    """The items of each rank, from left to right: nodes, and lines that pass by."""
    rank: dict[str, int] = {}
    for box in boxes:
        rank[box.name] = max((rank[name] + 1 for name in box.inputs), default=0)
    ranks: list[list[Item]] = [[] for _ in range(max(rank.values()) + 1)]
    above: dict[Item, list[Item]] = {}
    for box in boxes:
        ranks[rank[box.name]].append(box.name)
        above[box.name] = []
        for name in box.inputs:
            for passed in range(rank[name] + 1, rank[box.name]):
                if (name, passed) not in above:
                    above[name, passed] = [_at(name, passed - 1, rank)]
                    ranks[passed].append((name, passed))
            above[box.name].append(_at(name, rank[box.name] - 1, rank))
    _untangle(ranks, above)
    return ranks


def _at(name: str, number: int, rank: dict[str, int]) -> Item:
    """The value of a node in a rank: the node itself, or its line below."""
    return name if rank[name] == number else (name, number)


def _untangle(ranks: list[list[Item]], above: dict[Item, list[Item]]) -> None:
    """Sort each rank by the mean place of what it is joined to: fewer lines cross."""
    below: dict[Item, list[Item]] = {item: [] for item in above}
    for item, sources in above.items():
        for source in sources:
            below[source].append(item)
    for sweep in range(_SWEEPS):
        joined, order = (above, ranks[1:]) if sweep % 2 == 0 else (below, ranks[-2::-1])
        for items in order:
            places = {item: place / len(rank) for rank in ranks for place, item in enumerate(rank)}
            means = {
                item: sum(places[other] for other in joined[item]) / len(joined[item])
                if joined[item]
                else places[item]
                for item in items
            }
            items.sort(key=means.__getitem__)


def _wide(item: Item) -> int:
    return _BOX if isinstance(item, str) else _WIRE


def _placed(ranks: Sequence[Sequence[Item]], width: float) -> dict[Item, _Place]:
    """The middle of the top of each item; each rank is centred."""
    places: dict[Item, _Place] = {}
    for number, rank in enumerate(ranks):
        left = (width - sum(map(_wide, rank))) / 2
        for item in rank:
            places[item] = _Place(left + _wide(item) / 2, _MARGIN + number * (_HIGH + _BETWEEN))
            left += _wide(item)
    return places


def _lines(boxes: Sequence[Box], places: dict[Item, _Place]) -> Iterable[str]:
    """The lines, and beside the beginning of each value its shape and type."""
    rank = {box.name: round(places[box.name].y / (_HIGH + _BETWEEN)) for box in boxes}
    done = set()
    for box in boxes:
        for name in dict.fromkeys(box.inputs):
            for number in range(rank[name], rank[box.name]):
                start = _at(name, number, rank)
                end = box.name if number + 1 == rank[box.name] else _at(name, number + 1, rank)
                if (start, end) not in done:
                    done.add((start, end))
                    yield _line(places[start], places[end], isinstance(end, str))
    read = {name for box in boxes for name in box.inputs}
    for box in boxes:
        place = places[box.name]
        if box.name not in read:
            yield _line(place, _Place(place.x, place.y + _HIGH + _BETWEEN - 8), True)
        yield (
            f'<text x="{place.x + 8:g}" y="{place.y + _HIGH + 15:g}" {_SMALL} {_HALO}>'
            f"{escape(box.value)}</text>"
        )


def _line(start: _Place, end: _Place, arrow: bool) -> str:
    """From the bottom of an item to the top of another one, or through it if it is a line."""
    top, bottom = start.y + _HIGH, end.y
    bend = (top + bottom) / 2
    path = f"M{start.x:g} {top:g}C{start.x:g} {bend:g} {end.x:g} {bend:g} {end.x:g} {bottom:g}"
    path += "m-4 -7l4 7l4 -7" if arrow else f"v{_HIGH}"
    return f'<path d="{path}" fill="none" stroke="currentColor" stroke-opacity="0.6"/>'


def _drawn(box: Box, place: _Place) -> str:
    left = place.x - _BOX / 2 + 6
    first = place.y + (_HIGH - 16 * (1 + len(box.lines))) / 2 + 13
    texts = [
        f'<text x="{place.x:g}" y="{first + 16 * number:g}" text-anchor="middle" '
        f"{_BOLD if number == 0 else _SMALL}>{escape(_short(line))}</text>"
        for number, line in enumerate((box.name, *box.lines))
    ]
    return (
        f'<rect x="{left:g}" y="{place.y:g}" width="{_BOX - 12}" height="{_HIGH}" rx="6" '
        f'fill="#5b8def" fill-opacity="0.14" stroke="currentColor" stroke-opacity="0.5"/>'
        f"{''.join(texts)}"
    )


def _short(text: str, most: int = 44) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"

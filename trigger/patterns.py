"""Pattern files: what stands in the buffers of an EMP board, as text, one line a clock cycle.

The format is that of the EMP software (and of CMSSW's L1Trigger/DemonstratorTools, format EMPv2): a line ``ID:``, a line
``Metadata:``, a line of link numbers, then ``Frame NNNN`` with four flags, or five with a strobe, and 64 bits of each link.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trigger.errors import TriggerError

_METADATA = "Metadata: (strobe,) start of orbit, start of packet, end of packet, valid"
_WORD = re.compile(r"([01])?([01])([01])([01])([01]) ([0-9a-fA-F]{16})")
ORBIT, START, END, VALID = range(4)


class Pattern(NamedTuple):
    """``links`` numbers them; ``data`` (frames, links) uint64; ``flags`` (frames, links, 4) bool: orbit, start, end, valid.

    ``strobe`` (frames, links) bool is true where the file says nothing.
    """

    name: str
    links: tuple[int, ...]
    data: np.ndarray
    flags: np.ndarray
    strobe: np.ndarray


class Word(NamedTuple):
    """A valid word: the frame it is in, its flags, its data."""

    frame: int
    flags: str
    data: int

    def __str__(self) -> str:
        return f"{self.flags} {self.data:016x} in frame {self.frame}"


class Difference(NamedTuple):
    """The first valid word of a link in which two patterns differ; None where one has no more."""

    link: int
    number: int
    expected: Word | None
    found: Word | None

    def __str__(self) -> str:
        expected, found = (word or "no further word" for word in (self.expected, self.found))
        return f"link {self.link:03d}, valid word {self.number}: expected {expected}, found {found}"


def pattern(name: str, links: Sequence[int], data: np.ndarray, flags: np.ndarray) -> Pattern:
    """A pattern with the strobe always on."""
    return Pattern(name, tuple(links), data, flags, np.ones(data.shape, dtype=bool))


def text(pattern: Pattern) -> str:
    """A pattern as a file's text."""
    lines = [f"ID: {pattern.name}", _METADATA, ""]
    strobed = [not pattern.strobe[:, k].all() for k in range(len(pattern.links))]
    columns = [
        f"{' ' * strobe}            {link:03d}        "
        for link, strobe in zip(pattern.links, strobed, strict=True)
    ]
    lines.append("      Link  " + "".join(columns).rstrip())
    for number in range(len(pattern.data)):
        words = []
        for k, strobe in enumerate(strobed):
            bits = [*([pattern.strobe[number, k]] if strobe else []), *pattern.flags[number, k]]
            words.append(
                f"  {''.join(str(int(bit)) for bit in bits)} {pattern.data[number, k]:016x}"
            )
        lines.append(f"Frame {number:04d}  {''.join(words)}")
    return "\n".join(lines) + "\n"


def read(path: Path) -> Pattern:
    """Read a pattern file. Raises TriggerError naming file and line of what is wrong."""
    try:
        content = path.read_text(encoding="ascii")
    except OSError as error:
        raise TriggerError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TriggerError(f"{path}: not a pattern file: it is not plain text") from error
    lines = _lines(content)
    name = _expect(path, lines, "ID:")
    _expect(path, lines, _METADATA)
    numbers = _expect(path, lines, "Link").split()
    if (
        not numbers
        or not all(number.isdecimal() for number in numbers)
        or len(set(numbers)) < len(numbers)
    ):
        raise TriggerError(f"{path}: the line of links does not number them")
    rows = [
        _frame(path, line, place, number, len(numbers))
        for number, (line, place) in enumerate(lines)
    ]
    if not rows:
        raise TriggerError(f"{path}: no frames")
    if not content.endswith("\n"):
        raise TriggerError(f"{path}: cut short: the last line has no end")
    bits = np.array([[[bit != "0" for bit in word[:5]] for word in row] for row in rows])
    data = np.array([[int(word[5] or "", 16) for word in row] for row in rows], dtype=np.uint64)
    return Pattern(name, tuple(map(int, numbers)), data, bits[..., 1:], bits[..., 0])


def _lines(content: str) -> Iterator[tuple[str, int]]:
    """Lines that say something, without comments, each with its number."""
    return (
        (line.strip(), place)
        for place, line in enumerate(content.split("\n"), 1)
        if line.strip() and line[0] != "#"
    )


def _expect(path: Path, lines: Iterator[tuple[str, int]], start: str) -> str:
    line, place = next(lines, ("", 0))
    if not line.startswith(start):
        raise TriggerError(
            f"{path}: {f'line {place}' if place else 'cut short'}: expected {start!r}"
        )
    return line.removeprefix(start).strip()


def _frame(
    path: Path, line: str, place: int, number: int, links: int
) -> list[tuple[str | None, ...]]:
    where = f"{path}: line {place}"
    head, *words = re.split(r"\s{2,}", line)
    if head != f"Frame {number:04d}":
        raise TriggerError(f"{where}: expected 'Frame {number:04d}', found {head!r}")
    if len(words) != links:
        raise TriggerError(f"{where}: {len(words)} words for {links} links")
    found = [_WORD.fullmatch(word) for word in words]
    if None in found:
        wrong = words[found.index(None)]
        raise TriggerError(
            f"{where}: {wrong!r} is no word; it should be four or five flags, a space and 16 hexadecimal digits"
        )
    return [match.groups() for match in found if match]


def valid_words(pattern: Pattern, link: int) -> list[Word]:
    """The valid words of a link in their order."""
    k = pattern.links.index(link)
    frames = np.flatnonzero(pattern.flags[:, k, VALID] & pattern.strobe[:, k])
    flags = ["".join(str(int(bit)) for bit in row) for row in pattern.flags[:, k]]
    return [Word(int(frame), flags[frame], int(pattern.data[frame, k])) for frame in frames]


def compare(expected: Pattern, found: Pattern) -> list[Difference]:
    """The first difference of each link that ``expected`` has words on: data and flags of valid words, not when they come.

    Raises TriggerError where ``found`` lacks such a link.
    """
    differences = []
    for link in expected.links:
        words = valid_words(expected, link)
        if link not in found.links:
            if words:
                raise TriggerError(
                    f"link {link:03d} is missing; there are {', '.join(f'{other:03d}' for other in found.links)}"
                )
            continue
        for number, (a, b) in enumerate(zip_longest(words, valid_words(found, link))):
            if a is None or b is None or a[1:] != b[1:]:
                differences.append(Difference(link, number, a, b))
                break
    return differences


def delays(expected: Pattern, found: Pattern) -> dict[int, int]:
    """For each link how many frames later, at the first valid word, ``found`` is."""
    out = {}
    for link in expected.links:
        words = valid_words(expected, link), valid_words(found, link) if link in found.links else []
        if all(words):
            out[link] = words[1][0].frame - words[0][0].frame
    return out

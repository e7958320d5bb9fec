"""Pattern files: the contents of the buffers of an EMP board as text, one line per clock cycle.

``text`` writes the format of the EMP software (CMSSW's EMPv2): a line ``ID:``, a line
``Metadata:``, a line of link numbers, then ``Frame NNNN`` with four flags, or five with a strobe,
and 64 bits of each link. ``read`` takes that, the older format (``Board``, ``Quad/Chan``, ``Link``,
then ``0v`` or ``1v`` before 8 or 16 digits) and that of APx boards (``#Sideband ON``).
"""

import re
from collections.abc import Callable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trigger.errors import TriggerError, quoted
from trigger.support.files import regular
from trigger.support.numbers import counted

METADATA = "Metadata: (strobe,) start of orbit, start of packet, end of packet, valid"
ORBIT, START, END, VALID = FLAGS = range(4)
FLAG_NAMES = ("start of orbit", "start of packet", "end of packet", "valid")


class Pattern(NamedTuple):
    """``links`` numbers them; ``data`` (frames, links) uint64; ``flags`` (frames, links, 4) bool:
    orbit, start, end, valid.

    ``strobe`` (frames, links) bool is true if the file has none. ``known`` are the flags in the
    file.
    """

    name: str
    links: tuple[int, ...]
    data: np.ndarray
    flags: np.ndarray
    strobe: np.ndarray
    known: tuple[int, ...] = tuple(FLAGS)


class Word(NamedTuple):
    """A valid word: its frame, its flags ("-" if they are not compared), its data."""

    frame: int
    flags: str
    data: int

    def __str__(self) -> str:
        return f"{self.flags} {self.data:016x} in frame {self.frame}"


class Difference(NamedTuple):
    """The first differing valid word of a link; None if a pattern has no further word."""

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
    """A pattern as the text of a file."""
    lines = [f"ID: {pattern.name}", METADATA, ""]
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


class _Word(NamedTuple):
    """One word of one frame in a file."""

    strobe: bool
    flags: tuple[bool, bool, bool, bool]
    data: int


class _Format(NamedTuple):
    """How a file writes its frames.

    ``head`` matches the number of a frame, in ``base``; a word consists of ``tokens`` fields.
    """

    head: str
    base: int
    tokens: int
    word: str
    described: str
    make: Callable[[re.Match[str]], _Word]
    known: tuple[int, ...]


def _emp_word(match: re.Match[str]) -> _Word:
    strobe, orbit, start, end, valid = (bit != "0" for bit in match.groups()[:5])
    return _Word(strobe, (orbit, start, end, valid), int(match[6], 16))


def _old_word(match: re.Match[str]) -> _Word:
    return _Word(match[1] != "0", (False, False, False, match[2] == "1"), int(match[3], 16))


def _apx_word(match: re.Match[str]) -> _Word:
    valid, start, orbit, end = (bool(int(match[1], 16) >> bit & 1) for bit in range(4))
    return _Word(True, (orbit, start, end, valid), int(match[2], 16))


_EMP = _Format(
    r"Frame\s+(\d+)\s*:?",
    10,
    2,
    r"([01])?([01])([01])([01])([01]) ([0-9a-fA-F]{16})",
    "four or five flags, a space and 16 hexadecimal digits",
    _emp_word,
    tuple(FLAGS),
)
_OLD = _Format(
    _EMP.head,
    10,
    1,
    r"(?:([01])s)?([01])v([0-9a-fA-F]{16}|[0-9a-fA-F]{8})",
    "0v or 1v, with 0s or 1s before it or not, and 8 or 16 hexadecimal digits",
    _old_word,
    (VALID,),
)
# CMSSW writes no start of orbit; if no word has one, the flag is unknown.
_APX = _Format(
    r"0x([0-9a-fA-F]+)",
    16,
    2,
    r"0x([0-9a-fA-F]{1,4}) 0x([0-9a-fA-F]{1,16})",
    "a sideband and a word, both hexadecimal, as 0x01 0x0123456789abcdef",
    _apx_word,
    tuple(FLAGS),
)


def read(path: Path) -> Pattern:
    """Read a pattern file in any of these formats. Raises TriggerError that names file and line."""
    try:
        content = regular(path).read_bytes().removeprefix(b"\xef\xbb\xbf").decode("ascii")
    except OSError as error:
        raise TriggerError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TriggerError(f"{path}: not a pattern file: it is not plain text") from error
    is_apx = re.match(r"\s*#(Sideband|LinkLabel)\b", content) is not None
    stripped = [(line.strip(), place) for place, line in enumerate(content.split("\n"), 1)]
    lines = _Lines(path, [line for line in stripped if line[0] and (is_apx or line[0][0] != "#")])
    name, numbers, form = _apx_header(lines) if is_apx else _emp_header(lines)
    if (
        not numbers
        or not all(number.isdecimal() for number in numbers)
        or len(set(map(int, numbers))) < len(numbers)
    ):
        raise TriggerError(f"{path}: the line of links must hold link numbers")
    rows = [
        _frame(path, line, number, len(numbers), form) for number, line in enumerate(lines.rest())
    ]
    if not rows:
        raise TriggerError(f"{path}: no frames")
    if not content.endswith("\n"):
        raise TriggerError(f"{path}: truncated: the last line is incomplete")
    data = np.array([[word.data for word in row] for row in rows], dtype=np.uint64)
    flags = np.array([[word.flags for word in row] for row in rows])
    strobe = np.array([[word.strobe for word in row] for row in rows])
    known = tuple(k for k in form.known if form is not _APX or k != ORBIT or flags[..., k].any())
    return Pattern(name, tuple(map(int, numbers)), data, flags, strobe, known)


class _Lines:
    """The non-empty lines of a file, with their numbers."""

    def __init__(self, path: Path, lines: list[tuple[str, int]]) -> None:
        self.path = path
        self._lines = lines
        self._at = 0

    def rest(self) -> list[tuple[str, int]]:
        """The remaining lines, without comments."""
        return [line for line in self._lines[self._at :] if not line[0].startswith("#")]

    def next_is(self, start: str) -> bool:
        """Whether the next line starts with a match of the expression."""
        return self._at < len(self._lines) and bool(re.match(start, self._lines[self._at][0]))

    def take(self, start: str, named: str) -> str:
        """The next line after a match of the expression. Raises TriggerError without a match."""
        if self._at == len(self._lines):
            raise TriggerError(f"{self.path}: truncated: expected {named}")
        line, place = self._lines[self._at]
        match = re.match(start, line)
        if match is None:
            raise TriggerError(f"{self.path}: line {place}: expected {named}")
        self._at += 1
        return line[match.end() :].strip()


def _emp_header(lines: _Lines) -> tuple[str, list[str], _Format]:
    """The name, the numbers of the links and the format of a file of the EMP software."""
    name = lines.take(r"(?i:id)\s*:|Board\b", "'ID:' or 'Board'")
    if lines.next_is("Quad/Chan"):
        form = _OLD
        lines.take("Quad/Chan", "'Quad/Chan'")
        if lines.next_is("Kind"):
            lines.take("Kind", "'Kind'")
    else:
        form = _EMP
        lines.take(re.escape(METADATA), repr(METADATA))
    return name, lines.take(r"Link\b\s*:?", "'Link'").split(), form


def _apx_header(lines: _Lines) -> tuple[str, list[str], _Format]:
    """The same for a file of an APx board, which has no name."""
    if lines.next_is("#Sideband"):
        lines.take(r"#Sideband\s+ON\b", "'#Sideband ON', without which no word is marked valid")
    labels = lines.take("#LinkLabel", "'#LinkLabel'").split()
    lines.take("#BeginData", "'#BeginData'")
    return "", [label.removeprefix("LINK_") for label in labels], _APX


def _frame(
    path: Path, line: tuple[str, int], number: int, links: int, form: _Format
) -> list[_Word]:
    text, place = line
    where = f"{path}: line {place}"
    head = re.match(rf"{form.head}(?=\s|$)", text)
    if head is None or int(head[1], form.base) != number:
        expected = f"Frame {number:04d}" if form.base == 10 else f"0x{number:04x}"
        begins = head[0].rstrip(" \t:") if head else re.split(r"\s{2,}", text)[0]
        raise TriggerError(f"{where}: expected {quoted(expected)}, found {quoted(begins)}")
    tokens = text[head.end() :].split()
    words = [" ".join(tokens[k : k + form.tokens]) for k in range(0, len(tokens), form.tokens)]
    if len(words) != links:
        raise TriggerError(f"{where}: {counted(len(words), 'word')} for {counted(links, 'link')}")
    matches = [re.fullmatch(form.word, word) for word in words]
    if None in matches:
        wrong = words[matches.index(None)]
        raise TriggerError(f"{where}: {quoted(wrong)} is not a word; write {form.described}")
    return [form.make(match) for match in matches if match]


def valid_words(pattern: Pattern, link: int, compared: Sequence[int] = FLAGS) -> list[Word]:
    """The valid words of a link in order, with the compared flags."""
    k = pattern.links.index(link)
    frames = np.flatnonzero(pattern.flags[:, k, VALID] & pattern.strobe[:, k])
    words = []
    for frame in frames:
        flags = pattern.flags[frame, k]
        shown = "".join(str(int(flags[flag])) if flag in compared else "-" for flag in FLAGS)
        words.append(Word(int(frame), shown, int(pattern.data[frame, k])))
    return words


def compared_flags(expected: Pattern, found: Pattern, ignore_flags: bool = False) -> list[int]:
    """The flags that both patterns have; only ``VALID`` with ``ignore_flags``."""
    if ignore_flags:
        return [VALID]
    return [flag for flag in FLAGS if flag in expected.known and flag in found.known]


def compare(expected: Pattern, found: Pattern, ignore_flags: bool = False) -> list[Difference]:
    """The first difference of each link with words in ``expected``: data and flags, not arrival
    times.

    The flags that both patterns have are compared; with ``ignore_flags`` only data. Raises
    TriggerError if ``found`` lacks such a link, or if ``expected`` has no valid word.
    """
    compared = compared_flags(expected, found, ignore_flags)
    differences = []
    count = 0
    for link in expected.links:
        words = valid_words(expected, link, compared)
        count += len(words)
        if link not in found.links:
            if words:
                raise TriggerError(
                    f"link {link:03d} is missing; available: "
                    f"{', '.join(f'{other:03d}' for other in found.links)}"
                )
            continue
        pairs = zip_longest(words, valid_words(found, link, compared))
        for number, (a, b) in enumerate(pairs):
            if a is None or b is None or a[1:] != b[1:]:
                differences.append(Difference(link, number, a, b))
                break
    if not count:
        raise TriggerError("nothing to compare: the expected pattern has no valid word on any link")
    return differences


def delays(expected: Pattern, found: Pattern) -> dict[int, int]:
    """The delay of ``found`` on each link, in frames, at the first valid word."""
    out = {}
    for link in expected.links:
        words = valid_words(expected, link), valid_words(found, link) if link in found.links else []
        if all(words):
            out[link] = words[1][0].frame - words[0][0].frame
    return out

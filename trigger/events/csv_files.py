"""CSV files: columns of numbers or text, and the line of whatever is wrong."""

import codecs
import contextlib
import csv
import itertools
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from trigger.errors import TriggerError, quoted

# The bytes read at a time; no row may be longer.
_BLOCK_BYTES = 1 << 26
# The bytes of a part of a file.
_PART_BYTES = 1 << 22


def read(
    path: Path, choose: Callable[[Sequence[str]], list[str]], gaps: Collection[str]
) -> dict[str, np.ndarray]:
    """The columns that ``choose`` takes of the header, each of shape (events,), numbers or text.

    Rows of the columns ``gaps`` may have no value. Raises TriggerError naming line and column.
    """
    data = path.read_bytes()
    data.decode("utf-8")
    header, _ = _rows(path)
    columns = choose(header)
    # Arrow silently accepts NUL bytes and wrong quotes.
    if b"\0" in data or b'"' in data:
        _check_rows(path)
    if not header:
        return {}
    return _parsed(path, data.removeprefix(codecs.BOM_UTF8), header, columns, gaps, -1)


class Part(NamedTuple):
    """Bytes ``start`` to ``stop`` of a file: whole lines, with ``rows`` rows, of which ``first`` is
    the number of the first.
    """

    first: int
    rows: int
    start: int
    stop: int


def header(path: Path) -> list[str]:
    """The names of the columns of a file."""
    return _rows(path)[0]


def parts(path: Path) -> tuple[list[str], list[Part]]:
    """The header of a file, and parts of it that can be read apart.

    Raises TriggerError for a text in quotes that goes on in the next line.
    """
    made: list[Part] = []
    first = -1  # the header is a row, too
    line = 1
    is_odd = False
    with path.open("rb") as file:
        while data := file.read(_PART_BYTES):
            start = file.tell() - len(data)
            data += file.readline(_BLOCK_BYTES)
            if len(data) >= _BLOCK_BYTES:
                raise TriggerError(
                    f"{path}: byte {start}: no end of a line in {_BLOCK_BYTES} bytes"
                )
            is_odd |= b"\0" in data or b'"' in data
            _check_quotes(path, data, line)
            line += data.count(b"\n")
            if first < 0:
                skipped = _end_of_header(data)
                start += skipped
                data = data[skipped:]
            first = max(first, 0)
            rows = _count(data)
            if rows:
                made.append(Part(first, rows, start, start + len(data)))
            first += rows
    if is_odd:
        _check_rows(path)
    return header(path), made


def read_part(
    path: Path, part: Part, header: Sequence[str], columns: Sequence[str], gaps: Collection[str]
) -> dict[str, np.ndarray]:
    """As ``read``, of a part of a file."""
    with path.open("rb") as file:
        file.seek(part.start)
        data = file.read(part.stop - part.start)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        error.start += part.start
        raise
    return _parsed(path, data, header, columns, gaps, part.first)


def _count(data: bytes) -> int:
    """The number of lines that are not empty."""
    letters = np.frombuffer(data, np.uint8)
    inside = (letters != ord("\n")) & (letters != ord("\r"))
    return int(np.count_nonzero(inside[1:] & ~inside[:-1])) + int(inside[:1].any())


def _end_of_header(data: bytes) -> int:
    """Where the first line that is not empty ends."""
    text = data.removeprefix(codecs.BOM_UTF8).lstrip(b"\r\n")
    line = re.match(rb"[^\r\n]*[\r\n]?", text)
    return len(data) - len(text) + (line.end() if line else 0)


def _check_quotes(path: Path, data: bytes, first: int) -> None:
    """Raise TriggerError if a line ends inside quotes; ``first`` is the number of the first."""
    if b'"' not in data:
        return
    for number, line in enumerate(data.splitlines(), first):
        if line.count(b'"') % 2:
            raise TriggerError(
                f"{path}: line {number}: a text in quotes goes on in the next line; files that "
                f"are read in blocks need each row in one line"
            )


def _parsed(
    path: Path,
    data: bytes,
    header: Sequence[str],
    columns: Sequence[str],
    gaps: Collection[str],
    first: int,
) -> dict[str, np.ndarray]:
    """The columns of lines of a file, of which the first is row ``first``; -1 is the header."""
    places = [header.index(name) for name in columns]
    try:
        texts = _texts(data, _separator(path), len(header), places)
    except ValueError:  # ArrowInvalid: a row has another number of fields
        _check_rows(path)
        raise
    skipped = max(-first, 0)
    first = max(first, 0)
    return {
        name: _numbers_or_text(path, name, text.slice(skipped), name in gaps, first)
        for name, text in zip(columns, texts, strict=True)
    }


def place(path: Path, row: int) -> str:
    """The line of a row, counted from 0."""
    _, rows = _rows(path)
    return f"line {next(itertools.islice(rows, row, None))[0]}"


def _texts(data: bytes, separator: str, width: int, places: Sequence[int]) -> list[Any]:
    """The texts of the columns at these places.

    Raises ArrowInvalid if a row has not ``width`` fields.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow

    names = [str(place) for place in range(width)]
    table = arrow.read_csv(
        pa.BufferReader(pa.py_buffer(data)),
        arrow.ReadOptions(column_names=names, block_size=_BLOCK_BYTES),
        arrow.ParseOptions(delimiter=separator, newlines_in_values=b'"' in data),
        arrow.ConvertOptions(
            column_types=dict.fromkeys(names, pa.large_string()),
            include_columns=[str(place) for place in places],
            strings_can_be_null=False,
        ),
    )
    return [table.column(str(place)) for place in places]


def _check_rows(path: Path) -> None:
    """Raises TriggerError for the first line that is not CSV, or whose number of fields is not that
    of the header.
    """
    header, rows = _rows(path)
    for line, row in rows:
        if len(row) != len(header):
            raise TriggerError(
                f"{path}: line {line} has {len(row)} fields, the header has {len(header)}"
            )


def _rows(path: Path) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """The header, and each row with the number of its first line: Arrow does not report these."""
    reader = csv.reader(_lines(path), delimiter=_separator(path), strict=True)

    def rows() -> Iterator[tuple[int, list[str]]]:
        while True:
            line = reader.line_num + 1
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise TriggerError(f"{path}: line {line}: {error}") from error
            if row:
                yield line, row

    numbered = rows()
    _, header = next(numbered, (1, []))
    return [name.strip() for name in header], numbered


def _lines(path: Path) -> Iterator[str]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if "\0" in line:
                raise TriggerError(f"{path}: line {number} has a NUL byte; this is not a CSV file")
            yield line


def _separator(path: Path) -> str:
    """Commas, else semicolons, else tabs."""
    first = next(_lines(path), "")
    return next((mark for mark in ",;\t" if mark in first), ",")


def _numbers_or_text(path: Path, name: str, column: Any, has_gaps: bool, first: int) -> np.ndarray:
    """Numbers where the first value that is not empty is one, and then all must be, but for gaps;
    ``column`` is text of Arrow,
    ``first`` the number of its first row.
    """
    numbers = _plain_numbers(column)
    if numbers is not None:
        return numbers
    texts = [text.strip() for text in column.to_pylist()]
    if not _is_number(next(filter(None, texts), "")):
        return np.array(texts, dtype=str)
    if has_gaps:
        texts = [text or "nan" for text in texts]
    if all(text.isascii() and "_" not in text for text in texts):
        with contextlib.suppress(ValueError):
            return np.array(texts, dtype=np.float64)
    wrong = next(row for row, text in enumerate(texts) if not _is_number(text))
    text = texts[wrong]
    what = f"{quoted(text)} is not a number" if text else "no value"
    hint = "; write a decimal point" if re.fullmatch(r"[+-]?\d+,\d+", text) else ""
    raise TriggerError(f"{path}: column {quoted(name)}, {place(path, first + wrong)}: {what}{hint}")


def _plain_numbers(column: Any) -> np.ndarray | None:
    """Text as float64, where Arrow reads all of it as numbers.

    None if it does not: ``float`` may read more.
    """
    import pyarrow as pa
    from pyarrow import compute

    if not len(column) or compute.any(compute.match_substring(column, "(")).as_py():
        return None  # Arrow takes nan(1) for a number, as C does
    try:
        numbers = compute.ascii_trim_whitespace(column).cast(pa.float64())
    except pa.ArrowInvalid:
        return None
    values: np.ndarray = numbers.to_numpy()
    return values


def _is_number(text: str) -> bool:
    """Whether C reads a number; ``float`` also takes underscores and digits of other scripts."""
    if "_" in text or not text.isascii():
        return False
    try:
        float(text)
    except ValueError:
        return False
    return True

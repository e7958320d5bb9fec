"""CSV files: columns of numbers or text, and the line of whatever is wrong."""

import codecs
import contextlib
import csv
import itertools
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trigger.errors import TriggerError, quoted

# Read at a time: no row may be longer.
_BLOCK_BYTES = 1 << 26


def read(
    path: Path, choose: Callable[[Sequence[str]], list[str]], gaps: Collection[str]
) -> dict[str, np.ndarray]:
    """The columns that ``choose`` takes of the header, each of shape (events,), numbers or text.

    Rows of the columns ``gaps`` may have no value. Raises TriggerError naming line and column.
    """
    import pyarrow as pa

    data = path.read_bytes()
    data.decode("utf-8")
    header, _ = _rows(path)
    columns = choose(header)
    # Arrow takes NUL bytes, and what is wrong with quotes, without a word.
    if b"\0" in data or b'"' in data:
        _check_rows(path)
    places = [header.index(name) for name in columns]
    try:
        texts = _texts(data, _separator(path), len(header), places) if header else []
    except pa.ArrowInvalid:
        _check_rows(path)
        raise
    return {
        name: _numbers_or_text(path, name, text, name in gaps)
        for name, text in zip(columns, texts, strict=True)
    }


def place(path: Path, row: int) -> str:
    """The line of a row, counted from 0."""
    _, rows = _rows(path)
    return f"line {next(itertools.islice(rows, row, None))[0]}"


def _texts(data: bytes, separator: str, width: int, places: Sequence[int]) -> list[Any]:
    """The texts below the header of the columns at these places.

    Raises ArrowInvalid if a row has not ``width`` fields.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow

    names = [str(place) for place in range(width)]
    table = arrow.read_csv(
        pa.BufferReader(pa.py_buffer(data.removeprefix(codecs.BOM_UTF8))),
        arrow.ReadOptions(column_names=names, block_size=_BLOCK_BYTES),
        arrow.ParseOptions(delimiter=separator, newlines_in_values=b'"' in data),
        arrow.ConvertOptions(
            column_types=dict.fromkeys(names, pa.large_string()),
            include_columns=[str(place) for place in places],
            strings_can_be_null=False,
        ),
    )
    return [table.column(str(place)).slice(1) for place in places]


def _check_rows(path: Path) -> None:
    """Raises TriggerError for the first line that is not one of a CSV file, or has other fields
    than the header.
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

    found = rows()
    _, header = next(found, (1, []))
    return [name.strip() for name in header], found


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


def _numbers_or_text(path: Path, name: str, column: Any, has_gaps: bool) -> np.ndarray:
    """Numbers where the first value that is not empty is one, and then all must be, but for gaps;
    ``column`` is text of Arrow.
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
    raise TriggerError(f"{path}: column {quoted(name)}, {place(path, wrong)}: {what}{hint}")


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
    found: np.ndarray = numbers.to_numpy()
    return found


def _is_number(text: str) -> bool:
    """As C reads numbers: ``float`` takes underscores and the digits of other scripts besides."""
    if "_" in text or not text.isascii():
        return False
    try:
        float(text)
    except ValueError:
        return False
    return True

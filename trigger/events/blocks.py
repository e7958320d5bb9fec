"""Event files in spans, which can be read apart and in any order, a block of rows at a time.

A span is what is counted and recorded at once; a block is what is in memory.
"""

import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from trigger.errors import TriggerError
from trigger.events import csv_files
from trigger.events.readers import (
    Columns,
    Rows,
    Wanted,
    check_readable,
    check_shapes,
    checked,
    chosen,
    of_arrow,
    of_root,
    opened_hdf5,
    opened_root,
    root_columns,
    state,
    unchanged,
)
from trigger.support import hdf5
from trigger.support.digest import file_digest

# Rows of a span, at least, where the format lets us choose.
_SPAN = 1 << 18
_BUFFER_BYTES = 1 << 20
# Values of a block: 16 MiB as float64.
_VALUES = 1 << 21
_MOST_ROWS = 1 << 16
_LEAST_ROWS = 1 << 10
# Of the header of a member of a ZIP archive, before its name.
_LOCAL_HEADER = 30


class Span(NamedTuple):
    """``rows`` rows of a file, of which ``first`` is the number of the first. ``start`` and
    ``stop`` say where they are: in row groups (Parquet), bytes (CSV) or rows.
    """

    first: int
    rows: int
    start: int
    stop: int


class EventFile(NamedTuple):
    """A file whose ``columns`` can be read, its digest, its state at that time, and its spans."""

    path: Path
    digest: str
    state: tuple[int, ...]
    columns: list[str]
    spans: list[Span]

    @property
    def events(self) -> int:
        """The number of its rows."""
        return sum(span.rows for span in self.spans)


def inspect(
    path: Path, asked: Wanted, optional: Sequence[str] = (), tree: str | None = None
) -> EventFile:
    """The spans of a file that has the columns ``asked``; those of ``optional`` that it has are
    read, too.

    Raises TriggerError as ``readers.read`` does, and if the file has no rows.
    """
    check_readable(path)

    def choose(available: Sequence[str]) -> list[str]:
        more = [name for name in optional if name in available]
        return chosen(path, available, asked._replace(names=[*(asked.names or ()), *more]))

    before = state(path)
    with unchanged(path, before):
        columns, spans = _FORMATS[path.suffix.lower()].spans(path, tree, choose)
        digest = file_digest(path)
    if not spans:
        raise TriggerError(f"{path}: no events")
    return EventFile(path, digest, before, columns, spans)


def blocks(
    file: EventFile, span: Span, asked: Wanted, most: int, tree: str | None = None
) -> Iterator[tuple[Rows, Columns]]:
    """The columns of a span, at most ``most`` rows at a time.

    Raises TriggerError that names the file, and the row where there is one, for whatever is wrong.
    """
    with unchanged(file.path, file.state):
        pieces = _FORMATS[file.path.suffix.lower()].blocks(file, span, asked, most, tree)
        for first, columns in pieces:
            where = Rows(file.path, first)
            yield where, checked(where, columns, asked)


def block_rows(features: int) -> int:
    """The rows of a block of so many features."""
    return min(max(_VALUES // features, _LEAST_ROWS), _MOST_ROWS)


Choose = Callable[[Sequence[str]], list[str]]
Blocks = Iterator[tuple[int, Columns]]


class _Format(NamedTuple):
    """How to find the spans of a file with the columns that ``Choose`` takes, and how to read
    one.
    """

    spans: Callable[[Path, str | None, Choose], tuple[list[str], list[Span]]]
    blocks: Callable[[EventFile, Span, Wanted, int, str | None], Blocks]


def even(rows: int, step: int | None = None) -> list[Span]:
    """Spans of ``step`` rows, and what is left."""
    step = step or _SPAN
    starts = range(0, rows, step)
    return [Span(k, min(step, rows - k), k, min(k + step, rows)) for k in starts]


def _gathered(ends: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Neighbours put together until they have enough rows: their first and last number, of pieces
    that end at these rows.
    """
    first = 0
    begin = 0
    for number, end in enumerate(ends, 1):
        if end - begin >= _SPAN or (number == len(ends) and end > begin):
            yield first, number
            first = number
            begin = end


def _steps(span: Span, most: int) -> Iterator[slice]:
    for start in range(span.start, span.stop, most):
        yield slice(start, min(start + most, span.stop))


def _parquet_spans(path: Path, _tree: str | None, choose: Choose) -> tuple[list[str], list[Span]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        columns = choose(file.schema_arrow.names)
        groups = [file.metadata.row_group(k).num_rows for k in range(file.num_row_groups)]
    edges = [0, *np.cumsum(groups, dtype=np.int64).tolist()]
    places = _gathered(edges[1:])
    return columns, [Span(edges[a], edges[b] - edges[a], a, b) for a, b in places]


def _parquet(file: EventFile, span: Span, asked: Wanted, most: int, _tree: str | None) -> Blocks:
    import pyarrow.parquet as pq

    row = span.first
    # Buffered: otherwise a whole column of a row group is in memory at once.
    with pq.ParquetFile(file.path, buffer_size=_BUFFER_BYTES) as source:
        groups = range(span.start, span.stop)
        for batch in source.iter_batches(most, groups, file.columns, use_threads=False):
            where = Rows(file.path, row)
            names = zip(file.columns, batch.columns, strict=True)
            yield row, {name: of_arrow(where, name, values, asked) for name, values in names}
            row += batch.num_rows


def _hdf5_spans(path: Path, tree: str | None, choose: Choose) -> tuple[list[str], list[Span]]:
    hdf5.check(path)
    with opened_hdf5(path, tree) as table:
        columns = choose(table.names)
        sets = table.columns(columns)
        check_shapes(
            Rows(path), {name: one.shape for name, one in zip(columns, sets, strict=False)}
        )
        chunk = max((one.chunks[0] for one in sets if one.chunks), default=1)
        rows = sets[0].shape[0] if sets else 0
    return columns, even(rows, -(-_SPAN // chunk) * chunk)


def _hdf5(file: EventFile, span: Span, _asked: Wanted, most: int, tree: str | None) -> Blocks:
    with opened_hdf5(file.path, tree) as table:
        for rows in _steps(span, most):
            yield rows.start, table.rows(file.columns, rows)


class _Member(NamedTuple):
    """An array of an NPZ file: its type and shape, and the byte where it begins if it is stored as
    it is.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int | None


def _members(path: Path, names: Sequence[str]) -> dict[str, _Member]:
    members = {}
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        for name in names:
            info = archive.getinfo(f"{name}.npy")
            with archive.open(info) as member:
                shape, dtype = _header(member)
                header = member.tell()
            start = None
            if info.compress_type == zipfile.ZIP_STORED:
                file.seek(info.header_offset)
                sizes = np.frombuffer(file.read(_LOCAL_HEADER)[-4:], "<u2").sum()
                start = info.header_offset + _LOCAL_HEADER + int(sizes) + header
            members[name] = _Member(dtype, shape, start)
    return members


def _header(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """The shape and the type at the start of a file of NumPy."""
    version = np.lib.format.read_magic(member)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(member)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(member)
    if dtype.hasobject:
        raise ValueError("Object arrays cannot be loaded when allow_pickle=False")
    return shape, dtype


def _npz_spans(path: Path, _tree: str | None, choose: Choose) -> tuple[list[str], list[Span]]:
    with zipfile.ZipFile(path) as archive:
        columns = choose([name.removesuffix(".npy") for name in archive.namelist()])
        damaged = archive.testzip()
    if damaged is not None:
        raise ValueError(f"Bad CRC-32 for file {damaged!r}")
    members = _members(path, columns)
    check_shapes(Rows(path), {name: member.shape for name, member in members.items()})
    rows = members[columns[0]].shape[0]
    if any(len(member.shape) != 1 for member in members.values()):
        flat = {name: np.empty((0,) * len(m.shape), m.dtype) for name, m in members.items()}
        checked(Rows(path), flat, Wanted(columns, {}, ()))
    is_stored = all(member.start is not None for member in members.values())
    # A compressed array can be read only from its start.
    return columns, even(rows, _SPAN if is_stored else max(rows, 1))


def _npz(file: EventFile, span: Span, _asked: Wanted, most: int, _tree: str | None) -> Blocks:
    members = _members(file.path, file.columns)
    with zipfile.ZipFile(file.path) as archive:
        streams: dict[str, IO[bytes]] = {}
        try:
            for name, member in members.items():
                if member.start is None:
                    streams[name] = archive.open(f"{name}.npy")
                    _header(streams[name])
                else:
                    streams[name] = file.path.open("rb")
                    streams[name].seek(member.start + span.start * member.dtype.itemsize)
            for rows in _steps(span, most):
                yield (
                    rows.start,
                    {
                        name: _taken(streams[name], member.dtype, rows.stop - rows.start)
                        for name, member in members.items()
                    },
                )
        finally:
            for stream in streams.values():
                stream.close()


def _taken(stream: IO[bytes], dtype: np.dtype[Any], count: int) -> np.ndarray:
    """The next values of a stream."""
    data = stream.read(count * dtype.itemsize)
    return np.frombuffer(data, dtype, count) if dtype.itemsize else np.zeros(count, dtype)


def _csv_spans(path: Path, _tree: str | None, choose: Choose) -> tuple[list[str], list[Span]]:
    header, parts = csv_files.parts(path)
    return choose(header), [Span(*part) for part in parts]


def _csv(file: EventFile, span: Span, asked: Wanted, most: int, _tree: str | None) -> Blocks:
    header = csv_files.header(file.path)
    part = csv_files.Part(*span)
    columns = csv_files.read_part(file.path, part, header, file.columns, asked.gaps)
    for start in range(0, span.rows, most):
        rows = slice(start, start + most)
        yield span.first + start, {name: values[rows] for name, values in columns.items()}


def _root_spans(path: Path, tree: str | None, choose: Choose) -> tuple[list[str], list[Span]]:
    with opened_root(path, tree) as source:
        columns = choose([str(key) for key in source.keys()])  # noqa: SIM118
        root_columns(path, source, Wanted(columns, {}, ()))
        rows = int(source.num_entries)
        if not hasattr(source, "common_entry_offsets"):  # an RNTuple
            return columns, even(rows)
        ends = sorted({*source.common_entry_offsets(filter_name=columns), rows})
    edges = [0, *(end for end in ends if end)]
    places = _gathered(edges[1:])
    return columns, [Span(edges[a], edges[b] - edges[a], edges[a], edges[b]) for a, b in places]


def _root(file: EventFile, span: Span, _asked: Wanted, most: int, tree: str | None) -> Blocks:
    ends = {"entry_start": span.start, "entry_stop": span.stop}
    row = span.first
    with opened_root(file.path, tree) as source:
        for columns in source.iterate(file.columns, step_size=most, library="np", **ends):
            yield row, of_root(columns)
            row += len(next(iter(columns.values())))


_FORMATS: Mapping[str, _Format] = {
    ".parquet": _Format(_parquet_spans, _parquet),
    ".h5": _Format(_hdf5_spans, _hdf5),
    ".hdf5": _Format(_hdf5_spans, _hdf5),
    ".npz": _Format(_npz_spans, _npz),
    ".csv": _Format(_csv_spans, _csv),
    ".root": _Format(_root_spans, _root),
}

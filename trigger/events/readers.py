"""Event files to arrays: Parquet, HDF5, NPZ, CSV and ROOT.

Nothing in a file is executed: no pickles.
"""

import contextlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from trigger.errors import TriggerError, quoted
from trigger.events import csv_files
from trigger.spec.tables import nearest
from trigger.support import hdf5
from trigger.support.files import regular

Columns = dict[str, np.ndarray]


class Rows(NamedTuple):
    """Rows of a file from ``first`` on, counted from 0; in messages, the path of the file."""

    path: Path
    first: int = 0

    def __str__(self) -> str:
        return str(self.path)

    def place(self, row: int) -> str:
        """Where people look for one of these rows: by its line in a CSV file."""
        row += self.first
        return csv_files.place(self.path, row) if _kind(self.path) == ".csv" else f"row {row}"


class Wanted(NamedTuple):
    """The columns to read: ``names``, or all if None. If a name is missing and ``lists`` has it,
    the column of lists given there is read instead. A row of ``gaps`` may have no value: NaN, or no
    text.
    """

    names: Sequence[str] | None
    lists: Mapping[str, str]
    gaps: Collection[str]


def read(
    path: Path,
    columns: Sequence[str] | None,
    tree: str | None = None,
    lists: Mapping[str, str] | None = None,
    gaps: Collection[str] = (),
) -> Columns:
    """The named columns of one file, or all of them, each of shape (events,).

    If the file lacks a name of ``lists``, the column of lists given there is read instead: the
    numbers of each event, of shape (events, longest list), masked behind the end of a list. Rows of
    the columns ``gaps`` may have no value: NaN, or no text. ``tree`` names the tree of a ROOT file,
    or the group of an HDF5 file, where there are several. Raises TriggerError naming the file, and
    the column and row where there is one, for anything that is not a plain column of numbers or
    text of one length, for values that the file says are in another file, and for a file that
    changes meanwhile.
    """
    check_readable(path)
    reader = _READERS[_kind(path)]
    asked = Wanted(columns, lists or {}, gaps)
    with unchanged(path):
        found = reader(path, asked, tree)
    return checked(Rows(path), found, asked)


def check_readable(path: Path) -> None:
    """Raise TriggerError unless this is a file, with the ending of a format that can be read."""
    if _kind(path) not in _READERS:
        raise TriggerError(
            f"{path}: cannot read {path.suffix or 'a file without ending'}; readable: "
            f"{', '.join(_READERS)}"
        )
    if not regular(path).exists():
        raise TriggerError(f"{path}: no such file{nearest(path.name, _event_files(path.parent))}")


@contextlib.contextmanager
def unchanged(path: Path, before: tuple[int, ...] | None = None) -> Iterator[None]:
    """Raise TriggerError that names the file for whatever goes wrong while it is read, and if it
    changes meanwhile, or since its ``state`` was ``before``.
    """
    before = before or state(path)
    try:
        yield
    except TriggerError:
        raise
    except UnicodeDecodeError as error:
        raise TriggerError(
            f"{path}: byte {error.start} is not UTF-8 text; save the file as UTF-8"
        ) from error
    except MemoryError as error:
        raise TriggerError(
            f"{path}: too large for this machine's memory, or not a {path.suffix} file"
        ) from error
    except Exception as error:  # each library has its own ways of finding a file broken
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise TriggerError(f"{path}: cannot be read as {path.suffix}: {first}") from error
    if state(path) != before:
        raise TriggerError(f"{path}: changed while it was read; try again when it is finished")


def checked(where: Rows, columns: Columns, asked: Wanted) -> Columns:
    """The columns of these rows, if each is plain and all have one length; lists are padded."""
    check_shapes(where, {name: np.shape(values) for name, values in columns.items()})
    for name in set(asked.lists.values()).difference(asked.names or ()) & set(columns):
        columns[name] = _padded(where, name, columns[name])
    for name, values in columns.items():
        if name in asked.lists.values() and values.ndim == 2:
            continue
        if values.dtype.kind not in "biufUS" or values.ndim != 1:
            what = (
                "ragged or nested"
                if values.dtype.kind == "O" or values.ndim != 1
                else f"of the type {values.dtype}"
            )
            raise TriggerError(
                f"{where}: column {quoted(name)} is {what}; one number or text a row is needed"
            )
    return columns


def check_shapes(where: Rows, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise TriggerError unless all columns have as many rows."""
    for name, shape in shapes.items():
        if not shape:
            raise TriggerError(
                f"{where}: column {quoted(name)} is a single value; one number or text a "
                f"row is needed"
            )
    lengths = {name: shape[0] for name, shape in shapes.items()}
    if len(set(lengths.values())) > 1:
        names = sorted(lengths, key=lambda name: lengths[name])
        raise TriggerError(
            f"{where}: column {quoted(names[0])} has {lengths[names[0]]} rows, "
            f"{quoted(names[-1])} has {lengths[names[-1]]}; give every column one row an event"
        )


def state(path: Path) -> tuple[int, ...]:
    """What tells whether a file has changed: its size, the time of its last change, its number."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ino


def _kind(path: Path) -> str:
    return path.suffix.lower()


def _event_files(folder: Path) -> list[str]:
    """The names of the event files in a folder; none if it cannot be read."""
    try:
        return [path.name for path in folder.iterdir() if path.suffix in _READERS]
    except OSError:
        return []


def _padded(where: Rows, name: str, values: np.ndarray) -> np.ndarray:
    """A column of lists as float64 (events, longest list), masked and NaN behind the end of a
    list.
    """
    try:
        lists = [np.asarray(each) for each in values]
        flat = np.concatenate([*lists, np.empty(0, np.int8)])
    except ValueError as error:  # single values, or lists of lists
        raise _no_lists(where, name) from error
    if flat.ndim != 1 or flat.dtype.kind not in "biuf":
        raise _no_lists(where, name)
    ends = np.cumsum([len(each) for each in lists], dtype=np.int64)
    if np.isinf(flat).any():
        place_of = int(np.argmax(np.isinf(flat)))
        row = int(np.searchsorted(ends, place_of, side="right"))
        raise TriggerError(
            f"{where}: column {quoted(name)}, {where.place(row)}: {flat[place_of]} is not a finite "
            f"number"
        )
    lengths = np.diff(ends, prepend=0)
    inside = np.arange(lengths.max(initial=0)) < lengths[:, None]
    padded = np.ma.masked_array(np.full(inside.shape, np.nan), mask=~inside)
    padded.data[inside] = flat
    return padded


def _no_lists(where: Rows, name: str) -> TriggerError:
    return TriggerError(
        f"{where}: column {quoted(name)} does not have a list of numbers in each row"
    )


def chosen(path: Path, available: Sequence[str], asked: Wanted) -> list[str]:
    """The columns to read. Raises TriggerError if one is missing or there are two of it."""
    wanted = list(available)
    if asked.names is not None:
        there = set(available)
        instead = {name: asked.lists.get(name, name) for name in set(asked.names) - there}
        names = (instead[n] if instead.get(n) in there else n for n in asked.names)
        wanted = list(dict.fromkeys(names))
    repeated = [name for name in wanted if list(available).count(name) > 1]
    if repeated:
        raise TriggerError(f"{path}: two columns are named {quoted(repeated[0])}")
    missing = [name for name in wanted if name not in available]
    if missing:
        raise TriggerError(
            f"{path}: no column {quoted(missing[0])}; available: "
            f"{_shortened(available) or 'nothing'}{nearest(missing[0], available)}"
        )
    return wanted


def _shortened(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def _parquet(path: Path, wanted: Wanted, _tree: str | None) -> Columns:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        columns = chosen(path, file.schema_arrow.names, wanted)
        table = file.read(columns)
    return {name: of_arrow(Rows(path), name, table[name], wanted) for name in columns}


def of_arrow(where: Rows, name: str, column: Any, wanted: Wanted) -> np.ndarray:
    """A column of Arrow as an array; a row without a value must be one of ``wanted.gaps``."""
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    if column.null_count and name in wanted.gaps:
        column = column.fill_null("") if is_text else column.cast(pa.float64())
    elif column.null_count:
        row = int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
        raise TriggerError(f"{where}: column {quoted(name)}, {where.place(row)}: no value")
    values: np.ndarray = column.to_numpy(zero_copy_only=False)
    return values.astype(str) if is_text else values


def _hdf5(path: Path, wanted: Wanted, tree: str | None) -> Columns:
    hdf5.check(path)
    with opened_hdf5(path, tree) as table:
        columns = chosen(path, table.names, wanted)
        return table.rows(columns, slice(None))


class Hdf5Table(NamedTuple):
    """A group of columns, or one data set with named fields."""

    source: Any
    names: list[str]
    is_group: bool

    def columns(self, names: Sequence[str]) -> list[Any]:
        """The data sets that hold these columns."""
        return [self.source[name] for name in names] if self.is_group else [self.source]

    def rows(self, names: Sequence[str], rows: slice) -> Columns:
        """These rows of these columns."""
        if self.is_group:
            given = {name: self.source[name] for name in names}
            arrays = {name: c[rows] if c.shape else c[()] for name, c in given.items()}
        else:
            table = self.source[rows]
            arrays = {name: table[name] for name in names}
        return {name: _text_of_hdf5(np.asarray(values)) for name, values in arrays.items()}


@contextlib.contextmanager
def opened_hdf5(path: Path, tree: str | None) -> Iterator[Hdf5Table]:
    """The columns of a checked file, or of its group ``tree``."""
    import h5py

    with h5py.File(path, "r") as file:
        group: Any = file
        if tree is not None:
            if tree not in file:
                raise TriggerError(
                    f"{path}: no group {quoted(tree)}; available: "
                    f"{_shortened(list(file))}{nearest(tree, file)}"
                )
            group = file[tree]
        if isinstance(group, h5py.Dataset) and group.dtype.names:
            yield Hdf5Table(group, list(group.dtype.names), False)
        else:
            yield Hdf5Table(group, list(group), True)


def _text_of_hdf5(values: np.ndarray) -> np.ndarray:
    """Text as NumPy has it; references and lists, which are objects too, are left for ``read`` to
    refuse.
    """
    import h5py

    is_text = values.dtype.kind == "S" or h5py.check_string_dtype(values.dtype) is not None
    return values.astype(str) if is_text else values


def _npz(path: Path, wanted: Wanted, _tree: str | None) -> Columns:
    with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
        columns = chosen(path, file.files, wanted)
        return {name: file[name] for name in columns}


def _csv(path: Path, wanted: Wanted, _tree: str | None) -> Columns:
    return csv_files.read(path, lambda header: chosen(path, header, wanted), wanted.gaps)


def _root(path: Path, wanted: Wanted, tree: str | None) -> Columns:
    with opened_root(path, tree) as source:
        return of_root(source.arrays(root_columns(path, source, wanted), library="np"))


@contextlib.contextmanager
def opened_root(path: Path, tree: str | None) -> Iterator[Any]:
    """The tree of a file: the only one, or the one of this name."""
    import uproot

    with uproot.open(path, object_cache=None, array_cache=None) as file:
        trees = sorted(
            {
                re.sub(r";\d+$", "", key)
                for key, class_name in file.classnames().items()
                if class_name in ("TTree", "ROOT::RNTuple")
            }
        )
        if tree is None and len(trees) != 1:
            raise TriggerError(
                f"{path}: name one of its trees in data.tree: "
                f"{_shortened(trees) or 'there is none'}"
            )
        if tree is not None and tree not in trees:
            raise TriggerError(
                f"{path}: no tree {quoted(tree)}; available: "
                f"{_shortened(trees)}{nearest(tree, trees)}"
            )
        yield file[tree or trees[0]]


def root_columns(path: Path, source: Any, wanted: Wanted) -> list[str]:
    """The columns to read of a tree. Raises TriggerError if one has its values elsewhere."""
    # An uproot tree is not a mapping.
    keys = [str(key) for key in source.keys()]  # noqa: SIM118
    columns = chosen(path, keys, wanted)
    for name in columns:
        branch = source[name]  # a field of an RNTuple cannot refer to another file
        if hasattr(branch, "member") and branch.member("fFileName", none_if_missing=True):
            raise TriggerError(
                f"{path}: column {quoted(name)} keeps its values in another file; "
                f"write them into this one"
            )
    return columns


def of_root(columns: Columns) -> Columns:
    """Columns of uproot, with text as NumPy has it."""
    return {
        name: values.astype(str) if _is_text(values) else values for name, values in columns.items()
    }


def _is_text(values: np.ndarray) -> bool:
    return values.dtype.kind == "O" and len(values) > 0 and isinstance(values[0], str)


_READERS: dict[str, Callable[[Path, Wanted, str | None], Columns]] = {
    ".parquet": _parquet,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
    ".npz": _npz,
    ".csv": _csv,
    ".root": _root,
}

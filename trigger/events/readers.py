"""Event files to arrays: Parquet, HDF5, NPZ, CSV and ROOT. Nothing in a file is executed: no pickles."""

import csv
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trigger import hdf5
from trigger.errors import TriggerError

Columns = dict[str, np.ndarray]


def read(path: Path, columns: Sequence[str] | None, tree: str | None = None) -> Columns:
    """The named columns of one file, or all of them, each of shape (events,).

    ``tree`` names the tree of a ROOT file, or the group of an HDF5 file, where there are several. Raises TriggerError
    naming the file, and the column and row where there is one, for anything that is not a plain column of numbers
    or text of one length.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise TriggerError(
            f"{path}: cannot read {path.suffix or 'a file without ending'}; known are {', '.join(_READERS)}"
        )
    if not path.is_file():
        raise TriggerError(f"{path}: no such file")
    try:
        found = reader(path, columns, tree)
    except TriggerError:
        raise
    except MemoryError as error:
        raise TriggerError(
            f"{path}: too large for this machine's memory, or not a {path.suffix} file"
        ) from error
    except Exception as error:  # each library has its own ways of finding a file broken
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise TriggerError(f"{path}: cannot be read as {path.suffix}: {first}") from error
    lengths = {name: len(values) for name, values in found.items()}
    if len(set(lengths.values())) > 1:
        names = sorted(lengths, key=lambda name: lengths[name])
        raise TriggerError(
            f"{path}: column {names[0]!r} has {lengths[names[0]]} rows, {names[-1]!r} has {lengths[names[-1]]}"
        )
    for name, values in found.items():
        if values.dtype.kind not in "biufUS" or values.ndim != 1:
            what = (
                "ragged or nested"
                if values.dtype.kind == "O" or values.ndim != 1
                else f"of the type {values.dtype}"
            )
            raise TriggerError(
                f"{path}: column {name!r} is {what}; one number or text a row is needed"
            )
    return found


def _chosen(path: Path, available: Sequence[str], wanted: Sequence[str] | None) -> list[str]:
    """The columns to read. Raises TriggerError where one is missing or there are two of it."""
    wanted = list(available) if wanted is None else list(wanted)
    repeated = [name for name in wanted if list(available).count(name) > 1]
    if repeated:
        raise TriggerError(f"{path}: two columns are named {repeated[0]!r}")
    missing = [name for name in wanted if name not in available]
    if missing:
        raise TriggerError(f"{path}: no column {missing[0]!r}; there are {_shortened(available)}")
    return wanted


def _shortened(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def _parquet(path: Path, columns: Sequence[str] | None, _tree: str | None) -> Columns:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        columns = _chosen(path, file.schema_arrow.names, columns)
        table = file.read(columns)
    found = {}
    for name in columns:
        column = table[name].combine_chunks()
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if column.null_count:
            row = int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
            raise TriggerError(f"{path}: column {name!r}, row {row}: no value")
        values = column.to_numpy(zero_copy_only=False)
        found[name] = (
            values.astype(str)
            if pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
            else values
        )
    return found


def _hdf5(path: Path, columns: Sequence[str] | None, tree: str | None) -> Columns:
    import h5py

    hdf5.check(path)
    with h5py.File(path, "r") as file:
        group: Any = file
        if tree is not None:
            if tree not in file:
                raise TriggerError(f"{path}: no group {tree!r}; there are {_shortened(list(file))}")
            group = file[tree]
        if isinstance(group, h5py.Dataset) and group.dtype.names:  # one table with named fields
            columns = _chosen(path, group.dtype.names, columns)
            table = group[()]
            found = {name: table[name] for name in columns}
        else:
            columns = _chosen(path, list(group), columns)
            found = {name: group[name][()] for name in columns}
    return {
        name: np.asarray(v).astype(str) if np.asarray(v).dtype.kind in "OS" else np.asarray(v)
        for name, v in found.items()
    }


def _npz(path: Path, columns: Sequence[str] | None, _tree: str | None) -> Columns:
    with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
        columns = _chosen(path, file.files, columns)
        return {name: file[name] for name in columns}


def _csv(path: Path, columns: Sequence[str] | None, _tree: str | None) -> Columns:
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        header = [name.strip() for name in next(rows, [])]
        columns = _chosen(path, header, columns)
        places = [header.index(name) for name in columns]
        texts: list[list[str]] = [[] for _ in columns]
        for number, row in enumerate(rows):
            if len(row) != len(header):
                raise TriggerError(
                    f"{path}: row {number} has {len(row)} fields, the header has {len(header)}"
                )
            for text, place in zip(texts, places, strict=True):
                text.append(row[place].strip())
    return {
        name: _numbers_or_text(path, name, text) for name, text in zip(columns, texts, strict=True)
    }


def _numbers_or_text(path: Path, name: str, texts: list[str]) -> np.ndarray:
    """Numbers where the column's first value is one, and then all must be."""
    if not texts or not _is_number(texts[0]):
        return np.array(texts, dtype=str)
    try:
        return np.array(texts, dtype=np.float64)
    except ValueError as error:
        row = next(i for i, text in enumerate(texts) if not _is_number(text))
        raise TriggerError(
            f"{path}: column {name!r}, row {row}: {texts[row]!r} is not a number"
        ) from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _root(path: Path, columns: Sequence[str] | None, tree: str | None) -> Columns:
    import uproot

    with uproot.open(path) as file:
        trees = sorted(
            {
                re.sub(r";\d+$", "", key)
                for key, kind in file.classnames().items()
                if kind in ("TTree", "ROOT::RNTuple")
            }
        )
        if tree is None and len(trees) != 1:
            raise TriggerError(
                f"{path}: name one of its trees in data.tree: {_shortened(trees) or 'there is none'}"
            )
        if tree is not None and tree not in trees:
            raise TriggerError(f"{path}: no tree {tree!r}; there are {_shortened(trees)}")
        source: Any = file[tree or trees[0]]
        columns = _chosen(path, [str(key) for key in source.keys()], columns)  # noqa: SIM118, an uproot tree is no mapping
        found = source.arrays(columns, library="np")
    return {
        name: values.astype(str) if _is_text(values) else values for name, values in found.items()
    }


def _is_text(values: np.ndarray) -> bool:
    return values.dtype.kind == "O" and len(values) > 0 and isinstance(values[0], str)


_READERS: dict[str, Callable[[Path, Sequence[str] | None, str | None], Columns]] = {
    ".parquet": _parquet,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
    ".npz": _npz,
    ".csv": _csv,
    ".root": _root,
}

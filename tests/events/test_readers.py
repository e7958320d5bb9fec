"""Event files: five formats read alike, and everything wrong with one refused by file, column and row."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot
from event_files import COLUMNS, write
from mutations import assert_read_or_refused, mutated

from trigger.errors import TriggerError
from trigger.events import readers
from trigger.events.dataset import load
from trigger.events.readers import read
from trigger.spec.tables import Data

FORMATS = ("parquet", "h5", "table.h5", "npz", "csv", "root")


@pytest.mark.parametrize("fmt", FORMATS)
def test_every_format_gives_the_same(tmp_path, fmt):
    found = read(write(tmp_path, fmt), ["b", "a", "kind"], "events" if fmt == "table.h5" else None)
    assert list(found) == ["b", "a", "kind"]
    for name, values in found.items():
        np.testing.assert_array_equal(values, COLUMNS[name])


@pytest.mark.parametrize("fmt", FORMATS)
def test_missing_column(tmp_path, fmt):
    path = write(tmp_path, fmt)
    with pytest.raises(TriggerError) as error:
        read(path, ["a", "c"], "events" if fmt == "table.h5" else None)
    assert str(error.value) == f"{path}: no column 'c'; available: a, b, kind"


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("keep", [0, 0.5, 0.9])
def test_a_file_cut_short_is_never_misread(tmp_path, fmt, keep):
    path = write(tmp_path, fmt)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    if fmt == "csv" and keep:
        path.write_bytes(data[:-3].rstrip(b",s"))
    try:
        found = read(path, ["a", "b", "kind"], "events" if fmt == "table.h5" else None)
    except TriggerError as error:
        assert str(error).startswith(f"{path}: ")
    else:  # only a ROOT file can lose its tail and keep all its columns
        assert fmt == "root"
        for name, values in found.items():
            np.testing.assert_array_equal(values, COLUMNS[name])


@pytest.mark.parametrize("fmt", [f for f in FORMATS if f != "csv"])
def test_garbage_is_refused(tmp_path, fmt):
    path = tmp_path / f"events.{fmt}"
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    with pytest.raises(TriggerError, match=f"^{path}: cannot be read as "):
        read(path, ["a"])


@pytest.mark.parametrize("fmt", FORMATS)
def test_mutated_files_are_read_or_refused(tmp_path, fmt):
    path = write(tmp_path, fmt)
    data = path.read_bytes()
    rng = np.random.default_rng(2)

    def example():
        path.write_bytes(mutated(data, rng))
        found = read(path, ["a", "b"], "events" if fmt == "table.h5" else None)
        assert [(name, values.ndim) for name, values in found.items()] == [("a", 1), ("b", 1)]
        assert len(found["a"]) == len(found["b"]) > 0

    assert_read_or_refused(60, example, f"{path}: ")


def test_a_pickle_is_not_opened(tmp_path):
    path = tmp_path / "events.npz"
    np.savez(path, a=np.array([{"x": 1}], dtype=object))
    with pytest.raises(
        TriggerError,
        match="cannot be read as .npz: Object arrays cannot be loaded when allow_pickle=False",
    ):
        read(path, ["a"])


def test_labels_that_are_not_a_number(tmp_path):
    np.savez(tmp_path / "x.npz", a=[1.0, 2.0], kind=[0.0, np.nan])
    data = Data(files=["x.npz"], features=["a"], label="kind", classes=["s", "b"])
    with pytest.raises(TriggerError) as error:
        load(data, tmp_path)
    assert str(error.value) == (
        f"{tmp_path}/x.npz: column 'kind', row 1: nan is none of the classes s, b"
    )


def test_a_file_that_changes_while_it_is_read(tmp_path, monkeypatch):
    path = write(tmp_path, "csv")
    original = readers._READERS[".csv"]

    def slow(*arguments):
        found = original(*arguments)
        path.write_text(path.read_text() + "1,2,s\n")
        return found

    monkeypatch.setitem(readers._READERS, ".csv", slow)
    with pytest.raises(TriggerError) as error:
        read(path, ["a"])
    assert str(error.value) == f"{path}: changed while it was read; try again when it is finished"


def test_ragged_columns(tmp_path):
    path = tmp_path / "events.parquet"
    pq.write_table(pa.table({"a": [[1.0], [1.0, 2.0]]}), path)
    with pytest.raises(TriggerError) as error:
        read(path, ["a"])
    assert (
        str(error.value)
        == f"{path}: column 'a' is ragged or nested; one number or text a row is needed"
    )


def test_empty_cells(tmp_path):
    path = tmp_path / "events.parquet"
    pq.write_table(pa.table({"a": [1.0, None, 2.0]}), path)
    with pytest.raises(TriggerError) as error:
        read(path, ["a"])
    assert str(error.value) == f"{path}: column 'a', row 1: no value"


def test_columns_of_different_lengths(tmp_path):
    path = tmp_path / "events.npz"
    np.savez(path, a=np.zeros(3), b=np.zeros(4))
    with pytest.raises(TriggerError) as error:
        read(path, ["a", "b"])
    assert str(error.value) == (
        f"{path}: column 'a' has 3 rows, 'b' has 4; give every column one row an event"
    )


def test_several_trees(tmp_path):
    path = tmp_path / "events.root"
    with uproot.recreate(path) as file:
        for name in ("first", "second"):
            file.mktree(name, {"a": "float64"})
            file[name].extend({"a": np.array([1.0 if name == "first" else 2.0])})
    with pytest.raises(TriggerError) as error:
        read(path, ["a"])
    assert str(error.value) == f"{path}: name one of its trees in data.tree: first, second"
    assert read(path, ["a"], "second")["a"] == [2.0]
    with pytest.raises(TriggerError, match="no tree 'third'; available: first, second"):
        read(path, ["a"], "third")


@pytest.mark.parametrize(
    ("name", "message"),
    [("x.txt", "cannot read .txt; readable: .parquet, .h5,"), ("x.csv", "no such file")],
)
def test_no_such_file(tmp_path, name, message):
    with pytest.raises(TriggerError, match=message):
        read(tmp_path / name, ["a"])

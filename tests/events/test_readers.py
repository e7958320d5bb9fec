"""Event files: five formats read alike, and everything wrong with one refused by file, column and row."""

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot

from trigger.errors import TriggerError
from trigger.events.readers import read

COLUMNS = {
    "a": np.array([0.5, -1.25, 3.0]),
    "b": np.array([1, 2, 3]),
    "kind": np.array(["s", "b", "s"]),
}
FORMATS = ("parquet", "h5", "table.h5", "npz", "csv", "root")


def write(folder, fmt, columns=COLUMNS):
    path = folder / f"events.{fmt}"
    match fmt:
        case "parquet":
            pq.write_table(pa.table(columns), path)
        case "h5":
            with h5py.File(path, "w") as file:
                for name, values in columns.items():
                    file[name] = values.astype("S") if values.dtype.kind == "U" else values
        case "table.h5":
            with h5py.File(path, "w") as file:
                kinds = [
                    (n, v.astype("S").dtype if v.dtype.kind == "U" else v.dtype)
                    for n, v in columns.items()
                ]
                file["events"] = np.array(list(zip(*columns.values(), strict=True)), dtype=kinds)
        case "npz":
            np.savez(path, **columns)
        case "csv":
            rows = [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
            path.write_text("\n".join([",".join(columns), *rows]) + "\n")
        case "root":
            with uproot.recreate(path) as file:
                file.mktree(
                    "events",
                    {"a": "float64", "b": "int64", "kind": "string"}
                    if "kind" in columns
                    else {"a": "float64"},
                )
                file["events"].extend(
                    {k: v.tolist() if v.dtype.kind == "U" else v for k, v in columns.items()}
                )
    return path


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
    assert str(error.value) == f"{path}: no column 'c'; there are a, b, kind"


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
    for _ in range(60):
        mutated = bytearray(data)
        for place in rng.integers(0, len(data), 4):
            mutated[place] = rng.integers(0, 256)
        path.write_bytes(mutated)
        try:
            read(path, ["a", "b"], "events" if fmt == "table.h5" else None)
        except TriggerError as error:
            assert str(error).startswith(f"{path}: ")


def test_a_pickle_is_not_opened(tmp_path):
    path = tmp_path / "events.npz"
    np.savez(path, a=np.array([{"x": 1}], dtype=object))
    with pytest.raises(
        TriggerError,
        match="cannot be read as .npz: Object arrays cannot be loaded when allow_pickle=False",
    ):
        read(path, ["a"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3\n", "row 1 has 1 fields, the header has 2"),
        ("a,b\n1,2\nx,3\n", "column 'a', row 1: 'x' is not a number"),
        ("a,a\n1,2\n", "two columns are named 'a'"),
        ("", "no column 'a'; there are "),
    ],
)
def test_bad_csv(tmp_path, text, message):
    path = tmp_path / "events.csv"
    path.write_text(text)
    with pytest.raises(TriggerError) as error:
        read(path, ["a"])
    assert str(error.value) == f"{path}: {message}"


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
    assert str(error.value) == f"{path}: column 'a' has 3 rows, 'b' has 4"


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
    with pytest.raises(TriggerError, match="no tree 'third'; there are first, second"):
        read(path, ["a"], "third")


@pytest.mark.parametrize(
    ("name", "message"),
    [("x.txt", "cannot read .txt; known are .parquet, .h5,"), ("x.csv", "no such file")],
)
def test_no_such_file(tmp_path, name, message):
    with pytest.raises(TriggerError, match=message):
        read(tmp_path / name, ["a"])

"""Event files in spans and blocks: together they are the file, and messages name its own rows."""

import os
import textwrap

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot
from event_files import write

from trigger.errors import TriggerError
from trigger.events import blocks as module
from trigger.events import csv_files
from trigger.events.blocks import blocks, inspect
from trigger.events.dataset import block, features
from trigger.events.readers import Wanted, read
from trigger.spec.spec import parse

ROWS = 100
MOST = 4


@pytest.fixture(autouse=True)
def _small_spans(monkeypatch):
    monkeypatch.setattr(module, "_SPAN", 15)
    monkeypatch.setattr(csv_files, "_PART_BYTES", 200)


@pytest.fixture(scope="module")
def columns():
    rng = np.random.default_rng(1)
    return {
        "a": rng.normal(size=ROWS),
        "b": rng.integers(-5, 5, ROWS),
        "kind": rng.choice(["signal", "background"], ROWS),
    }


def _parquet(path, columns):
    pq.write_table(pa.table(columns), path, row_group_size=7)


def _chunked(path, columns):
    with h5py.File(path, "w") as file:
        for name, values in columns.items():
            text = values.astype("S") if values.dtype.kind == "U" else values
            file.create_dataset(name, data=text, chunks=(11,), compression="gzip")


def _baskets(path, columns):
    with uproot.recreate(path) as file:
        file.mktree("events", {"a": "float64", "b": "int64", "kind": "string"})
        for start in range(0, ROWS, 9):
            part = {name: values[start : start + 9] for name, values in columns.items()}
            file["events"].extend({**part, "kind": part["kind"].tolist()})


def _ntuple(path, columns):
    with uproot.recreate(path) as file:
        file.mkrntuple("events", {name: columns[name] for name in ("a", "b")})


def _compressed(path, columns):
    np.savez_compressed(path, **columns)


def _quoted(path, columns):
    rows = zip(*columns.values(), strict=True)
    text = "\n\r\n".join(f'{a},"{b}","{kind}, so"' for a, b, kind in rows)
    path.write_text(f"\ufeffa,b,kind\r\n\n{text}", newline="")


def _plain(path, columns):
    write(path.parent, path.name.partition(".")[2], columns)


FILES = {
    "groups.parquet": _parquet,
    "chunks.h5": _chunked,
    "events.table.h5": _plain,
    "events.npz": _plain,
    "compressed.npz": _compressed,
    "events.csv": _plain,
    "quoted.csv": _quoted,
    "baskets.root": _baskets,
    "ntuple.root": _ntuple,
}


def in_blocks(path, asked, optional=()):
    """All columns of a file by its blocks, with the last span first."""
    tree = "events" if "table" in path.name else None
    file = inspect(path, asked, optional, tree)
    parts = []
    for span in reversed(file.spans):
        found = list(blocks(file, span, asked, MOST, tree))
        assert sum(len(part["a"]) for _, part in found) == span.rows
        assert all(len(part["a"]) <= MOST for _, part in found)
        parts = [part for _, part in found] + parts
    assert file.events == sum(len(part["a"]) for part in parts)
    return file, {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}


@pytest.mark.parametrize("name", FILES)
def test_blocks_are_the_file(tmp_path, columns, name):
    FILES[name](tmp_path / name, columns)
    there = [column for column in columns if "ntuple" not in name or column != "kind"]
    file, found = in_blocks(tmp_path / name, Wanted(["b", "a"], {}, ()), ("kind", "none"))
    assert file.columns == ["b", "a", *there[2:]]
    tree = "events" if "table" in name else None
    for column, values in read(tmp_path / name, there, tree).items():
        np.testing.assert_array_equal(found[column], values)
    assert len(file.spans) == 1 if "compressed" in name else len(file.spans) > 3


OBJECTS = """
    name = "lists"
    task = "classification"
    [data]
    files = ["x.parquet"]
    classes = ["out"]
    [model]
    network = "n.keras"
    [inputs.objects.jet]
    at = [[0, 0, 0], [0, 0, 32]]
    order_by = "pt"
    fields.pt = { bits = [0, 11] }
    fields.eta = { bits = [12, 20], signed = true }
    [target]
    part = "xcvu9p-flga2104-2L-e"
    clock_mhz = 360
"""


def test_lists_in_blocks_are_those_of_the_file(tmp_path):
    """However long the longest list of a block is."""
    rng = np.random.default_rng(2)
    lengths = rng.integers(0, 5, ROWS)
    table = {
        f"jet_{field}": [rng.integers(0, 99, n).tolist() for n in lengths]
        for field in ("pt", "eta")
    }
    pq.write_table(pa.table(table), tmp_path / "x.parquet", row_group_size=10)
    spec = parse(textwrap.dedent(OBJECTS), tmp_path / "trigger.toml")
    asked = Wanted(spec.data.features, spec.inputs.lists(), ())
    file = inspect(tmp_path / "x.parquet", asked)
    found = [
        block(where, part, spec.data, spec.inputs).x
        for span in file.spans
        for where, part in blocks(file, span, asked, MOST)
    ]
    whole = features(tmp_path / "x.parquet", spec.data.features, None, spec.inputs)
    np.testing.assert_array_equal(np.concatenate(found), whole)


def test_a_wrong_value_is_named_by_its_row(tmp_path, columns):
    spec = parse(
        textwrap.dedent(OBJECTS)
        .partition("[inputs")[0]
        .replace("classes", 'features = ["a"]\nclasses')
        + '[inputs]\ntype = "fixed<5,2>"\n[target]\npart = "xcvu9p-flga2104-2L-e"\nclock_mhz = 360',
        tmp_path / "trigger.toml",
    )
    bad = {**columns, "a": np.where(np.arange(ROWS) == 77, np.inf, columns["a"])}
    for name, place in (("groups.parquet", "row 77"), ("events.csv", "line 79")):
        FILES[name](tmp_path / name, bad)
        asked = Wanted(["a"], {}, ())
        file = inspect(tmp_path / name, asked)
        read_on = (
            block(where, part, spec.data, spec.inputs)
            for span in file.spans
            for where, part in blocks(file, span, asked, MOST)
        )
        with pytest.raises(TriggerError) as error:
            list(read_on)
        message = f"{tmp_path / name}: column 'a', {place}: inf is not a finite number"
        assert str(error.value) == message


def refused(path, names=("a",)):
    with pytest.raises(TriggerError) as error:
        inspect(path, Wanted(names, {}, ()))
    return str(error.value)


def test_files_that_are_refused(tmp_path, columns):
    path = tmp_path / "empty.parquet"
    pq.write_table(pa.table({"a": np.empty(0)}), path)
    assert refused(path) == f"{path}: no events"
    assert refused(path, ("b",)) == f"{path}: no column 'b'; available: a"
    path.write_bytes(b"PAR1 and no more")
    assert refused(path).startswith(f"{path}: cannot be read as .parquet: ")
    path = tmp_path / "header.csv"
    path.write_text("a,b\n")
    assert refused(path) == f"{path}: no events"
    path.write_text('a,b\n1,"two\nlines"\n')
    assert refused(path) == (
        f"{path}: line 2: a text in quotes goes on in the next line; files that are read in blocks "
        f"need each row in one line"
    )
    path.write_text("a\n1\nx\n")
    file = inspect(path, Wanted(["a"], {}, ()))
    with pytest.raises(TriggerError) as error:
        list(blocks(file, file.spans[0], Wanted(["a"], {}, ()), MOST))
    assert str(error.value) == f"{path}: column 'a', line 3: 'x' is not a number"
    path = tmp_path / "short.npz"
    np.savez(path, a=np.zeros(3), b=np.zeros(2), c=np.zeros((3, 2)), d=np.zeros(()))
    assert refused(path, "ab") == (
        f"{path}: column 'b' has 2 rows, 'a' has 3; give every column one row an event"
    )
    assert refused(path, "d") == (
        f"{path}: column 'd' is a single value; one number or text a row is needed"
    )
    assert refused(path, "c") == (
        f"{path}: column 'c' is ragged or nested; one number or text a row is needed"
    )
    data = bytearray(path.read_bytes())
    data[data.index(b"NUMPY") + 130] ^= 1
    path.write_bytes(data)
    assert refused(path) == f"{path}: cannot be read as .npz: Bad CRC-32 for file 'a.npy'"


def test_a_file_that_changes_meanwhile(tmp_path, columns):
    path = tmp_path / "groups.parquet"
    _parquet(path, columns)
    file = inspect(path, Wanted(["a"], {}, ()))
    os.utime(path, ns=(1, 1))
    with pytest.raises(TriggerError) as error:
        list(blocks(file, file.spans[0], Wanted(["a"], {}, ()), MOST))
    assert str(error.value) == f"{path}: changed while it was read; try again when it is finished"
